//! How long logins and authentications take while a million expired sessions are purged, next to a million active ones,
//! in the PostgreSQL at `DATABASE_URL`.
//!
//! Makes a separate database on that server and drops it again. `ROWS` says how many of each kind, a million if it is
//! not set; `SECONDS` how long to measure before the purge, 30 if it is not set.
//!
//! ```sh
//! DATABASE_URL=postgres://postgres@127.0.0.1:5432/test cargo bench -p jwt-knox-sea-orm --bench purge_under_load
//! ```

#![allow(clippy::print_stdout)]

mod scratch;

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use jwt_knox::{Knox, SessionLimit, Subject};
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::{Scratch, USER_AGENT, key, new_subject, typical_session};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, Statement};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

const CONNECTIONS: u32 = 10;
/// How many clients there are. Each sends its next request as soon as the last one is answered.
const AUTHENTICATING: usize = 4;
const LOGGING_IN: usize = 2;
/// How many of the active sessions the clients have the tokens of.
const TOKENS: usize = 2_000;

/// The parts of the run.
const BEFORE: u8 = 0;
const DURING: u8 = 1;
const DONE: u8 = 2;

/// What one client has seen: in which part a request began, and how long it took.
type Times = Vec<(u8, Duration)>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Ok(url) = env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return Ok(());
    };
    let rows: i64 = env::var("ROWS").map_or(Ok(1_000_000), |rows| rows.parse())?;
    let seconds: u64 = env::var("SECONDS").map_or(Ok(30), |seconds| seconds.parse())?;
    let scratch = Scratch::new(&url).await?;
    let connection = scratch.connect(CONNECTIONS).await?;
    if connection.get_database_backend() != DatabaseBackend::Postgres {
        return Err("this measures PostgreSQL".into());
    }
    fill(&connection, rows).await?;
    let store = SeaOrmStore::new(connection.clone());
    let knox = Knox::builder(key()).limit(SessionLimit::evict_oldest(5)?).store(store).build()?;
    let (subjects, tokens) = log_in(&knox).await?;
    println!("{rows} expired and {rows} active sessions; {AUTHENTICATING} clients authenticate, {LOGGING_IN} log in");

    let part = Arc::new(AtomicU8::new(BEFORE));
    let mut authenticating = JoinSet::new();
    for client in 0..AUTHENTICATING {
        let (knox, tokens) = (knox.clone(), Arc::clone(&tokens));
        authenticating.spawn(repeat(Arc::clone(&part), async move |number| {
            knox.authenticate(&tokens[(client * 499 + number * 7) % tokens.len()]).await?;
            Ok(())
        }));
    }
    let mut logging_in = JoinSet::new();
    for client in 0..LOGGING_IN {
        let (knox, subjects) = (knox.clone(), Arc::clone(&subjects));
        logging_in.spawn(repeat(Arc::clone(&part), async move |number| {
            let subject = subjects[(client * 499 + number * 7) % subjects.len()].clone();
            knox.issue(typical_session(subject)).await?;
            Ok(())
        }));
    }

    tokio::time::sleep(Duration::from_secs(seconds)).await;
    part.store(DURING, Ordering::SeqCst);
    let start = Instant::now();
    let purged = knox.purge_expired().await?;
    let took = start.elapsed();
    part.store(DONE, Ordering::SeqCst);
    println!("purged {purged} in {:.0} s", took.as_secs_f64());

    // A request that fails ends the program here, with its error.
    let authentications = authenticating.join_all().await.into_iter().collect::<Result<Vec<Times>, _>>()?.concat();
    let logins = logging_in.join_all().await.into_iter().collect::<Result<Vec<Times>, _>>()?.concat();
    println!("no request has failed");
    report("authentications", &authentications, seconds as f64, took.as_secs_f64());
    report("logins", &logins, seconds as f64, took.as_secs_f64());

    let expired = count(&connection, "expires_at <= now() AT TIME ZONE 'UTC'").await?;
    let active = count(&connection, "scope = 'made by fill'").await?;
    println!("{expired} expired and {active} of the active sessions are left");
    connection.close().await?;
    scratch.remove().await?;
    Ok(())
}

/// Rows as the store writes them, expired and active ones mixed.
async fn fill(connection: &DatabaseConnection, rows: i64) -> Result<(), DbErr> {
    let insert = format!(
        "INSERT INTO jwt_knox_sessions (subject, id, digest, created_at, expires_at, absolute_expires_at, scope, label,
                                        attributes)
         SELECT gen_random_uuid(), md5(n::text), 'sha256:' || md5(n::text) || md5(n::text), created, expires, expires,
                CASE WHEN n % 2 = 0 THEN 'made by fill' END, '{USER_AGENT}', '{{}}'
         FROM generate_series(1, 2 * {rows}) AS n,
              LATERAL (SELECT now() AT TIME ZONE 'UTC' - random() * interval '9 hours'
                              - (n % 2) * interval '1 day' AS created) AS c,
              LATERAL (SELECT date_trunc('second', created + interval '10 hours') AS expires) AS e"
    );
    connection.execute_unprepared(&insert).await?;
    connection.execute_unprepared("VACUUM ANALYZE jwt_knox_sessions").await?;
    Ok(())
}

/// Subjects, and a token of each.
async fn log_in(knox: &Knox) -> Result<(Arc<Vec<Subject>>, Arc<Vec<String>>), Failure> {
    let (mut subjects, mut tokens) = (Vec::new(), Vec::new());
    for _ in 0..TOKENS {
        // The subjects that log in again and again are different ones, or their logins would end the sessions that are
        // authenticated.
        subjects.push(new_subject());
        tokens.push(knox.issue(typical_session(new_subject())).await?.token.expose().to_owned());
    }
    Ok((Arc::new(subjects), Arc::new(tokens)))
}

/// Sends one request after the other until the run is done.
async fn repeat(
    part: Arc<AtomicU8>,
    mut request: impl AsyncFnMut(usize) -> Result<(), Failure>,
) -> Result<Times, Failure> {
    let mut times = Times::new();
    for number in 0.. {
        let now = part.load(Ordering::SeqCst);
        if now == DONE {
            break;
        }
        let start = Instant::now();
        request(number).await?;
        times.push((now, start.elapsed()));
    }
    Ok(times)
}

fn report(what: &str, times: &Times, before: f64, during: f64) {
    for (part, name, seconds) in [(BEFORE, "before", before), (DURING, "during", during)] {
        let mut times: Vec<Duration> = times.iter().filter(|(of, _)| *of == part).map(|(_, time)| *time).collect();
        times.sort();
        let Some(last) = times.len().checked_sub(1) else { continue };
        let at = |share: f64| times[(last as f64 * share) as usize].as_secs_f64() * 1000.0;
        println!(
            "{what} {name}: {} ({:.0}/s), median {:.1} ms, 99th percentile {:.1} ms, longest {:.1} ms",
            times.len(),
            times.len() as f64 / seconds,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

async fn count(connection: &DatabaseConnection, condition: &str) -> Result<i64, DbErr> {
    let query = format!("SELECT COUNT(*) FROM jwt_knox_sessions WHERE {condition}");
    let row = connection.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, query)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}
