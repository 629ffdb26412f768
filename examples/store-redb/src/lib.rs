//! A complete token store, on the embedded database redb. `docs/custom-store.md` explains it, section by section.

use std::{error::Error, num::NonZeroU32, path::Path, sync::Arc};

use jwt_knox::{
    InsertOutcome, LimitReached, MAX_LISTED, Rotation, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError,
    Subject, Timestamp, TokenStore, async_trait,
};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

/// Keeps sessions in a file. Cheap to clone; all clones share the database.
#[derive(Debug, Clone)]
pub struct RedbStore {
    database: Arc<Database>,
}

impl RedbStore {
    /// Opens the file at `path`, or makes it. This may block, so call it before the server starts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened, is not a redb database, or is open elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let database = create(path.as_ref()).map_err(store_error)?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Runs `work` on the sessions as they are now, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(ReadOnlyTable<Key, Value>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        blocking(move || work(database.begin_read()?.open_table(SESSIONS)?)).await
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
            // If this fails, the transaction is dropped here, and nothing has changed.
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
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.write(move |tables| {
            reject_if_taken(tables, &record)?;
            let revoked_at = tables.revocations.get(record.subject.as_str())?.map(|time| time.value());
            if revoked_at.is_some_and(|revoked_at| record.created_at.as_microsecond() < revoked_at) {
                return Ok(InsertOutcome::Superseded);
            }
            let mut evicted = Vec::new();
            if let Some(limit) = limit {
                let mut active = all_of(&tables.sessions, &record.subject)?;
                active.retain(|session| session.is_active(now));
                match limit.evictions(&record, &active) {
                    Ok(ids) => evicted = ids,
                    Err(LimitReached) => return Ok(InsertOutcome::LimitReached),
                }
            }
            for id in &evicted {
                tables.take(record.subject.as_str(), id.as_str())?;
            }
            tables.put(&record)?;
            Ok(InsertOutcome::Inserted { evicted })
        })
        .await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let session = session.clone();
        Ok(self.read(move |sessions| find(&sessions, &session)).await?.map(Arc::new))
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let subject = subject.clone();
        let mut active = self.read(move |sessions| all_of(&sessions, &subject)).await?;
        active.retain(|session| session.is_active(now));
        active.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        active.truncate(MAX_LISTED);
        Ok(active)
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(move |tables| {
            let Some(mut record) = find(&tables.sessions, &session)? else { return Ok(false) };
            if !record.is_active(last_used_at) || record.last_used_at >= Some(last_used_at) {
                return Ok(false);
            }
            record.last_used_at = Some(last_used_at);
            // Only later, and never for a session without an expiry.
            record.expires_at = record.expires_at.map(|old| expires_at.map_or(old, |new| old.max(new)));
            tables.put(&record)?;
            Ok(true)
        })
        .await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let (session, label) = (session.clone(), label.map(str::to_owned));
        self.write(move |tables| {
            let found = find(&tables.sessions, &session)?.filter(|record| record.is_active(now));
            let Some(mut record) = found else { return Ok(false) };
            record.label = label;
            tables.put(&record)?;
            Ok(true)
        })
        .await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let (session, rotation) = (session.clone(), rotation.clone());
        self.write(move |tables| {
            let Some(mut record) = find(&tables.sessions, &session)? else { return Ok(false) };
            // `false`: the session has another secret by now.
            let rotated = rotation.apply(&mut record);
            if rotated {
                tables.put(&record)?;
            }
            Ok(rotated)
        })
        .await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(move |tables| tables.take(session.subject.as_str(), session.id.as_str())).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (subject, except) = (subject.clone(), except.copied());
        self.write(move |tables| {
            // For logins that began before, and are about to be inserted.
            let before = tables.revocations.get(subject.as_str())?.map_or(i64::MIN, |time| time.value());
            tables.revocations.insert(subject.as_str(), before.max(now.as_microsecond()))?;
            let mut active = 0;
            for (id, record) in rows_of(&tables.sessions, &subject)? {
                if except.as_ref().map(SessionId::as_str) != Some(&*id) {
                    tables.take(subject.as_str(), &id)?;
                    active += u64::from(record.is_ok_and(|record| record.is_active(now)));
                }
            }
            Ok(active)
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
                let (subject, id) = (subject.to_owned(), id.to_owned());
                drop(first);
                tables.expiries.remove((expires_at, &*subject, &*id))?;
                removed += u64::from(tables.take(&subject, &id)?);
            }
            Ok(removed)
        })
        .await
    }
}

