//! A purge of the SeaORM store on PostgreSQL and MySQL or MariaDB. On SQLite it is tested in its crate.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::env;

#[path = "../../crates/sea-orm/tests/shared/purge.rs"]
mod shared;

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_purge_on_postgres_hinders_nobody() {
    shared::purge_under_load(&env::var("KNOX_TEST_POSTGRES_URL").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_purge_on_mysql_hinders_nobody() {
    shared::purge_under_load(&env::var("KNOX_TEST_MYSQL_URL").unwrap()).await;
}
