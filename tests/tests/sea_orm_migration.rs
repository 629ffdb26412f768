//! The migrations of the SeaORM store on PostgreSQL and MySQL or MariaDB. On SQLite they are tested in its crate.

#![allow(clippy::unwrap_used)]

#[path = "../../crates/sea-orm/tests/shared/migration.rs"]
mod shared;

mod postgres {
    use crate::shared::{TestDatabase, migration_tests};

    migration_tests!(
        #[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
        in TestDatabase::on_server("KNOX_TEST_POSTGRES_URL")
    );
}

mod mysql {
    use crate::shared::{TestDatabase, migration_tests};

    migration_tests!(
        #[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
        in TestDatabase::on_server("KNOX_TEST_MYSQL_URL")
    );
}

/// The server is set to what would break the contract without a word.
#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn settings_of_mysql_that_lose_endings_do_not_count_or_are_rejected() {
    use jwt_knox_sea_orm::{Migrator, MigratorTrait};
    use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};

    let database = shared::TestDatabase::on_server("KNOX_TEST_MYSQL_URL").await;
    let connection = database.connect_with("SET SESSION default_storage_engine = 'MEMORY'").await;
    Migrator::up(&connection, None).await.unwrap();
    let engines = "SELECT GROUP_CONCAT(DISTINCT engine) AS engines FROM information_schema.tables \
                   WHERE table_schema = DATABASE() AND table_name IN ('jwt_knox_sessions', 'jwt_knox_subjects')";
    let row = connection.query_one_raw(Statement::from_string(DatabaseBackend::MySql, engines)).await.unwrap();
    assert_eq!(row.unwrap().try_get::<String>("", "engines").unwrap(), "InnoDB");

    let connection = database.connect_with("SET SESSION autocommit = 0").await;
    let error = Migrator::up(&connection, None).await.unwrap_err();
    assert!(error.to_string().contains("`autocommit` is off"), "{error}");
    database.drop().await;
}
