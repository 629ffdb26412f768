//! The migration that makes the tables.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, DynIden, EntityName, Statement};
use sea_orm_migration::{
    IntoSchemaManagerConnection, MigrationName, MigrationTrait, MigratorTrait, SchemaManager, SchemaManagerConnection,
    async_trait,
    prelude::{Alias, ColumnDef, Index, IntoIden, Query, Table, TableCreateStatement},
};

use crate::entity::{Column, Entity, subject_lock};

/// Makes and updates the tables of this crate.
///
/// It keeps its progress in a separate table, `jwt_knox_migrations`, so it does not interfere with the migrations of
/// the application. To let the application's migrator make the tables instead, add [`CreateSessions`] to its list.
///
/// # Examples
///
/// ```
/// use jwt_knox_sea_orm::{Migrator, MigratorTrait};
/// use sea_orm::Database;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sea_orm::DbErr> {
/// let connection = Database::connect("sqlite::memory:").await?;
/// Migrator::up(&connection, None).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(CreateSessions)]
    }

    fn migration_table_name() -> DynIden {
        Alias::new(MIGRATION_TABLE).into_iden()
    }

    /// Applies the migrations that are pending. It may be run again, by several servers at once, and after one that
    /// stopped half way; and by a user without the right to change tables when there is nothing to do.
    async fn up<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let connection = db.into_database_executor();
        check_session(&connection).await?;
        let mut attempt = 0;
        loop {
            if is_up_to_date(&connection).await? {
                return Ok(());
            }
            let error = match Steps::up(borrowed(&connection), steps).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Another server may be making the same tables at this time. Whether it was that is told by the next look.
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(error = &error as &dyn std::error::Error, attempt, "the migration is tried again");
            tokio::time::sleep(PAUSE * attempt).await;
        }
    }

    /// Drops the tables of this crate and makes them again. Those of the application stay, unlike with the method that
    /// a migrator has by default.
    async fn fresh<'c, C>(db: C) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let connection = db.into_database_executor();
        CreateSessions.down(&SchemaManager::new(borrowed(&connection))).await?;
        Self::uninstall(borrowed(&connection)).await?;
        Self::up(borrowed(&connection), None).await
    }
}

const MIGRATION_TABLE: &str = "jwt_knox_migrations";

/// How often the migration is tried.
const ATTEMPTS: u32 = 20;

/// How long it waits after the first attempt.
const PAUSE: Duration = Duration::from_millis(10);

/// The steps of [`Migrator`], once.
struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Migrator::migrations()
    }

    fn migration_table_name() -> DynIden {
        Migrator::migration_table_name()
    }
}

/// Whether exactly the migrations of [`Migrator`] are recorded. It only reads.
///
/// The methods of `MigratorTrait` that could tell work only with the features of its crate for each driver.
async fn is_up_to_date(connection: &SchemaManagerConnection<'_>) -> Result<bool, DbErr> {
    let tables = match connection.get_database_backend() {
        DatabaseBackend::Postgres => "information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_name",
        DatabaseBackend::MySql => "information_schema.tables WHERE table_schema = DATABASE() AND table_name",
        _ => "sqlite_master WHERE type = 'table' AND name",
    };
    if count(connection, &format!("{tables} = '{MIGRATION_TABLE}'")).await? == 0 {
        return Ok(false);
    }
    let version = Alias::new("version");
    let query = Query::select().column(version).from(Alias::new(MIGRATION_TABLE)).to_owned();
    let rows = connection.query_all(&query).await?;
    let recorded: BTreeSet<String> = rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    Ok(recorded == Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect())
}

/// How many rows there are in what follows `FROM`.
async fn count(connection: &SchemaManagerConnection<'_>, rows: &str) -> Result<i64, DbErr> {
    let query = format!("SELECT COUNT(*) AS answer FROM {rows}");
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), query)).await?;
    row.map_or(Ok(0), |row| row.try_get("", "answer"))
}

/// The same connection once more.
fn borrowed<'c>(connection: &'c SchemaManagerConnection<'_>) -> SchemaManagerConnection<'c> {
    match connection {
        SchemaManagerConnection::Connection(connection) => SchemaManagerConnection::Connection(connection),
        SchemaManagerConnection::Transaction(transaction) => SchemaManagerConnection::Transaction(transaction),
        SchemaManagerConnection::OwnedTransaction(transaction) => SchemaManagerConnection::Transaction(transaction),
    }
}

