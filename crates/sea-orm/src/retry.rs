//! Trying a statement or transaction again where the server says that nothing was done.

use std::{future::Future, time::Duration};

use jwt_knox::StoreError;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxError, sqlx::error::DatabaseError};

use crate::convert::store_error;

/// How often it is tried.
const ATTEMPTS: u32 = 10;

/// How often it is tried on a server that is read-only, in case another one has taken its place.
const READ_ONLY_ATTEMPTS: u32 = 3;

/// Runs a statement or transaction until it ends in anything but a conflict with another one, or a connection that is
/// no longer fit, at most [`ATTEMPTS`] times.
pub(crate) async fn until_done<T, F>(
    connection: &DatabaseConnection,
    mut transaction: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, DbErr>>,
{
    let pause = Duration::from_millis(5);
    for attempt in 1..ATTEMPTS {
        let error = match transaction().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match reason(&error) {
            // After a deadlock, the next attempt waits for the locks of the winner anyway. Where all transactions are
            // serializable, it would run into the same winner again and again.
            Some(Reason::Conflict) => tokio::time::sleep(pause * (attempt - 1)).await,
            Some(Reason::ReadOnly) if attempt >= READ_ONLY_ATTEMPTS => return Err(store_error(error)),
            Some(Reason::Stale | Reason::ReadOnly) => {
                // The connection goes back into the pool a moment after the error.
                tokio::time::sleep(pause * attempt).await;
                close_stale(connection).await;
            }
            None => return Err(store_error(error)),
        }
    }
    transaction().await.map_err(store_error)
}

/// Why it may be tried again. The server has done nothing.
enum Reason {
    /// A serialization failure or a deadlock: the transaction was undone, and only because of another one.
    Conflict,
    /// A prepared statement is older than a change of its table. Those of the other connections may be, too.
    Stale,
    /// The server is read-only, as a primary that was demoted. Other connections may go to the new one.
    ReadOnly,
}

/// By the SQLSTATE, and by what else the server says where that is not enough: its message may be in another language,
/// and is the last resort. SQLite has no conflicts: its writers take the one lock first, and a writer that does not get
/// it has waited as long as the connection allows.
fn reason(error: &DbErr) -> Option<Reason> {
    let (DbErr::Exec(error) | DbErr::Query(error) | DbErr::Conn(error)) = error else { return None };
    let RuntimeErr::SqlxError(error) = error else { return None };
    let SqlxError::Database(error) = &**error else { return None };
    let says = |text| error.message().contains(text);
    match (&*error.code()?, number(&**error)) {
        ("40001" | "40P01", _) => Some(Reason::Conflict),
        ("0A000", _) if routine(&**error) == Some("RevalidateCachedQuery") || says("cached plan") => {
            Some(Reason::Stale)
        }
        ("25006", _) | ("HY000", Some(1290 | 1836)) => Some(Reason::ReadOnly),
        ("HY000", Some(1412 | 1615)) => Some(Reason::Stale),
        ("HY000", None) if says("read-only") => Some(Reason::ReadOnly),
        ("HY000", None) if says("re-prepared") || says("retry transaction") => Some(Reason::Stale),
        _ => None,
    }
}

/// The function of PostgreSQL that has reported the error. The driver can be named only if this crate was told to use
/// it.
#[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
fn routine(error: &dyn DatabaseError) -> Option<&str> {
    #[cfg(feature = "postgres")]
    return error.try_downcast_ref::<sea_orm::sqlx::postgres::PgDatabaseError>()?.routine();
    #[cfg(not(feature = "postgres"))]
    None
}

/// MySQL's number of the error, under the same condition.
#[cfg_attr(not(feature = "mysql"), expect(unused_variables))]
fn number(error: &dyn DatabaseError) -> Option<u16> {
    #[cfg(feature = "mysql")]
    return Some(error.try_downcast_ref::<sea_orm::sqlx::mysql::MySqlDatabaseError>()?.number());
    #[cfg(not(feature = "mysql"))]
    None
}

/// How long to wait for a connection of a busy pool to close it.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const BUSY: Duration = Duration::from_secs(1);

/// Closes the connections that nobody uses, so that the next attempt gets a fresh one. In a busy pool that is none:
/// then the next that is given back, or the same stale ones would go from hand to hand.
///
/// The pool of a driver can be named only if this crate was told to use it.
async fn close_stale(connection: &DatabaseConnection) {
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    macro_rules! close {
        ($pool:expr) => {{
            let pool = $pool;
            let (size, mut closed) = (pool.size(), 0);
            while closed < size
                && let Some(idle) = pool.try_acquire()
            {
                // An error says no more than that it was broken already.
                let _ = idle.close().await;
                closed += 1;
            }
            if closed == 0
                && let Ok(Ok(busy)) = tokio::time::timeout(BUSY, pool.acquire()).await
            {
                let _ = busy.close().await;
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
