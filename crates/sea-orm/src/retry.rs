//! Running a statement or transaction again that lost against another one.

use std::future::Future;

use jwt_knox::StoreError;
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, RuntimeErr};

use crate::convert::store_error;

/// How often it is tried.
const ATTEMPTS: u32 = 10;

/// Runs a statement or transaction until it ends in anything but a conflict with another one, at most [`ATTEMPTS`]
/// times.
pub(crate) async fn on_conflict<T, F>(
    connection: &DatabaseConnection,
    mut transaction: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, DbErr>>,
{
    for attempt in 1..ATTEMPTS {
        match transaction().await {
            Err(error) if is_conflict(&error) => pause(connection, attempt).await.map_err(store_error)?,
            outcome => return outcome.map_err(store_error),
        }
    }
    transaction().await.map_err(store_error)
}

/// Lets the winner finish, a little longer after each attempt but the first. The database is asked to wait, since this
/// crate knows no runtime, and so no timer.
///
/// After a deadlock, the next attempt waits for the locks of the winner anyway. Where all transactions are
/// serializable, it would run into the same winner again and again.
async fn pause(connection: &DatabaseConnection, attempt: u32) -> Result<(), DbErr> {
    let seconds = f64::from(attempt - 1) / 200.0;
    let wait = match connection.get_database_backend() {
        _ if attempt == 1 => return Ok(()),
        DatabaseBackend::Postgres => format!("SELECT pg_sleep({seconds})"),
        DatabaseBackend::MySql => format!("SELECT SLEEP({seconds})"),
        _ => return Ok(()),
    };
    connection.execute_unprepared(&wait).await.map(drop)
}

/// The SQLSTATEs of PostgreSQL and MySQL for a serialization failure and a deadlock: the transaction was undone, and
/// only because of another one. SQLite has none: its writers take the one lock first, and a writer that does not get it
/// has waited as long as the connection allows.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

fn is_conflict(error: &DbErr) -> bool {
    let (DbErr::Exec(error) | DbErr::Query(error) | DbErr::Conn(error)) = error else { return false };
    let RuntimeErr::SqlxError(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| CONFLICTS.contains(&&*code))
}
