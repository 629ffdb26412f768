//! The store.

use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};

use chrono::NaiveDateTime;
use jwt_knox::{
    InsertOutcome, MAX_LISTED, Rotation, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError, Subject,
    Timestamp, TokenStore, async_trait,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IsolationLevel, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Set,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, UpdateMany,
    sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, Order, Query},
};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, oneshot},
};

#[cfg(feature = "postgres")]
use crate::announce::require_postgres;
use crate::{
    announce::{announce, announcing},
    convert::{date_time, record, revoked_at, row, store_error},
    entity::{ActiveModel, Column, Entity, subject_lock},
    galera, retry,
    turns::{Lane, Turns},
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
#[derive(Clone)]
pub struct SeaOrmStore {
    connection: DatabaseConnection,
    announces: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The SQL of `find`, which is the same each time. Putting it together takes longer than all else that `find` does
    /// here.
    find: OnceLock<String>,
    /// A write on a subject waits for its turn before it takes a connection. So many calls for one subject, which wait
    /// for each other in the database anyway, do not hold the whole pool.
    turns: Turns,
    /// Whether the database is a Galera cluster.
    galera: OnceCell<bool>,
}

impl SeaOrmStore {
    /// A store on `connection`, in which the tables have been made by [`Migrator`](crate::Migrator) or by the
    /// application's own migrator.
    #[must_use]
    pub fn new(connection: DatabaseConnection) -> Self {
        Self { connection, announces: false, shared: Arc::default() }
    }

    /// Announces what ends sessions and what gives them new tokens, in the same transaction, so that other servers with
    /// a [`PostgresFeed`](crate::PostgresFeed) see it within milliseconds. Default: nothing is announced. All servers
    /// and tools on the database should be set the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database is not PostgreSQL.
    #[cfg(feature = "postgres")]
    pub fn announcing(self) -> Result<Self, StoreError> {
        require_postgres(&self.connection)?;
        Ok(Self { announces: true, ..self })
    }

    /// Announces that something has changed about a subject that other servers may remember, as when a user was
    /// disabled: they ask the [`SubjectCheck`](jwt_knox::SubjectCheck) again. In a transaction of the application's
    /// own, execute `SELECT pg_notify('jwt_knox', …)` with the subject instead.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be told, or is not PostgreSQL.
    #[cfg(feature = "postgres")]
    pub async fn announce(&self, subject: &Subject) -> Result<(), StoreError> {
        require_postgres(&self.connection)?;
        announce(&self.connection, subject.as_str()).await.map_err(store_error)
    }

    /// Runs `work` to its end in a task, whether or not the caller waits for it.
    ///
    /// A call that is dropped half way can leave a connection inside a transaction, and the pool would hand it on: what
    /// is written then on it is answered and never committed.
    async fn in_task<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let runtime = Handle::try_current().map_err(store_error)?;
        runtime.spawn(work(self.clone())).await.map_err(store_error)?
    }

    /// Writes in its turn, in a task, until it is done.
    async fn write<T, F>(
        &self,
        lane: Lane,
        effort: Effort,
        statements: impl Fn(Self, Wanted) -> F + Send + Sync + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let (sender, _caller) = oneshot::channel();
        let wanted = Wanted { effort, caller: Arc::new(sender) };
        self.in_task(async move |store: Self| {
            let turn = store.shared.turns.wait(&lane).await?;
            let attempt = || {
                let (is_wanted, work) = (wanted.check(), statements(store.clone(), wanted.clone()));
                async move {
                    is_wanted?;
                    work.await
                }
            };
            turn.take(retry::until_done(&store.connection, attempt)).await
        })
        .await
    }

    /// Updates the session, and moves its expiry to `expires_at` if that is later. Whether there was one to update.
    async fn update(
        &self,
        session: &SessionRef,
        update: UpdateMany<Entity>,
        expires_at: Option<Timestamp>,
        announces: bool,
    ) -> Result<bool, StoreError> {
        let mut update = update.filter(has_key(session));
        if let Some(expiry) = expires_at {
            update = update.col_expr(Column::ExpiresAt, later_of(Column::ExpiresAt, date_time(expiry)?));
        }
        let update = update.build(self.connection.get_database_backend());
        self.change(session, update, announces, Effort::WhileWanted).await
    }

    /// Runs a statement that changes the session or removes it. Whether there was one.
    async fn change(
        &self,
        session: &SessionRef,
        statement: Statement,
        announces: bool,
        effort: Effort,
    ) -> Result<bool, StoreError> {
        let is_announced = announces && self.announces;
        let statement = if is_announced { announcing(statement) } else { statement };
        let subject = session.subject.clone();
        let lane = match effort {
            Effort::WhileWanted => Lane::Changes(subject),
            Effort::ToTheEnd => Lane::Endings(subject),
        };
        let changed = self.write(lane, effort, move |store, _| {
            let statement = statement.clone();
            async move {
                Ok::<_, DbErr>(if is_announced {
                    !store.connection.query_all_raw(statement).await?.is_empty()
                } else {
                    store.connection.execute_raw(statement).await?.rows_affected() > 0
                })
            }
        });
        changed.await
    }

    /// Announces a change of `subject` in a transaction, if this store does that.
    async fn announce_within(&self, transaction: &DatabaseTransaction, subject: &str) -> Result<(), DbErr> {
        if self.announces { announce(transaction, subject).await } else { Ok(()) }
    }

    /// Begins a transaction in which nobody else adds sessions of `subject` or revokes all of them. Gives the time at
    /// which all were last revoked, too.
    async fn begin(&self, subject: &str) -> Result<(DatabaseTransaction, Option<NaiveDateTime>), DbErr> {
        let options = match self.connection.get_database_backend() {
            // SQLite has one writer at a time. A transaction that is going to write says so at once, or may be told
            // later to start over.
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
        let locked = transaction.query_one(&subject_lock::Entity::find_by_id(subject).into_query()).await?;
        let revoked_at = locked.as_ref().and_then(revoked_at);
        if galera::is_on(&self.shared.galera, &transaction).await? {
            galera::write_again(&transaction, subject, revoked_at).await?;
        }
        Ok((transaction, revoked_at))
    }

    async fn insert_within(
        self,
        record: Arc<SessionRecord>,
        row: ActiveModel,
        created_at: NaiveDateTime,
        limit: Option<SessionLimit>,
        now: NaiveDateTime,
        wanted: Wanted,
    ) -> Result<InsertOutcome, DbErr> {
        let subject = record.subject.as_str();
        let (transaction, revoked_at) = self.begin(subject).await?;
        // The lock may have taken long to get.
        if let Err(error) = wanted.check() {
            transaction.rollback().await?;
            return Err(error);
        }
        if revoked_at.is_some_and(|revoked_at| created_at < revoked_at) {
            transaction.rollback().await?;
            return Ok(InsertOutcome::Superseded);
        }
        let mut evicted = Vec::new();
        if let Some(limit) = limit {
            // Locked, so that nobody uses or removes one of them between the choice and the deletion.
            let query = Entity::find().filter(Column::Subject.eq(subject)).filter(is_active(now)).lock_exclusive();
            let active = readable(transaction.query_all(&query.into_query()).await?);
            match limit.evictions(&record, &active) {
                Ok(evictions) => evicted = evictions,
                Err(_) => {
                    transaction.rollback().await?;
                    return Ok(InsertOutcome::LimitReached);
                }
            }
        }
        Entity::insert(row).exec_without_returning(&transaction).await?;
        remove_ids(&transaction, subject, &evicted).await?;
        if !evicted.is_empty() {
            self.announce_within(&transaction, subject).await?;
        }
        transaction.commit().await?;
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn remove_all_within(
        self,
        subject: Subject,
        except: Option<SessionId>,
        now: NaiveDateTime,
    ) -> Result<u64, DbErr> {
        let subject = subject.as_str();
        let (transaction, revoked_at) = self.begin(subject).await?;
        subject_lock::Entity::update_many()
            .col_expr(subject_lock::Column::RevokedAt, Expr::value(Ord::max(revoked_at, Some(now))))
            .filter(subject_lock::Column::Subject.eq(subject))
            .exec(&transaction)
            .await?;
        let mut ended = Condition::all().add(Column::Subject.eq(subject));
        if let Some(spared) = except {
            ended = ended.add(Column::Id.ne(spared.as_str()));
        }
        // What is counted is what is removed, whatever others remove at the same time.
        let active = Entity::delete_many().filter(ended.clone()).filter(is_active(now)).exec(&transaction).await?;
        Entity::delete_many().filter(ended).exec(&transaction).await?;
        self.announce_within(&transaction, subject).await?;
        transaction.commit().await?;
        Ok(active.rows_affected)
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
        let (row, created_at, now) = (row(&record)?, date_time(record.created_at)?, date_time(now)?);
        let (lane, record) = (Lane::Sessions(record.subject.clone()), Arc::new(record));
        let insert = move |store: Self, wanted| {
            store.insert_within(Arc::clone(&record), row.clone(), created_at, limit, now, wanted)
        };
        self.write(lane, Effort::WhileWanted, insert).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let backend = self.connection.get_database_backend();
        let sql = self.shared.find.get_or_init(|| {
            let mut find = Entity::find_by_id(primary_key(session));
            if backend == DatabaseBackend::MySql {
                // Without strict mode, a time that is none becomes zero. The driver reads that as null, which is no
                // expiry.
                find = find.filter(Expr::cust("(expires_at IS NULL OR expires_at <> 0)"));
                find = find.filter(Expr::cust("(absolute_expires_at IS NULL OR absolute_expires_at <> 0)"));
            }
            find.build(backend).sql
        });
        let values = [session.subject.as_str().into(), session.id.as_str().into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let find = || self.connection.query_one_raw(statement.clone());
        retry::until_done(&self.connection, find).await?.as_ref().map(|row| record(row).map(Arc::new)).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let query = Entity::find()
            .filter(Column::Subject.eq(subject.as_str()))
            .filter(is_active(date_time(now)?))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(MAX_LISTED as u64)
            .into_query();
        Ok(readable(retry::until_done(&self.connection, || self.connection.query_all(&query)).await?))
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let used = date_time(last_used_at)?;
        let update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(used))
            .filter(is_active(used))
            .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(used)));
        self.update(session, update, expires_at, false).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::Label, Expr::value(label.map(str::to_owned)))
            .filter(is_active(date_time(now)?));
        self.update(session, update, None, false).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let used = date_time(rotation.last_used_at)?;
        let last_used_at = CaseStatement::new()
            .case(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(used)), used)
            .finally(Expr::col(Column::LastUsedAt));
        let update = Entity::update_many()
            .col_expr(Column::Digest, Expr::value(rotation.digest.to_string()))
            .col_expr(Column::Previous, Expr::value(rotation.previous.to_string()))
            .col_expr(Column::LastUsedAt, last_used_at.into())
            .filter(Column::Digest.eq(rotation.previous.digest().to_string()));
        self.update(session, update, rotation.expires_at, true).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let delete = Entity::delete_by_id(primary_key(session)).build(self.connection.get_database_backend());
        self.change(session, delete, true, Effort::ToTheEnd).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (owned, except, now) = (subject.clone(), except.copied(), date_time(now)?);
        let remove = move |store: Self, _| store.remove_all_within(owned.clone(), except, now);
        self.write(Lane::Sessions(subject.clone()), Effort::ToTheEnd, remove).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let has_expired = Column::ExpiresAt.lte(date_time(now)?);
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
        let delete =
            async move |store: Self| retry::until_done(&store.connection, || store.connection.execute(&delete)).await;
        Ok(self.in_task(delete).await?.rows_affected())
    }
}

