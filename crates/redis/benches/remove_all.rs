//! How long it takes to end all sessions of a subject that has very many, in the Redis at `REDIS_URL`, with the default
//! time limit of `Knox`: 5 seconds. As long as it takes, Redis does nothing else.
//!
//! Works under a separate prefix and removes what it has made. `SESSIONS` says how many, 200,000 if it is not set.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379/ cargo bench -p jwt-knox-redis --bench remove_all
//! ```

#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use jwt_knox::{Knox, NewSession, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use redis::AsyncConnectionConfig;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What a browser calls itself, as the label of a session.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
/// How many logins are made at the same time.
const AT_ONCE: usize = 32;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Ok(url) = env::var("REDIS_URL") else {
        println!("skipped: REDIS_URL is not set");
        return Ok(());
    };
    let count: usize = env::var("SESSIONS").map_or(Ok(200_000), |sessions| sessions.parse())?;
    // The default of half a second would be the limit.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    let prefix = format!("remove-all-{}", Uuid::new_v4().simple());
    let key = SigningKey::hs256("a key of the benchmarks, long enough")?;
    let knox = Knox::builder(key).store(RedisStore::with_prefix(connection, prefix)).build()?;
    let subject = Subject::new(Uuid::new_v4().to_string())?;

    fill(&knox, &subject, count).await?;
    let start = Instant::now();
    let listed = knox.sessions(&subject).await?.len();
    println!("the newest {listed} of {count} sessions listed in {:.0} ms", milliseconds(start));
    let start = Instant::now();
    let ended = knox.revoke_all(&subject).await?;
    println!("{ended} sessions ended in {:.0} ms", milliseconds(start));

    fill(&knox, &subject, count).await?;
    let issued = knox.issue(NewSession::new(subject.clone())).await?;
    let spared = knox.authenticate(issued.token.expose()).await?;
    let start = Instant::now();
    let ended = knox.revoke_others(&spared).await?;
    println!("{ended} sessions ended and one spared in {:.0} ms", milliseconds(start));
    knox.revoke_all(&subject).await?;
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

async fn fill(knox: &Knox, subject: &Subject, count: usize) -> Result<(), Failure> {
    let mut logins = JoinSet::new();
    for worker in 0..AT_ONCE {
        let (knox, subject) = (knox.clone(), subject.clone());
        logins.spawn(async move {
            for _ in (worker..count).step_by(AT_ONCE) {
                knox.issue(NewSession::new(subject.clone()).label(USER_AGENT)).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    logins.join_all().await.into_iter().collect()
}
