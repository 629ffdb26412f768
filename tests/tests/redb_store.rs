//! The store that the guide explains passes the conformance kit, and its file outlives the process.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process,
    sync::LazyLock,
};

use jwt_knox::{Knox, SigningKey, Subject};
use jwt_knox_tests::redb_store::RedbStore;

/// A file that only this test of this process uses.
fn new_file(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("jwt-knox-{name}-{}.redb", process::id()));
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
    let kept = before.issue(Subject::new("alice").unwrap()).await.unwrap();
    let ended = before.issue(Subject::new("alice").unwrap()).await.unwrap();
    assert!(before.revoke(&ended.record.key()).await.unwrap());
    drop(before);

    let after = knox();
    assert!(after.authenticate(kept.token.expose()).await.is_ok(), "a login is in the file");
    assert!(after.authenticate(ended.token.expose()).await.is_err(), "a logout is in the file");
    drop(after);
    std::fs::remove_file(file).unwrap();
}
