//! Doing a transaction again when the database asks for it.

use std::future::Future;

use sea_orm::DbErr;

/// How often a transaction is tried.
const ATTEMPTS: u32 = 10;

/// Runs `transaction` until it ends in anything but a conflict with another one, at most [`ATTEMPTS`] times.
///
/// There is no pause: the database has already made the loser wait for the winner.
pub(crate) async fn on_conflict<T, F>(mut transaction: impl FnMut() -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    for _ in 1..ATTEMPTS {
        match transaction().await {
            Err(error) if is_conflict(&error) => {}
            outcome => return outcome,
        }
    }
    transaction().await
}

/// Whether the database has undone a transaction only because of another one: a deadlock or a serialization failure.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn is_conflict(error: &DbErr) -> bool {
    let (DbErr::Exec(error) | DbErr::Query(error) | DbErr::Conn(error)) = error else { return false };
    let sea_orm::RuntimeErr::SqlxError(error) = error else { return false };
    let code = error.as_database_error().and_then(|error| error.code());
    // SQLSTATE 40001 and 40P01, of PostgreSQL and MySQL. SQLite has none: its transactions here begin by taking the lock, and
    // whoever does not get it has waited as long as the connection allows.
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
fn is_conflict(_: &DbErr) -> bool {
    false
}
