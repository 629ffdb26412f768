//! A complete [`TokenStore`] on the table of django-rest-knox, so that a Rust service and a Django service share their
//! sessions: what `docs/drf-jwt-knox.md` explains.

use std::{num::NonZeroU32, sync::Arc};

use jiff::{civil::DateTime, tz::TimeZone};
use jwt_knox::{
    HashAlgorithm, InsertOutcome, LimitReached, MAX_LISTED, Rotation, SessionId, SessionLimit, SessionRecord,
    SessionRef, StoreError, Subject, SubjectCheck, SubjectStatus, Timestamp, TokenDigest, TokenStore, async_trait,
};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};

/// Keeps sessions in the table of django-rest-knox in SQLite, and knows Django's users. The subject of a session is a
/// user name.
///
/// The table has columns for a session's user, its digest, when it began and when it expires. So:
///
/// - `expiry` is both `expires_at` and `absolute_expires_at`: use does not move it.
/// - It does not remember that all sessions of a user were revoked, so a login that began before is not rejected; nor
///   which claims a session has, for which the signing key alone vouches.
/// - A session with an idle timeout, a scope or attributes is rejected, since these would be lost.
/// - A label and the last use are left out, since nothing depends on them. A limit by label is rejected, and one by use
///   goes by age. A session cannot be given another label.
#[derive(Debug, Clone)]
pub struct DjangoStore {
    connection: DatabaseConnection,
    hash: HashAlgorithm,
}

/// The primary key of a user.
const USER: &str = "(SELECT id FROM auth_user WHERE username = ?1)";

/// The rows with that session id, which is the beginning of the digest, the primary key. `g` comes after all
/// hexadecimal digits.
const HAS_ID: &str = "digest >= ?2 AND digest < ?2 || 'g'";

impl DjangoStore {
    /// A store on `connection`. The table does not say how its digests were made: `hash` is [`HashAlgorithm::Sha512`]
    /// for Knox 5 and [`HashAlgorithm::Sha512OfHex`] for Knox 4.
    #[must_use]
    pub fn new(connection: DatabaseConnection, hash: HashAlgorithm) -> Self {
        Self { connection, hash }
    }

    /// How [`find`](TokenStore::find) finds a session.
    #[must_use]
    pub fn query(session: &SessionRef) -> Statement {
        // The `+` lets SQLite go by the primary key: it would rather read all sessions of the user.
        let find = format!("SELECT digest, created, expiry FROM knox_authtoken WHERE {HAS_ID} AND +user_id = {USER}");
        statement(&find, primary_key(session))
    }

    /// The row of a record, as far as the table can keep it: user name, digest, beginning and expiry.
    fn row(&self, record: &SessionRecord) -> Result<[Value; 4], StoreError> {
        if record.idle_timeout.is_some() || record.scope.is_some() || !record.attributes.is_empty() {
            return Err(failure("Knox's table has no columns for an idle timeout, a scope or attributes"));
        }
        let digest = self.digest(&record.digest)?;
        let expiry = [record.expires_at, record.absolute_expires_at].into_iter().flatten().min();
        Ok([record.subject.as_str().into(), digest.into(), date(record.created_at).into(), expiry.map(date).into()])
    }

    /// The digest as the table has it, without the name of the hash.
    fn digest(&self, digest: &TokenDigest) -> Result<String, StoreError> {
        let digest = digest.to_string();
        let hexadecimal = digest.strip_prefix(self.hash.as_str()).and_then(|rest| rest.strip_prefix(':'));
        hexadecimal
            .map(str::to_owned)
            .ok_or_else(|| failure(format!("the digests of this table are {}, and not of another hash", self.hash)))
    }

    /// The record of a row with the columns `digest`, `created` and `expiry`.
    fn record(&self, subject: &Subject, row: &QueryResult) -> Result<SessionRecord, StoreError> {
        let (digest, created, expiry): (String, String, Option<String>) =
            row.try_get_many_by_index().map_err(failure)?;
        let digest = format!("{}:{digest}", self.hash.as_str()).parse().map_err(failure)?;
        let mut record = SessionRecord::new(subject.clone(), digest, timestamp(&created)?);
        record.expires_at = expiry.as_deref().map(timestamp).transpose()?;
        record.absolute_expires_at = record.expires_at;
        Ok(record)
    }

    /// Begins a transaction in which nobody else writes. SQLite has one writer at a time: a transaction that is going
    /// to write must say so when it begins, or it may fail in the middle.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.connection.begin_with_options(options).await
    }

    async fn insert_within(
        &self,
        record: &SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        if limit.is_one_per_label() {
            return Err(failure(
                "Knox's table has no column for a label, so there can be no limit of one session per label",
            ));
        }
        let row = self.row(record)?;
        let transaction = self.begin().await.map_err(failure)?;
        let active = self.active_sessions(&transaction, &record.subject, now).await?;
        let evicted = match limit.evictions(record, &active) {
            Ok(evicted) => evicted,
            Err(LimitReached) => {
                transaction.rollback().await.map_err(failure)?;
                return Ok(InsertOutcome::LimitReached);
            }
        };
        insert(&transaction, row).await.map_err(failure)?;
        for id in &evicted {
            remove(&transaction, &SessionRef::new(record.subject.clone(), *id)).await.map_err(failure)?;
        }
        transaction.commit().await.map_err(failure)?;
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn active_sessions(
        &self,
        connection: &impl ConnectionTrait,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let list = format!(
            "SELECT digest, created, expiry FROM knox_authtoken WHERE user_id = {USER} AND {} \
             ORDER BY created DESC, digest DESC",
            is_active("?2")
        );
        let list = statement(&list, [subject.as_str().into(), date(now).into()]);
        let rows = connection.query_all_raw(list).await.map_err(failure)?;
        // One that cannot be read does not block the subject's others.
        let log = |error: &StoreError| {
            tracing::error!(error = error as &dyn std::error::Error, %subject, "a row of knox_authtoken cannot be read");
        };
        Ok(rows.iter().filter_map(|row| self.record(subject, row).inspect_err(log).ok()).collect())
    }
}

