//! A complete token store, on the embedded database redb. `docs/custom-store.md` explains it, section by section.

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use jwt_knox::{
    InsertOutcome, StoreError, Subject, TokenId, TokenKey, TokenLimit, TokenRecord, TokenStore, async_trait,
};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

/// Keeps logins in a file. Cheap to clone; all clones share the database.
#[derive(Debug, Clone)]
pub struct RedbStore {
    database: Arc<Database>,
}

impl RedbStore {
    /// Opens the file at `path`, or makes it. Blocks for a moment, so call it before the server starts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened, is no redb database, or is open elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let database = create(path.as_ref()).map_err(store_error)?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Runs `work` on the logins as they are now, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(ReadOnlyTable<Key, Row>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        blocking(move || work(database.begin_read()?.open_table(LOGINS)?)).await
    }

    /// Runs `work` in a transaction, on a thread that may block. redb has one such transaction at a time.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        blocking(move || {
            let transaction = database.begin_write()?;
            let mut tables = Tables::open(&transaction)?;
            // If this fails, the transaction is dropped here, and nothing has happened.
            let answer = work(&mut tables)?;
            drop(tables);
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }
}

#[async_trait]
impl TokenStore for RedbStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.write(move |tables| {
            refuse_if_taken(tables, &record)?;
            let mut evicted = 0;
            if let Some(limit) = limit {
                let mut live = all_of(&tables.logins, &record.subject)?;
                live.retain(|login| login.is_live(now));
                let Some(victims) = limit.make_room(&record, &live) else { return Ok(InsertOutcome::LimitReached) };
                evicted = victims.len() as u64;
                for id in victims {
                    tables.take(&TokenKey { subject: record.subject.clone(), id })?;
                }
            }
            tables.put(&record)?;
            Ok(InsertOutcome::Inserted { evicted })
        })
        .await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let key = key.clone();
        self.read(move |logins| find(&logins, &key)).await
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let subject = subject.clone();
        let mut live = self.read(move |logins| all_of(&logins, &subject)).await?;
        live.retain(|login| login.is_live(now));
        live.sort_by_key(|login| std::cmp::Reverse((login.created_at, login.id())));
        Ok(live)
    }

    async fn touch(
        &self,
        key: &TokenKey,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |tables| {
            let Some(mut login) = find(&tables.logins, &key)? else { return Ok(false) };
            if !login.is_live(last_used_at) || login.last_used_at >= Some(last_used_at) {
                return Ok(false);
            }
            login.last_used_at = Some(last_used_at);
            // Later only, and never for a login without an expiry.
            login.expires_at = login.expires_at.map(|old| expires_at.map_or(old, |new| old.max(new)));
            tables.put(&login)?;
            Ok(true)
        })
        .await
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        let old = old.clone();
        self.write(move |tables| {
            refuse_if_taken(tables, &new)?;
            let replaced = tables.take(&old)?;
            if replaced {
                tables.put(&new)?;
            }
            Ok(replaced)
        })
        .await
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write(move |tables| tables.take(&key)).await
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        let (subject, except) = (subject.clone(), except.cloned());
        self.write(move |tables| {
            let mut live = 0;
            for login in all_of(&tables.logins, &subject)? {
                if Some(login.id()) != except {
                    tables.take(&login.key())?;
                    live += u64::from(login.is_live(now));
                }
            }
            Ok(live)
        })
        .await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.write(move |tables| {
            let mut removed = 0;
            while removed < u64::from(batch.get()) {
                let Some((first, _)) = tables.expiries.first()? else { break };
                let (expires_at, subject, id) = first.value();
                if expires_at > now.as_microsecond() {
                    break;
                }
                let key = TokenKey { subject: Subject::new(subject)?, id: id.parse()? };
                drop(first);
                tables.take(&key)?;
                removed += 1;
            }
            Ok(removed)
        })
        .await
    }
}

/// A key is given once. Secrets are random, so a second one with the same key means that something is badly wrong.
fn refuse_if_taken(tables: &Tables<'_>, record: &TokenRecord) -> Result<(), Failure> {
    match find(&tables.logins, &record.key())? {
        None => Ok(()),
        Some(_) => Err("a login with this key is there already".into()),
    }
}

/// Subject and id. redb compares texts by their bytes.
type Key = (&'static str, &'static str);

/// Moments, in microseconds since 1970: created_at, expires_at, last_used_at and deadline.
type Moments = (i64, Option<i64>, Option<i64>, Option<i64>);