/// A key is given once. Secrets are random, so a second one with the same key means that something is badly wrong.
fn reject_if_taken(tables: &Tables<'_>, record: &SessionRecord) -> Result<(), Failure> {
    match find(&tables.sessions, &record.session_ref())? {
        None => Ok(()),
        Some(_) => Err("there is a session with this key already".into()),
    }
}

/// Subject and id. redb compares strings byte for byte.
type Key = (&'static str, &'static str);

/// The record, as JSON.
type Value = &'static str;

/// The sessions.
const SESSIONS: TableDefinition<'_, Key, Value> = TableDefinition::new("jwt_knox_sessions");

/// Expiry, subject and id of each session that expires, in microseconds since 1970: an index for the purge.
const EXPIRIES: TableDefinition<'_, (i64, &str, &str), ()> = TableDefinition::new("jwt_knox_expiries");

/// When all sessions of a subject were last revoked, in microseconds since 1970.
const REVOCATIONS: TableDefinition<'_, &str, i64> = TableDefinition::new("jwt_knox_revocations");

/// Opens or makes the database, with all tables in it.
fn create(path: &Path) -> Result<Database, Failure> {
    let database = Database::create(path)?;
    let transaction = database.begin_write()?;
    Tables::open(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// All tables, in a transaction that writes.
struct Tables<'transaction> {
    sessions: Table<'transaction, Key, Value>,
    expiries: Table<'transaction, (i64, &'static str, &'static str), ()>,
    revocations: Table<'transaction, &'static str, i64>,
}

impl<'transaction> Tables<'transaction> {
    fn open(transaction: &'transaction WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            revocations: transaction.open_table(REVOCATIONS)?,
        })
    }

    /// Writes a session, over the one with its key if there is one.
    fn put(&mut self, record: &SessionRecord) -> Result<(), Failure> {
        let (subject, id) = (record.subject.as_str(), record.id.as_str());
        self.take(subject, id)?;
        self.sessions.insert((subject, id), record.to_json()?.as_str())?;
        if let Some(expires_at) = record.expires_at {
            self.expiries.insert((expires_at.as_microsecond(), subject, id), ())?;
        }
        Ok(())
    }

    /// Removes a session. `true`: it was there.
    fn take(&mut self, subject: &str, id: &str) -> Result<bool, Failure> {
        let Some(json) = self.sessions.remove((subject, id))? else { return Ok(false) };
        // If it cannot be read, its expiry stays in the index, until the purge.
        let record = SessionRecord::from_json(json.value()).ok();
        if let Some(expires_at) = record.and_then(|record| record.expires_at) {
            self.expiries.remove((expires_at.as_microsecond(), subject, id))?;
        }
        Ok(true)
    }
}

fn find(sessions: &impl ReadableTable<Key, Value>, session: &SessionRef) -> Result<Option<SessionRecord>, Failure> {
    let json = sessions.get((session.subject.as_str(), session.id.as_str()))?;
    Ok(json.map(|json| SessionRecord::from_json(json.value())).transpose()?)
}

/// The sessions of a subject. One that cannot be read is left out, so that it does not block the others.
fn all_of(sessions: &impl ReadableTable<Key, Value>, subject: &Subject) -> Result<Vec<SessionRecord>, Failure> {
    let log = |id: &str, error: &StoreError| {
        tracing::error!(error = error as &dyn Error, %subject, session_id = id, "a session cannot be read");
    };
    let rows = rows_of(sessions, subject)?.into_iter();
    Ok(rows.filter_map(|(id, record)| record.inspect_err(|error| log(&id, error)).ok()).collect())
}

/// The id of each session of a subject, and the session.
fn rows_of(sessions: &impl ReadableTable<Key, Value>, subject: &Subject) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for entry in sessions.range((subject.as_str(), "")..)? {
        let (key, json) = entry?;
        let (owner, id) = key.value();
        if owner != subject.as_str() {
            break;
        }
        rows.push((id.to_owned(), SessionRecord::from_json(json.value())));
    }
    Ok(rows)
}

type Row = (String, Result<SessionRecord, StoreError>);

/// Runs `work` on a thread that may block. A panic in it is an error of the store as well.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(store_error)?.map_err(store_error)
}

/// Whatever goes wrong in here. It becomes the source of a [`StoreError`].
type Failure = Box<dyn Error + Send + Sync>;

fn store_error(error: impl Into<Failure>) -> StoreError {
    StoreError::new(error).in_store("redb")
}
