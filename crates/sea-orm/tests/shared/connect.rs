//! Connections for the tests of the testkit. Those that need a server are in the package `jwt-knox-tests`.

use std::{sync::OnceLock, time::Duration};

use jwt_knox_sea_orm::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

/// Separate connections to a database whose tables are made once.
pub(crate) async fn connect(url: &str, migrated: &'static OnceLock<()>) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).acquire_timeout(Duration::from_secs(30)).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite.create_if_missing(true).pragma("journal_mode", "WAL").busy_timeout(Duration::from_secs(30))
    });
    // Each test has its own runtime. The first test makes the tables, on a thread with another runtime.
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
