//! The store.

use std::{
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};

use chrono::NaiveDateTime;
use jwt_knox::{
    InsertOutcome, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError, Subject, Timestamp, TokenStore,
    async_trait,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, FromQueryResult, IsolationLevel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, Order, Query},
};

use crate::{
    convert::{date_time, from_row, row},
    entity::{ActiveModel, Column, Entity, Model, subject_lock},
    retry,
};

/// Keeps sessions in a database that SeaORM talks to: SQLite, PostgreSQL, MySQL or MariaDB.
///
/// The application owns the connection and its settings. Set its timeouts as well (`acquire_timeout` and those of the
/// driver): when `Knox` gives up on a call, the driver may still wait for the database. Cheap to clone.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, SigningKey};
/// use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
/// use sea_orm::Database;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Database::connect("sqlite::memory:").await?;
/// Migrator::up(&connection, None).await?;
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(SeaOrmStore::new(connection)).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SeaOrmStore {
    connection: DatabaseConnection,
    /// The SQL of `find`, which is the same each time. Building it takes longer than all else that `find` does here.
    find: Arc<OnceLock<String>>,
}

impl SeaOrmStore {
    /// A store on `connection`, in which [`Migrator`](crate::Migrator) or the application's migrator has made the tables.
    #[must_use]
    pub fn new(connection: DatabaseConnection) -> Self {
        Self { connection, find: Arc::default() }
    }

    /// Begins a transaction during which no other one adds sessions of `subject` under a limit, rotates them or ends
    /// all of them.
    async fn begin(&self, subject: &str) -> Result<DatabaseTransaction, DbErr> {
        let options = match self.connection.get_database_backend() {
            // SQLite has one writer at a time. A transaction that is going to write says so at once, or may have to
            // start again later.
            DatabaseBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            // Each statement sees what was committed before it.
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                ..TransactionOptions::default()
            },
        };
        let transaction = self.connection.begin_with_options(options).await?;
        lock_subject(&transaction, subject).await?;
        Ok(transaction)
    }

    async fn insert_within(
        &self,
        record: &SessionRecord,
        row: ActiveModel,
        limit: SessionLimit,
        now: NaiveDateTime,
    ) -> Result<InsertOutcome, DbErr> {
        let subject = record.subject.as_str();
        let transaction = self.begin(subject).await?;
        // Locked, so that none of them is used or removed between the choice and the deletion.
        let active = Entity::find()
            .filter(Column::Subject.eq(subject))
            .filter(is_active(now))
            .lock_exclusive()
            .all(&transaction)
            .await?;
        let active: Vec<SessionRecord> =
            active.into_iter().map(from_row).collect::<Result<_, _>>().map_err(invalid_row)?;
        let Ok(evicted) = limit.evictions(record, &active) else {
            transaction.rollback().await?;
            return Ok(InsertOutcome::LimitReached);
        };
        Entity::insert(row).exec_without_returning(&transaction).await?;
        let evicted: Vec<&str> = evicted.iter().map(SessionId::as_str).collect();
        remove_ids(&transaction, subject, &evicted).await?;
        transaction.commit().await?;
        Ok(InsertOutcome::Inserted { evicted: evicted.len() as u64 })
    }

    async fn replace_within(&self, old: &SessionRef, new: ActiveModel) -> Result<bool, DbErr> {
        let transaction = self.begin(old.subject.as_str()).await?;
        if Entity::delete_by_id(primary_key(old)).exec(&transaction).await?.rows_affected == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        Entity::insert(new).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn remove_all_within(
        &self,
        subject: &str,
        except: Option<&SessionId>,
        now: NaiveDateTime,
    ) -> Result<u64, DbErr> {
        let transaction = self.begin(subject).await?;
        let mut query = Entity::find().filter(Column::Subject.eq(subject));
        if let Some(spared) = except {
            query = query.filter(Column::Id.ne(spared.as_str()));
        }
        // What is read here is what is removed and counted; a session that begins in the meantime stays whole.
        let found: Vec<(String, Option<NaiveDateTime>)> = query
            .select_only()
            .column(Column::Id)
            .column(Column::ExpiresAt)
            .lock_exclusive()
            .into_tuple()
            .all(&transaction)
            .await?;
        let count = found.iter().filter(|(_, expires_at)| expires_at.is_none_or(|expires_at| now < expires_at)).count();
        let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
        remove_ids(&transaction, subject, &ids).await?;
        transaction.commit().await?;
        Ok(count as u64)
    }
}

