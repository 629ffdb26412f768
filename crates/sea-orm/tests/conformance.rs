//! The store passes the conformance kit on SQLite, PostgreSQL and MySQL or MariaDB, with several connections.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use jwt_knox::{InsertOutcome, Subject, TokenLimit, TokenRecord, TokenStore};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use jwt_knox_testkit::rules;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

/// A connection of its own, in a database whose tables have been made once.
async fn connect(url: &str, migrated: &'static OnceLock<()>) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).acquire_timeout(Duration::from_secs(30)).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.create_if_missing(true).pragma("journal_mode", "WAL").busy_timeout(Duration::from_secs(30))
    });
    // Each test has its own runtime, and the tables are made by the one that comes first, on a thread with another.
    let of_migration = options.clone();
    migrated.get_or_init(move || {
        let migrate = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let connection = Database::connect(of_migration).await.unwrap();
                Migrator::up(&connection, None).await.unwrap();
                connection.close().await.unwrap();
            });
        };
        std::thread::spawn(migrate).join().unwrap();
    });
    Database::connect(options).await.unwrap()
}

/// A store on the server that the variable names, if it is set.
async fn on_server(variable: &str, migrated: &'static OnceLock<()>) -> Option<SeaOrmStore> {
    match env::var(variable) {
        Ok(url) => Some(SeaOrmStore::new(connect(&url, migrated).await)),
        Err(_) => {
            println!("skipped: {variable} is not set");
            None
        }
    }
}

mod sqlite {
    use super::{OnceLock, SeaOrmStore, connect, env};

    async fn open() -> SeaOrmStore {
        static FILE: OnceLock<String> = OnceLock::new();
        static MIGRATED: OnceLock<()> = OnceLock::new();
        let url = FILE.get_or_init(|| {
            let file = env::temp_dir().join(format!("jwt-knox-conformance-{}.sqlite", std::process::id()));
            // One that an earlier process of the same number has left.
            let _ = std::fs::remove_file(&file);
            format!("sqlite:{}", file.display())
        });
        SeaOrmStore::new(connect(url, &MIGRATED).await)
    }

    jwt_knox_testkit::store_tests!(open, durable);
}

/// More logins than a statement has room for.
#[tokio::test]
async fn a_subject_may_have_very_many_logins() {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    Migrator::up(&connection, None).await.unwrap();
    let store = SeaOrmStore::new(connection);
    let (subject, now) = (Subject::new("alice").unwrap(), Timestamp::from_second(1_800_000_000).unwrap());
    let login = |number: u32| {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        TokenRecord::new(subject.clone(), digest, now)
    };
    for number in 0..1201 {
        let _ = store.insert(login(number), None, now).await.unwrap();
    }
    let outcome = store.insert(login(2000), Some(TokenLimit::evict_oldest(601)), now).await.unwrap();
    assert_eq!(outcome, InsertOutcome::Inserted { evicted: 601 });
    let spared = login(2000).id();
    assert_eq!(store.remove_all(&subject, Some(&spared), now).await.unwrap(), 600);
    assert_eq!(store.list(&subject, now).await.unwrap(), [login(2000)]);
}

/// Whether the tables are there.
static ON_POSTGRES: OnceLock<()> = OnceLock::new();

mod postgres {
    use super::{ON_POSTGRES, SeaOrmStore, on_server};

    async fn open() -> Option<SeaOrmStore> {
        on_server("KNOX_TEST_POSTGRES_URL", &ON_POSTGRES).await
    }

    jwt_knox_testkit::store_tests!(open, durable);
}

/// A server may be set up so that all transactions are serializable. Conflicts are then frequent, and are no failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_postgres_where_all_is_serializable() {
    let Ok(url) = env::var("KNOX_TEST_POSTGRES_URL") else {
        println!("skipped: KNOX_TEST_POSTGRES_URL is not set");
        return;
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options[default_transaction_isolation]=serializable");
    let store = Arc::new(SeaOrmStore::new(connect(&url, &ON_POSTGRES).await));
    rules::calls_of_all_kinds_at_once_are_answered(store.clone()).await;
    rules::a_touch_revives_nothing(store.clone()).await;
    rules::parallel_removals_have_one_winner(store.clone()).await;
    rules::a_use_that_is_noted_saves_from_eviction(store).await;
}

mod mysql {
    use super::{OnceLock, SeaOrmStore, on_server};

    async fn open() -> Option<SeaOrmStore> {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        on_server("KNOX_TEST_MYSQL_URL", &MIGRATED).await
    }

    jwt_knox_testkit::store_tests!(open, durable);
}
