//! The store against bare commands, as an application without it would send them: one call at a time, over the same
//! connection, on the same sessions.
//!
//! `cargo bench -p jwt-knox-redis`, with `KNOX_TEST_REDIS_URL` set. Bare, `insert` is two writes in a `MULTI`, without
//! the check of earlier revocations; the store sends a script.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../sea-orm/benches/compare/mod.rs"]
mod compare;

use std::{env, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use compare::{Client, Comparison, Operation, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use jwt_knox::{SessionRecord, async_trait};
use jwt_knox_redis::RedisStore;
use redis::{aio::MultiplexedConnection, cmd, pipe};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Bare commands, on the keys that the store uses: a hash for each subject, with a field for each session.
struct Bare {
    connection: MultiplexedConnection,
    prefix: String,
}

/// A session as the store writes it.
fn value(session: &SessionRecord) -> String {
    let [created_at, expires_at] =
        [Some(session.created_at), session.expires_at].map(|time| time.unwrap().as_microsecond());
    let (digest, label, claims) = (&session.digest, session.label.as_ref().unwrap(), session.claims.unwrap());
    let rest = format!(r#"{{"abs":{expires_at},"claims":"{claims}"}}"#);
    format!("1\n{expires_at}\n\n{created_at}\n{digest}\n\n\n{label}\n{rest}")
}

#[async_trait]
impl Client<SessionRecord> for Bare {
    async fn run(&self, operation: Operation, session: &SessionRecord) {
        let subject = Base64UrlUnpadded::encode_string(session.subject.as_str().as_bytes());
        let (key, id) = (format!("{}:{{{subject}}}", self.prefix), session.id.as_str());
        let mut connection = self.connection.clone();
        match operation {
            Operation::Find => {
                let found: Option<String> = cmd("HGET").arg(key).arg(id).query_async(&mut connection).await.unwrap();
                assert!(found.is_some());
            }
            Operation::Insert => {
                let expires_at = session.expires_at.unwrap().as_millisecond();
                let mut commands = pipe();
                commands.atomic().hset(&key, id, value(session)).pexpire_at(&key, expires_at);
                commands.exec_async(&mut connection).await.unwrap();
            }
            Operation::Remove => {
                let removed: u64 = cmd("HDEL").arg(key).arg(id).query_async(&mut connection).await.unwrap();
                assert_eq!(removed, 1);
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
