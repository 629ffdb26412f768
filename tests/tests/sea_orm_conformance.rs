//! The SeaORM store passes the tests of the testkit on PostgreSQL and MySQL or MariaDB, with several connections. On
//! SQLite it is tested in its crate.

#![allow(clippy::unwrap_used)]

use std::{
    env,
    sync::{Arc, OnceLock},
};

use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_testkit::{rules, store_tests};

#[path = "../../crates/sea-orm/tests/shared/connect.rs"]
mod shared;

/// Whether the tables are there.
static ON_POSTGRES: OnceLock<()> = OnceLock::new();

mod postgres {
    use super::*;

    async fn open() -> SeaOrmStore {
        SeaOrmStore::new(shared::connect(&env::var("KNOX_TEST_POSTGRES_URL").unwrap(), &ON_POSTGRES).await)
    }

    store_tests!(
        #[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
        open,
        durable
    );
}

/// A server may be set up so that all transactions are serializable. Conflicts are then frequent, and are no failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn on_postgres_where_all_is_serializable() {
    let url = env::var("KNOX_TEST_POSTGRES_URL").unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}options[default_transaction_isolation]=serializable");
    let store = Arc::new(SeaOrmStore::new(shared::connect(&url, &ON_POSTGRES).await));
    rules::calls_of_all_kinds_at_once_are_answered(store.clone()).await;
    rules::a_touch_revives_nothing(store.clone()).await;
    rules::parallel_removals_have_one_winner(store.clone()).await;
    rules::a_recorded_use_saves_from_eviction(store).await;
}

mod mysql {
    use super::*;

    async fn open() -> SeaOrmStore {
        static MIGRATED: OnceLock<()> = OnceLock::new();
        SeaOrmStore::new(shared::connect(&env::var("KNOX_TEST_MYSQL_URL").unwrap(), &MIGRATED).await)
    }

    store_tests!(
        #[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
        open,
        durable
    );
}
