//! A purge does not get in the way: logins and authentications go on in the meantime, and only the expired sessions are
//! gone. The tests that need a server are in the package `jwt-knox-tests`.

#[path = "../../benches/scratch/mod.rs"]
mod scratch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jwt_knox::{Knox, Lifetime, ManualClock, SessionLimit, Timestamp};
use jwt_knox_sea_orm::{SeaOrmStore, entity::Entity};
use scratch::{Scratch, key, new_subject, typical_session};
use sea_orm::{EntityTrait, PaginatorTrait};

/// Two batches, the last of which is not full.
const EXPIRED: u64 = 1_500;
const ACTIVE: usize = 100;

/// Purges expired sessions in a separate database on the server at `url`, while others log in and authenticate.
pub(crate) async fn purge_under_load(url: &str) {
    let scratch = Scratch::new(url).await.unwrap();
    let connection = scratch.connect(8).await.unwrap();
    let clock = ManualClock::new(Timestamp::from_second(2_000_000_000).unwrap());
    let knox = Knox::builder(key())
        .lifetime(Lifetime::expires_after(Duration::from_secs(3600)).unwrap())
        .limit(SessionLimit::evict_oldest(3).unwrap())
        .clock(clock.clone())
        .store(SeaOrmStore::new(connection.clone()))
        .build()
        .unwrap();
    drop(log_in(&knox, EXPIRED as usize).await);
    clock.advance(Duration::from_secs(3600));
    let active = Arc::new(log_in(&knox, ACTIVE).await);

    let purged = Arc::new(AtomicBool::new(false));
    let purging = {
        let (knox, purged) = (knox.clone(), Arc::clone(&purged));
        tokio::spawn(async move {
            let count = knox.purge_expired().await;
            purged.store(true, Ordering::SeqCst);
            count.unwrap()
        })
    };
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (knox, active, purged) = (knox.clone(), Arc::clone(&active), Arc::clone(&purged));
            tokio::spawn(async move {
                let mut new = Vec::new();
                for number in client.. {
                    knox.authenticate(&active[number % active.len()])
                        .await
                        .expect("the token is valid during the purge");
                    new.extend(log_in(&knox, 1).await);
                    if purged.load(Ordering::SeqCst) {
                        break;
                    }
                }
                new
            })
        })
        .collect();
    assert_eq!(purging.await.unwrap(), EXPIRED, "the purge says how many sessions had expired");
    let mut new = Vec::new();
    for client in clients {
        new.extend(client.await.unwrap());
    }

    for token in active.iter().chain(&new) {
        assert!(knox.authenticate(token).await.is_ok(), "an active session has outlived the purge");
    }
    let left = Entity::find().count(&connection).await.unwrap();
    assert_eq!(left, (active.len() + new.len()) as u64, "only the expired sessions are gone");
    assert_eq!(knox.purge_expired().await.unwrap(), 0, "nothing is left to purge");
    drop(knox);
    connection.close().await.unwrap();
    scratch.remove().await.unwrap();
}

/// The tokens of so many subjects, several of which log in at the same time.
async fn log_in(knox: &Knox, count: usize) -> Vec<String> {
    let tasks: Vec<_> = (0..count.min(8))
        .map(|task| {
            let knox = knox.clone();
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                for _ in (task..count).step_by(8) {
                    let issued = knox.issue(typical_session(new_subject())).await.expect("a login succeeds");
                    tokens.push(issued.token.expose().to_owned());
                }
                tokens
            })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.extend(task.await.unwrap());
    }
    tokens
}
