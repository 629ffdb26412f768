//! The store against bare commands, as an application without it would send them: one call at a time, over the same
//! connection, on the same sessions.
//!
//! `cargo bench -p jwt-knox-redis`, with `KNOX_TEST_REDIS_URL` set. Bare, `insert` and `remove` are the same writes in
//! a `MULTI`; the store sends a script.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../sea-orm/benches/compare/mod.rs"]
mod compare;

use std::{collections::HashMap, env, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use compare::{Client, Comparison, Operation, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use jwt_knox::{SessionRecord, async_trait};
use jwt_knox_redis::RedisStore;
use redis::{aio::MultiplexedConnection, cmd, pipe};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Bare commands, on the keys that the store uses.
struct Bare {
    connection: MultiplexedConnection,
    prefix: String,
}

#[async_trait]
impl Client<SessionRecord> for Bare {
    async fn run(&self, operation: Operation, session: &SessionRecord) {
        let subject = Base64UrlUnpadded::encode_string(session.subject.as_str().as_bytes());
        let index = format!("{}:{{{subject}}}", self.prefix);
        let key = format!("{index}:{}", session.id);
        let mut connection = self.connection.clone();
        match operation {
            Operation::Find => {
                let found: HashMap<String, String> =
                    cmd("HGETALL").arg(key).query_async(&mut connection).await.unwrap();
                assert!(!found.is_empty());
            }
            Operation::Insert => {
                let expires_at = session.expires_at.unwrap();
                let fields = [
                    ("subject", session.subject.to_string()),
                    ("digest", session.digest.to_string()),
                    ("created_at", session.created_at.as_microsecond().to_string()),
                    ("expires_at", expires_at.as_microsecond().to_string()),
                    ("absolute_expires_at", expires_at.as_microsecond().to_string()),
                    ("label", session.label.clone().unwrap()),
                    ("attributes", "{}".to_owned()),
                ];
                let mut commands = pipe();
                commands
                    .atomic()
                    .zadd(&index, session.id.as_str(), session.created_at.as_microsecond())
                    .hset_multiple(&key, &fields)
                    .pexpire_at(&key, expires_at.as_millisecond())
                    .pexpire_at(&index, expires_at.as_millisecond());
                commands.exec_async(&mut connection).await.unwrap();
            }
            Operation::Remove => {
                let mut commands = pipe();
                commands.atomic().zrem(&index, session.id.as_str()).del(&key);
                let removed: (bool, bool) = commands.query_async(&mut connection).await.unwrap();
                assert_eq!(removed, (true, true));
            }
            Operation::InsertAtLimit => unreachable!("no plain commands do that in one step"),
        }
    }
}

fn benchmarks(criterion: &mut Criterion) {
    let Ok(url) = env::var("KNOX_TEST_REDIS_URL") else {
        println!("skipped: KNOX_TEST_REDIS_URL is not set");
        return;
    };
    let runtime = Runtime::new().unwrap();
    let client = redis::Client::open(url).unwrap();
    let connection = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let prefix = format!("bench-{}", Uuid::new_v4());
    let store = Store(RedisStore::with_prefix(connection.clone(), &prefix));
    let bare = Bare { connection: connection.clone(), prefix: prefix.clone() };
    let operations = &[Operation::Find, Operation::Insert, Operation::Remove];
    Comparison { database: "Redis", bare: &bare, store: &store, operations }.run(criterion, &runtime);
    runtime.block_on(remove_keys(connection, &format!("{prefix}:*")));
}

async fn remove_keys(mut connection: MultiplexedConnection, pattern: &str) {
    let mut cursor = 0;
    loop {
        let scan = cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000).to_owned();
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.unwrap();
        if !keys.is_empty() {
            cmd("UNLINK").arg(keys).exec_async(&mut connection).await.unwrap();
        }
        if next == 0 {
            return;
        }
        cursor = next;
    }
}

criterion_group! {
    name = group;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = benchmarks
}
criterion_main!(group);
