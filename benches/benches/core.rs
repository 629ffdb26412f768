//! What `authenticate` costs in one process, beside the checks of others that ask no store.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    cell::LazyCell,
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use jsonwebtoken::{DecodingKey, Validation};
use jwt_knox::{Algorithm, Cache, Knox, MemoryStore, SessionRecord, Subject, TokenDigest, TokenStore};
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

/// Measures checks of `token`, within one call of the runtime, whose own cost is none of theirs.
fn checks(bencher: &mut Bencher<'_>, knox: &Knox, token: &str) {
    let runtime = Builder::new_current_thread().build().unwrap();
    bencher.iter_custom(|count| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..count {
                let _ = black_box(knox.authenticate(black_box(token)).await);
            }
            start.elapsed()
        })
    });
}

/// HS256, beside the checks of others.
fn hs256(criterion: &mut Criterion) {
    let runtime = runtime();
    let store = MemoryStore::new();
    let hot = knox(key(Algorithm::Hs256), store.clone(), Cache::default());
    let cold = knox(key(Algorithm::Hs256), store.clone(), Cache::off());
    let hour = Duration::from_secs(3600);
    let remembered = knox(key(Algorithm::Hs256), store, Cache::default().max_age(hour));
    let issued = runtime.block_on(issue(&hot));
    let token = issued.token.expose();
    let simple = HS256Key::from_bytes(KEY);
    let (decoding, validation) =
        (DecodingKey::from_secret(KEY).unwrap(), Validation::new(jsonwebtoken::Algorithm::HS256));

    let mut group = criterion.benchmark_group("HS256");
    group.bench_function("SHA-256 of the token alone", |bencher| bencher.iter(|| Sha256::digest(token)));
    group.bench_function("jsonwebtoken decode", |bencher| {
        bencher.iter(|| jsonwebtoken::decode::<Claims>(token, &decoding, &validation).unwrap());
    });
    group.bench_function("jwt-simple verify", |bencher| {
        bencher.iter(|| simple.verify_token::<NoCustomClaims>(token, None).unwrap());
    });
    group.bench_function("Knox, the store asked", |bencher| checks(bencher, &hot, token));
    group.bench_function("Knox, max_age", |bencher| checks(bencher, &remembered, token));
    group.bench_function("Knox, nothing remembered", |bencher| checks(bencher, &cold, token));
    let invalid = format!("{}A", &token[..token.len() - 1]);
    group.bench_function("Knox, wrong signature", |bencher| checks(bencher, &hot, &invalid));
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
        group.bench_function(BenchmarkId::new("hot", algorithm), |bencher| checks(bencher, &hot, token));
        group.bench_function(BenchmarkId::new("cold", algorithm), |bencher| checks(bencher, &cold, token));
    }
    group.finish();
}

/// With more and more sessions in the store: each of another subject, and all of one.
fn sessions(criterion: &mut Criterion) {
    for (name, one_subject, counts) in [
        ("sessions in the store", false, &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000][..]),
        ("sessions of one subject", true, &[1, 10, 100, 1_000, 5_000]),
    ] {
        let mut group = criterion.benchmark_group(name);
        for &count in counts {
            // Only if this one is to be measured.
            let store = LazyCell::new(|| store_of(count, one_subject));
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                let (knox, token) = &*store;
                checks(bencher, knox, token);
            });
        }
        group.finish();
    }
}

/// A handle with so many sessions, and the token of one of them.
fn store_of(count: u64, one_subject: bool) -> (Knox, String) {
    let (runtime, store) = (runtime(), MemoryStore::new());
    let knox = knox(key(Algorithm::Hs256), store.clone(), Cache::default());
    let issued = runtime.block_on(issue(&knox));
    for number in 1..count {
        let subject = if one_subject { issued.session.subject.clone() } else { Subject::from(number) };
        let digest: TokenDigest = format!("sha256:{number:032x}{number:032x}").parse().unwrap();
        let session = SessionRecord::new(subject, digest, issued.session.created_at);
        let _ = runtime.block_on(store.insert(session, None, issued.session.created_at)).unwrap();
    }
    (knox, issued.token.expose().to_owned())
}

criterion_group!(group, hs256, algorithms, sessions);
criterion_main!(group);
