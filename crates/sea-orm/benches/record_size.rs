//! How many bytes a session takes, with its indexes, in the database at `DATABASE_URL`.
//!
//! Makes a separate database on that server, fills it through the store and drops it again. `SESSIONS` says how many,
//! 100,000 if it is not set. For SQLite, `DATABASE_URL=sqlite:` makes a temporary file.
//!
//! ```sh
//! DATABASE_URL=postgres://postgres@127.0.0.1:5432/test cargo bench -p jwt-knox-sea-orm --bench record_size
//! ```

#![allow(clippy::print_stdout)]

mod scratch;

use std::{env, error::Error, time::Duration};

use jwt_knox::{Knox, ManualClock, SessionLimit, Timestamp};
use jwt_knox_sea_orm::SeaOrmStore;
use scratch::{Scratch, key, new_subject, typical_session};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, Statement};

/// How many logins are made at the same time.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let Ok(url) = env::var("DATABASE_URL") else {
        println!("skipped: DATABASE_URL is not set");
        return Ok(());
    };
    let count: usize = env::var("SESSIONS").map_or(Ok(100_000), |sessions| sessions.parse())?;
    let scratch = Scratch::new(&url).await?;
    let connection = scratch.connect(AT_ONCE as u32).await?;
    let before = sizes(&connection).await?;

    // One session for each subject. Under a limit, so that the subject has its row too.
    let store = SeaOrmStore::new(connection.clone());
    let clock = ManualClock::new(Timestamp::now());
    let knox = Knox::builder(key()).limit(SessionLimit::evict_oldest(5)?).clock(clock.clone()).store(store).build()?;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (knox, clock) = (knox.clone(), clock.clone());
            tokio::spawn(async move {
                for _ in 0..count / AT_ONCE {
                    // Sessions in a row have different expiries, as they do in production.
                    clock.advance(Duration::from_secs(1));
                    knox.issue(typical_session(new_subject())).await?;
                }
                Ok::<(), jwt_knox::IssueError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }

    let made = (count / AT_ONCE * AT_ONCE) as f64;
    println!("{made} sessions of as many subjects");
    for ((name, after), (_, before)) in sizes(&connection).await?.into_iter().zip(before) {
        println!("{:>6.0} bytes each: {name}", (after - before) as f64 / made);
    }
    connection.close().await?;
    scratch.remove().await?;
    Ok(())
}

/// What the database says it takes on the disk.
async fn sizes(connection: &DatabaseConnection) -> Result<Vec<(&'static str, i64)>, DbErr> {
    let queries = match connection.get_database_backend() {
        DatabaseBackend::Postgres => vec![
            ("jwt_knox_sessions, rows", "SELECT pg_table_size('jwt_knox_sessions')"),
            ("jwt_knox_sessions, primary key", "SELECT pg_relation_size('jwt_knox_sessions_pkey')"),
            ("jwt_knox_sessions, index on the expiry", "SELECT pg_relation_size('jwt_knox_sessions_expires_at')"),
            ("jwt_knox_subjects, whole", "SELECT pg_total_relation_size('jwt_knox_subjects')"),
        ],
        DatabaseBackend::MySql => {
            connection.execute_unprepared("ANALYZE TABLE jwt_knox_sessions, jwt_knox_subjects").await?;
            vec![
                (
                    "jwt_knox_sessions, rows, in the primary key",
                    "SELECT CAST(data_length AS SIGNED) FROM information_schema.tables
                     WHERE table_schema = DATABASE() AND table_name = 'jwt_knox_sessions'",
                ),
                (
                    "jwt_knox_sessions, index on the expiry",
                    "SELECT CAST(index_length AS SIGNED) FROM information_schema.tables
                     WHERE table_schema = DATABASE() AND table_name = 'jwt_knox_sessions'",
                ),
                (
                    "jwt_knox_subjects, whole",
                    "SELECT CAST(data_length + index_length AS SIGNED) FROM information_schema.tables
                     WHERE table_schema = DATABASE() AND table_name = 'jwt_knox_subjects'",
                ),
            ]
        }
        _ => {
            vec![("the whole file", "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")]
        }
    };
    let mut sizes = Vec::new();
    for (name, query) in queries {
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let row = connection.query_one_raw(statement).await?.ok_or(DbErr::RecordNotFound(name.to_owned()))?;
        sizes.push((name, row.try_get_by_index(0)?));
    }
    Ok(sizes)
}