#[async_trait]
impl TokenStore for SeaOrmStore {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let row = row(&record)?;
        let Some(limit) = limit else {
            retry::on_conflict(&self.connection, || {
                Entity::insert(row.clone()).exec_without_returning(&self.connection)
            })
            .await?;
            return Ok(InsertOutcome::Inserted { evicted: 0 });
        };
        let now = date_time(now)?;
        retry::on_conflict(&self.connection, || self.insert_within(&record, row.clone(), limit, now)).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
        let backend = self.connection.get_database_backend();
        let sql = self.find.get_or_init(|| Entity::find_by_id(primary_key(session)).build(backend).sql);
        let values = [session.subject.as_str().into(), session.id.as_str().into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let find = || Model::find_by_statement(statement.clone()).one(&self.connection);
        retry::on_conflict(&self.connection, find).await?.map(from_row).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let query = Entity::find()
            .filter(Column::Subject.eq(subject.as_str()))
            .filter(is_active(date_time(now)?))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id);
        let rows = retry::on_conflict(&self.connection, || query.clone().all(&self.connection)).await?;
        rows.into_iter().map(from_row).collect()
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let used = date_time(last_used_at)?;
        let mut update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(used))
            .filter(has_key(session))
            .filter(is_active(used))
            .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(used)));
        if let Some(expires_at) = expires_at {
            let expires_at = date_time(expires_at)?;
            let later = CaseStatement::new()
                .case(Column::ExpiresAt.lt(expires_at), expires_at)
                .finally(Expr::col(Column::ExpiresAt));
            update = update.col_expr(Column::ExpiresAt, later.into());
        }
        let result = retry::on_conflict(&self.connection, || update.clone().exec(&self.connection)).await?;
        Ok(result.rows_affected > 0)
    }

    async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError> {
        let row = row(&new)?;
        retry::on_conflict(&self.connection, || self.replace_within(old, row.clone())).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let result =
            retry::on_conflict(&self.connection, || Entity::delete_by_id(primary_key(session)).exec(&self.connection))
                .await?;
        Ok(result.rows_affected > 0)
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let now = date_time(now)?;
        retry::on_conflict(&self.connection, || self.remove_all_within(subject.as_str(), except, now)).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let has_expired = Column::ExpiresAt.lte(date_time(now)?);
        let batch = u64::from(batch.get());
        let mut delete = Query::delete();
        delete.from_table(Entity).and_where(has_expired.clone());
        if self.connection.get_database_backend() == DatabaseBackend::MySql {
            // MySQL can limit a deletion, and cannot read the table that it deletes from.
            delete.order_by(Column::ExpiresAt, Order::Asc).limit(batch);
        } else {
            let oldest = Query::select()
                .columns([Column::Subject, Column::Id])
                .from(Entity)
                .and_where(has_expired)
                .order_by(Column::ExpiresAt, Order::Asc)
                .limit(batch)
                .to_owned();
            let key = Expr::tuple([Expr::col(Column::Subject), Expr::col(Column::Id)]);
            delete.and_where(key.in_subquery(oldest));
        }
        let result = retry::on_conflict(&self.connection, || self.connection.execute(&delete)).await?;
        Ok(result.rows_affected())
    }
}

/// Waits until no other transaction holds the lock of `subject`, and takes it until this one ends.
///
/// Whether the row is inserted or only overwritten, the database locks it. SQLite locks everything.
async fn lock_subject(transaction: &DatabaseTransaction, subject: &str) -> Result<(), DbErr> {
    let row = subject_lock::ActiveModel { subject: Set(subject.to_owned()) };
    let upsert =
        OnConflict::column(subject_lock::Column::Subject).update_column(subject_lock::Column::Subject).to_owned();
    subject_lock::Entity::insert(row).on_conflict(upsert).exec_without_returning(transaction).await?;
    Ok(())
}

/// Removes sessions of `subject`, some hundreds at a time, since a statement may have only so many parameters.
async fn remove_ids(transaction: &DatabaseTransaction, subject: &str, ids: &[&str]) -> Result<(), DbErr> {
    for ids in ids.chunks(500) {
        Entity::delete_many()
            .filter(Column::Subject.eq(subject))
            .filter(Column::Id.is_in(ids.iter().copied()))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// A row that is not a record, as an error of the transaction that has read it.
fn invalid_row(error: StoreError) -> DbErr {
    DbErr::TryIntoErr { from: "jwt_knox_sessions", into: "SessionRecord", source: Arc::new(error) }
}

fn primary_key(session: &SessionRef) -> (String, String) {
    (session.subject.as_str().to_owned(), session.id.as_str().to_owned())
}

fn has_key(session: &SessionRef) -> Condition {
    Condition::all().add(Column::Subject.eq(session.subject.as_str())).add(Column::Id.eq(session.id.as_str()))
}

fn is_active(now: NaiveDateTime) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}
