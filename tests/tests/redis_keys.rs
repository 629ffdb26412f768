//! The key of a subject in Redis: when Redis drops it, and how large it may be.

#![allow(clippy::unwrap_used)]

use std::{env, time::Duration};

use jwt_knox::{SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_redis::RedisStore;
use redis::aio::ConnectionManagerConfig;
use tokio::task::JoinSet;

/// A login can remove all sessions that were there, and the key with them. The new key is dropped in time as well.
#[tokio::test]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn the_key_still_expires_after_a_login_that_evicts_all() {
    let url = env::var("KNOX_TEST_REDIS_URL").unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_connection_manager().await.unwrap();
    let prefix = format!("jwt-knox-test-expiry-{}", std::process::id());
    let store = RedisStore::with_prefix(connection.clone(), &*prefix);
    let (subject, now) = (Subject::new("alice").unwrap(), Timestamp::now());
    let limit = Some(SessionLimit::evict_oldest(1).unwrap());
    for number in 1..4 {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        let mut record = SessionRecord::new(subject.clone(), digest, now);
        record.expires_at = Some(now.checked_add(Duration::from_secs(600)).unwrap());
        let _ = store.insert(record, limit, now).await.unwrap();
        // "alice", in base64.
        let seconds: i64 =
            redis::cmd("TTL").arg(format!("{prefix}:{{YWxpY2U}}")).query_async(&mut connection).await.unwrap();
        assert!((600..3600).contains(&seconds), "after login {number} the key lives for {seconds} seconds");
    }
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 1);
}

/// A session that never expires keeps the key, and no longer than it is there itself once the others are ended.
#[tokio::test]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn the_key_expires_with_the_session_that_was_spared() {
    const DAY: i64 = 24 * 3600;
    let url = env::var("KNOX_TEST_REDIS_URL").unwrap();
    let connection = redis::Client::open(url).unwrap().get_connection_manager().await.unwrap();
    let prefix = format!("jwt-knox-test-spared-{}", std::process::id());
    let store = RedisStore::with_prefix(connection.clone(), &*prefix);
    let (subject, now) = (Subject::new("alice").unwrap(), Timestamp::now());
    let lives = async || -> i64 {
        let mut connection = connection.clone();
        redis::cmd("TTL").arg(format!("{prefix}:{{YWxpY2U}}")).query_async(&mut connection).await.unwrap()
    };
    let session = |number: u32, seconds: Option<i64>| {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        let mut record = SessionRecord::new(subject.clone(), digest, now);
        let after = |seconds: i64| now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        record.expires_at = seconds.map(after);
        record
    };
    for (seconds, expected) in [(3600, DAY), (30 * DAY, 30 * DAY + 15 * 60)] {
        let (endless, spared) = (session(1, None), session(2, Some(seconds)));
        for record in [&endless, &spared] {
            let _ = store.insert(record.clone(), None, now).await.unwrap();
        }
        assert!(store.remove(&endless.session_ref()).await.unwrap());
        assert_eq!(lives().await, -1, "it is not known that no other session never expires");
        assert_eq!(store.remove_all(&subject, Some(&spared.id), now).await.unwrap(), 0);
        assert!((expected - 60..=expected).contains(&lives().await), "{}", lives().await);
        assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 1);
    }
    // One of another version of this crate, say.
    let unreadable = session(3, Some(3600));
    let _ = store.insert(unreadable.clone(), None, now).await.unwrap();
    let key = format!("{prefix}:{{YWxpY2U}}");
    let mut damage = redis::pipe();
    damage.hset(&key, unreadable.id.as_str(), "9\n?").expire(&key, 60);
    let () = damage.query_async(&mut connection.clone()).await.unwrap();
    assert_eq!(store.remove_all(&subject, Some(&unreadable.id), now).await.unwrap(), 0);
    assert!(lives().await > DAY - 60, "it is remembered that all were revoked");
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 0);
    let endless = session(1, None);
    // It begins when all were revoked.
    let _ = store.insert(endless.clone(), None, now).await.unwrap();
    assert_eq!(store.remove_all(&subject, Some(&endless.id), now).await.unwrap(), 0);
    assert_eq!(lives().await, -1);
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 1);
}

/// More sessions than a script has room for on its stack.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn a_subject_may_have_very_many_sessions() {
    const MANY: usize = 12_000;
    let url = env::var("KNOX_TEST_REDIS_URL").unwrap();
    // The default of half a second is little for a machine that is busy with other tests.
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let mut connection = redis::Client::open(url).unwrap().get_connection_manager_with_config(config).await.unwrap();
    let prefix = format!("jwt-knox-test-many-{}", std::process::id());
    let store = RedisStore::with_prefix(connection.clone(), &*prefix);
    let (subject, now) = (Subject::new("alice").unwrap(), Timestamp::from_second(1_800_000_000).unwrap());
    let session = move |number: usize| {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        let created_at = now.checked_add(Duration::from_micros(number as u64)).unwrap();
        SessionRecord::new(Subject::new("alice").unwrap(), digest, created_at)
    };
    let mut workers = JoinSet::new();
    for worker in 0..32 {
        let store = store.clone();
        workers.spawn(async move {
            for number in (worker..MANY).step_by(32) {
                let _ = store.insert(session(number), None, now).await.unwrap();
            }
        });
    }
    workers.join_all().await;
    let listed = store.list(&subject, now).await.unwrap();
    assert_eq!(listed.len(), 1_000, "the newest thousand");
    assert_eq!(listed[0], session(MANY - 1));
    let spared = session(MANY - 1).id;
    assert_eq!(store.remove_all(&subject, Some(&spared), now).await.unwrap(), MANY as u64 - 1);
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 1);

    // A login that evicts many has to know them until its answer has arrived, and not for as long as the session lasts.
    for number in 0..100 {
        let _ = store.insert(session(number), None, now).await.unwrap();
    }
    let last = session(MANY);
    let _ = store.insert(last.clone(), Some(SessionLimit::evict_oldest(1).unwrap()), now).await.unwrap();
    let mut bytes = async || -> usize {
        let key = format!("{prefix}:{{YWxpY2U}}");
        redis::cmd("HSTRLEN").arg(key).arg(last.id.as_str()).query_async(&mut connection).await.unwrap()
    };
    assert!(bytes().await > 100 * 32);
    let used_at = last.created_at.checked_add(Duration::from_secs(1)).unwrap();
    assert!(store.touch(&last.session_ref(), used_at, None).await.unwrap());
    assert!(bytes().await < 500);
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 1);
}
