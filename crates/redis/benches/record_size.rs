//! How many bytes a session takes in the memory of the Redis at `REDIS_URL`.
//!
//! Fills it through the store, under a separate prefix, and removes what it has made. `SESSIONS` says how many, 100,000
//! if it is not set.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379/ cargo bench -p jwt-knox-redis --bench record_size
//! ```

#![allow(clippy::print_stdout)]

use std::{env, error::Error};

use jwt_knox::{Knox, NewSession, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use redis::{aio::MultiplexedConnection, cmd};
use uuid::Uuid;

/// What a browser calls itself, as the label of a session.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
/// For how many subjects sessions are made at the same time.
const AT_ONCE: usize = 32;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let count: usize = env::var("SESSIONS").map_or(Ok(100_000), |sessions| sessions.parse())?;
    let Ok(url) = env::var("REDIS_URL") else {
        println!("skipped: REDIS_URL is not set");
        return Ok(());
    };
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let prefix = format!("record-size-{}", Uuid::new_v4().simple());
    let key = SigningKey::hs256("a key of the benchmarks, long enough")?;
    let knox = Knox::builder(key).store(RedisStore::with_prefix(connection.clone(), &prefix)).build()?;

    let before = used_memory(&mut connection).await?;
    let mut subjects = Vec::new();
    for (each, name) in [(1, "one session for each subject"), (5, "five sessions for each subject")] {
        let start = used_memory(&mut connection).await?;
        let new: Vec<Subject> =
            (0..count / each).map(|_| Subject::new(Uuid::new_v4().to_string())).collect::<Result<_, _>>()?;
        on_all(&knox, &new, move |knox, subject| async move {
            for _ in 0..each {
                knox.issue(NewSession::new(subject.clone()).label(USER_AGENT)).await?;
            }
            Ok(())
        })
        .await?;
        let bytes = used_memory(&mut connection).await? - start;
        println!("{:>6.0} bytes for a session, {name}", bytes as f64 / (new.len() * each) as f64);
        subjects.extend(new);
    }
    println!("{} MB in all", (used_memory(&mut connection).await? - before) / 1_000_000);

    on_all(&knox, &subjects, |knox, subject| async move {
        knox.revoke_all(&subject).await?;
        Ok(())
    })
    .await
}

/// Does something for each subject, for some at the same time.
async fn on_all<F>(
    knox: &Knox,
    subjects: &[Subject],
    work: impl Fn(Knox, Subject) -> F + Copy + Send + 'static,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let tasks: Vec<_> = subjects
        .chunks(subjects.len().div_ceil(AT_ONCE).max(1))
        .map(|subjects| {
            let (knox, subjects) = (knox.clone(), subjects.to_vec());
            tokio::spawn(async move {
                for subject in subjects {
                    work(knox.clone(), subject).await?;
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn used_memory(connection: &mut MultiplexedConnection) -> Result<i64, Failure> {
    let info: String = cmd("INFO").arg("memory").query_async(connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.ok_or("no used_memory in INFO memory")?.trim().parse()?)
}
