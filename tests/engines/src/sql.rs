//! Servers on a SQL database.

use std::{thread, time::Duration};

use jwt_knox::Knox;
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use tokio::runtime::Runtime;

use crate::traffic::knox;

/// Connections to that database.
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(8).acquire_timeout(Duration::from_secs(3)).connect_timeout(Duration::from_secs(3));
    options.sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// Makes the tables. On a thread with a runtime of its own, so that a test may do it wherever it is.
pub fn migrate(url: &str) {
    let url = url.to_owned();
    let migrate = move || {
        Runtime::new().unwrap().block_on(async {
            let connection = connect(&url).await;
            Migrator::up(&connection, None).await.unwrap();
            connection.close().await.unwrap();
        });
    };
    thread::spawn(migrate).join().unwrap();
}

/// A server with connections of its own to that database.
pub async fn server(url: &str) -> Knox {
    knox(SeaOrmStore::new(connect(url).await))
}