/// How long a write that waits for others is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// As long as its caller waits for it. A login that was given up must not evict anybody later, and a rotation that
    /// comes after its grace would look like a theft.
    WhileWanted,
    /// Also without the caller, as the end of a session.
    ToTheEnd,
}

/// Whether a write is to be begun or committed.
#[derive(Clone)]
struct Wanted {
    effort: Effort,
    /// Closed when the caller has gone away.
    caller: Arc<oneshot::Sender<()>>,
}

impl Wanted {
    fn check(&self) -> Result<(), DbErr> {
        let is_wanted = self.effort == Effort::ToTheEnd || !self.caller.is_closed();
        if is_wanted { Ok(()) } else { Err(DbErr::Custom("nobody waits for it any more".to_owned())) }
    }
}

impl fmt::Debug for SeaOrmStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeaOrmStore").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// Waits until no other transaction holds the lock of `subject`, and takes it until this one ends.
///
/// Whether the row is inserted or only overwritten, the database locks it. SQLite locks everything.
async fn lock_subject(transaction: &DatabaseTransaction, subject: &str) -> Result<(), DbErr> {
    let row = subject_lock::ActiveModel { subject: Set(subject.to_owned()), ..Default::default() };
    let upsert =
        OnConflict::column(subject_lock::Column::Subject).update_column(subject_lock::Column::Subject).to_owned();
    subject_lock::Entity::insert(row).on_conflict(upsert).exec_without_returning(transaction).await?;
    Ok(())
}

