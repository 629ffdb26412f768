//! How much memory sessions and requests take. Counts of allocations are exact, so this is a test and no benchmark.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{num::NonZeroU32, sync::Mutex};

use dhat::HeapStats;
use jwt_knox::{Algorithm, Cache, MemoryStore, NewSession, SessionRecord, Subject, Timestamp, TokenDigest, TokenStore};
use jwt_knox_benches::{issue, key, knox};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// There is one profiler in a process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn block_on<T>(call: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().unwrap().block_on(call)
}

/// A session of a subject with a UUID, without a label.
fn session(number: u64) -> SessionRecord {
    let subject = Subject::new(format!("00000000-0000-0000-0000-{number:012x}")).unwrap();
    let digest: TokenDigest = format!("sha256:{number:064x}").parse().unwrap();
    SessionRecord::new(subject, digest, Timestamp::UNIX_EPOCH)
}

#[test]
fn a_session_in_memory_takes_600_bytes_at_most() {
    const SESSIONS: u64 = 50_000;
    let _guard = ONE_AT_A_TIME.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    let store = MemoryStore::new();
    let before = HeapStats::get().curr_bytes;
    block_on(async {
        for number in 0..SESSIONS {
            let _ = store.insert(session(number), None, Timestamp::UNIX_EPOCH).await.unwrap();
        }
    });
    let bytes = (HeapStats::get().curr_bytes - before) as u64 / SESSIONS;
    println!("{bytes} bytes per session, one per subject");
    assert!(bytes <= 600, "{bytes}");

    // What expires is given back.
    block_on(async {
        let batch = NonZeroU32::new(1_000_000).unwrap();
        assert_eq!(store.remove_expired(Timestamp::MAX, batch).await.unwrap(), 0, "none of them expires");
    });
}

#[test]
fn a_remembered_token_costs_few_allocations() {
    let _guard = ONE_AT_A_TIME.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    block_on(async {
        for (name, cache, limit) in [("hot", Cache::default(), 4), ("cold", Cache::off(), 60)] {
            let knox = knox(key(Algorithm::Hs256), MemoryStore::new(), cache);
            let issued = issue(&knox).await;
            // The first use is recorded.
            knox.authenticate(issued.token.expose()).await.unwrap();
            let before = HeapStats::get().total_blocks;
            for _ in 0..100 {
                knox.authenticate(issued.token.expose()).await.unwrap();
            }
            let allocations = (HeapStats::get().total_blocks - before) / 100;
            println!("{name}: {allocations} allocations per request");
            assert!(allocations <= limit, "{name}: {allocations}");
        }
    });
}

#[test]
fn a_remembered_token_takes_four_kibibytes_at_most() {
    const TOKENS: u64 = 1000;
    let _guard = ONE_AT_A_TIME.lock();
    let _profiler = dhat::Profiler::builder().testing().build();
    block_on(async {
        let measure = async |cache| {
            let knox = knox(key(Algorithm::Hs256), MemoryStore::new(), cache);
            let before = HeapStats::get().curr_bytes;
            for number in 0..TOKENS {
                let issued = knox.issue(NewSession::new(number)).await.unwrap();
                knox.authenticate(issued.token.expose()).await.unwrap();
            }
            (HeapStats::get().curr_bytes - before) as u64
        };
        let (with, without) = (measure(Cache::default()).await, measure(Cache::off()).await);
        let bytes = (with - without) / TOKENS;
        println!("{bytes} bytes per remembered token");
        assert!(bytes <= 4096, "{bytes}");
    });
}