/// The migration that makes the tables `jwt_knox_sessions` and `jwt_knox_subjects`.
///
/// # Examples
///
/// In a migrator of the application:
///
/// ```
/// use jwt_knox_sea_orm::CreateSessions;
/// use sea_orm_migration::{MigrationTrait, MigratorTrait};
///
/// struct AppMigrator;
///
/// impl MigratorTrait for AppMigrator {
///     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
///         vec![Box::new(CreateSessions)]
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CreateSessions;

impl MigrationName for CreateSessions {
    fn name(&self) -> &str {
        "jwt_knox_0001_create_sessions"
    }
}

const EXPIRY_INDEX: &str = "jwt_knox_sessions_expires_at";

// The trait elides the lifetime of its parameter, and an implementation must do the same.
#[allow(elided_lifetimes_in_paths)]
#[async_trait::async_trait]
impl MigrationTrait for CreateSessions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        check_server(manager).await?;
        let types = Types::for_backend(manager).await?;
        let column = |column: Column, of_type: &str| ColumnDef::new(column).custom(Alias::new(of_type)).to_owned();
        // Whatever the server takes by default: one with transactions, and locks of rows.
        let with_engine = |table: &mut TableCreateStatement| {
            if manager.get_database_backend() == DatabaseBackend::MySql {
                table.engine("InnoDB");
            }
            table.to_owned()
        };
        manager
            .create_table(with_engine(
                Table::create()
                    .table(Entity)
                    .if_not_exists()
                    .col(column(Column::Subject, &types.subject).not_null())
                    .col(column(Column::Id, types.ascii_32).not_null())
                    .col(column(Column::Digest, types.ascii_160).not_null())
                    .col(column(Column::Previous, types.ascii_255).null())
                    .col(column(Column::CreatedAt, types.timestamp).not_null())
                    .col(column(Column::ExpiresAt, types.timestamp).null())
                    .col(column(Column::LastUsedAt, types.timestamp).null())
                    .col(column(Column::AbsoluteExpiresAt, types.timestamp).null())
                    .col(ColumnDef::new(Column::IdleSeconds).big_integer().null())
                    .col(column(Column::Scope, types.text).null())
                    .col(column(Column::Claims, types.ascii_160).null())
                    .col(column(Column::Label, types.text).null())
                    .col(column(Column::Attributes, types.text).not_null())
                    .primary_key(Index::create().col(Column::Subject).col(Column::Id)),
            ))
            .await?;
        let mut index = Index::create().name(EXPIRY_INDEX).table(Entity).col(Column::ExpiresAt).to_owned();
        // MySQL has no `IF NOT EXISTS` for an index, and a migration there can stop half way.
        let is_there = if manager.get_database_backend() == DatabaseBackend::MySql {
            let indexes = "information_schema.statistics WHERE table_schema = DATABASE()";
            let table = Entity.table_name();
            let index = format!("{indexes} AND table_name = '{table}' AND index_name = '{EXPIRY_INDEX}'");
            count(manager.get_connection(), &index).await? > 0
        } else {
            index.if_not_exists();
            false
        };
        if !is_there {
            manager.create_index(index).await?;
        }
        let subject = subject_lock::Column::Subject;
        manager
            .create_table(with_engine(
                Table::create()
                    .table(subject_lock::Entity)
                    .if_not_exists()
                    .col(ColumnDef::new(subject).custom(Alias::new(types.subject)).not_null())
                    .col(ColumnDef::new(subject_lock::Column::RevokedAt).custom(Alias::new(types.timestamp)).null())
                    .primary_key(Index::create().col(subject)),
            ))
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(subject_lock::Entity).if_exists().to_owned()).await?;
        manager.drop_table(Table::drop().table(Entity).if_exists().to_owned()).await
    }
}

/// The column types of a database that keep strings byte for byte and timestamps to the microsecond.
struct Types {
    subject: String,
    ascii_32: &'static str,
    ascii_160: &'static str,
    ascii_255: &'static str,
    text: &'static str,
    timestamp: &'static str,
}

