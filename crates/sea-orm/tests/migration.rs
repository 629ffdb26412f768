//! The tables: made, dropped and made again, by this crate's migrator or the application's, and what the indexes are
//! good for.
//!
//! Each test works in a database of its own, which it makes and drops.

// A driver that is not switched on cannot be tested. The default features have none.
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use jwt_knox::{Subject, TokenRecord, TokenStore};
use jwt_knox_sea_orm::{CreateTokens, Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, Statement};
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{Alias, ColumnDef, Table},
};

/// The migrator of an application that has a table of its own as well.
struct AppMigrator;

#[async_trait::async_trait]
impl MigratorTrait for AppMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateNotes), Box::new(CreateTokens)]
    }
}

/// The migrator of an application that leaves the tables of this crate to [`Migrator`].
struct OtherMigrator;

#[async_trait::async_trait]
impl MigratorTrait for OtherMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateNotes)]
    }
}

struct CreateNotes;

impl MigrationName for CreateNotes {
    fn name(&self) -> &str {
        "m20260101_000001_create_notes"
    }
}

// The trait elides the lifetime of its parameter, and an implementation must do the same.
#[allow(elided_lifetimes_in_paths)]
#[async_trait::async_trait]
impl MigrationTrait for CreateNotes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let id = ColumnDef::new(Alias::new("id")).integer().not_null().primary_key().to_owned();
        manager.create_table(Table::create().table(Alias::new("notes")).col(id).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Alias::new("notes")).to_owned()).await
    }
}

/// An empty database, gone after [`TestDatabase::drop`].
struct TestDatabase {
    connection: DatabaseConnection,
    name: String,
    server: Option<String>,
}

impl TestDatabase {
    /// One in memory. It lives in its connection, so there is but one.
    async fn sqlite() -> Option<Self> {
        let connection = connect("sqlite::memory:", 1).await;
        Some(Self { connection, name: String::new(), server: None })
    }

