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