/// Digest, moments, idle seconds, scope, label and attributes.
type Row = (String, Moments, Option<u64>, Option<String>, Option<String>, Vec<(String, String)>);

/// The logins.
const LOGINS: TableDefinition<'_, Key, Row> = TableDefinition::new("jwt_knox_logins");

/// Expiry, subject and id of each login that has an expiry: an index for the purge.
const EXPIRIES: TableDefinition<'_, (i64, &str, &str), ()> = TableDefinition::new("jwt_knox_expiries");

/// Opens or makes the database, with both tables in it.
fn create(path: &Path) -> Result<Database, Failure> {
    let database = Database::create(path)?;
    let transaction = database.begin_write()?;
    Tables::open(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// Both tables, in a transaction that writes.
struct Tables<'transaction> {
    logins: Table<'transaction, Key, Row>,
    expiries: Table<'transaction, (i64, &'static str, &'static str), ()>,
}

impl<'transaction> Tables<'transaction> {
    fn open(transaction: &'transaction WriteTransaction) -> Result<Self, Failure> {
        Ok(Self { logins: transaction.open_table(LOGINS)?, expiries: transaction.open_table(EXPIRIES)? })
    }

    /// Writes a login, over the one with its key if there is one.
    fn put(&mut self, record: &TokenRecord) -> Result<(), Failure> {
        let key = record.key();
        self.take(&key)?;
        self.logins.insert((key.subject.as_str(), key.id.as_str()), row(record))?;
        if let Some(expires_at) = record.expires_at {
            self.expiries.insert((expires_at.as_microsecond(), key.subject.as_str(), key.id.as_str()), ())?;
        }
        Ok(())
    }

    /// Takes a login away. `true`: it was there.
    fn take(&mut self, key: &TokenKey) -> Result<bool, Failure> {
        let key = (key.subject.as_str(), key.id.as_str());
        let Some(row) = self.logins.remove(key)? else { return Ok(false) };
        if let (_, (_, Some(expires_at), ..), ..) = row.value() {
            self.expiries.remove((expires_at, key.0, key.1))?;
        }
        Ok(true)
    }
}

fn find(logins: &impl ReadableTable<Key, Row>, key: &TokenKey) -> Result<Option<TokenRecord>, Failure> {
    let subject = key.subject.as_str();
    logins.get((subject, key.id.as_str()))?.map(|row| record(subject, row.value())).transpose()
}

fn all_of(logins: &impl ReadableTable<Key, Row>, subject: &Subject) -> Result<Vec<TokenRecord>, Failure> {
    let subject = subject.as_str();
    let mut records = Vec::new();
    for entry in logins.range((subject, "")..)? {
        let (key, row) = entry?;
        if key.value().0 != subject {
            break;
        }
        records.push(record(subject, row.value())?);
    }
    Ok(records)
}

fn row(record: &TokenRecord) -> Row {
    let microseconds = |moment: Option<Timestamp>| moment.map(Timestamp::as_microsecond);
    let moments = (
        record.created_at.as_microsecond(),
        microseconds(record.expires_at),
        microseconds(record.last_used_at),
        microseconds(record.deadline),
    );
    let idle_seconds = record.idle_timeout.map(|timeout| timeout.as_secs());
    let attributes = record.attributes.clone().into_iter().collect();
    (record.digest.to_string(), moments, idle_seconds, record.scope.clone(), record.label.clone(), attributes)
}

/// The record of a row. A row that cannot be one is a fault of the store, not of the client.
fn record(subject: &str, row: Row) -> Result<TokenRecord, Failure> {
    let (digest, (created_at, expires_at, last_used_at, deadline), idle_seconds, scope, label, attributes) = row;
    let moment = Timestamp::from_microsecond;
    let mut record = TokenRecord::new(Subject::new(subject)?, digest.parse()?, moment(created_at)?);
    record.expires_at = expires_at.map(moment).transpose()?;
    record.last_used_at = last_used_at.map(moment).transpose()?;
    record.deadline = deadline.map(moment).transpose()?;
    record.idle_timeout = idle_seconds.map(Duration::from_secs);
    record.scope = scope;
    record.label = label;
    record.attributes = attributes.into_iter().collect();
    Ok(record)
}

/// Runs `work` on a thread that may block. If that panics, it is an error of the store too.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(store_error)?.map_err(store_error)
}

/// Whatever goes wrong in here. It becomes the source of a [`StoreError`].
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn store_error(error: impl Into<Failure>) -> StoreError {
    StoreError::new("redb", error)
}
