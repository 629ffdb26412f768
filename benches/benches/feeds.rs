//! How long it takes from the moment at which one server ends a session until another rejects its token, which
//! remembers answers for an hour and follows a feed. The ending itself, with its commit, is part of it.
//!
//! Measured for what is set of `KNOX_TEST_POSTGRES_URL` and `KNOX_TEST_REDIS_URL`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../crates/sea-orm/benches/scratch/mod.rs"]
mod scratch;

use std::{
    env,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use jwt_knox::{Algorithm, Cache, ChangeFeed, Knox, NewSession, TokenStore};
use jwt_knox_benches::{key, knox};
use jwt_knox_redis::{RedisFeed, RedisStore};
use jwt_knox_sea_orm::{PostgresFeed, SeaOrmStore};
use scratch::Scratch;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn logout(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    match env::var("KNOX_TEST_POSTGRES_URL") {
        Ok(url) => {
            let scratch = runtime.block_on(Scratch::new(&url)).unwrap();
            let [here, there] = [0, 1].map(|_| runtime.block_on(scratch.connect(4)).unwrap());
            let stores = [&here, &there].map(|connection| SeaOrmStore::new(connection.clone()).announcing().unwrap());
            let feed = PostgresFeed::new(there.clone()).unwrap();
            measure(criterion, &runtime, "PostgreSQL", stores, feed);
            runtime.block_on(here.close()).unwrap();
            runtime.block_on(there.close()).unwrap();
            runtime.block_on(scratch.remove()).unwrap();
        }
        Err(_) => println!("skipped: KNOX_TEST_POSTGRES_URL is not set"),
    }
    match env::var("KNOX_TEST_REDIS_URL") {
        Ok(url) => {
            let client = redis::Client::open(url).unwrap();
            let prefix = format!("bench-{}", Uuid::new_v4());
            let stores = [0, 1].map(|_| {
                let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
                RedisStore::with_prefix(connection, &prefix).announcing()
            });
            let feed = RedisFeed::with_prefix([client], prefix);
            measure(criterion, &runtime, "Redis", stores, feed);
        }
        Err(_) => println!("skipped: KNOX_TEST_REDIS_URL is not set"),
    }
}

fn measure(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    stores: [impl TokenStore; 2],
    feed: impl ChangeFeed,
) {
    let key = key(Algorithm::Hs256);
    let cache = Cache::default().max_age(Duration::from_secs(3600));
    let [here, there] = stores.map(|store| knox(key.clone(), store, cache));
    let following = runtime.spawn(there.follow(feed));
    let mut group = criterion.benchmark_group("a logout on another server");
    group.sample_size(30);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            runtime.block_on(async {
                let mut time = Duration::ZERO;
                for _ in 0..count {
                    time += until_rejected(&here, &there).await;
                }
                time
            })
        });
    });
    group.finish();
    following.abort();
    assert!(runtime.block_on(following).is_err());
}

async fn until_rejected(here: &Knox, there: &Knox) -> Duration {
    let issued = here.issue(NewSession::new(scratch::new_subject())).await.unwrap();
    let token = issued.token.expose();
    there.authenticate(token).await.unwrap();
    let start = Instant::now();
    assert!(here.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    while there.authenticate(token).await.is_ok() {
        tokio::task::yield_now().await;
    }
    start.elapsed()
}

criterion_group!(group, logout);
criterion_main!(group);
