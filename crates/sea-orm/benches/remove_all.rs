//! How long it takes to end all sessions of a subject that has very many, in the database at `DATABASE_URL`, with the
//! default time limit of `Knox`: 5 seconds.
//!
//! Makes a separate database on that server and drops it again. `SESSIONS` says how many, 200,000 if it is not set. For
//! SQLite, `DATABASE_URL=sqlite:` makes a temporary file.
//!
//! ```sh
//! DATABASE_URL=postgres://postgres@127.0.0.1:5432/test cargo bench -p jwt-knox-sea-orm --bench remove_all
//! ```

#![allow(clippy::print_stdout)]

mod scratch;

use std::{env, error::Error, time::Instant};

use jwt_knox::{Knox, Subject};
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::{Scratch, USER_AGENT, key, new_subject, typical_session};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let Ok(url) = env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return Ok(());
    };
    let count: u64 = env::var("SESSIONS").map_or(Ok(200_000), |sessions| sessions.parse())?;
    let scratch = Scratch::new(&url).await?;
    let connection = scratch.connect(4).await?;
    let knox = Knox::builder(key()).store(SeaOrmStore::new(connection.clone())).build()?;

    let subject = new_subject();
    fill(&connection, &subject, count).await?;
    let start = Instant::now();
    let listed = knox.sessions(&subject).await?.len();
    println!("the newest {listed} of {count} sessions listed in {:.0} ms", milliseconds(start));
    let start = Instant::now();
    let ended = knox.revoke_all(&subject).await?;
    println!("{ended} sessions ended in {:.0} ms", milliseconds(start));

    let subject = new_subject();
    fill(&connection, &subject, count).await?;
    let issued = knox.issue(typical_session(subject)).await?;
    let spared = knox.authenticate(issued.token.expose()).await?;
    let start = Instant::now();
    let ended = knox.revoke_others(&spared).await?;
    println!("{ended} sessions ended and one spared in {:.0} ms", milliseconds(start));

    connection.close().await?;
    scratch.remove().await?;
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

/// Rows as the store writes them.
async fn fill(connection: &DatabaseConnection, subject: &Subject, count: u64) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    for first in (0..count).step_by(1000) {
        let rows: Vec<String> = (first..count.min(first + 1000))
            .map(|number| {
                let (minute, second) = (number / 60 % 60, number % 60);
                format!(
                    "('{subject}', '{number:032x}', 'sha256:{number:032x}{number:032x}', \
                     '2026-01-01 00:{minute:02}:{second:02}', '2099-01-01 00:{minute:02}:{second:02}', '{USER_AGENT}', '{{}}')"
                )
            })
            .collect();
        let insert = format!(
            "INSERT INTO jwt_knox_sessions (subject, id, digest, created_at, expires_at, label, attributes) VALUES {}",
            rows.join(", ")
        );
        transaction.execute_unprepared(&insert).await?;
    }
    transaction.commit().await
}
