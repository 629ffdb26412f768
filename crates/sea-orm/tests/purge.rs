//! A purge does not get in the way: logins and authentications go on meanwhile, and just the expired logins are gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../examples/scratch/mod.rs"]
mod scratch;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use jwt_knox::{Knox, Lifetime, ManualClock, TokenLimit};
use jwt_knox_sea_orm::{SeaOrmStore, entity::Entity};
use scratch::{Scratch, key, new_subject, typical_login};
use sea_orm::{EntityTrait, PaginatorTrait};

/// Two batches, the last of which is not full.
const EXPIRED: u64 = 1_500;
const LIVE: usize = 100;

async fn purge_under_load(url: &str) {
    let scratch = Scratch::new(url).await.unwrap();
    let connection = scratch.connect(8).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(2_000_000_000).unwrap()));
    let knox = Knox::builder(key())
        .lifetime(Lifetime::absolute(Duration::from_secs(3600)))
        .limit(TokenLimit::evict_oldest(3))
        .clock(Arc::clone(&clock))
        .store(SeaOrmStore::new(connection.clone()))
        .build()
        .unwrap();
    drop(log_in(&knox, EXPIRED as usize).await);
    clock.advance(Duration::from_secs(3600));
    let live = Arc::new(log_in(&knox, LIVE).await);

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
            let (knox, live, purged) = (knox.clone(), Arc::clone(&live), Arc::clone(&purged));
            tokio::spawn(async move {
                let mut new = Vec::new();
                for number in client.. {
                    knox.authenticate(&live[number % live.len()]).await.expect("a live login is good during the purge");
                    new.extend(log_in(&knox, 1).await);
                    if purged.load(Ordering::SeqCst) {
                        break;
                    }
                }
                new
            })
        })
        .collect();
    assert_eq!(purging.await.unwrap(), EXPIRED, "the purge says how many logins were expired");
    let mut new = Vec::new();
    for client in clients {
        new.extend(client.await.unwrap());
    }

    for token in live.iter().chain(&new) {
        assert!(knox.authenticate(token).await.is_ok(), "a login that is live has outlived the purge");
    }
    let left = Entity::find().count(&connection).await.unwrap();
    assert_eq!(left, (live.len() + new.len()) as u64, "just the expired logins are gone");
    assert_eq!(knox.purge_expired().await.unwrap(), 0, "nothing is left to purge");
    drop(knox);
    connection.close().await.unwrap();
    scratch.remove().await.unwrap();
}

/// The tokens of so many subjects, some logged in at the same time.
async fn log_in(knox: &Knox, count: usize) -> Vec<String> {
    let tasks: Vec<_> = (0..count.min(8))
        .map(|task| {
            let knox = knox.clone();
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                for _ in (task..count).step_by(8) {
                    let issued = knox.issue_with(typical_login(new_subject())).await.expect("a login goes through");
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

async fn on_server(variable: &str) {
    match env::var(variable) {
        Ok(url) => purge_under_load(&url).await,
        Err(_) => println!("skipped: {variable} is not set"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_on_sqlite_hinders_nobody() {
    purge_under_load("sqlite:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_on_postgres_hinders_nobody() {
    on_server("KNOX_TEST_POSTGRES_URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_on_mysql_hinders_nobody() {
    on_server("KNOX_TEST_MYSQL_URL").await;
}
