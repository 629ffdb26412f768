//! The tests of the tables: made, dropped and made again, by this crate's migrator or the application's, and what the
//! indexes are used for.
//!
//! [`migration_tests!`] makes a test of each on one database system. Each test works in a separate database, which it
//! makes and drops. Those that need a server are in the package `jwt-knox-tests`.

// Each test file uses its share of this.
#![allow(dead_code)]

use std::{
    env,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jwt_knox::{SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_sea_orm::{CreateSessions, Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, Statement};
use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{Alias, ColumnDef, Table},
};

/// The migrator of an application that has another table as well.
struct AppMigrator;

#[async_trait::async_trait]
impl MigratorTrait for AppMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateNotes), Box::new(CreateSessions)]
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
pub(crate) struct TestDatabase {
    connection: DatabaseConnection,
    name: String,
    server: Option<String>,
}

impl TestDatabase {
    /// One in memory. It exists only in its connection, so there is only one.
    pub(crate) async fn sqlite() -> Self {
        let connection = connect("sqlite::memory:", 1).await;
        Self { connection, name: String::new(), server: None }
    }

    /// One on the server at the URL in that environment variable.
    pub(crate) async fn on_server(variable: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("knox_migration_test_{}_{number}", std::process::id());
        let admin = connect(&server, 1).await;
        // One that an earlier process with the same id has left.
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();

        let (address, options) = server
            .split_once('?')
            .map_or((&*server, String::new()), |(address, options)| (address, format!("?{options}")));
        let (host, _) = address.rsplit_once('/').unwrap();
        let connection = connect(&format!("{host}/{name}{options}"), 2).await;
        Self { connection, name, server: Some(server) }
    }

    /// Another connection, on which `statement` was run first.
    pub(crate) async fn connect_with(&self, statement: &str) -> DatabaseConnection {
        let server = self.server.as_deref().unwrap();
        let (host, _) = server.rsplit_once('/').unwrap();
        let connection = connect(&format!("{host}/{}", self.name), 1).await;
        connection.execute_unprepared(statement).await.unwrap();
        connection
    }

