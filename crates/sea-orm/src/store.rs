//! The store.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use jwt_knox::{
    InsertOutcome, StoreError, Subject, TokenId, TokenKey, TokenLimit, TokenRecord, TokenStore, WhenFull, async_trait,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IsolationLevel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set, TransactionTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, Order, Query},
};

use crate::{
    convert::{date, record, row, store_error},
    entity::{ActiveModel, Column, Entity, subject_lock},
    retry,
};

/// Keeps logins in a database that SeaORM talks to: SQLite, PostgreSQL, MySQL or MariaDB.
///
/// The application owns the connection and its settings. Give it a timeout (`acquire_timeout` and the driver's own), so that a
/// database that hangs becomes an error. Cheap to clone.
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
}

impl SeaOrmStore {
    /// A store on `connection`, in which the tables have been made by [`Migrator`](crate::Migrator) or by the
    /// application's own migrator.
    #[must_use]
    pub fn new(connection: DatabaseConnection) -> Self {
        Self { connection }
    }

    /// Begins a transaction in which each statement sees what was committed before it.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        match self.connection.get_database_backend() {
            // SQLite has one writer at a time, and no weaker level.
            DatabaseBackend::Sqlite => self.connection.begin().await,
            _ => self.connection.begin_with_config(Some(IsolationLevel::ReadCommitted), None).await,
        }
    }

    async fn insert_within(
        &self,
        row: ActiveModel,
        subject: &str,
        limit: TokenLimit,
        now: DateTime<Utc>,
    ) -> Result<InsertOutcome, DbErr> {
        let transaction = self.begin().await?;
        lock_subject(&transaction, subject).await?;
        let live = Entity::find().filter(Column::Subject.eq(subject)).filter(is_live(now));
        let excess = (live.clone().count(&transaction).await? + 1).saturating_sub(u64::from(limit.max()));
        match limit.when_full() {
            WhenFull::Deny if excess > 0 => {
                transaction.rollback().await?;
                return Ok(InsertOutcome::LimitReached);
            }
            WhenFull::Deny => {}
            WhenFull::EvictOldest => {
                let by_age = live.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
                let oldest: Vec<String> =
                    by_age.select_only().column(Column::Id).limit(excess).into_tuple().all(&transaction).await?;
                Entity::delete_many()
                    .filter(Column::Subject.eq(subject))
                    .filter(Column::Id.is_in(oldest))
                    .exec(&transaction)
                    .await?;
            }
            _ => return Err(DbErr::Custom("this store does not know what this limit does when it is full".into())),
        }
        Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(InsertOutcome::Inserted { evicted: excess })
    }

    async fn replace_within(&self, old: &TokenKey, new: ActiveModel) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        // Of two transactions that delete the same row, the second waits for the first and then finds nothing.
        if Entity::delete_by_id(primary_key(old)).exec(&transaction).await?.rows_affected == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        Entity::insert(new).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn remove_matching(&self, condition: Condition) -> Result<u64, StoreError> {
        let result = Entity::delete_many().filter(condition).exec(&self.connection).await.map_err(store_error)?;
        Ok(result.rows_affected)
    }
}

#[async_trait]
impl TokenStore for SeaOrmStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let row = row(&record)?;
        let Some(limit) = limit else {
            Entity::insert(row).exec_without_returning(&self.connection).await.map_err(store_error)?;
            return Ok(InsertOutcome::Inserted { evicted: 0 });
        };
        let now = date(now)?;
        retry::on_conflict(|| self.insert_within(row.clone(), record.subject.as_str(), limit, now))
            .await
            .map_err(store_error)
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let row = Entity::find_by_id(primary_key(key)).one(&self.connection).await.map_err(store_error)?;
        row.map(record).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Subject.eq(subject.as_str()))
            .filter(is_live(date(now)?))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .all(&self.connection)
            .await
            .map_err(store_error)?;
        rows.into_iter().map(record).collect()
    }

    async fn touch(
        &self,
        key: &TokenKey,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let used = date(last_used_at)?;
        let mut update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(used))
            .filter(has_key(key))
            .filter(is_live(used))
            .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(used)));
        if let Some(deadline) = expires_at {
            let deadline = date(deadline)?;
            let later = CaseStatement::new()
                .case(Column::ExpiresAt.lt(deadline), deadline)
                .finally(Expr::col(Column::ExpiresAt));
            update = update.col_expr(Column::ExpiresAt, later.into());
        }
        let result = update.exec(&self.connection).await.map_err(store_error)?;
        Ok(result.rows_affected > 0)
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        let row = row(&new)?;
        retry::on_conflict(|| self.replace_within(old, row.clone())).await.map_err(store_error)
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        Ok(self.remove_matching(has_key(key)).await? > 0)
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        let mut of_subject = Condition::all().add(Column::Subject.eq(subject.as_str()));
        if let Some(spared) = except {
            of_subject = of_subject.add(Column::Id.ne(spared.as_str()));
        }
        let count = self.remove_matching(of_subject.clone().add(is_live(date(now)?))).await?;
        // What has expired by our clock goes as well: another server's clock may be behind. It is not counted.
        self.remove_matching(of_subject).await?;
        Ok(count)
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let has_expired = Column::ExpiresAt.lte(date(now)?);
        let batch = u64::from(batch.get());
        let mut delete = Query::delete();
        delete.from_table(Entity).and_where(has_expired.clone());
        if self.connection.get_database_backend() == DatabaseBackend::MySql {
            // MySQL can bound a deletion, and cannot read the table that it deletes from.
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
        Ok(self.connection.execute(&delete).await.map_err(store_error)?.rows_affected())
    }
}

/// Waits until this transaction is the only one that counts or inserts logins of `subject` under a limit.
///
/// Whether the row is made or only written over, the database locks it until the transaction ends. SQLite locks everything.
async fn lock_subject(transaction: &DatabaseTransaction, subject: &str) -> Result<(), DbErr> {
    let row = subject_lock::ActiveModel { subject: Set(subject.to_owned()) };
    let write_over =
        OnConflict::column(subject_lock::Column::Subject).update_column(subject_lock::Column::Subject).to_owned();
    subject_lock::Entity::insert(row).on_conflict(write_over).exec_without_returning(transaction).await?;
    Ok(())
}

fn primary_key(key: &TokenKey) -> (String, String) {
    (key.subject.as_str().to_owned(), key.id.as_str().to_owned())
}

fn has_key(key: &TokenKey) -> Condition {
    Condition::all().add(Column::Subject.eq(key.subject.as_str())).add(Column::Id.eq(key.id.as_str()))
}

fn is_live(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ExpiresAt.is_null()).add(Column::ExpiresAt.gt(now))
}
