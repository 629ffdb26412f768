//! A token store in memory.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{InsertOutcome, TokenStore, limit::SessionLimit, record::SessionRecord},
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
    hasher: RandomState,
}

/// The subjects that share a lock. No code awaits while it holds one.
type Shard = HashMap<Subject, BTreeMap<SessionId, SessionRecord>>;

impl MemoryStore {
    const SHARDS: usize = 64;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let shards = (0..Self::SHARDS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Shards { shards, hasher: RandomState::new() }))
    }

    /// The shard of `subject`. A panic elsewhere cannot leave one half changed, so a poisoned lock still guards consistent data.
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
        let id = record.id();
        if sessions.contains_key(&id) {
            return Err(duplicate_key());
        }
        let evicted = match limit {
            None => 0,
            Some(limit) => {
                let active = sessions.values().filter(|session| session.is_active(now));
                let Ok(evicted) = limit.evictions(&record, active) else { return Ok(InsertOutcome::LimitReached) };
                for id in &evicted {
                    sessions.remove(id);
                }
                sessions.retain(|_, session| session.is_active(now));
                evicted.len() as u64
            }
        };
        sessions.insert(id, record);
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
        let shard = self.shard(&session.subject);
        Ok(shard.get(&session.subject).and_then(|sessions| sessions.get(&session.id)).cloned())
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let mut records: Vec<SessionRecord> = match self.shard(subject).get(subject) {
            Some(sessions) => sessions.values().filter(|record| record.is_active(now)).cloned().collect(),
            None => Vec::new(),
        };
        records.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id())));
        Ok(records)
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
        record.last_used_at = Some(last_used_at);
        if let (Some(old), Some(new)) = (record.expires_at, expires_at) {
            record.expires_at = Some(old.max(new));
        }
        Ok(true)
    }

    async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError> {
        let mut shard = self.shard(&old.subject);
        let Some(sessions) = shard.get_mut(&old.subject) else { return Ok(false) };
        let id = new.id();
        if sessions.contains_key(&id) {
            return Err(duplicate_key());
        }
        if sessions.remove(&old.id).is_none() {
            return Ok(false);
        }
        sessions.insert(id, new);
        Ok(true)
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let mut shard = self.shard(&session.subject);
        let Some(sessions) = shard.get_mut(&session.subject) else { return Ok(false) };
        let removed = sessions.remove(&session.id).is_some();
        if sessions.is_empty() {
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
        let Some(mut sessions) = shard.remove(subject) else { return Ok(0) };
        if let Some((id, spared)) = except.and_then(|id| sessions.remove_entry(id)) {
            shard.insert(subject.clone(), BTreeMap::from([(id, spared)]));
        }
        Ok(sessions.values().filter(|record| record.is_active(now)).count() as u64)
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let batch = u64::from(batch.get());
        let mut removed = 0;
        for shard in &self.0.shards {
            if removed == batch {
                break;
            }
            lock(shard).retain(|_, sessions| {
                sessions.retain(|_, record| {
                    let keep = record.is_active(now) || removed == batch;
                    removed += u64::from(!keep);
                    keep
                });
                !sessions.is_empty()
            });
        }
        Ok(removed)
    }
}

fn duplicate_key() -> StoreError {
    StoreError::new("duplicate record key").in_store("memory")
}
