//! The store passes the conformance kit, and its file outlives the process.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use example_store_redb::RedbStore;
use jwt_knox::{Knox, SigningKey, Subject};

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