    /// One on the server that the variable names, if it is set.
    async fn on_server(variable: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = env::var(variable) else {
            println!("skipped: {variable} is not set");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("knox_migration_test_{}_{number}", std::process::id());
        let admin = connect(&server, 1).await;
        // One that an earlier process of the same number has left.
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();

        let (address, options) = server
            .split_once('?')
            .map_or((&*server, String::new()), |(address, options)| (address, format!("?{options}")));
        let (host, _) = address.rsplit_once('/').unwrap();
        let connection = connect(&format!("{host}/{name}{options}"), 2).await;
        Some(Self { connection, name, server: Some(server) })
    }

    async fn drop(self) {
        self.connection.close().await.unwrap();
        if let Some(server) = self.server {
            let admin = connect(&server, 1).await;
            admin.execute_unprepared(&format!("DROP DATABASE {}", self.name)).await.unwrap();
            admin.close().await.unwrap();
        }
    }

    async fn has_table(&self, table: &str) -> bool {
        self.connection.execute_unprepared(&format!("SELECT 1 FROM {table}")).await.is_ok()
    }

    /// The names of the migrations that a migrator has noted in its table.
    async fn noted(&self, table: &str) -> Vec<String> {
        let query = format!("SELECT version FROM {table} ORDER BY version");
        let query = Statement::from_string(self.connection.get_database_backend(), query);
        let rows = self.connection.query_all_raw(query).await.unwrap();
        rows.iter().map(|row| row.try_get("", "version").unwrap()).collect()
    }

    /// Panics unless a login can be kept.
    async fn keeps_logins(&self) {
        let store = SeaOrmStore::new(self.connection.clone());
        let record = record(7);
        let _ = store.insert(record.clone(), None, record.created_at).await.unwrap();
        assert_eq!(store.find(&record.key()).await.unwrap(), Some(record));
    }
}

async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(Duration::from_secs(30)).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

fn record(number: u32) -> TokenRecord {
    let subject = Subject::new(format!("user-{number}")).unwrap();
    let digest = format!("sha256:{number:064x}").parse().unwrap();
    let mut record = TokenRecord::new(subject, digest, Timestamp::from_second(1_800_000_000).unwrap());
    record.expires_at = Some(Timestamp::from_second(1_800_036_000).unwrap());
    record
}

const TABLES: [&str; 2] = ["jwt_knox_tokens", "jwt_knox_subjects"];

async fn up_and_down_and_up_again(database: TestDatabase) {
    let connection = &database.connection;
    for _ in 0..2 {
        Migrator::up(connection, None).await.unwrap();
        // Once more: there is nothing left to do.
        Migrator::up(connection, None).await.unwrap();
        assert_eq!(database.noted("jwt_knox_migrations").await, ["jwt_knox_0001_create_tokens"]);
        database.keeps_logins().await;

        Migrator::down(connection, None).await.unwrap();
        for table in TABLES {
            assert!(!database.has_table(table).await, "{table} is still there");
        }
        assert!(database.noted("jwt_knox_migrations").await.is_empty());
    }
    database.drop().await;
}

async fn the_applications_migrator_makes_the_tables(database: TestDatabase) {
    let connection = &database.connection;
    for _ in 0..2 {
        AppMigrator::up(connection, None).await.unwrap();
        let noted = database.noted("seaql_migrations").await;
        assert_eq!(noted, ["jwt_knox_0001_create_tokens", "m20260101_000001_create_notes"]);
        assert!(!database.has_table("jwt_knox_migrations").await, "this crate's own migrator did not run");
        assert!(database.has_table("notes").await);
        database.keeps_logins().await;

        AppMigrator::down(connection, None).await.unwrap();
        for table in TABLES.into_iter().chain(["notes"]) {
            assert!(!database.has_table(table).await, "{table} is still there");
        }
    }
    database.drop().await;
}

async fn two_migrators_do_not_meddle(database: TestDatabase) {
    let connection = &database.connection;
    Migrator::up(connection, None).await.unwrap();
    OtherMigrator::up(connection, None).await.unwrap();
    assert_eq!(database.noted("jwt_knox_migrations").await, ["jwt_knox_0001_create_tokens"]);
    assert_eq!(database.noted("seaql_migrations").await, ["m20260101_000001_create_notes"]);

    Migrator::down(connection, None).await.unwrap();
    assert!(database.has_table("notes").await);
    Migrator::up(connection, None).await.unwrap();
    OtherMigrator::down(connection, None).await.unwrap();
    database.keeps_logins().await;
    database.drop().await;
}

/// Has the store work on a table of some size, listens to the statements that it sends, and asks the database for its
/// plans.
async fn the_indexes_are_used(mut database: TestDatabase) {
    let backend = database.connection.get_database_backend();
    Migrator::up(&database.connection, None).await.unwrap();
    fill(&database.connection).await;

    let heard = Arc::new(Mutex::new(Vec::<Statement>::new()));
    let ear = Arc::clone(&heard);
    database.connection.set_metric_callback(move |info| ear.lock().unwrap().push(info.statement.clone()));
    let store = SeaOrmStore::new(database.connection.clone());
    store.find(&record(7).key()).await.unwrap();
    // Nothing is over yet.
    let removed = store.remove_expired(Timestamp::from_second(1_700_000_000).unwrap(), NonZeroU32::new(100).unwrap());
    assert_eq!(removed.await.unwrap(), 0);
    drop(store);

    let of_find = plan(&database.connection, &said(&heard, "SELECT")).await;
    let of_purge = plan(&database.connection, &said(&heard, "DELETE")).await;
    let (by_key, by_expiry) = match backend {
        DatabaseBackend::Sqlite => (
            "USING INDEX sqlite_autoindex_jwt_knox_tokens_1 (subject=? AND id=?)",
            "INDEX jwt_knox_tokens_expires_at (expires_at",
        ),
        DatabaseBackend::Postgres => ("Index Scan using jwt_knox_tokens_pkey", "Scan using jwt_knox_tokens_expires_at"),
        _ => ("key: PRIMARY", "key: jwt_knox_tokens_expires_at"),
    };
    assert!(of_find.contains(by_key), "`find` does not use the primary key:\n{of_find}");
    assert!(of_purge.contains(by_expiry), "the purge does not use the index on the expiry:\n{of_purge}");
    for scan in ["SCAN jwt_knox_tokens\n", "Seq Scan", "type: ALL"] {
        assert!(!of_find.contains(scan), "`find` reads the whole table:\n{of_find}");
        assert!(!of_purge.contains(scan), "the purge reads the whole table:\n{of_purge}");
    }
    database.drop().await;
}

/// So many rows that reading them all would be the worse plan.
async fn fill(connection: &DatabaseConnection) {
    for chunk in 0..10 {
        let rows: Vec<String> = (chunk * 500..(chunk + 1) * 500)
            .map(|number| {
                let digits = format!("{number:064x}");
                let (minute, second) = (number / 60 % 60, number % 60);
                format!(
                    "('user-{number}', '{}', 'sha256:{digits}', '2037-01-01 00:00:00', '2037-01-02 00:{minute:02}:{second:02}', \
                     '{{}}')",
                    &digits[..32]
                )
            })
            .collect();
        let insert = format!(
            "INSERT INTO jwt_knox_tokens (subject, id, digest, created_at, expires_at, attributes) VALUES {}",
            rows.join(", ")
        );
        connection.execute_unprepared(&insert).await.unwrap();
    }
    let analyze = match connection.get_database_backend() {
        DatabaseBackend::MySql => "ANALYZE TABLE jwt_knox_tokens",
        _ => "ANALYZE",
    };
    connection.query_all_raw(Statement::from_string(connection.get_database_backend(), analyze)).await.unwrap();
}

/// The one statement of that kind that the store has sent.
fn said(heard: &Mutex<Vec<Statement>>, verb: &str) -> Statement {
    let heard = heard.lock().unwrap();
    let mut of_kind = heard.iter().filter(|statement| statement.sql.starts_with(verb));
    let statement = of_kind.next().unwrap_or_else(|| panic!("no {verb} among {heard:?}"));
    assert!(of_kind.next().is_none(), "more than one {verb} among {heard:?}");
    statement.clone()
}

/// What the database says about how it would execute the statement, a line for each step.
async fn plan(connection: &DatabaseConnection, statement: &Statement) -> String {
    let backend = connection.get_database_backend();
    let explain = if backend == DatabaseBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let question = Statement { sql: format!("{explain} {}", statement.sql), ..statement.clone() };
    let rows = connection.query_all_raw(question).await.unwrap();
    let lines = rows.iter().map(|row| match backend {
        DatabaseBackend::Sqlite => row.try_get::<String>("", "detail").unwrap() + "\n",
        DatabaseBackend::Postgres => row.try_get::<String>("", "QUERY PLAN").unwrap() + "\n",
        _ => {
            let access: Option<String> = row.try_get("", "type").unwrap();
            let key: Option<String> = row.try_get("", "key").unwrap();
            format!("type: {}, key: {}\n", access.unwrap_or_default(), key.unwrap_or_default())
        }
    });
    lines.collect()
}

macro_rules! on_each_backend {
    ($($test:ident)*) => {
        on_each_backend!(sqlite TestDatabase::sqlite(), $($test)*);
        on_each_backend!(postgres TestDatabase::on_server("KNOX_TEST_POSTGRES_URL"), $($test)*);
        on_each_backend!(mysql TestDatabase::on_server("KNOX_TEST_MYSQL_URL"), $($test)*);
    };
    ($backend:ident $database:expr, $($test:ident)*) => {
        mod $backend {
            use super::TestDatabase;

            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(database) = $database.await {
                        super::$test(database).await;
                    }
                }
            )*
        }
    };
}

on_each_backend! {
    up_and_down_and_up_again
    the_applications_migrator_makes_the_tables
    two_migrators_do_not_meddle
    the_indexes_are_used
}
