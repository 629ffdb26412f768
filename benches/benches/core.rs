//! What `authenticate` costs in one process, beside the checks of others that ask no store.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jsonwebtoken::{DecodingKey, Validation};
use jwt_knox::{Algorithm, Cache, MemoryStore};
use jwt_knox_benches::{ALGORITHMS, KEY, issue, key, knox};
use jwt_simple::prelude::{HS256Key, MACLike, NoCustomClaims};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

/// What a handler wants to know of a stateless token.
#[derive(Deserialize)]
struct Claims {
    #[expect(dead_code, reason = "it is read, to be fair, and not used")]
    sub: String,
    #[expect(dead_code, reason = "it is read, to be fair, and not used")]
    exp: u64,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// HS256, beside the checks of others.
fn hs256(criterion: &mut Criterion) {
    let runtime = runtime();
    let store = MemoryStore::new();
    let hot = knox(key(Algorithm::Hs256), store.clone(), Cache::default());
    let cold = knox(key(Algorithm::Hs256), store, Cache::off());
    let issued = runtime.block_on(issue(&hot));
    let token = issued.token.expose();
    let simple = HS256Key::from_bytes(KEY);
    let (decoding, validation) =
        (DecodingKey::from_secret(KEY).unwrap(), Validation::new(jsonwebtoken::Algorithm::HS256));

    let mut group = criterion.benchmark_group("HS256");
    group.bench_function("limit: SHA-256 of the token", |bencher| bencher.iter(|| Sha256::digest(token)));
    group.bench_function("jsonwebtoken decode", |bencher| {
        bencher.iter(|| jsonwebtoken::decode::<Claims>(token, &decoding, &validation).unwrap());
    });
    group.bench_function("jwt-simple verify", |bencher| {
        bencher.iter(|| simple.verify_token::<NoCustomClaims>(token, None).unwrap());
    });
    group.bench_function("Knox hot", |bencher| {
        bencher.iter(|| runtime.block_on(hot.authenticate(token)).unwrap());
    });
    group.bench_function("Knox cold", |bencher| {
        bencher.iter(|| runtime.block_on(cold.authenticate(token)).unwrap());
    });
    let invalid = format!("{}A", &token[..token.len() - 1]);
    group.bench_function("Knox, wrong signature", |bencher| {
        bencher.iter(|| runtime.block_on(hot.authenticate(&invalid)).unwrap_err());
    });
    group.finish();
}

/// Each algorithm, remembered and not.
fn algorithms(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("algorithms");
    for algorithm in ALGORITHMS {
        let (key, store) = (key(algorithm), MemoryStore::new());
        let hot = knox(key.clone(), store.clone(), Cache::default());
        let cold = knox(key, store, Cache::off());
        let issued = runtime.block_on(issue(&hot));
        let token = issued.token.expose();
        group.bench_function(BenchmarkId::new("hot", algorithm), |bencher| {
            bencher.iter(|| runtime.block_on(hot.authenticate(token)).unwrap());
        });
        group.bench_function(BenchmarkId::new("cold", algorithm), |bencher| {
            bencher.iter(|| runtime.block_on(cold.authenticate(token)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(group, hs256, algorithms);
criterion_main!(group);
