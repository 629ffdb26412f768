//! What the quickstart examples of the three frameworks share: the settings, a database with users, and the login.
//!
//! An application of your own has these things already, or does them its own way. The part to look at is [`users`]: how
//! a users table becomes a `Login` and a `SubjectCheck`.

mod settings;
pub mod users;

use std::{error::Error, fmt, future, net::SocketAddr, time::Duration};

use jwt_knox::{Knox, TimeoutStore};
use jwt_knox_http::KnoxHttp;
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

use tracing_subscriber::filter::LevelFilter;

use crate::users::Users;

pub use settings::Settings;

/// How long the database may take. One that does not answer must become an error, not a request that hangs.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the rows of logins that are over are removed.
const PURGE_INTERVAL: Duration = Duration::from_secs(3600);

/// What a quickstart server needs.
#[derive(Debug)]
pub struct Quickstart {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The handle for the adapter.
    pub knox: KnoxHttp,
}

/// Reads the settings from the environment, opens the database, makes its tables and users on the first start, and puts
/// the handle together. A task of the runtime purges the database from then on.
///
/// # Errors
///
/// [`Failure`] if a setting is wrong or the database cannot be used.
pub async fn prepare() -> Result<Quickstart, Failure> {
    // Warnings and errors, with their causes: what a 503 does not tell the client stands here.
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    let settings = Settings::from_env()?;
    let listen = settings.listen;
    let knox = connect(settings).await?;
    let purger = knox.knox().clone();
    tokio::spawn(async move { purger.purge_every(PURGE_INTERVAL, tokio::time::sleep, future::pending::<()>()).await });
    Ok(Quickstart { listen, knox })
}

/// As [`prepare`], with settings that are there already.
///
/// # Errors
///
/// [`Failure`] if the database cannot be used.
pub async fn connect(settings: Settings) -> Result<KnoxHttp, Failure> {
    let connection = open(&settings.database_url)
        .await
        .map_err(|error| Failure(format!("the database of DATABASE_URL cannot be used: {error}")))?;
    let users = Users::new(connection.clone())?;

    let mut builder = Knox::builder(settings.key)
        .store(TimeoutStore::new(SeaOrmStore::new(connection), DATABASE_TIMEOUT, tokio::time::sleep))
        .subject_check(users.clone())
        .lifetime(settings.lifetime);
    if let Some(limit) = settings.limit {
        builder = builder.limit(limit);
    }
    Ok(KnoxHttp::builder(builder.build()?).login(users).debug_verify(settings.debug_verify).build()?)
}

async fn open(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(10).connect_timeout(DATABASE_TIMEOUT).acquire_timeout(DATABASE_TIMEOUT);
    options.sqlx_logging(false);
    // With a write-ahead log, SQLite reads while it writes.
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).pragma("journal_mode", "WAL"));
    let connection = Database::connect(options).await?;
    // Two servers that start at the same moment on a new database may get in each other's way; the second try finds the
    // tables made.
    if prepare_tables(&connection).await.is_err() {
        prepare_tables(&connection).await?;
    }
    Ok(connection)
}

async fn prepare_tables(connection: &DatabaseConnection) -> Result<(), DbErr> {
    Migrator::up(connection, None).await?;
    users::create_and_seed(connection).await
}

/// Prints what to try once the server listens on `address`.
pub fn announce(address: SocketAddr) {
    #![allow(clippy::print_stdout)]
    println!(
        r#"Listening on http://{address}. Ctrl-C ends it. Try, in another terminal:

  # Log in. The users are alice (password: wonderland) and bob (password: builder).
  TOKEN=$(curl -s -u alice:wonderland -X POST http://{address}/get_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

  # Verify, see who you are, list your logins
  curl -i -H "Authorization: Bearer $TOKEN" http://{address}/verify
  curl -H "Authorization: Bearer $TOKEN" http://{address}/me
  curl -H "Authorization: Bearer $TOKEN" http://{address}/sessions

  # Log out. The token is dead at once, although it has not expired.
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{address}/logout
  curl -i -H "Authorization: Bearer $TOKEN" http://{address}/verify
"#
    );
}

/// Why the server does not start. Its `Debug` is for people, since that is what `main` prints.
pub struct Failure(String);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
