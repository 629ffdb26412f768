//! The Redis store's index of a subject's sessions: it does not grow with sessions that Redis has dropped, and may be
//! large.

#![allow(clippy::unwrap_used)]

use std::{env, time::Duration};

use jwt_knox::{SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_redis::RedisStore;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::task::JoinSet;

/// A store whose keys nobody else has, and a connection to look at them.
async fn open(prefix: &str) -> (RedisStore<ConnectionManager>, ConnectionManager, Subject) {
    let url = env::var("KNOX_TEST_REDIS_URL").unwrap();
    // The default of half a second is little for a machine that is busy with other tests.
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let connection = redis::Client::open(url).unwrap().get_connection_manager_with_config(config).await.unwrap();
    let prefix = format!("jwt-knox-test-{prefix}-{}", std::process::id());
    (RedisStore::with_prefix(connection.clone(), prefix), connection, Subject::new("alice").unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn session(subject: &Subject, number: usize) -> SessionRecord {
    let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
    SessionRecord::new(subject.clone(), digest, at(1_800_000_000 + number as i64))
}

/// How many ids are in the index.
async fn size(connection: &mut ConnectionManager, prefix: &str) -> usize {
    // "alice", in base64.
    let index = format!("jwt-knox-test-{prefix}-{}:{{YWxpY2U}}", std::process::id());
    redis::cmd("ZCARD").arg(index).query_async(connection).await.unwrap()
}

#[tokio::test]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn the_index_forgets_sessions_that_redis_has_dropped() {
    let (store, mut connection, subject) = open("sweep").await;
    // The oldest stay longest, and so are always at the same end of the index.
    for number in 0..8 {
        let _ = store.insert(session(&subject, number), None, at(0)).await.unwrap();
    }
    for number in 8..300 {
        // Long expired by the clock of Redis, which drops it at once.
        let mut record = session(&subject, number);
        record.expires_at = Some(at(1));
        let _ = store.insert(record, None, at(0)).await.unwrap();
    }
    let left = size(&mut connection, "sweep").await;
    assert!(left < 60, "of 300 ids, {left} are left in the index for 8 active sessions");
    assert_eq!(store.remove_all(&subject, None, at(0)).await.unwrap(), 8);
    assert_eq!(size(&mut connection, "sweep").await, 0);
}

/// More sessions than a script has room for on its stack.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn a_subject_may_have_very_many_sessions() {
    const MANY: usize = 12_000;
    let (store, mut connection, subject) = open("many").await;
    let mut workers = JoinSet::new();
    for worker in 0..32 {
        let (store, subject) = (store.clone(), subject.clone());
        workers.spawn(async move {
            for number in (worker..MANY).step_by(32) {
                let _ = store.insert(session(&subject, number), None, at(0)).await.unwrap();
            }
        });
    }
    workers.join_all().await;
    assert_eq!(store.list(&subject, at(0)).await.unwrap().len(), MANY);
    let newest = session(&subject, MANY - 1).id();
    assert_eq!(store.remove_all(&subject, Some(&newest), at(0)).await.unwrap(), MANY as u64 - 1);
    assert_eq!(store.remove_all(&subject, None, at(0)).await.unwrap(), 1);
    assert_eq!(size(&mut connection, "many").await, 0);
}
