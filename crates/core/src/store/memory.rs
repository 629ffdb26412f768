//! A token store in memory.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fmt,
    hash::BuildHasher,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{
        InsertOutcome, MAX_LISTED, TokenStore,
        limit::SessionLimit,
        record::{Rotation, SessionRecord},
    },
    subject::Subject,
    token::id::{SessionId, SessionRef},
};

/// Keeps sessions in the memory of this process: for tests, tools and servers of one process.
///
/// A restart logs everybody out, and a second process knows nothing of the first one's sessions. A clone shares them.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey};
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shards>);

struct Shards {
    shards: Box<[Mutex<Shard>]>,
    /// A fast one: subjects that share a lock only wait for each other. A shard has that of the standard library.
    hasher: RandomState,
}

/// The subjects that share a lock. No code awaits while it holds one.
type Shard = HashMap<Subject, Sessions>;

/// The sessions of a subject.
#[derive(Default)]
struct Sessions {
    /// In the order of their ids. Most subjects have one, so room is made for one at a time. What is found shares them,
    /// and a change makes a copy while it is still there.
    records: Vec<Arc<SessionRecord>>,
    /// When all of them were last revoked.
    revoked_at: Option<Timestamp>,
}

impl Sessions {
    fn position(&self, id: &SessionId) -> Result<usize, usize> {
        self.records.binary_search_by(|record| record.id.cmp(id))
    }

    fn get(&self, id: &SessionId) -> Option<&Arc<SessionRecord>> {
        self.position(id).ok().map(|index| &self.records[index])
    }

    fn get_mut(&mut self, id: &SessionId) -> Option<&mut Arc<SessionRecord>> {
        self.position(id).ok().map(|index| &mut self.records[index])
    }

    fn remove(&mut self, id: &SessionId) -> Option<Arc<SessionRecord>> {
        let removed = self.position(id).ok().map(|index| self.records.remove(index));
        self.give_back();
        removed
    }

    /// Gives memory back that was needed for more records.
    fn give_back(&mut self) {
        if self.records.capacity() > 2 * self.records.len() {
            self.records.shrink_to_fit();
        }
    }

    /// Whether nothing is lost if this is forgotten.
    fn is_forgettable(&self, now: Timestamp) -> bool {
        let is_recent =
            |revoked_at: Timestamp| now < revoked_at.checked_add(REVOCATION_RETENTION).unwrap_or(Timestamp::MAX);
        self.records.is_empty() && !self.revoked_at.is_some_and(is_recent)
    }
}

/// How long a revocation of all sessions is remembered, for logins that began before it.
const REVOCATION_RETENTION: Duration = Duration::from_secs(24 * 3600);

impl MemoryStore {
    const SHARDS: usize = 64;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let shards = (0..Self::SHARDS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Shards { shards, hasher: RandomState::default() }))
    }

    /// The shard of `subject`. A panic elsewhere cannot leave one half changed, so a poisoned lock still guards
    /// consistent data.
    fn shard(&self, subject: &Subject) -> MutexGuard<'_, Shard> {
        let index = self.0.hasher.hash_one(subject) as usize % self.0.shards.len();
        lock(&self.0.shards[index])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let mut shard = self.shard(&record.subject);
        let sessions = shard.entry(record.subject.clone()).or_default();
        if sessions.position(&record.id).is_ok() {
            return Err(StoreError::new("duplicate record key").in_store("memory"));
        }
        if sessions.revoked_at.is_some_and(|revoked_at| record.created_at < revoked_at) {
            return Ok(InsertOutcome::Superseded);
        }
        let mut evicted = Vec::new();
        if let Some(limit) = limit {
            let active = sessions.records.iter().map(|session| &**session).filter(|session| session.is_active(now));
            match limit.evictions(&record, active) {
                Ok(evictions) => evicted = evictions,
                Err(_) => return Ok(InsertOutcome::LimitReached),
            }
            sessions.records.retain(|session| session.is_active(now) && !evicted.contains(&session.id));
            sessions.give_back();
        }
        let position = sessions.position(&record.id).unwrap_or_else(|position| position);
        if sessions.records.is_empty() {
            sessions.records.reserve_exact(1);
        }
        sessions.records.insert(position, Arc::new(record));
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let shard = self.shard(&session.subject);
        Ok(shard.get(&session.subject).and_then(|sessions| sessions.get(&session.id)).cloned())
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let shard = self.shard(subject);
        let Some(sessions) = shard.get(subject) else { return Ok(Vec::new()) };
        let mut active: Vec<_> =
            sessions.records.iter().map(|record| &**record).filter(|record| record.is_active(now)).collect();
        active.sort_unstable_by_key(|record| Reverse((record.created_at, record.id)));
        Ok(active.into_iter().take(MAX_LISTED).cloned().collect())
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut shard = self.shard(&session.subject);
        let Some(record) = shard.get_mut(&session.subject).and_then(|sessions| sessions.get_mut(&session.id)) else {
            return Ok(false);
        };
        if !record.is_active(last_used_at) || record.last_used_at.is_some_and(|before| before >= last_used_at) {
            return Ok(false);
        }
        let record = Arc::make_mut(record);
        record.last_used_at = Some(last_used_at);
        if let (Some(old), Some(new)) = (record.expires_at, expires_at) {
            record.expires_at = Some(old.max(new));
        }
        Ok(true)
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let mut shard = self.shard(&session.subject);
        let record = shard.get_mut(&session.subject).and_then(|sessions| sessions.get_mut(&session.id));
        let Some(record) = record.filter(|record| record.is_active(now)) else { return Ok(false) };
        Arc::make_mut(record).label = label.map(str::to_owned);
        Ok(true)
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let mut shard = self.shard(&session.subject);
        let record = shard.get_mut(&session.subject).and_then(|sessions| sessions.get_mut(&session.id));
        Ok(record.is_some_and(|record| rotation.apply(Arc::make_mut(record))))
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let mut shard = self.shard(&session.subject);
        let Some(sessions) = shard.get_mut(&session.subject) else { return Ok(false) };
        let removed = sessions.remove(&session.id).is_some();
        if sessions.records.is_empty() && sessions.revoked_at.is_none() {
            shard.remove(&session.subject);
        }
        Ok(removed)
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut shard = self.shard(subject);
        let sessions = shard.entry(subject.clone()).or_default();
        sessions.revoked_at = sessions.revoked_at.max(Some(now));
        let spared = except.and_then(|id| sessions.remove(id));
        let removed = std::mem::replace(&mut sessions.records, spared.into_iter().collect());
        Ok(removed.iter().filter(|record| record.is_active(now)).count() as u64)
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let batch = u64::from(batch.get());
        let mut removed = 0;
        for shard in &self.0.shards {
            if removed == batch {
                break;
            }
            lock(shard).retain(|_, sessions| {
                sessions.records.retain(|record| {
                    let keep = record.is_active(now) || removed == batch;
                    removed += u64::from(!keep);
                    keep
                });
                sessions.give_back();
                !sessions.is_forgettable(now)
            });
        }
        Ok(removed)
    }
}
