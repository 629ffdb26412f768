//! The migration that makes the tables.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, DynIden, Statement};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    prelude::{Alias, ColumnDef, Index, IntoIden, Table},
};

use crate::entity::{Column, Entity, subject_lock};

/// Makes and updates the tables of this crate.
///
/// It keeps its progress in a separate table, `jwt_knox_migrations`, so it does not interfere with the migrations of the
/// application. To let the application's migrator make the tables instead, add [`CreateSessions`] to its list.
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
        Alias::new("jwt_knox_migrations").into_iden()
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
        let types = Types::of(manager).await?;
        let column = |column: Column, of_type: &str| ColumnDef::new(column).custom(Alias::new(of_type)).to_owned();
        manager
            .create_table(
                Table::create()
                    .table(Entity)
                    .if_not_exists()
                    .col(column(Column::Subject, &types.subject).not_null())
                    .col(column(Column::Id, types.ascii_32).not_null())
                    .col(column(Column::Digest, types.ascii_160).not_null())
                    .col(column(Column::CreatedAt, types.timestamp).not_null())
                    .col(column(Column::ExpiresAt, types.timestamp).null())
                    .col(column(Column::LastUsedAt, types.timestamp).null())
                    .col(column(Column::AbsoluteExpiresAt, types.timestamp).null())
                    .col(ColumnDef::new(Column::IdleSeconds).big_integer().null())
                    .col(column(Column::Scope, types.text).null())
                    .col(column(Column::Label, types.text).null())
                    .col(column(Column::Attributes, types.text).not_null())
                    .primary_key(Index::create().col(Column::Subject).col(Column::Id))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(Index::create().name(EXPIRY_INDEX).table(Entity).col(Column::ExpiresAt).to_owned())
            .await?;
        let subject = subject_lock::Column::Subject;
        manager
            .create_table(
                Table::create()
                    .table(subject_lock::Entity)
                    .if_not_exists()
                    .col(ColumnDef::new(subject).custom(Alias::new(types.subject)).not_null())
                    .primary_key(Index::create().col(subject))
                    .to_owned(),
            )
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
    text: &'static str,
    timestamp: &'static str,
}

impl Types {
    async fn of(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        Ok(match manager.get_database_backend() {
            DatabaseBackend::Postgres => Self {
                subject: r#"varchar(255) COLLATE "C""#.to_owned(),
                ascii_32: r#"varchar(32) COLLATE "C""#,
                ascii_160: r#"varchar(160) COLLATE "C""#,
                text: "text",
                timestamp: "timestamp without time zone",
            },
            DatabaseBackend::MySql => Self {
                subject: format!("varchar(255) CHARACTER SET utf8mb4 COLLATE {}", bytewise_collation(manager).await?),
                ascii_32: "varchar(32) CHARACTER SET ascii COLLATE ascii_bin",
                ascii_160: "varchar(160) CHARACTER SET ascii COLLATE ascii_bin",
                text: "text CHARACTER SET utf8mb4",
                timestamp: "datetime(6)",
            },
            // SQLite compares strings byte for byte unless told otherwise, and keeps timestamps as strings that sort by
            // time.
            _ => Self {
                subject: "varchar(255)".to_owned(),
                ascii_32: "varchar(32)",
                ascii_160: "varchar(160)",
                text: "text",
                timestamp: "datetime_text",
            },
        })
    }
}

/// The collation that tells `alice` from `Alice` and from `alice` with a blank behind it. MySQL and MariaDB have
/// different names for it, and `utf8mb4_bin`, which both have, pads with blanks.
async fn bytewise_collation(manager: &SchemaManager<'_>) -> Result<&'static str, DbErr> {
    let connection = manager.get_connection();
    let query = Statement::from_string(DatabaseBackend::MySql, "SELECT VERSION() AS version");
    let version: Option<String> = match connection.query_one_raw(query).await? {
        Some(row) => row.try_get("", "version")?,
        None => None,
    };
    let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    Ok(if is_mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" })
}
