//! The store passes the conformance kit, and its file outlives the process.

#![allow(clippy::unwrap_used)]

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use example_store_redb::RedbStore;
use jwt_knox::{
    InsertOutcome, Knox, SessionId, SessionLimit, SessionRecord, SigningKey, Subject, Timestamp, TokenStore,
};
use redb::{Database, TableDefinition};

/// A file that only this test uses.
fn new_file(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("jwt-knox-{name}-{}.redb", std::process::id()));
    // One that an earlier process of the same number has left.
    let _ = std::fs::remove_file(&file);
    file
}

/// redb opens a file once, so all handles are clones.
async fn open() -> RedbStore {
    static STORE: LazyLock<RedbStore> = LazyLock::new(|| RedbStore::open(new_file("conformance")).unwrap());
    STORE.clone()
}

jwt_knox_testkit::store_tests!(open, durable);

#[tokio::test]
async fn a_file_that_is_opened_again_has_what_was_committed() {
    let file = new_file("reopened");
    let knox = || {
        let key = SigningKey::hs256("a key of the redb tests, long enough").unwrap();
        Knox::builder(key).store(RedbStore::open(&file).unwrap()).build().unwrap()
    };
    let before = knox();
    let kept = before.issue(Subject::from(42)).await.unwrap();
    let revoked = before.issue(Subject::from(42)).await.unwrap();
    assert!(before.revoke(&revoked.session.session_ref()).await.unwrap().is_revoked());
    drop(before);

    let after = knox();
    assert!(after.authenticate(kept.token.expose()).await.is_ok(), "a login is in the file");
    assert!(after.authenticate(revoked.token.expose()).await.is_err(), "a logout is in the file");
    drop(after);
    std::fs::remove_file(file).unwrap();
}

fn session(hex: &str, second: i64) -> SessionRecord {
    let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let mut record =
        SessionRecord::new(Subject::from(42), format!("sha256:{}", hex.repeat(32)).parse().unwrap(), at(second));
    record.expires_at = Some(at(second + 60));
    record
}

/// A store with three sessions, of which the oldest cannot be read.
async fn with_an_unreadable_session(file: &Path) -> RedbStore {
    let [bad, first, second] = [session("aa", 0), session("bb", 1), session("cc", 2)];
    let store = RedbStore::open(file).unwrap();
    for record in [&bad, &first, &second] {
        let _ = store.insert(record.clone(), None, record.created_at).await.unwrap();
    }
    drop(store);
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    let sessions: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("jwt_knox_sessions");
    transaction.open_table(sessions).unwrap().insert(("42", bad.id.as_str()), "{").unwrap();
    transaction.commit().unwrap();
    drop(database);
    RedbStore::open(file).unwrap()
}

#[tokio::test]
async fn a_session_that_cannot_be_read_does_not_block_the_others() {
    let file = new_file("unreadable");
    let store = with_an_unreadable_session(&file).await;
    let (subject, now) = (Subject::from(42), session("aa", 5).created_at);
    let [bad, first, second, third] = [session("aa", 0), session("bb", 1), session("cc", 2), session("dd", 3)];
    assert!(store.find(&bad.session_ref()).await.is_err());
    assert_eq!(store.list(&subject, now).await.unwrap(), [second.clone(), first.clone()]);
    let insert = |limit| store.insert(third.clone(), Some(limit), now);
    assert_eq!(insert(SessionLimit::deny(2).unwrap()).await.unwrap(), InsertOutcome::LimitReached);
    let evicting = |id: SessionId| InsertOutcome::Inserted { evicted: vec![id] };
    assert_eq!(insert(SessionLimit::evict_oldest(2).unwrap()).await.unwrap(), evicting(first.id));
    assert_eq!(store.remove_all(&subject, None, now).await.unwrap(), 2);
    assert_eq!(store.find(&bad.session_ref()).await.unwrap(), None);
    // Its expiry is still in the index, and hinders no purge.
    let batch = NonZeroU32::new(1).unwrap();
    assert_eq!(store.remove_expired(session("aa", 600).created_at, batch).await.unwrap(), 0);
    drop(store);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_purged_like_the_others() {
    let file = new_file("unreadable-expired");
    let store = with_an_unreadable_session(&file).await;
    let (batch, later) = (NonZeroU32::new(2).unwrap(), session("aa", 600).created_at);
    assert_eq!(store.remove_expired(later, batch).await.unwrap(), 2);
    assert_eq!(store.remove_expired(later, batch).await.unwrap(), 1);
    assert_eq!(store.find(&session("aa", 0).session_ref()).await.unwrap(), None);
    drop(store);
    std::fs::remove_file(file).unwrap();
}