    pub(crate) async fn drop(self) {
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

    /// The names of the migrations that a migrator has recorded in its table.
    async fn recorded(&self, table: &str) -> Vec<String> {
        let query = format!("SELECT version FROM {table} ORDER BY version");
        let query = Statement::from_string(self.connection.get_database_backend(), query);
        let rows = self.connection.query_all_raw(query).await.unwrap();
        rows.iter().map(|row| row.try_get("", "version").unwrap()).collect()
    }

    /// Panics unless a session can be stored.
    async fn keeps_sessions(&self) {
        let store = SeaOrmStore::new(self.connection.clone());
        let record = record(7);
        let _ = store.insert(record.clone(), None, record.created_at).await.unwrap();
        assert_eq!(store.find(&record.session_ref()).await.unwrap(), Some(record.into()));
    }
}

async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(Duration::from_secs(30)).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

fn record(number: u32) -> SessionRecord {
    let subject = Subject::new(format!("user-{number}")).unwrap();
    let digest = format!("sha256:{number:064x}").parse().unwrap();
    let mut record = SessionRecord::new(subject, digest, Timestamp::from_second(1_800_000_000).unwrap());
    record.expires_at = Some(Timestamp::from_second(1_800_036_000).unwrap());
    record
}

const TABLES: [&str; 2] = ["jwt_knox_sessions", "jwt_knox_subjects"];

pub(crate) async fn up_and_down_and_up_again(database: TestDatabase) {
    let connection = &database.connection;
    for _ in 0..2 {
        Migrator::up(connection, None).await.unwrap();
        // Again: there is nothing left to do.
        Migrator::up(connection, None).await.unwrap();
        assert_eq!(database.recorded("jwt_knox_migrations").await, ["jwt_knox_0001_create_sessions"]);
        database.keeps_sessions().await;

        Migrator::down(connection, None).await.unwrap();
        for table in TABLES {
            assert!(!database.has_table(table).await, "{table} is still there");
        }
        assert!(database.recorded("jwt_knox_migrations").await.is_empty());
    }
    database.drop().await;
}

pub(crate) async fn the_applications_migrator_makes_the_tables(database: TestDatabase) {
    let connection = &database.connection;
    for _ in 0..2 {
        AppMigrator::up(connection, None).await.unwrap();
        let recorded = database.recorded("seaql_migrations").await;
        assert_eq!(recorded, ["jwt_knox_0001_create_sessions", "m20260101_000001_create_notes"]);
        assert!(!database.has_table("jwt_knox_migrations").await, "this crate's migrator did not run");
        assert!(database.has_table("notes").await);
        database.keeps_sessions().await;
        // Whoever has made them.
        Migrator::fresh(connection).await.unwrap();
        database.keeps_sessions().await;
        connection.execute_unprepared("DROP TABLE jwt_knox_migrations").await.unwrap();

        AppMigrator::down(connection, None).await.unwrap();
        for table in TABLES.into_iter().chain(["notes"]) {
            assert!(!database.has_table(table).await, "{table} is still there");
        }
    }
    database.drop().await;
}

pub(crate) async fn two_migrators_do_not_interfere(database: TestDatabase) {
    let connection = &database.connection;
    Migrator::up(connection, None).await.unwrap();
    OtherMigrator::up(connection, None).await.unwrap();
    assert_eq!(database.recorded("jwt_knox_migrations").await, ["jwt_knox_0001_create_sessions"]);
    assert_eq!(database.recorded("seaql_migrations").await, ["m20260101_000001_create_notes"]);

    Migrator::down(connection, None).await.unwrap();
    assert!(database.has_table("notes").await);
    Migrator::up(connection, None).await.unwrap();
    database.keeps_sessions().await;
    Migrator::fresh(connection).await.unwrap();
    assert!(database.has_table("notes").await);
    OtherMigrator::down(connection, None).await.unwrap();
    database.keeps_sessions().await;
    database.drop().await;
}

/// Lets the store work on a table of some size, listens to the statements that it sends, and asks the database for its
/// plans.
pub(crate) async fn the_indexes_are_used(mut database: TestDatabase) {
    let backend = database.connection.get_database_backend();
    Migrator::up(&database.connection, None).await.unwrap();
    fill(&database.connection).await;

    let heard = Arc::new(Mutex::new(Vec::<Statement>::new()));
    let ear = Arc::clone(&heard);
    database.connection.set_metric_callback(move |info| ear.lock().unwrap().push(info.statement.clone()));
    let store = SeaOrmStore::new(database.connection.clone());
    store.find(&record(7).session_ref()).await.unwrap();
    // Nothing has expired yet.
    let removed = store.remove_expired(Timestamp::from_second(1_700_000_000).unwrap(), NonZeroU32::new(100).unwrap());
    assert_eq!(removed.await.unwrap(), 0);
    drop(store);

    let of_find = plan(&database.connection, &sent(&heard, "SELECT")).await;
    let of_purge = plan(&database.connection, &sent(&heard, "DELETE")).await;
    let (by_key, by_expiry) = match backend {
        DatabaseBackend::Sqlite => (
            "USING INDEX sqlite_autoindex_jwt_knox_sessions_1 (subject=? AND id=?)",
            "INDEX jwt_knox_sessions_expires_at (expires_at",
        ),
        DatabaseBackend::Postgres => {
            ("Index Scan using jwt_knox_sessions_pkey", "Scan using jwt_knox_sessions_expires_at")
        }
        _ => ("key: PRIMARY", "key: jwt_knox_sessions_expires_at"),
    };
    assert!(of_find.contains(by_key), "`find` does not use the primary key:\n{of_find}");
    assert!(of_purge.contains(by_expiry), "the purge does not use the index on the expiry:\n{of_purge}");
    for scan in ["SCAN jwt_knox_sessions\n", "Seq Scan", "type: ALL"] {
        assert!(!of_find.contains(scan), "`find` reads the whole table:\n{of_find}");
        assert!(!of_purge.contains(scan), "the purge reads the whole table:\n{of_purge}");
    }
    database.drop().await;
}

/// So many rows that reading all of them is the worse plan.
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
            "INSERT INTO jwt_knox_sessions (subject, id, digest, created_at, expires_at, attributes) VALUES {}",
            rows.join(", ")
        );
        connection.execute_unprepared(&insert).await.unwrap();
    }
    let analyze = match connection.get_database_backend() {
        DatabaseBackend::MySql => "ANALYZE TABLE jwt_knox_sessions",
        _ => "ANALYZE",
    };
    connection.query_all_raw(Statement::from_string(connection.get_database_backend(), analyze)).await.unwrap();
}

/// The one statement of that kind that the store has sent.
fn sent(heard: &Mutex<Vec<Statement>>, verb: &str) -> Statement {
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

/// Makes the tests, each with the attributes, in the database that the expression opens.
macro_rules! migration_tests {
    ($(#[$attribute:meta])* in $database:expr) => {
        $crate::shared::migration_tests! { @each [$(#[$attribute])*] $database,
            up_and_down_and_up_again
            the_applications_migrator_makes_the_tables
            two_migrators_do_not_interfere
            the_indexes_are_used
        }
    };
    (@each $attributes:tt $database:expr, $($test:ident)*) => {
        $($crate::shared::migration_tests! { @test $attributes $database, $test })*
    };
    (@test [$($attribute:tt)*] $database:expr, $test:ident) => {
        $($attribute)*
        #[tokio::test]
        async fn $test() {
            $crate::shared::$test($database.await).await;
        }
    };
}
pub(crate) use migration_tests;