impl Types {
    async fn for_backend(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        Ok(match manager.get_database_backend() {
            DatabaseBackend::Postgres => Self {
                subject: r#"varchar(255) COLLATE "C""#.to_owned(),
                ascii_32: r#"varchar(32) COLLATE "C""#,
                ascii_160: r#"varchar(160) COLLATE "C""#,
                ascii_255: r#"varchar(255) COLLATE "C""#,
                text: "text",
                timestamp: "timestamp without time zone",
            },
            DatabaseBackend::MySql => Self {
                subject: format!("varchar(255) CHARACTER SET utf8mb4 COLLATE {}", bytewise_collation(manager).await?),
                ascii_32: "varchar(32) CHARACTER SET ascii COLLATE ascii_bin",
                ascii_160: "varchar(160) CHARACTER SET ascii COLLATE ascii_bin",
                ascii_255: "varchar(255) CHARACTER SET ascii COLLATE ascii_bin",
                text: "mediumtext CHARACTER SET utf8mb4",
                timestamp: "datetime(6)",
            },
            // SQLite compares strings byte for byte unless told otherwise, and keeps timestamps as strings that sort by
            // time.
            _ => Self {
                subject: "varchar(255)".to_owned(),
                ascii_32: "varchar(32)",
                ascii_160: "varchar(160)",
                ascii_255: "varchar(255)",
                text: "text",
                timestamp: "datetime_text",
            },
        })
    }
}

/// The first column of the first row of a query.
async fn ask(manager: &SchemaManager<'_>, query: &str) -> Result<String, DbErr> {
    let connection = manager.get_connection();
    let row = connection.query_one_raw(Statement::from_string(manager.get_database_backend(), query)).await?;
    match row {
        Some(row) => row.try_get("", "answer"),
        None => Err(DbErr::Custom(format!("the database gave no answer to {query}"))),
    }
}

/// Rejects a server that cannot hold sessions, or that is too old.
async fn check_server(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let unfit = |reason: String| Err(DbErr::Custom(format!("jwt-knox cannot use this database: {reason}")));
    match manager.get_database_backend() {
        DatabaseBackend::Postgres => {
            let encoding = ask(manager, "SELECT current_setting('server_encoding') AS answer").await?;
            if encoding != "UTF8" {
                return unfit(format!("its encoding is {encoding}; create one with ENCODING 'UTF8'"));
            }
            let version = ask(manager, "SELECT current_setting('server_version') AS answer").await?;
            if !is_at_least(&version, (13, 0)) {
                return unfit(format!("PostgreSQL {version} is too old; 13 or later is needed"));
            }
        }
        DatabaseBackend::MySql => {
            let version = ask(manager, "SELECT VERSION() AS answer").await?;
            let min = if version.contains("MariaDB") { (10, 6) } else { (8, 0) };
            if !is_at_least(&version, min) {
                return unfit(format!("version {version} is too old; MySQL 8.0 or MariaDB 10.6 or later is needed"));
            }
            check_session(manager.get_connection()).await?;
        }
        // The driver brings its own SQLite.
        _ => {}
    }
    Ok(())
}

/// Rejects a connection on which what is answered need not be committed.
async fn check_session(connection: &SchemaManagerConnection<'_>) -> Result<(), DbErr> {
    if connection.get_database_backend() != DatabaseBackend::MySql {
        return Ok(());
    }
    let query = Statement::from_string(DatabaseBackend::MySql, "SELECT CAST(@@autocommit AS SIGNED) AS answer");
    let answer = connection.query_one_raw(query).await?;
    if answer.is_some_and(|row| row.try_get::<i64>("", "answer").is_ok_and(|autocommit| autocommit == 0)) {
        return Err(DbErr::Custom(
            "jwt-knox cannot use this database: `autocommit` is off, so nothing that it ends would stay ended; leave it \
             on"
            .to_owned(),
        ));
    }
    Ok(())
}

/// Whether a version such as `15.19 (Debian 15.19-0)` is the other one or later. One that cannot be read is.
fn is_at_least(version: &str, (major, minor): (u32, u32)) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(found)), Some(Ok(part))) => (found, part) >= (major, minor),
        (Some(Ok(found)), _) => found >= major,
        _ => true,
    }
}

/// The collation that tells `alice` from `Alice` and from `alice` with a blank behind it. MySQL and MariaDB have
/// different names for it, and `utf8mb4_bin`, which both have, pads with blanks.
async fn bytewise_collation(manager: &SchemaManager<'_>) -> Result<&'static str, DbErr> {
    let is_mariadb = ask(manager, "SELECT VERSION() AS answer").await?.contains("MariaDB");
    Ok(if is_mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_at_least("15.19 (Debian 15.19-0+deb12u1)", (13, 0)));
        assert!(is_at_least("13beta1", (13, 0)));
        assert!(!is_at_least("9.6.24", (13, 0)));
        assert!(is_at_least("10.11.19-MariaDB-0+deb12u1", (10, 6)));
        assert!(!is_at_least("10.5.29-MariaDB", (10, 6)));
        assert!(is_at_least("8.0.45", (8, 0)));
        assert!(!is_at_least("5.7.44-log", (8, 0)));
    }
}
