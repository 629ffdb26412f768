//! A complete token store on PostgreSQL, through plain sqlx.
//!
//! What never changes in a session is kept as JSON; what [`TokenStore::touch`] and [`TokenStore::rotate`] change has
//! columns.

use std::{error::Error, num::NonZeroU32, sync::Arc, time::Duration};

use jwt_knox::{
    InsertOutcome, LimitReached, MAX_LISTED, Rotation, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError,
    Subject, Timestamp, TokenStore, async_trait,
};
use sqlx::{PgExecutor, PgPool, PgTransaction, query, query_as, query_scalar, raw_sql};
use tokio::time::sleep;

/// PostgreSQL compares strings of the collation "C" byte for byte. Timestamps are microseconds since 1970.
const TABLES: &str = r#"
    CREATE TABLE IF NOT EXISTS knox_sessions (
        subject      text COLLATE "C" NOT NULL,
        id           text COLLATE "C" NOT NULL,
        record       text NOT NULL,
        created_at   bigint NOT NULL,
        digest       text NOT NULL,
        previous     text,
        label        text,
        expires_at   bigint,
        last_used_at bigint,
        PRIMARY KEY (subject, id)
    );
    CREATE INDEX IF NOT EXISTS knox_sessions_expires_at ON knox_sessions (expires_at);
    CREATE TABLE IF NOT EXISTS knox_subjects (
        subject    text COLLATE "C" PRIMARY KEY,
        revoked_at bigint
    );
"#;

/// How often an operation is tried that PostgreSQL gives up in favor of another one.
const ATTEMPTS: u32 = 10;

/// Keeps sessions in the tables `knox_sessions` and `knox_subjects`. Cheap to clone.
///
/// Set `acquire_timeout` of the pool and `statement_timeout` of its connections, so that a database that hangs does not
/// pile up operations.
#[derive(Debug, Clone)]
pub struct SqlxStore {
    pool: PgPool,
}

impl SqlxStore {
    /// A store on `pool`. Its tables are made by [`migrate`](Self::migrate).
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the tables unless they are there. Call it when the server starts; several may do so at the same time.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not do it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.run(migrate).await
    }

    /// Runs `operation`, and again if it was given up in favor of another one.
    ///
    /// In a task, since a caller may stop waiting at any time. The operation then still ends, and its connection goes
    /// back into the pool outside of a transaction.
    async fn run<T, F>(&self, operation: impl Fn(PgPool) -> F + Send + 'static) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let pool = self.pool.clone();
        let attempts = async move {
            for attempt in 1..ATTEMPTS {
                match operation(pool.clone()).await {
                    Err(error) if is_conflict(&error) => sleep(Duration::from_millis(5) * (attempt - 1)).await,
                    outcome => return outcome,
                }
            }
            operation(pool).await
        };
        tokio::spawn(attempts).await.map_err(store_error)?.map_err(store_error)
    }
}

#[async_trait]
impl TokenStore for SqlxStore {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.run(move |pool| insert(pool, record.clone(), limit, now)).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let session = session.clone();
        Ok(self.run(move |pool| find(pool, session.clone())).await?.map(Arc::new))
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let subject = subject.clone();
        self.run(move |pool| list(pool, subject.clone(), now)).await
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.run(move |pool| touch(pool, session.clone(), last_used_at, expires_at)).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let (session, label) = (session.clone(), label.map(str::to_owned));
        self.run(move |pool| set_label(pool, session.clone(), label.clone(), now)).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let (session, rotation) = (session.clone(), rotation.clone());
        self.run(move |pool| rotate(pool, session.clone(), rotation.clone())).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let session = session.clone();
        self.run(move |pool| remove(pool, session.clone())).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (subject, except) = (subject.clone(), except.copied());
        self.run(move |pool| remove_all(pool, subject.clone(), except, now)).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.run(move |pool| remove_expired(pool, now, batch)).await
    }
}

