//! A complete [`TokenStore`] on the table of django-rest-knox, so that a Rust service and a Django service share their
//! logins: what `docs/drf-jwt-knox.md` explains.

use std::num::NonZeroU32;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use jwt_knox::{
    HashAlgorithm, InsertOutcome, StoreError, Subject, SubjectCheck, SubjectStatus, TokenId, TokenKey, TokenLimit,
    TokenRecord, TokenStore, async_trait,
};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};

/// Keeps logins in the table of django-rest-knox in SQLite, and knows Django's users. The subject of a token is a user
/// name.
///
/// The table keeps of a login whose it is, its digest, when it began and when it ends. So:
///
/// - `expiry` is both `expires_at` and `deadline`: what ends a login there ends it however much it is used.
/// - A login with an idle timeout, a scope or attributes is refused, since what it was granted would be lost.
/// - A label and the last use are left out, since nothing depends on them: every login has a label by default. A limit
///   that goes by labels is refused, and one that goes by use goes by age.
#[derive(Debug, Clone)]
pub struct DjangoStore {
    connection: DatabaseConnection,
    hash: HashAlgorithm,
}

/// The primary key of a user.
const USER: &str = "(SELECT id FROM auth_user WHERE username = ?1)";

/// The rows with that token id, which is the beginning of the digest, the primary key; `g` comes after all hexadecimal
/// digits.
const HAS_ID: &str = "digest >= ?2 AND digest < ?2 || 'g'";

impl DjangoStore {
    /// A store on `connection`. The table does not say what its digests are of: `hash` is [`HashAlgorithm::Sha512`] for
    /// Knox 5 and [`HashAlgorithm::Sha512OfHex`] for Knox 4.
    pub fn new(connection: DatabaseConnection, hash: HashAlgorithm) -> Self {
        Self { connection, hash }
    }

    /// How [`find`](TokenStore::find) finds a login.
    pub fn query(key: &TokenKey) -> Statement {
        // The `+` lets SQLite go by the primary key: it would rather read all logins of the user.
        let find = format!("SELECT digest, created, expiry FROM knox_authtoken WHERE {HAS_ID} AND +user_id = {USER}");
        statement(&find, primary_key(key))
    }

    /// The row of a record, as far as the table can keep it: user name, digest, beginning and end.
    fn row(&self, record: &TokenRecord) -> Result<[Value; 4], StoreError> {
        if record.idle_timeout.is_some() || record.scope.is_some() || !record.attributes.is_empty() {
            return Err(failure("Knox's table has no columns for an idle timeout, a scope or attributes"));
        }
        let digest = record.digest.to_string();
        let Some(digest) = digest.strip_prefix(self.hash.name()).and_then(|rest| rest.strip_prefix(':')) else {
            return Err(failure(format!(
                "the digests of this table are {}, and not of another hash",
                self.hash.name()
            )));
        };
        let expiry = [record.expires_at, record.deadline].into_iter().flatten().min();
        Ok([record.subject.as_str().into(), digest.into(), date(record.created_at).into(), expiry.map(date).into()])
    }

    /// The record of a row with the columns `digest`, `created` and `expiry`.
    fn record(&self, subject: &Subject, row: &QueryResult) -> Result<TokenRecord, StoreError> {
        let (digest, created, expiry): (String, String, Option<String>) =
            row.try_get_many_by_index().map_err(failure)?;
        let digest = format!("{}:{digest}", self.hash.name()).parse().map_err(failure)?;
        let mut record = TokenRecord::new(subject.clone(), digest, timestamp(&created)?);
        record.expires_at = expiry.as_deref().map(timestamp).transpose()?;
        record.deadline = record.expires_at;
        Ok(record)
    }

