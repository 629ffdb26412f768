//! The store passes the conformance kit on the server of `KNOX_TEST_POSTGRES_URL`.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use example_store_sqlx::SqlxStore;
use jwt_knox::{InsertOutcome, SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_testkit::rules;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    query, query_scalar,
};
use tokio::{
    sync::OnceCell,
    time::{sleep, timeout},
};

fn options() -> PgConnectOptions {
    std::env::var("KNOX_TEST_POSTGRES_URL").unwrap().parse().unwrap()
}

async fn pool(connections: u32, options: PgConnectOptions) -> PgPool {
    static TABLES: OnceCell<()> = OnceCell::const_new();
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(30));
    let pool = pool.connect_with(options).await.unwrap();
    TABLES.get_or_init(|| async { SqlxStore::new(pool.clone()).migrate().await.unwrap() }).await;
    pool
}

/// A store with connections of its own, as another server has.
async fn open() -> SqlxStore {
    SqlxStore::new(pool(4, options()).await)
}

jwt_knox_testkit::store_tests!(
    #[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
    open,
    durable
);

/// A server may be set up so that all transactions are serializable. Conflicts are then frequent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn conflicts_are_not_failures() {
    let options = options().options([("default_transaction_isolation", "serializable")]);
    let store = Arc::new(SqlxStore::new(pool(8, options).await));
    rules::calls_of_all_kinds_at_once_are_answered(store.clone()).await;
    rules::a_touch_revives_nothing(store.clone()).await;
    rules::parallel_removals_have_one_winner(store.clone()).await;
    rules::a_recorded_use_saves_from_eviction(store).await;
}

/// The migration may run again, and on several servers at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn migrations_do_not_get_in_each_others_way() {
    let schema = format!("knox_migrations_{}", std::process::id());
    let admin = pool(1, options()).await;
    query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&admin).await.unwrap();
    let pool = pool(8, options().options([("search_path", schema.as_str())])).await;
    let migrations: Vec<_> = (0..8)
        .map(|_| {
            let store = SqlxStore::new(pool.clone());
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();
    for migration in migrations {
        migration.await.unwrap().unwrap();
    }
    query(sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&admin).await.unwrap();
}

/// A client that hangs up leaves no connection in the middle of a transaction.
#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let subject = Subject::new(format!("dropped-{}", std::process::id())).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let session =
        |hex: &str| SessionRecord::new(subject.clone(), format!("sha256:{}", hex.repeat(32)).parse().unwrap(), now);
    // One connection, so that the next call needs the one that the dropped call has used.
    let pool = pool(1, options().application_name(subject.as_str())).await;
    let store = SqlxStore::new(pool);
    let limit = Some(SessionLimit::deny(2).unwrap());
    let _ = store.insert(session("aa"), limit, now).await.unwrap();

    // Somebody else holds the lock, and the caller does not wait that long.
    let other = open_pool().await;
    let mut holder = other.begin().await.unwrap();
    query("SELECT FROM knox_subjects WHERE subject = $1 FOR UPDATE")
        .bind(subject.as_str())
        .execute(&mut *holder)
        .await
        .unwrap();
    let insert = store.insert(session("bb"), limit, now);
    assert!(timeout(Duration::from_millis(200), insert).await.is_err());
    holder.commit().await.unwrap();

    // It was done all the same, and whole.
    assert_eq!(store.insert(session("cc"), limit, now).await.unwrap(), InsertOutcome::LimitReached);
    assert_eq!(store.list(&subject, now).await.unwrap(), [session("bb"), session("aa")]);
    // The connection goes back into the pool a moment after the answer.
    sleep(Duration::from_millis(100)).await;
    let state: String = query_scalar("SELECT state FROM pg_stat_activity WHERE application_name = $1")
        .bind(subject.as_str())
        .fetch_one(&other)
        .await
        .unwrap();
    assert_eq!(state, "idle");
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 2);
}

/// A row that cannot be read does not block the subject's other sessions.
#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_row_that_cannot_be_read_is_left_out() {
    let subject = Subject::new(format!("unreadable-{}", std::process::id())).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let session =
        |hex: &str| SessionRecord::new(subject.clone(), format!("sha256:{}", hex.repeat(32)).parse().unwrap(), now);
    let store = open().await;
    for spoilt in ["record = '{'", "digest = 'x'", "previous = 'x'", "expires_at = 9223372036854775807"] {
        for hex in ["aa", "bb"] {
            let _ = store.insert(session(hex), None, now).await.unwrap();
        }
        let spoil = format!("UPDATE knox_sessions SET {spoilt} WHERE subject = $1 AND id = $2");
        let spoil = query(sqlx::AssertSqlSafe(spoil)).bind(subject.as_str()).bind("aa".repeat(16));
        assert_eq!(spoil.execute(&open_pool().await).await.unwrap().rows_affected(), 1);
        assert!(store.find(&session("aa").session_ref()).await.is_err());
        assert_eq!(store.list(&subject, now).await.unwrap(), [session("bb")]);
        let limit = Some(SessionLimit::evict_oldest(1).unwrap());
        let evicting = InsertOutcome::Inserted { evicted: vec![session("bb").id] };
        assert_eq!(store.insert(session("cc"), limit, now).await.unwrap(), evicting);
        assert!(store.remove_all(&subject, None, now).await.is_ok());
        assert_eq!(store.find(&session("aa").session_ref()).await.unwrap(), None);
    }
}

async fn open_pool() -> PgPool {
    pool(1, options()).await
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error() {
    let options = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200)).connect_lazy_with(options);
    let store = SqlxStore::new(pool);
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    assert!(store.list(&Subject::from(1), now).await.is_err());
    assert!(store.remove_all(&Subject::from(1), None, now).await.is_err());
}
