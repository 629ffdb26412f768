//! Locks that hold between the nodes of a Galera cluster.
//!
//! The nodes do not see each other's row locks. They compare the rows that transactions have changed when these commit,
//! and of two that changed the same row the later one has to start over. Overwriting a row with what it holds changes
//! nothing.

use chrono::NaiveDateTime;
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, EntityTrait, Statement};
use tokio::sync::OnceCell;

use crate::entity::subject_lock;

/// Whether the server is a node of a cluster. Asked once.
pub(crate) async fn is_on(known: &OnceCell<bool>, transaction: &DatabaseTransaction) -> Result<bool, DbErr> {
    if transaction.get_database_backend() != DatabaseBackend::MySql {
        return Ok(false);
    }
    let ask = async || {
        let question = Statement::from_string(DatabaseBackend::MySql, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'");
        // MySQL has no such variable.
        let Some(answer) = transaction.query_one_raw(question).await? else { return Ok(false) };
        Ok(answer.try_get_by_index::<String>(1)? == "ON")
    };
    known.get_or_try_init(ask).await.copied()
}

/// Writes the row of a subject, which the transaction has locked, so that it counts as changed.
pub(crate) async fn write_again(
    transaction: &DatabaseTransaction,
    subject: &str,
    revoked_at: Option<NaiveDateTime>,
) -> Result<(), DbErr> {
    subject_lock::Entity::delete_by_id(subject).exec(transaction).await?;
    let row = subject_lock::ActiveModel { subject: Set(subject.to_owned()), revoked_at: Set(revoked_at) };
    subject_lock::Entity::insert(row).exec_without_returning(transaction).await?;
    Ok(())
}
