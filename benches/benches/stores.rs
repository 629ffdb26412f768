//! What `/verify` costs on each store, with and without a memory of its answers: Axum, 32 connections over loopback,
//! clients and server on one core. The time is what both take for a request; databases take theirs on other cores.
//!
//! PostgreSQL and Redis are measured if `KNOX_TEST_POSTGRES_URL` and `KNOX_TEST_REDIS_URL` are set.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../crates/sea-orm/benches/scratch/mod.rs"]
mod scratch;

use std::{env, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jwt_knox::{Algorithm, Cache, MemoryStore, TokenStore};
use jwt_knox_axum::{KnoxHttp, routes};
use jwt_knox_benches::{issue, key, knox, load::Load, serve};
use jwt_knox_redis::RedisStore;
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::Scratch;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn verify(criterion: &mut Criterion) {
    serve::on_one_core();
    let runtime = Runtime::new().unwrap();
    compare(criterion, &runtime, "memory", &MemoryStore::new());
    for (name, url) in [("SQLite", Some("sqlite:".to_owned())), ("PostgreSQL", env::var("KNOX_TEST_POSTGRES_URL").ok())]
    {
        let Some(url) = url else {
            println!("skipped: {name}");
            continue;
        };
        let scratch = runtime.block_on(Scratch::new(&url)).unwrap();
        let connection = runtime.block_on(scratch.connect(16)).unwrap();
        compare(criterion, &runtime, name, &SeaOrmStore::new(connection.clone()));
        runtime.block_on(connection.close()).unwrap();
        runtime.block_on(scratch.remove()).unwrap();
    }
    if let Ok(url) = env::var("KNOX_TEST_REDIS_URL") {
        let client = redis::Client::open(url).unwrap();
        let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
        // What is left of it is gone when its sessions have expired.
        let store = RedisStore::with_prefix(connection, format!("bench-{}", Uuid::new_v4()));
        compare(criterion, &runtime, "Redis", &store);
    } else {
        println!("skipped: Redis");
    }
}

fn compare(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: &(impl TokenStore + Clone)) {
    let mut group = criterion.benchmark_group("verify");
    for (memory, cache) in
        [("asked", Cache::default()), ("max_age", Cache::default().max_age(Duration::from_secs(3600)))]
    {
        let knox = KnoxHttp::builder(knox(key(Algorithm::Hs256), store.clone(), cache)).build().unwrap();
        let bearer = format!("Bearer {}", runtime.block_on(issue(&knox)).token.expose());
        let server = serve::axum(routes(knox));
        let mut load = Load::new(32, server, "/verify", &[("authorization", &bearer)], 204);
        group.bench_function(BenchmarkId::new(memory, name), |bencher| {
            bencher.iter_custom(|requests| load.send(requests));
        });
    }
    group.finish();
}

criterion_group!(group, verify);
criterion_main!(group);
