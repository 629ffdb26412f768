//! A token store in memory.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{InsertOutcome, TokenStore, limit::TokenLimit, record::TokenRecord},
    subject::Subject,
    token::id::{TokenId, TokenKey},
};

/// Keeps logins in the memory of this process: for tests, tools and servers of one process.
///
/// A restart logs everybody out, and a second process knows nothing of the first one's logins.
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
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

/// The subjects that share a lock. No code awaits while it holds one.
type Shard = HashMap<Subject, BTreeMap<TokenId, TokenRecord>>;

impl MemoryStore {
    const SHARDS: usize = 64;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: (0..Self::SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// The shard of `subject`. A panic elsewhere cannot leave one half changed, so a poisoned lock is as good as any.
    fn shard(&self, subject: &Subject) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(subject) as usize % self.shards.len();
        lock(&self.shards[index])
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
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let mut shard = self.shard(&record.subject);
        let logins = shard.entry(record.subject.clone()).or_default();
        let id = record.id();
        if logins.contains_key(&id) {
            return Err(already_there());
        }
        let evicted = match limit {
            None => 0,
            Some(limit) => {
                let live = logins.values().filter(|login| login.is_live(now));
                let Some(victims) = limit.make_room(&record, live) else { return Ok(InsertOutcome::LimitReached) };
                for victim in &victims {
                    logins.remove(victim);
                }
                logins.retain(|_, login| login.is_live(now));
                victims.len() as u64
            }
        };
        logins.insert(id, record);
        Ok(InsertOutcome::Inserted { evicted })
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let shard = self.shard(&key.subject);
        Ok(shard.get(&key.subject).and_then(|logins| logins.get(&key.id)).cloned())
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let mut records: Vec<TokenRecord> = match self.shard(subject).get(subject) {
            Some(logins) => logins.values().filter(|record| record.is_live(now)).cloned().collect(),
            None => Vec::new(),
        };
        records.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id())));
        Ok(records)
    }

    async fn touch(
        &self,
        key: &TokenKey,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut shard = self.shard(&key.subject);
        let Some(record) = shard.get_mut(&key.subject).and_then(|logins| logins.get_mut(&key.id)) else {
            return Ok(false);
        };
        if !record.is_live(last_used_at) || record.last_used_at.is_some_and(|before| before >= last_used_at) {
            return Ok(false);
        }
        record.last_used_at = Some(last_used_at);
        if let (Some(old), Some(new)) = (record.expires_at, expires_at) {
            record.expires_at = Some(old.max(new));
        }
        Ok(true)
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        let mut shard = self.shard(&old.subject);
        let Some(logins) = shard.get_mut(&old.subject) else { return Ok(false) };
        let id = new.id();
        if logins.contains_key(&id) {
            return Err(already_there());
        }
        if logins.remove(&old.id).is_none() {
            return Ok(false);
        }
        logins.insert(id, new);
        Ok(true)
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        let mut shard = self.shard(&key.subject);
        let Some(logins) = shard.get_mut(&key.subject) else { return Ok(false) };
        let removed = logins.remove(&key.id).is_some();
        if logins.is_empty() {
            shard.remove(&key.subject);
        }
        Ok(removed)
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        let mut shard = self.shard(subject);
        let Some(mut logins) = shard.remove(subject) else { return Ok(0) };
        if let Some((id, spared)) = except.and_then(|id| logins.remove_entry(id)) {
            shard.insert(subject.clone(), BTreeMap::from([(id, spared)]));
        }
        Ok(logins.values().filter(|record| record.is_live(now)).count() as u64)
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let batch = u64::from(batch.get());
        let mut removed = 0;
        for shard in &self.shards {
            if removed == batch {
                break;
            }
            lock(shard).retain(|_, logins| {
                logins.retain(|_, record| {
                    let keep = record.is_live(now) || removed == batch;
                    removed += u64::from(!keep);
                    keep
                });
                !logins.is_empty()
            });
        }
        Ok(removed)
    }
}

fn already_there() -> StoreError {
    StoreError::new("memory", "a record with this key exists already")
}
