//! What a server that goes on does to statements: a table that changes beside them, a deadlock, a primary that was
//! demoted. What the server says it has not done is tried again. And one busy subject leaves room for the others.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jwt_knox::{InsertOutcome, Rotation, SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_tests::databases::TestDatabase;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, SqlxMySqlConnector, SqlxPostgresConnector,
    TransactionTrait,
    sqlx::{Executor, mysql::MySqlPoolOptions, postgres::PgPoolOptions},
};
use tokio::{task::JoinSet, time::timeout};
use uuid::Uuid;

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn session(subject: &Subject) -> SessionRecord {
    let random = Uuid::new_v4().simple().to_string();
    let mut record = SessionRecord::new(subject.clone(), format!("sha256:{random}{random}").parse().unwrap(), now());
    record.expires_at = Some(Timestamp::from_second(NOW + 3600).unwrap());
    record
}

fn rotation(record: &SessionRecord) -> Rotation {
    let random = Uuid::new_v4().simple().to_string();
    let until = record.created_at.as_microsecond();
    let previous = format!("{} {random} {until}", record.digest).parse().unwrap();
    Rotation::new(format!("sha256:{random}{random}").parse().unwrap(), previous, now())
}

fn subject() -> Subject {
    Subject::new(Uuid::new_v4().to_string()).unwrap()
}

const INSERTED: InsertOutcome = InsertOutcome::Inserted { evicted: Vec::new() };