/// Removes sessions of `subject`, some hundreds at a time, since a statement has room for so many parameters only.
async fn remove_ids(transaction: &DatabaseTransaction, subject: &str, ids: &[SessionId]) -> Result<(), DbErr> {
    for ids in ids.chunks(500) {
        Entity::delete_many()
            .filter(Column::Subject.eq(subject))
            .filter(Column::Id.is_in(ids.iter().map(SessionId::as_str)))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// The records of rows. A row that cannot be read is left out, so that it does not block the subject's other sessions.
fn readable(rows: Vec<QueryResult>) -> Vec<SessionRecord> {
    let log = |row: &QueryResult, error: &StoreError| {
        let text = |column: &str| row.try_get::<String>("", column).unwrap_or_default();
        tracing::error!(
            error = error as &dyn std::error::Error,
            subject = text("subject"),
            session_id = text("id"),
            "a row of jwt_knox_sessions cannot be read and is left out"
        );
    };
    rows.iter().filter_map(|row| record(row).inspect_err(|error| log(row, error)).ok()).collect()
}

/// `time`, or what the column holds if that is later or there is nothing.
fn later_of(column: Column, time: NaiveDateTime) -> Expr {
    CaseStatement::new().case(column.lt(time), time).finally(Expr::col(column)).into()
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
