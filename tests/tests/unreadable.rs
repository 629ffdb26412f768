//! One session that cannot be read, in each store: it is logged and left out, and the subject's others go on.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{num::NonZeroU32, time::Duration};

use jwt_knox::{InsertOutcome, SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_tests::{
    databases::{TestDatabase, TestKeys},
    log::Log,
    world,
};
use sea_orm::{ConnectionTrait, DatabaseConnection};

/// The time of the tests, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

/// A session that began so many seconds after the time of the tests.
fn session(subject: &Subject, seconds: u64) -> SessionRecord {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let digest = format!("sha256:{random}{random}").parse().unwrap();
    let mut record = SessionRecord::new(subject.clone(), digest, at(seconds));
    record.expires_at = Some(at(3600));
    record.label = Some(format!("device {seconds}"));
    record
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_second(NOW).unwrap().checked_add(Duration::from_secs(seconds)).unwrap()
}

/// `spoil` makes a session of the store one that cannot be read. Panics unless `find` does not give it, and all else
/// goes on: lists, logins under each limit, the end of all sessions, and the purge.
async fn others_go_on(store: &impl TokenStore, spoil: impl AsyncFn(&SessionRecord)) {
    let evicting = |record: &SessionRecord| InsertOutcome::Inserted { evicted: vec![record.id] };
    let none = InsertOutcome::Inserted { evicted: Vec::new() };
    for attempt in 0..5 {
        let subject = Subject::new(uuid::Uuid::new_v4().to_string()).unwrap();
        // The one that cannot be read is the oldest, and was never used.
        let [bad, first, second, third] = [0, 1, 2, 3].map(|seconds| session(&subject, seconds));
        for record in [&bad, &first, &second] {
            assert_eq!(store.insert(record.clone(), None, at(5)).await.unwrap(), none);
        }
        spoil(&bad).await;
        let found = store.find(&bad.session_ref()).await;
        assert!(!matches!(found, Ok(Some(_))), "find does not give it: {found:?}");
        assert_eq!(store.list(&subject, at(5)).await.unwrap(), [second.clone(), first.clone()], "a list leaves it out");
        assert_eq!(store.find(&first.session_ref()).await.unwrap(), Some(first.clone().into()));

        let mut new = third.clone();
        let (limit, expected) = match attempt {
            0 => (SessionLimit::deny(2), InsertOutcome::LimitReached),
            1 => (SessionLimit::deny(3), none.clone()),
            2 => (SessionLimit::evict_oldest(2), evicting(&first)),
            3 => (SessionLimit::evict_least_recently_used(2), evicting(&first)),
            _ => {
                new.label.clone_from(&bad.label);
                (SessionLimit::evict_oldest(3).map(SessionLimit::one_per_label), none.clone())
            }
        };
        let limit = limit.unwrap();
        assert_eq!(store.insert(new, Some(limit), at(5)).await.unwrap(), expected, "{limit:?}");
        let has_gone = |record: &SessionRecord| expected == evicting(record);
        let left = if expected == InsertOutcome::LimitReached { 2 } else { 3 - usize::from(has_gone(&first)) };
        assert_eq!(store.list(&subject, at(5)).await.unwrap().len(), left);

        // One that expired at a time which cannot be read may go with the purge.
        store.remove_expired(at(5), NonZeroU32::new(1000).unwrap()).await.unwrap();
        // Whether the one that cannot be read counts is open.
        let ended = store.remove_all(&subject, None, at(5)).await.unwrap();
        assert!(ended == left as u64 || ended == left as u64 + 1, "{ended} of {left} sessions are counted");
        assert_eq!(store.list(&subject, at(5)).await.unwrap(), []);
        assert_eq!(store.find(&bad.session_ref()).await.unwrap(), None, "it has ended with the others");
    }

    let subject = Subject::new(uuid::Uuid::new_v4().to_string()).unwrap();
    let bad = session(&subject, 0);
    assert_eq!(store.insert(bad.clone(), None, at(5)).await.unwrap(), none);
    spoil(&bad).await;
    assert!(store.remove(&bad.session_ref()).await.unwrap(), "it can be ended alone");
    assert_eq!(store.find(&bad.session_ref()).await.unwrap(), None);
}

/// What makes a row unreadable on every database.
const SPOILT: [&str; 7] = [
    "digest = 'sha256:short'",
    "attributes = '{'",
    "attributes = '{\"name\":1}'",
    "claims = 'x'",
    "previous = 'x'",
    "idle_seconds = -1",
    "label = 'it can be read', digest = ''",
];

/// Changes a row by a part of an `UPDATE`. The connection must be the only one of its pool, so that its settings last.
async fn change(connection: &DatabaseConnection, record: &SessionRecord, change: &str) {
    let update = format!("UPDATE jwt_knox_sessions SET {change} WHERE id = '{}'", record.id);
    assert_eq!(connection.execute_unprepared(&update).await.unwrap().rows_affected(), 1, "{update}");
}

async fn in_a_database(store: &impl TokenStore, connection: &DatabaseConnection, more: &[&str]) {
    for spoilt in SPOILT.iter().chain(more) {
        println!("{spoilt}");
        others_go_on(store, async |record| change(connection, record, spoilt).await).await;
    }
}

/// A time of the last revocation that cannot be read keeps nobody out, and the next revocation overwrites it.
async fn an_unreadable_revocation_keeps_nobody_out(
    store: &impl TokenStore,
    connection: &DatabaseConnection,
    time: &str,
) {
    let subject = Subject::new(uuid::Uuid::new_v4().to_string()).unwrap();
    let [first, second, late] = [0, 1, 2].map(|seconds| session(&subject, seconds));
    let inserted = InsertOutcome::Inserted { evicted: Vec::new() };
    assert_eq!(store.insert(first, None, at(5)).await.unwrap(), inserted);
    let update = format!("UPDATE jwt_knox_subjects SET revoked_at = {time} WHERE subject = '{subject}'");
    assert_eq!(connection.execute_unprepared(&update).await.unwrap().rows_affected(), 1);
    assert_eq!(store.insert(second, None, at(5)).await.unwrap(), inserted);
    assert_eq!(store.remove_all(&subject, None, at(5)).await.unwrap(), 2);
    assert_eq!(store.insert(late, None, at(6)).await.unwrap(), InsertOutcome::Superseded);
}

#[tokio::test]
async fn on_sqlite() {
    let (log, file) = (Log::default(), world::temporary_file());
    let _guard = log.of_this_thread();
    let store = world::sqlite(&file);
    let connection = world::connect(&file).await;
    let more = ["expires_at = 'x'", "created_at = 'x'", "last_used_at = X'ff'", "attributes = X'ff'"];
    in_a_database(&store, &connection, &more).await;
    an_unreadable_revocation_keeps_nobody_out(&store, &connection, "'x'").await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("a row of jwt_knox_sessions cannot be read and is left out"));
    assert!(line.is_some_and(|line| line.contains("subject=\"") && line.contains("session_id=\"")), "{line:?}");
    assert!(log.text().contains("a row of jwt_knox_subjects cannot be read"));
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
#[cfg_attr(not(knox_postgres), ignore = "KNOX_TEST_POSTGRES_URL is not set")]
async fn on_postgres() {
    let database = TestDatabase::postgres();
    let (store, connection) = (database.store(), database.connect(1));
    let more = [
        "expires_at = 'infinity'",
        "created_at = 'infinity'",
        "last_used_at = '-infinity'",
        "absolute_expires_at = '294000-01-01'",
        "created_at = '4000-01-01 BC', expires_at = '20000-01-01'",
    ];
    in_a_database(&store, &connection, &more).await;
    an_unreadable_revocation_keeps_nobody_out(&store, &connection, "'infinity'").await;
}

#[tokio::test]
#[cfg_attr(not(knox_mysql), ignore = "KNOX_TEST_MYSQL_URL is not set")]
async fn on_mysql() {
    let database = TestDatabase::mysql();
    let (store, connection) = (database.store(), database.connect(1));
    // Else it takes no such times.
    connection.execute_unprepared("SET SESSION sql_mode = ''").await.unwrap();
    let more = [
        "expires_at = '0000-00-00'",
        "expires_at = '2027-00-00 00:00:00.5'",
        "created_at = '0000-00-00'",
        "last_used_at = '2027-00-00'",
    ];
    in_a_database(&store, &connection, &more).await;
    an_unreadable_revocation_keeps_nobody_out(&store, &connection, "'0000-00-00'").await;

    // The driver reads such a time as null, and so as no expiry.
    let record = session(&Subject::from(1), 0);
    let _ = store.insert(record.clone(), None, at(5)).await.unwrap();
    change(&connection, &record, "absolute_expires_at = '0000-00-00'").await;
    assert_eq!(store.find(&record.session_ref()).await.unwrap(), None);
}

#[tokio::test]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn on_redis() {
    let (log, keys) = (Log::default(), TestKeys::new());
    let _guard = log.of_this_thread();
    let (store, connection) = (keys.store(), keys.connection());
    let digest = format!("sha256:{}", "ab".repeat(32));
    let line = |expires: &str, created: &str, digest: &str, previous: &str, rest: &str| {
        format!("1\n{expires}\n\n{created}\n{digest}\n{previous}\n\nlabel\n{rest}").into_bytes()
    };
    let [expires, created] = [3600, 0].map(|seconds| at(seconds).as_microsecond().to_string());
    let values = [
        Vec::new(),
        b"x".to_vec(),
        b"1\n\n\n".to_vec(),
        vec![0xff; 100],
        line(&expires, &created, &digest, "", "{}").into_iter().chain([0xff]).collect(),
        [b"2", &line(&expires, &created, &digest, "", "{}")[1..]].concat(),
        line("x", &created, &digest, "", "{}"),
        line("1e99", &created, &digest, "", "{}"),
        line("-", &created, &digest, "", "{}"),
        line(&expires, "-", &digest, "", "{}"),
        line(&expires, "", &digest, "", "{}"),
        line(&expires, "99999999999999999999", &digest, "", "{}"),
        line(&expires, &created, "sha256:short", "", "{}"),
        line(&expires, &created, &digest, "x", "{}"),
        line(&expires, &created, &digest, "", "{"),
        line(&expires, &created, &digest, "", "[1]"),
        line(&expires, &created, &digest, "", "{\"attr\":{\"name\":1}}"),
        line(&expires, &created, &digest, "", "{\"idle\":-1}"),
        line(&expires, &created, &digest, "", "{\"abs\":1e30}"),
        line(&expires, &created, &digest, "", "{\"scope\":1}"),
        line(&expires, &created, &digest, "", "{\"claims\":\"x\"}"),
    ];
    for value in values {
        println!("{:?}", String::from_utf8_lossy(&value));
        others_go_on(&store, async |record| {
            let mut set = redis::cmd("HSET");
            set.arg(keys.key(&record.subject)).arg(record.id.as_str()).arg(&value);
            set.exec_async(&mut connection.clone()).await.unwrap();
        })
        .await;
    }
    assert!(log.text().contains("a session cannot be read and is left out"), "{}", log.text());

    // A time of the last revocation that cannot be read keeps nobody out, and is overwritten.
    for time in ["", "x", "1e999", "99999999999999999999"] {
        let subject = Subject::new(uuid::Uuid::new_v4().to_string()).unwrap();
        let [first, late] = [0, 1].map(|seconds| session(&subject, seconds));
        let mut set = redis::cmd("HSET");
        set.arg(keys.key(&subject)).arg("revoked").arg(time).exec_async(&mut connection.clone()).await.unwrap();
        let inserted = InsertOutcome::Inserted { evicted: Vec::new() };
        assert_eq!(store.insert(first, None, at(5)).await.unwrap(), inserted);
        assert_eq!(store.remove_all(&subject, None, at(5)).await.unwrap(), 1);
        assert_eq!(store.insert(late, None, at(6)).await.unwrap(), InsertOutcome::Superseded);
    }
}
