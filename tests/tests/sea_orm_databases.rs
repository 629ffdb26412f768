//! Databases that are not like most: with another encoding, without strict mode, migrated half way, by many servers at
//! the same time, or by a user who may not make tables.

#![allow(clippy::unwrap_used)]

use jwt_knox::{InsertOutcome, SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use jwt_knox_tests::databases::TestDatabase;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, SqlxMySqlConnector,
    sqlx::{Executor, mysql::MySqlPoolOptions},
};
use tokio::task::JoinSet;

const INSERTED: InsertOutcome = InsertOutcome::Inserted { evicted: Vec::new() };

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn session(subject: &str, hex: &str) -> SessionRecord {
    let digest = format!("sha256:{}", hex.repeat(32)).parse().unwrap();
    SessionRecord::new(Subject::new(subject).unwrap(), digest, now())
}

#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_postgres_database_that_cannot_hold_every_subject_is_rejected() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let options = format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let database = TestDatabase::empty_postgres(&options);
        let connection = database.connect(1);
        let error = Migrator::up(&connection, None).await.unwrap_err().to_string();
        assert!(error.contains(&format!("its encoding is {encoding}; create one with ENCODING 'UTF8'")), "{error}");
        let table = connection.execute_unprepared("SELECT 1 FROM jwt_knox_sessions").await;
        assert!(table.is_err(), "no table is left behind");
    }
}

/// The columns say their own encoding, whatever that of the database is.
#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_mysql_database_of_another_encoding_holds_every_subject() {
    let database = TestDatabase::empty_mysql("CHARACTER SET latin1 COLLATE latin1_swedish_ci");
    Migrator::up(&database.connect(1), None).await.unwrap();
    let store = database.store();
    let subjects = ["zoe", "Zoe", "zoé", "zoe\u{301}", "zoe ", "ж", "鍵", "🔑"];
    for (subject, hex) in subjects.iter().zip(["0a", "0b", "0c", "0d", "0e", "0f", "1a", "1b"]) {
        let mut record = session(subject, hex);
        record.label = Some(format!("{subject} 🔑"));
        record.attributes = [("名前".to_owned(), (*subject).to_owned())].into();
        assert_eq!(store.insert(record.clone(), Some(SessionLimit::deny(1).unwrap()), now()).await.unwrap(), INSERTED);
        assert_eq!(store.list(&record.subject, now()).await.unwrap(), [record]);
    }
}

/// Without strict mode, MariaDB and MySQL cut what is too long for a column, and say nothing. `NewSession` takes no
/// more than 16 KiB of attributes; a store is called with more only by its own tests.
#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn without_strict_mode_nothing_is_cut() {
    let database = TestDatabase::mysql();
    let pool = MySqlPoolOptions::new()
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute("SET SESSION sql_mode = ''").await.map(drop) })
        })
        .connect(&database.url())
        .await
        .unwrap();
    let store = SeaOrmStore::new(SqlxMySqlConnector::from_sqlx_mysql_pool(pool));
    let mut record = session(&"🔑".repeat(63), "0a");
    record.label = Some("🔑".repeat(255));
    record.scope = Some("scope ".repeat(20_000));
    record.attributes = [("long".to_owned(), "é".repeat(70_000))].into();
    let limit = Some(SessionLimit::deny(2).unwrap());
    assert_eq!(store.insert(record.clone(), limit, now()).await.unwrap(), INSERTED);
    assert_eq!(store.find(&record.session_ref()).await.unwrap().as_deref(), Some(&record));
    let mut second = session(record.subject.as_str(), "0b");
    second.created_at = record.created_at.checked_sub(std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(store.insert(second.clone(), limit, now()).await.unwrap(), INSERTED);
    assert_eq!(store.list(&record.subject, now()).await.unwrap(), [record, second]);
}

