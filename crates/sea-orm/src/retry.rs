//! Trying a statement or transaction again where the server says that nothing was done.

use std::{future::Future, time::Duration};

use jwt_knox::StoreError;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxError};

use crate::convert::store_error;

/// How often it is tried.
const ATTEMPTS: u32 = 10;

/// Runs a statement or transaction until it ends in anything but a conflict with another one, or a connection that is no
/// longer fit, at most [`ATTEMPTS`] times.
pub(crate) async fn until_done<T, F>(
    connection: &DatabaseConnection,
    mut transaction: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, DbErr>>,
{
    for attempt in 1..ATTEMPTS {
        match transaction().await {
            Err(error) if is_conflict(&error) => {
                // After a deadlock, the next attempt waits for the locks of the winner anyway. Where all transactions are
                // serializable, it would run into the same winner again and again.
                tokio::time::sleep(Duration::from_millis(5) * (attempt - 1)).await;
            }
            Err(error) if is_unfit(&error) && attempt == 1 => close_idle(connection).await,
            outcome => return outcome.map_err(store_error),
        }
    }
    transaction().await.map_err(store_error)
}

/// The SQLSTATEs of PostgreSQL and MySQL for a serialization failure and a deadlock: the transaction was undone, and
/// only because of another one. SQLite has none: its writers take the one lock first, and a writer that does not get it
/// has waited as long as the connection allows.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

fn is_conflict(error: &DbErr) -> bool {
    code_and_message(error).is_some_and(|(code, _)| CONFLICTS.contains(&&*code))
}

/// Whether the connection is no longer fit, and the server did nothing: a prepared statement is older than a change of
/// the table, or the server has become read-only, as a primary that was demoted.
fn is_unfit(error: &DbErr) -> bool {
    code_and_message(error).is_some_and(|(code, message)| {
        (code == "0A000" && message.contains("cached plan"))
            || code == "25006"
            || (code == "HY000" && message.contains("read-only"))
    })
}

fn code_and_message(error: &DbErr) -> Option<(String, String)> {
    let (DbErr::Exec(error) | DbErr::Query(error) | DbErr::Conn(error)) = error else { return None };
    let RuntimeErr::SqlxError(error) = error else { return None };
    let SqlxError::Database(error) = &**error else { return None };
    Some((error.code()?.into_owned(), error.message().to_owned()))
}

/// Closes the connections that nobody uses, so that the next attempt gets a fresh one.
///
/// The pool of a driver can be named only if this crate was told to use it.
async fn close_idle(connection: &DatabaseConnection) {
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    macro_rules! close {
        ($pool:expr) => {{
            let pool = $pool;
            for _ in 0..pool.size() {
                let Some(idle) = pool.try_acquire() else { break };
                // An error says no more than that it was broken already.
                let _ = idle.close().await;
            }
        }};
    }
    match connection.get_database_backend() {
        #[cfg(feature = "postgres")]
        sea_orm::DatabaseBackend::Postgres => close!(connection.get_postgres_connection_pool()),
        #[cfg(feature = "mysql")]
        sea_orm::DatabaseBackend::MySql => close!(connection.get_mysql_connection_pool()),
        _ => {}
    }
}