async fn migrate(pool: PgPool) -> Result<(), Failure> {
    let mut transaction = pool.begin().await?;
    // `IF NOT EXISTS` alone does not help two that make the same table at the same time. The number is any that nobody
    // else uses.
    query("SELECT pg_advisory_xact_lock(5421337741905)").execute(&mut *transaction).await?;
    raw_sql(TABLES).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

async fn insert(
    pool: PgPool,
    record: SessionRecord,
    limit: Option<SessionLimit>,
    now: Timestamp,
) -> Result<InsertOutcome, Failure> {
    let (mut transaction, revoked_at) = begin(&pool, &record.subject).await?;
    if revoked_at.is_some_and(|revoked_at| record.created_at.as_microsecond() < revoked_at) {
        transaction.rollback().await?;
        return Ok(InsertOutcome::Superseded);
    }
    let mut evicted = Vec::new();
    if let Some(limit) = limit {
        // Locked, so that nobody uses or removes one of them between the choice and the deletion.
        let active = query_as(
            "SELECT record, digest, previous, label, expires_at, last_used_at FROM knox_sessions \
             WHERE subject = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY id FOR UPDATE",
        )
        .bind(record.subject.as_str())
        .bind(now.as_microsecond())
        .fetch_all(&mut *transaction)
        .await?;
        match limit.evictions(&record, &readable(active)) {
            Ok(ids) => evicted = ids,
            Err(LimitReached) => {
                transaction.rollback().await?;
                return Ok(InsertOutcome::LimitReached);
            }
        }
    }
    add(&mut *transaction, &record).await?;
    for id in &evicted {
        take(&mut *transaction, &SessionRef::new(record.subject.clone(), *id)).await?;
    }
    transaction.commit().await?;
    Ok(InsertOutcome::Inserted { evicted })
}

async fn find(pool: PgPool, session: SessionRef) -> Result<Option<SessionRecord>, Failure> {
    let row = query_as(
        "SELECT record, digest, previous, label, expires_at, last_used_at FROM knox_sessions \
         WHERE subject = $1 AND id = $2",
    )
    .bind(session.subject.as_str())
    .bind(session.id.as_str())
    .fetch_optional(&pool)
    .await?;
    row.map(from_row).transpose()
}

async fn list(pool: PgPool, subject: Subject, now: Timestamp) -> Result<Vec<SessionRecord>, Failure> {
    let rows = query_as(
        "SELECT record, digest, previous, label, expires_at, last_used_at FROM knox_sessions \
         WHERE subject = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id DESC LIMIT $3",
    )
    .bind(subject.as_str())
    .bind(now.as_microsecond())
    .bind(MAX_LISTED as i64)
    .fetch_all(&pool)
    .await?;
    Ok(readable(rows))
}

async fn touch(
    pool: PgPool,
    session: SessionRef,
    last_used_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<bool, Failure> {
    let result = query(
        "UPDATE knox_sessions \
         SET last_used_at = $3, expires_at = CASE WHEN expires_at < $4 THEN $4 ELSE expires_at END \
         WHERE subject = $1 AND id = $2 \
         AND (expires_at IS NULL OR expires_at > $3) AND (last_used_at IS NULL OR last_used_at < $3)",
    )
    .bind(session.subject.as_str())
    .bind(session.id.as_str())
    .bind(last_used_at.as_microsecond())
    .bind(expires_at.map(Timestamp::as_microsecond))
    .execute(&pool)
    .await?;
    Ok(result.rows_affected() > 0)
}

async fn set_label(pool: PgPool, session: SessionRef, label: Option<String>, now: Timestamp) -> Result<bool, Failure> {
    let result = query(
        "UPDATE knox_sessions SET label = $3 \
         WHERE subject = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > $4)",
    )
    .bind(session.subject.as_str())
    .bind(session.id.as_str())
    .bind(label)
    .bind(now.as_microsecond())
    .execute(&pool)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// One statement: PostgreSQL looks at the digest again if another call was faster.
async fn rotate(pool: PgPool, session: SessionRef, rotation: Rotation) -> Result<bool, Failure> {
    let result = query(
        "UPDATE knox_sessions SET digest = $4, previous = $5, \
         last_used_at = greatest(last_used_at, $6), expires_at = CASE WHEN expires_at < $7 THEN $7 ELSE expires_at END \
         WHERE subject = $1 AND id = $2 AND digest = $3",
    )
    .bind(session.subject.as_str())
    .bind(session.id.as_str())
    .bind(rotation.previous.digest().to_string())
    .bind(rotation.digest.to_string())
    .bind(rotation.previous.to_string())
    .bind(rotation.last_used_at.as_microsecond())
    .bind(rotation.expires_at.map(Timestamp::as_microsecond))
    .execute(&pool)
    .await?;
    Ok(result.rows_affected() > 0)
}

async fn remove(pool: PgPool, session: SessionRef) -> Result<bool, Failure> {
    take(&pool, &session).await
}

async fn remove_all(pool: PgPool, subject: Subject, except: Option<SessionId>, now: Timestamp) -> Result<u64, Failure> {
    let (mut transaction, _) = begin(&pool, &subject).await?;
    query("UPDATE knox_subjects SET revoked_at = greatest(revoked_at, $2) WHERE subject = $1")
        .bind(subject.as_str())
        .bind(now.as_microsecond())
        .execute(&mut *transaction)
        .await?;
    let were_active: Vec<bool> = query_scalar(
        "DELETE FROM knox_sessions WHERE subject = $1 AND id IS DISTINCT FROM $2 \
         RETURNING expires_at IS NULL OR expires_at > $3",
    )
    .bind(subject.as_str())
    .bind(except.as_ref().map(SessionId::as_str))
    .bind(now.as_microsecond())
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(were_active.into_iter().filter(|was_active| *was_active).count() as u64)
}

async fn remove_expired(pool: PgPool, now: Timestamp, batch: NonZeroU32) -> Result<u64, Failure> {
    // What another purge is about to remove, or a request to prolong, is left alone.
    let result = query(
        "WITH expired AS MATERIALIZED ( \
             SELECT subject, id FROM knox_sessions WHERE expires_at <= $1 \
             ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED \
         ) \
         DELETE FROM knox_sessions AS session USING expired \
         WHERE session.subject = expired.subject AND session.id = expired.id",
    )
    .bind(now.as_microsecond())
    .bind(i64::from(batch.get()))
    .execute(&pool)
    .await?;
    Ok(result.rows_affected())
}

/// Begins a transaction in which nobody else adds sessions of `subject` or revokes them all, and gives the time at
/// which all were last revoked.
async fn begin(pool: &PgPool, subject: &Subject) -> Result<(PgTransaction<'static>, Option<i64>), Failure> {
    // Each statement sees what was committed before it. So those after the lock see what its last holder has done.
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    // Whether the row is made or only written over, PostgreSQL locks it until the transaction ends.
    let lock = "INSERT INTO knox_subjects (subject) VALUES ($1) \
                ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject RETURNING revoked_at";
    let revoked_at = query_scalar(lock).bind(subject.as_str()).fetch_one(&mut *transaction).await?;
    Ok((transaction, revoked_at))
}

/// Adds a session. A key that is taken is an error: the primary key sees to that.
async fn add(executor: impl PgExecutor<'_>, record: &SessionRecord) -> Result<(), Failure> {
    query(
        "INSERT INTO knox_sessions (subject, id, record, created_at, digest, previous, label, expires_at, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(record.subject.as_str())
    .bind(record.id.as_str())
    .bind(record.to_json()?)
    .bind(record.created_at.as_microsecond())
    .bind(record.digest.to_string())
    .bind(record.previous.as_ref().map(ToString::to_string))
    .bind(record.label.as_deref())
    .bind(record.expires_at.map(Timestamp::as_microsecond))
    .bind(record.last_used_at.map(Timestamp::as_microsecond))
    .execute(executor)
    .await?;
    Ok(())
}

/// Removes a session. `true`: it was there.
async fn take(executor: impl PgExecutor<'_>, session: &SessionRef) -> Result<bool, Failure> {
    let result = query("DELETE FROM knox_sessions WHERE subject = $1 AND id = $2")
        .bind(session.subject.as_str())
        .bind(session.id.as_str())
        .execute(executor)
        .await?;
    Ok(result.rows_affected() > 0)
}

/// The columns `record`, `digest`, `previous`, `label`, `expires_at` and `last_used_at`.
type Row = (String, String, Option<String>, Option<String>, Option<i64>, Option<i64>);

/// The records of rows. One that cannot be read must not block the subject's other sessions.
fn readable(rows: Vec<Row>) -> Vec<SessionRecord> {
    let log = |error: &Failure| tracing::error!(error = &**error as &dyn Error, "a session cannot be read");
    rows.into_iter().filter_map(|row| from_row(row).inspect_err(log).ok()).collect()
}

fn from_row((json, digest, previous, label, expires_at, last_used_at): Row) -> Result<SessionRecord, Failure> {
    let mut record = SessionRecord::from_json(&json)?;
    record.digest = digest.parse()?;
    record.previous = previous.as_deref().map(str::parse).transpose()?;
    record.label = label;
    record.expires_at = expires_at.map(Timestamp::from_microsecond).transpose()?;
    record.last_used_at = last_used_at.map(Timestamp::from_microsecond).transpose()?;
    Ok(record)
}

/// Whatever goes wrong in here. It becomes the source of a [`StoreError`].
type Failure = Box<dyn Error + Send + Sync>;

fn store_error(error: impl Into<Failure>) -> StoreError {
    StoreError::new(error).in_store("sqlx")
}

/// Whether PostgreSQL has undone the operation only because of another one: a serialization failure or a deadlock.
fn is_conflict(error: &Failure) -> bool {
    let code = error.downcast_ref().and_then(sqlx::Error::as_database_error).and_then(|error| error.code());
    code.is_some_and(|code| code == "40001" || code == "40P01")
}
