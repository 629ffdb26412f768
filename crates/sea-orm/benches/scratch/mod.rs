//! What the benchmarks share: a separate database, and typical sessions.

// Each file uses its share of this.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use jwt_knox::{NewSession, SigningKey, Subject};
use jwt_knox_sea_orm::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr};
use uuid::Uuid;

/// What a browser calls itself, as the label of a session.
pub const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// A database that is made for one run, with the tables in it, and dropped after it.
pub struct Scratch {
    server: String,
    name: String,
    /// Where it is, for connections with other settings.
    pub url: String,
}

impl Scratch {
    /// Makes a database on the server at `url`. For SQLite, a file in the folder for temporary files.
    pub async fn new(url: &str) -> Result<Self, DbErr> {
        let name = format!("jwt_knox_{}", Uuid::new_v4().simple());
        let own = if url.starts_with("sqlite:") {
            format!("sqlite:{}?mode=rwc", std::env::temp_dir().join(format!("{name}.sqlite")).display())
        } else {
            Database::connect(url).await?.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
            let (address, parameters) = url.split_once('?').map_or((url, None), |(url, rest)| (url, Some(rest)));
            let server = address.rsplit_once('/').map_or(address, |(server, _)| server);
            parameters.map_or(format!("{server}/{name}"), |parameters| format!("{server}/{name}?{parameters}"))
        };
        let scratch = Self { server: url.to_owned(), name, url: own };
        let connection = scratch.connect(1).await?;
        if connection.get_database_backend() == DatabaseBackend::Sqlite {
            // The file keeps this.
            connection.execute_unprepared("PRAGMA journal_mode = WAL").await?;
        }
        Migrator::up(&connection, None).await?;
        connection.close().await?;
        Ok(scratch)
    }

    /// Connects with so many connections at most.
    pub async fn connect(&self, connections: u32) -> Result<DatabaseConnection, DbErr> {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(connections).sqlx_logging(false);
        Database::connect(options).await
    }

    /// Drops the database. Close your connections before.
    pub async fn remove(self) -> Result<(), DbErr> {
        if let Some(file) = self.url.strip_prefix("sqlite:").and_then(|rest| rest.split('?').next()) {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{file}{end}"));
            }
            return Ok(());
        }
        Database::connect(&self.server).await?.execute_unprepared(&format!("DROP DATABASE {}", self.name)).await?;
        Ok(())
    }
}

/// A subject of 36 characters that nobody else has.
pub fn new_subject() -> Subject {
    Subject::new(Uuid::new_v4().to_string()).unwrap()
}

/// A session as the built-in routes make it: ten hours long, with the `User-Agent` as its label and nothing else.
pub fn typical_session(subject: Subject) -> NewSession {
    NewSession::new(subject).label(USER_AGENT)
}

/// A signing key.
pub fn key() -> SigningKey {
    SigningKey::hs256("a key of the benchmarks, long enough").unwrap()
}