/// 20 servers start on an empty database.
async fn many_servers_may_migrate_at_once(database: TestDatabase) {
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let url = database.url();
        servers.spawn(async move {
            let connection = Database::connect(ConnectOptions::new(url)).await.unwrap();
            Migrator::up(&connection, None).await.unwrap();
            connection.close().await.unwrap();
        });
    }
    servers.join_all().await;
    let store = database.store();
    assert_eq!(store.insert(session("alice", "0a"), None, now()).await.unwrap(), INSERTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn many_servers_may_migrate_postgres_at_once() {
    many_servers_may_migrate_at_once(TestDatabase::empty_postgres("")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn many_servers_may_migrate_mysql_at_once() {
    many_servers_may_migrate_at_once(TestDatabase::empty_mysql("")).await;
}

/// After each statement of a migration that never got further.
async fn a_migration_that_stopped_half_way_goes_on(database: TestDatabase) {
    let connection = database.connect(1);
    let drop_index = match connection.get_database_backend() {
        DatabaseBackend::Postgres => "DROP INDEX jwt_knox_sessions_expires_at",
        _ => "DROP INDEX jwt_knox_sessions_expires_at ON jwt_knox_sessions",
    };
    // What had been done until then, and is undone here, last things first.
    let undo = ["DELETE FROM jwt_knox_migrations", "DROP TABLE jwt_knox_subjects", drop_index];
    for steps in 1..=undo.len() {
        for statement in &undo[..steps] {
            connection.execute_unprepared(statement).await.unwrap();
        }
        Migrator::up(&connection, None).await.unwrap();
        let store = database.store();
        assert_eq!(store.insert(session("alice", &format!("0{steps}")), None, now()).await.unwrap(), INSERTED);
        assert_eq!(store.list(&Subject::new("alice").unwrap(), now()).await.unwrap().len(), steps, "nothing is lost");
    }
    assert!(connection.execute_unprepared(drop_index).await.is_ok(), "the index is there again");
}

#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_migration_of_postgres_that_stopped_half_way_goes_on() {
    a_migration_that_stopped_half_way_goes_on(TestDatabase::postgres()).await;
}

#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_migration_of_mysql_that_stopped_half_way_goes_on() {
    a_migration_that_stopped_half_way_goes_on(TestDatabase::mysql()).await;
}

/// A user with rights on rows only migrates where nothing is to be done, and else gets an error.
async fn no_rights_are_needed_for_nothing(database: TestDatabase, user: &str, make: &[String], unmake: &[String]) {
    let admin = database.connect(1);
    let execute = async |statements: &[String]| {
        for statement in statements {
            admin.execute_unprepared(statement).await.unwrap();
        }
    };
    execute(make).await;
    let (_, rest) = database.url().split_once('@').map(|(_, rest)| ((), rest.to_owned())).unwrap();
    let scheme = if database.url().starts_with("postgres") { "postgres" } else { "mysql" };
    let connection = Database::connect(format!("{scheme}://{user}:password@{rest}")).await.unwrap();
    Migrator::up(&connection, None).await.unwrap();
    let store = SeaOrmStore::new(connection.clone());
    assert_eq!(store.insert(session("alice", "0a"), None, now()).await.unwrap(), INSERTED);
    assert_eq!(store.remove_all(&Subject::new("alice").unwrap(), None, now()).await.unwrap(), 1);

    admin.execute_unprepared("DROP TABLE jwt_knox_subjects").await.unwrap();
    admin.execute_unprepared("DELETE FROM jwt_knox_migrations").await.unwrap();
    assert!(Migrator::up(&connection, None).await.is_err());
    connection.close().await.unwrap();
    execute(unmake).await;
}

#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn postgres_needs_no_right_to_make_tables_when_they_are_there() {
    let database = TestDatabase::postgres();
    let user = database.name().to_owned();
    let make = [
        format!("CREATE ROLE {user} LOGIN PASSWORD 'password'"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"),
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned(),
    ];
    let unmake = [format!("DROP OWNED BY {user}"), format!("DROP ROLE {user}")];
    no_rights_are_needed_for_nothing(database, &user, &make, &unmake).await;
}

#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn mysql_needs_no_right_to_make_tables_when_they_are_there() {
    let database = TestDatabase::mysql();
    let (name, user) = (database.name().to_owned(), format!("k{}", std::process::id()));
    let make = [
        format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'password'"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO '{user}'@'%'"),
    ];
    let unmake = [format!("DROP USER '{user}'@'%'")];
    no_rights_are_needed_for_nothing(database, &user, &make, &unmake).await;
}
