//! What `authenticate` costs on top of checking the signature: claims, digest, the store in memory, expiry.

#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use jwt_knox::{Knox, Lifetime, MemoryStore, SigningKey, Subject};
use jwt_simple::prelude::{HS256Key, MACLike, NoCustomClaims};
use tokio::runtime::Builder;

const KEY: &[u8] = b"a key of the benchmarks, long enough";

fn benchmarks(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap())
        .lifetime(Lifetime::expires_after(Duration::from_secs(24 * 3600)).unwrap())
        .store(MemoryStore::new())
        .build()
        .unwrap();
    let issued = runtime.block_on(knox.issue(Subject::new("5b0a1d4e-6c3f-4f0e-9a53-0d6b6a3e7c11").unwrap())).unwrap();
    let token = issued.token.expose();
    let key = HS256Key::from_bytes(KEY);

    let mut group = criterion.benchmark_group("authenticate");
    group.bench_function("bare jwt-simple", |bencher| {
        bencher.iter(|| key.verify_token::<NoCustomClaims>(token, None).unwrap());
    });
    group.bench_function("Knox", |bencher| {
        bencher.iter(|| runtime.block_on(knox.authenticate(token)).unwrap());
    });
    group.finish();
}

criterion_group!(group, benchmarks);
criterion_main!(group);