/// Changes the tables again and again while all kinds of calls are made.
async fn a_table_may_change(database: &TestDatabase) {
    let admin = database.connect(1);
    let store = database.store();
    let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..6 {
        let (store, is_over, rounds) = (store.clone(), is_over.clone(), rounds.clone());
        callers.spawn(async move {
            let (subject, limit) = (subject(), Some(SessionLimit::evict_oldest(2).unwrap()));
            while !is_over.load(SeqCst) {
                let (first, second) = (session(&subject), session(&subject));
                assert_eq!(store.insert(first.clone(), limit, now()).await.unwrap(), INSERTED);
                assert_eq!(store.find(&first.session_ref()).await.unwrap().as_deref(), Some(&first));
                assert_eq!(store.insert(second.clone(), limit, now()).await.unwrap(), INSERTED);
                assert!(store.touch(&first.session_ref(), now(), None).await.unwrap());
                assert!(store.rotate(&second.session_ref(), &rotation(&second)).await.unwrap());
                assert!(store.remove(&first.session_ref()).await.unwrap());
                assert_eq!(store.list(&subject, now()).await.unwrap().len(), 1);
                assert_eq!(store.remove_all(&subject, None, now()).await.unwrap(), 1);
                rounds.fetch_add(1, SeqCst);
            }
        });
    }
    for number in 0..12 {
        let wide = number % 2 == 0;
        let change = match admin.get_database_backend() {
            DatabaseBackend::Postgres => {
                let of_type = if wide { "varchar(1000)" } else { "text" };
                format!("ALTER TABLE jwt_knox_sessions ALTER label TYPE {of_type}, ALTER scope TYPE {of_type}")
            }
            _ => {
                let of_type = if wide { "varchar(1000)" } else { "mediumtext" };
                format!("ALTER TABLE jwt_knox_sessions MODIFY label {of_type}, MODIFY scope {of_type}")
            }
        };
        admin.execute_unprepared(&change).await.unwrap();
        let of_subjects = match admin.get_database_backend() {
            DatabaseBackend::Postgres => {
                format!("ALTER TABLE jwt_knox_subjects ALTER revoked_at TYPE timestamp({})", 5 + number % 2)
            }
            _ => format!("ALTER TABLE jwt_knox_subjects MODIFY revoked_at datetime({}) NULL", 5 + number % 2),
        };
        admin.execute_unprepared(&of_subjects).await.unwrap();
        // All callers go on with the table as it is now.
        let before = rounds.load(SeqCst);
        while rounds.load(SeqCst) < before + 12 && !callers.is_empty() {
            if let Some(ended) = callers.try_join_next() {
                ended.unwrap();
            }
            tokio::task::yield_now().await;
        }
    }
    is_over.store(true, SeqCst);
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_table_may_change_beside_a_running_server_on_postgres() {
    a_table_may_change(&TestDatabase::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_table_may_change_beside_a_running_server_on_mysql() {
    a_table_may_change(&TestDatabase::mysql()).await;
}

/// A login waits for a session that another transaction holds, and that waits for the login: the database ends the
/// login, and the store begins it again.
async fn a_deadlock_is_tried_again(database: &TestDatabase, lock: &str) {
    let (store, admin) = (database.store(), database.connect(2));
    let subject = subject();
    let kept = session(&subject);
    assert_eq!(store.insert(kept.clone(), None, now()).await.unwrap(), INSERTED);
    let other = admin.begin().await.unwrap();
    execute(&other, lock).await.unwrap();
    // Much work, so that MySQL and MariaDB think this transaction the dearer one.
    for _ in 0..50 {
        let row = format!("INSERT INTO jwt_knox_subjects (subject) VALUES ('{}')", Uuid::new_v4());
        execute(&other, &row).await.unwrap();
    }
    let id = kept.id;
    let hold = format!("UPDATE jwt_knox_sessions SET label = 'x' WHERE subject = '{subject}' AND id = '{id}'");
    execute(&other, &hold).await.unwrap();
    let login = {
        let (store, new) = (store.clone(), session(&subject));
        tokio::spawn(async move { store.insert(new, Some(SessionLimit::deny(5).unwrap()), now()).await })
    };
    // The login holds the row of the subject when nobody else gets it.
    let locked = format!("SELECT subject FROM jwt_knox_subjects WHERE subject = '{subject}' FOR UPDATE NOWAIT");
    loop {
        let watch = admin.begin().await.unwrap();
        let is_free = execute(&watch, &locked).await.is_ok();
        watch.rollback().await.unwrap();
        if !is_free {
            break;
        }
    }
    let crossing = format!("UPDATE jwt_knox_subjects SET revoked_at = NULL WHERE subject = '{subject}'");
    execute(&other, &crossing).await.unwrap();
    other.commit().await.unwrap();
    assert_eq!(login.await.unwrap().unwrap(), INSERTED);
    assert_eq!(store.list(&subject, now()).await.unwrap().len(), 2);
}

async fn execute(transaction: &DatabaseTransaction, statement: &str) -> Result<(), DbErr> {
    transaction.execute_unprepared(statement).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_deadlock_is_tried_again_on_postgres() {
    // This one does not look for deadlocks, so it is the login that finds it, after a second.
    a_deadlock_is_tried_again(&TestDatabase::postgres(), "SET LOCAL deadlock_timeout = '30s'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_deadlock_is_tried_again_on_mysql() {
    a_deadlock_is_tried_again(&TestDatabase::mysql(), "SELECT 1").await;
}

/// The connections of the pool go to a server that is read-only, and new ones to one that is not.
async fn a_read_only_connection_is_replaced(store: &SeaOrmStore, heal: impl AsyncFnOnce()) {
    let (subject, record) = (subject(), session(&subject()));
    let insert = || store.insert(session(&subject), Some(SessionLimit::deny(99).unwrap()), now());
    // As long as there is no other server, it is an error, and soon.
    assert!(timeout(Duration::from_secs(10), insert()).await.unwrap().is_err());
    assert_eq!(store.find(&record.session_ref()).await.unwrap(), None);
    // All connections are open, to the old server.
    let mut finds = JoinSet::new();
    for _ in 0..64 {
        let (store, key) = (store.clone(), record.session_ref());
        finds.spawn(async move { store.find(&key).await.unwrap() });
    }
    finds.join_all().await;
    heal().await;
    assert_eq!(insert().await.unwrap(), INSERTED);
    assert_eq!(store.remove_all(&subject, None, now()).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn a_read_only_connection_is_replaced_on_postgres() {
    let database = TestDatabase::postgres();
    let is_read_only = Arc::new(AtomicBool::new(true));
    let of_hook = is_read_only.clone();
    let pool = PgPoolOptions::new().max_connections(4).after_connect(move |connection, _| {
        let set = format!("SET default_transaction_read_only = {}", of_hook.load(SeqCst));
        Box::pin(async move { connection.execute(sea_orm::sqlx::AssertSqlSafe(set)).await.map(drop) })
    });
    let pool = pool.connect(&database.url()).await.unwrap();
    let store = SeaOrmStore::new(SqlxPostgresConnector::from_sqlx_postgres_pool(pool));
    a_read_only_connection_is_replaced(&store, async || is_read_only.store(false, SeqCst)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn a_read_only_connection_is_replaced_on_mysql() {
    let database = TestDatabase::mysql();
    let is_read_only = Arc::new(AtomicBool::new(true));
    let of_hook = is_read_only.clone();
    let pool = MySqlPoolOptions::new().max_connections(4).after_connect(move |connection, _| {
        let access = if of_hook.load(SeqCst) { "READ ONLY" } else { "READ WRITE" };
        let set = format!("SET SESSION TRANSACTION {access}");
        Box::pin(async move { connection.execute(sea_orm::sqlx::AssertSqlSafe(set)).await.map(drop) })
    });
    let pool = pool.connect(&database.url()).await.unwrap();
    let store = SeaOrmStore::new(SqlxMySqlConnector::from_sqlx_mysql_pool(pool));
    a_read_only_connection_is_replaced(&store, async || is_read_only.store(false, SeqCst)).await;
}

/// 64 logins, rotations and logouts of one subject wait for a lock. Those of others go on, on the other connections.
async fn one_subject_leaves_room(database: &TestDatabase) {
    let (store, admin) = (database.store(), database.connect(1));
    let (busy, limit) = (subject(), Some(SessionLimit::evict_oldest(3).unwrap()));
    let kept = session(&busy);
    assert_eq!(store.insert(kept.clone(), limit, now()).await.unwrap(), INSERTED);
    let others: Vec<_> = (0..16).map(|_| session(&busy)).collect();
    for other in &others {
        assert_eq!(store.insert(other.clone(), None, now()).await.unwrap(), INSERTED);
    }
    let holder = admin.begin().await.unwrap();
    let lock = format!("SELECT subject FROM jwt_knox_subjects WHERE subject = '{busy}' FOR UPDATE");
    execute(&holder, &lock).await.unwrap();
    // Each by its key, since MySQL would otherwise lock what is between them too.
    for SessionRecord { id, .. } in others.iter().chain([&kept]) {
        let lock = format!("SELECT id FROM jwt_knox_sessions WHERE subject = '{busy}' AND id = '{id}' FOR UPDATE");
        execute(&holder, &lock).await.unwrap();
    }
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let (store, busy, kept) = (store.clone(), busy.clone(), kept.clone());
        let other = others[number % others.len()].session_ref();
        calls.spawn(async move {
            match number % 5 {
                0 => drop(store.rotate(&kept.session_ref(), &rotation(&kept)).await.unwrap()),
                1 => drop(store.touch(&other, now(), None).await.unwrap()),
                2 => drop(store.remove(&other).await.unwrap()),
                3 => drop(store.remove_all(&busy, Some(&kept.id), now()).await.unwrap()),
                _ => drop(store.insert(session(&busy), limit, now()).await.unwrap()),
            }
        });
    }
    // All of them have come as far as they get.
    tokio::task::yield_now().await;
    for _ in 0..20 {
        let others = async {
            let (subject, record) = (subject(), session(&subject()));
            assert_eq!(store.find(&record.session_ref()).await.unwrap(), None);
            assert_eq!(store.insert(session(&subject), limit, now()).await.unwrap(), INSERTED);
            assert_eq!(store.remove_all(&subject, None, now()).await.unwrap(), 1);
        };
        assert!(timeout(Duration::from_secs(5), others).await.is_ok(), "one subject holds all connections");
    }
    holder.commit().await.unwrap();
    calls.join_all().await;
    assert!(store.list(&busy, now()).await.unwrap().len() <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn one_subject_leaves_room_for_others_on_postgres() {
    one_subject_leaves_room(&TestDatabase::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn one_subject_leaves_room_for_others_on_mysql() {
    one_subject_leaves_room(&TestDatabase::mysql()).await;
}

/// Another transaction holds the lock of a subject. Logins that were given up in the meantime do not begin afterwards,
/// and the end of a session does not wait with them.
async fn logins_that_are_given_up_do_not_begin(database: &TestDatabase) {
    let (store, admin) = (database.store(), database.connect(1));
    let (busy, limit) = (subject(), Some(SessionLimit::evict_oldest(2).unwrap()));
    let (kept, ended) = (session(&busy), session(&busy));
    for record in [&kept, &ended] {
        assert_eq!(store.insert(record.clone(), limit, now()).await.unwrap(), INSERTED);
    }
    let holder = admin.begin().await.unwrap();
    let lock = format!("SELECT subject FROM jwt_knox_subjects WHERE subject = '{busy}' FOR UPDATE");
    execute(&holder, &lock).await.unwrap();
    let mut logins = JoinSet::new();
    for _ in 0..8 {
        let (store, busy) = (store.clone(), busy.clone());
        let login = async move { store.insert(session(&busy), limit, now()).await };
        logins.spawn(timeout(Duration::from_millis(200), login));
    }
    assert!(logins.join_all().await.iter().all(Result::is_err));
    assert!(timeout(Duration::from_secs(5), store.remove(&ended.session_ref())).await.unwrap().unwrap());
    holder.commit().await.unwrap();
    // This one has its turn after them.
    assert_eq!(store.insert(session(&busy), limit, now()).await.unwrap(), INSERTED);
    let ids: Vec<_> = store.list(&busy, now()).await.unwrap().iter().map(|record| record.id).collect();
    assert!(ids.len() == 2 && ids.contains(&kept.id), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn logins_that_are_given_up_do_not_begin_on_postgres() {
    logins_that_are_given_up_do_not_begin(&TestDatabase::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn logins_that_are_given_up_do_not_begin_on_mysql() {
    logins_that_are_given_up_do_not_begin(&TestDatabase::mysql()).await;
}