#[async_trait]
impl TokenStore for DjangoStore {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let Some(limit) = limit else {
            insert(&self.connection, self.row(&record)?).await.map_err(failure)?;
            return Ok(InsertOutcome::Inserted { evicted: Vec::new() });
        };
        self.insert_within(&record, limit, now).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let row = self.connection.query_one_raw(Self::query(session)).await.map_err(failure)?;
        row.map(|row| self.record(&session.subject, &row).map(Arc::new)).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let mut active = self.active_sessions(&self.connection, subject, now).await?;
        active.truncate(MAX_LISTED);
        Ok(active)
    }

    /// Writes nothing: the table has no column for the last use, and use moves no expiry in it.
    async fn touch(&self, _: &SessionRef, _: Timestamp, _: Option<Timestamp>) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn set_label(&self, _: &SessionRef, _: Option<&str>, _: Timestamp) -> Result<bool, StoreError> {
        Err(failure("Knox's table has no column for a label, so a session cannot be given one"))
    }

    /// The id of a session is the beginning of its digest, so it changes with that: use
    /// [`TokenFormat::without_session_id`](jwt_knox::TokenFormat::without_session_id) with this store.
    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let rotate = format!("UPDATE knox_authtoken SET digest = ?3 WHERE digest = ?2 AND user_id = {USER}");
        let [new, old] = [&rotation.digest, rotation.previous.digest()].map(|digest| self.digest(digest));
        let values = [session.subject.as_str().into(), old?.into(), new?.into()];
        let result = self.connection.execute_raw(statement(&rotate, values)).await.map_err(failure)?;
        Ok(result.rows_affected() > 0)
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        remove(&self.connection, session).await.map_err(failure)
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let remove = format!(
            "DELETE FROM knox_authtoken WHERE user_id = {USER} AND substr(digest, 1, {}) IS NOT ?2 RETURNING {}",
            SessionId::TEXT_BYTES,
            is_active("?3")
        );
        let values = [subject.as_str().into(), except.map(SessionId::as_str).into(), date(now).into()];
        let removed = self.connection.query_all_raw(statement(&remove, values)).await.map_err(failure)?;
        let were_active = removed.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<bool>, _>>();
        Ok(were_active.map_err(failure)?.into_iter().filter(|was_active| *was_active).count() as u64)
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let remove = "DELETE FROM knox_authtoken WHERE digest IN \
                      (SELECT digest FROM knox_authtoken WHERE expiry <= ?1 LIMIT ?2)";
        let remove = statement(remove, [date(now).into(), batch.get().into()]);
        Ok(self.connection.execute_raw(remove).await.map_err(failure)?.rows_affected())
    }
}

#[async_trait]
impl SubjectCheck for DjangoStore {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        let find = statement("SELECT is_active FROM auth_user WHERE username = ?1", [session.subject.as_str().into()]);
        let row = self.connection.query_one_raw(find).await.map_err(failure)?;
        let is_active = row.map(|row| row.try_get_by_index(0)).transpose().map_err(failure)?;
        Ok(match is_active {
            Some(true) => SubjectStatus::Active,
            Some(false) => SubjectStatus::Inactive,
            None => SubjectStatus::Unknown,
        })
    }
}

/// Adds a row. There is no `token_key`: it would be the beginning of the secret, which a store never sees. drf-jwt-knox
/// does not read it, and Knox's own `TokenAuthentication`, which does, rejects the token.
async fn insert(connection: &impl ConnectionTrait, row: [Value; 4]) -> Result<(), DbErr> {
    let insert = format!(
        "INSERT INTO knox_authtoken (digest, created, user_id, expiry, token_key) VALUES (?2, ?3, {USER}, ?4, '')"
    );
    connection.execute_raw(statement(&insert, row)).await.map(drop)
}

async fn remove(connection: &impl ConnectionTrait, session: &SessionRef) -> Result<bool, DbErr> {
    let remove = format!("DELETE FROM knox_authtoken WHERE {HAS_ID} AND +user_id = {USER}");
    Ok(connection.execute_raw(statement(&remove, primary_key(session))).await?.rows_affected() > 0)
}

fn primary_key(session: &SessionRef) -> [Value; 2] {
    [session.subject.as_str().into(), session.id.as_str().into()]
}

fn is_active(now: &str) -> String {
    format!("(expiry IS NULL OR expiry > {now})")
}

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DatabaseBackend::Sqlite, sql, values)
}

/// The time as Django writes it. SQLite compares dates as strings, so no other form will do; and an expiry that Django
/// cannot read is none to it.
fn date(time: Timestamp) -> String {
    let format = if time.as_microsecond() % 1_000_000 == 0 { "%F %T" } else { "%F %T%.6f" };
    time.strftime(format).to_string()
}

fn timestamp(date: &str) -> Result<Timestamp, StoreError> {
    let date = DateTime::strptime("%F %T%.f", date).map_err(failure)?;
    TimeZone::UTC.to_timestamp(date).map_err(failure)
}

fn failure(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(error).in_store("Django")
}
