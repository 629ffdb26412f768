//! The store passes the tests of the testkit on SQLite, with several connections.

#![allow(clippy::unwrap_used)]

use std::{env, sync::OnceLock};

use jwt_knox::{InsertOutcome, SessionLimit, SessionRecord, Subject, Timestamp, TokenStore};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use jwt_knox_testkit::store_tests;
use sea_orm::{ConnectOptions, Database};

#[path = "shared/connect.rs"]
mod shared;

async fn open() -> SeaOrmStore {
    static FILE: OnceLock<String> = OnceLock::new();
    static MIGRATED: OnceLock<()> = OnceLock::new();
    let url = FILE.get_or_init(|| {
        let file = env::temp_dir().join(format!("jwt-knox-conformance-{}.sqlite", std::process::id()));
        // One that an earlier process with the same id has left.
        let _ = std::fs::remove_file(&file);
        format!("sqlite:{}", file.display())
    });
    SeaOrmStore::new(shared::connect(url, &MIGRATED).await)
}

store_tests!(open, durable);

/// More sessions than a statement has room for.
#[tokio::test]
async fn a_subject_may_have_very_many_sessions() {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    Migrator::up(&connection, None).await.unwrap();
    let store = SeaOrmStore::new(connection);
    let (subject, now) = (Subject::new("alice").unwrap(), Timestamp::from_second(1_800_000_000).unwrap());
    let session = |number: u32| {
        let digest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        SessionRecord::new(subject.clone(), digest, now)
    };
    for number in 0..1201 {
        let _ = store.insert(session(number), None, now).await.unwrap();
    }
    let limit = SessionLimit::evict_oldest(601).unwrap();
    let outcome = store.insert(session(2000), Some(limit), now).await.unwrap();
    assert!(matches!(outcome, InsertOutcome::Inserted { evicted } if evicted.len() == 601));
    let spared = session(2000).id;
    assert_eq!(store.remove_all(&subject, Some(&spared), now).await.unwrap(), 600);
    assert_eq!(store.list(&subject, now).await.unwrap(), [session(2000)]);
}
