//! The database.

use std::time::Duration;

use jwt_knox_sea_orm::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr, SqlxError};
use url::{Position, Url};

use crate::{Failure, users};

/// Opens the database, and makes its tables and users on the first start.
///
/// # Errors
///
/// [`Failure`] says what is wrong. It does not contain the database's password.
pub async fn open(url: &str) -> Result<DatabaseConnection, Failure> {
    let connection = connect(url).await.map_err(|error| failure(url, &error))?;
    // Two servers that start on a new database at the same time may get in each other's way. The second try then finds
    // the tables made.
    if prepare_tables(&connection).await.is_err() {
        prepare_tables(&connection).await.map_err(|error| failure(url, &error))?;
    }
    Ok(connection)
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let patience = Duration::from_secs(5);
    let mut options = ConnectOptions::new(url);
    options.max_connections(10).connect_timeout(patience).acquire_timeout(patience);
    options.sqlx_logging(false);
    // With a write-ahead log, SQLite reads while it writes.
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).pragma("journal_mode", "WAL"));
    Database::connect(options).await
}

async fn prepare_tables(connection: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::up(connection, None).await?;
    users::create_and_seed(connection).await
}

fn failure(url: &str, error: &DbErr) -> Failure {
    let reason = match error {
        // These quote the URL, and so the password in it.
        DbErr::Conn(RuntimeErr::Internal(_)) => "there is no driver for such a URL".to_owned(),
        DbErr::Conn(RuntimeErr::SqlxError(error)) if matches!(**error, SqlxError::Configuration(_)) => {
            "a part of the URL is not valid".to_owned()
        }
        error => error.to_string(),
    };
    Failure(format!("the database of DATABASE_URL ({}) cannot be used: {reason}", without_password(url)))
}

/// The URL without user, password and parameters.
fn without_password(url: &str) -> String {
    match Url::parse(url) {
        // A `/` or `?` in a password has to be percent-encoded. One that is not ends the host, and what follows it, up
        // to the `@`, is a part of the password.
        Ok(url) if can_be_shown(&url) => {
            let host = url.host_str().map(|host| format!("//{host}")).unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}:{host}{port}{}", url.scheme(), url.path())
        }
        _ => "which cannot be shown".to_owned(),
    }
}

fn can_be_shown(url: &Url) -> bool {
    (url.has_host() || url.scheme() == "sqlite") && !url[Position::BeforePath..].contains('@')
}