    /// Begins a transaction in which nobody else writes. SQLite has one writer at a time: whoever is going to write
    /// says so at once, or may be refused in the middle.
    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.connection.begin_with_options(options).await
    }

    async fn insert_within(
        &self,
        record: &TokenRecord,
        limit: TokenLimit,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        if limit.replaces_same_label() {
            return Err(failure(
                "Knox's table has no column for a label, so no login can replace those with the same one",
            ));
        }
        let row = self.row(record)?;
        let transaction = self.begin().await.map_err(failure)?;
        let live = self.list_within(&transaction, &record.subject, now).await?;
        let Some(victims) = limit.make_room(record, &live) else {
            transaction.rollback().await.map_err(failure)?;
            return Ok(InsertOutcome::LimitReached);
        };
        insert(&transaction, row).await.map_err(failure)?;
        let evicted = victims.len() as u64;
        for id in victims {
            remove(&transaction, &TokenKey { subject: record.subject.clone(), id }).await.map_err(failure)?;
        }
        transaction.commit().await.map_err(failure)?;
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn list_within(
        &self,
        connection: &impl ConnectionTrait,
        subject: &Subject,
        now: Timestamp,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let list = format!(
            "SELECT digest, created, expiry FROM knox_authtoken WHERE user_id = {USER} AND {} \
             ORDER BY created DESC, digest DESC",
            is_live("?2")
        );
        let list = statement(&list, [subject.as_str().into(), date(now).into()]);
        let rows = connection.query_all_raw(list).await.map_err(failure)?;
        rows.iter().map(|row| self.record(subject, row)).collect()
    }

    async fn replace_within(&self, old: &TokenKey, new: [Value; 4]) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        if !remove(&transaction, old).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        insert(&transaction, new).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl TokenStore for DjangoStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let Some(limit) = limit else {
            insert(&self.connection, self.row(&record)?).await.map_err(failure)?;
            return Ok(InsertOutcome::Inserted { evicted: 0 });
        };
        self.insert_within(&record, limit, now).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let row = self.connection.query_one_raw(Self::query(key)).await.map_err(failure)?;
        row.map(|row| self.record(&key.subject, &row)).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        self.list_within(&self.connection, subject, now).await
    }

    /// Writes nothing: the table has no column for the last use, and no login in it has an end that use puts off.
    async fn touch(&self, _: &TokenKey, _: Timestamp, _: Option<Timestamp>) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        self.replace_within(old, self.row(&new)?).await.map_err(failure)
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        remove(&self.connection, key).await.map_err(failure)
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        let remove = format!(
            "DELETE FROM knox_authtoken WHERE user_id = {USER} AND substr(digest, 1, {}) IS NOT ?2 RETURNING {}",
            TokenId::TEXT_BYTES,
            is_live("?3")
        );
        let values = [subject.as_str().into(), except.map(TokenId::as_str).into(), date(now).into()];
        let removed = self.connection.query_all_raw(statement(&remove, values)).await.map_err(failure)?;
        let were_live = removed.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<bool>, _>>();
        Ok(were_live.map_err(failure)?.into_iter().filter(|was_live| *was_live).count() as u64)
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
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
        let find = statement("SELECT is_active FROM auth_user WHERE username = ?1", [subject.as_str().into()]);
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
/// does not read it, and Knox's own `TokenAuthentication`, which does, does not let the token in.
async fn insert(connection: &impl ConnectionTrait, row: [Value; 4]) -> Result<(), DbErr> {
    let insert = format!(
        "INSERT INTO knox_authtoken (digest, created, user_id, expiry, token_key) VALUES (?2, ?3, {USER}, ?4, '')"
    );
    connection.execute_raw(statement(&insert, row)).await.map(drop)
}

async fn remove(connection: &impl ConnectionTrait, key: &TokenKey) -> Result<bool, DbErr> {
    let remove = format!("DELETE FROM knox_authtoken WHERE {HAS_ID} AND +user_id = {USER}");
    Ok(connection.execute_raw(statement(&remove, primary_key(key))).await?.rows_affected() > 0)
}

fn primary_key(key: &TokenKey) -> [Value; 2] {
    [key.subject.as_str().into(), key.id.as_str().into()]
}

fn is_live(now: &str) -> String {
    format!("(expiry IS NULL OR expiry > {now})")
}

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DatabaseBackend::Sqlite, sql, values)
}

/// The moment as Django writes it. SQLite compares dates as text, so no other form will do; and what Django cannot
/// read, it takes for a login without end.
fn date(moment: Timestamp) -> String {
    let format = if moment.as_microsecond() % 1_000_000 == 0 { "%F %T" } else { "%F %T%.6f" };
    moment.strftime(format).to_string()
}

fn timestamp(date: &str) -> Result<Timestamp, StoreError> {
    let date = DateTime::strptime("%F %T%.f", date).map_err(failure)?;
    TimeZone::UTC.to_timestamp(date).map_err(failure)
}

fn failure(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new("Django", error)
}
