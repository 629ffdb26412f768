//! Announcing on PostgreSQL that sessions have changed.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, Statement};

/// The channel of PostgreSQL.
pub(crate) const CHANNEL: &str = "jwt_knox";

/// Nothing else can announce.
#[cfg(feature = "postgres")]
pub(crate) fn require_postgres(connection: &sea_orm::DatabaseConnection) -> Result<(), jwt_knox::StoreError> {
    match connection.get_database_backend() {
        DatabaseBackend::Postgres => Ok(()),
        other => {
            Err(crate::convert::store_error(format!("only PostgreSQL can announce changes, and this is {other:?}")))
        }
    }
}

/// Announces that sessions of `subject` have changed, once the transaction is committed.
pub(crate) async fn announce(connection: &impl ConnectionTrait, subject: &str) -> Result<(), DbErr> {
    let values = [CHANNEL.into(), subject.into()];
    let notify = Statement::from_sql_and_values(DatabaseBackend::Postgres, "SELECT pg_notify($1, $2)", values);
    connection.execute_raw(notify).await.map(drop)
}

/// The statement, which changes sessions, and with it the announcement of each. It gives a row for each session that it
/// has changed.
pub(crate) fn announcing(statement: Statement) -> Statement {
    let changes = statement.sql;
    let sql =
        format!("WITH changed AS ({changes} RETURNING subject) SELECT pg_notify('{CHANNEL}', subject) FROM changed");
    Statement { sql, ..statement }
}
