//! The store passes the conformance kit on SQLite, PostgreSQL and MySQL or MariaDB, with several connections.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{env, sync::OnceLock, time::Duration};

use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
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

mod postgres {
    use super::{OnceLock, SeaOrmStore, on_server};

    async fn open() -> Option<SeaOrmStore> {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        on_server("KNOX_TEST_POSTGRES_URL", &MIGRATED).await
    }

    jwt_knox_testkit::store_tests!(open, durable);
}

mod mysql {
    use super::{OnceLock, SeaOrmStore, on_server};

    async fn open() -> Option<SeaOrmStore> {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        on_server("KNOX_TEST_MYSQL_URL", &MIGRATED).await
    }

    jwt_knox_testkit::store_tests!(open, durable);
}
