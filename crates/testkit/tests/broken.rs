//! The kit finds bugs: a store that breaks one promise fails the rule of that promise.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jwt_knox::{
    InsertOutcome, LimitAction, MAX_LISTED, MemoryStore, Operation, Rotation, SessionId, SessionLimit, SessionRecord,
    SessionRef, StoreError, Subject, Timestamp, TokenStore, async_trait,
};
use jwt_knox_testkit::{Opener, for_each_rule, rules, store_tests};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    Sound,
    CaseInsensitive,
    TrimsSubjects,
    LosesMicroseconds,
    LosesScope,
    LosesPrevious,
    LosesClaims,
    DerivesIds,
    EndsIn2038,
    CutsLabels,
    CutsScopes,
    CutsAttributes,
    OverwritesOnInsert,
    InsertIsTwoSteps,
    UnknownIsAnError,
    ListsOldestFirst,
    ListsExpired,
    ListsExpiringOnly,
    ListsAll,
    ListsTheOldestThousand,
    ListsExpiredInTheThousand,
    LimitCountsTheListed,
    TouchRevives,
    TouchesExpired,
    TouchBackwards,
    TouchRepeats,
    TouchMovesExpiryBack,
    TouchGivesExpiry,
    TouchForgets,
    LabelForgets,
    LabelKeepsTheOld,
    LabelCountsAsUse,
    LabelsExpired,
    LabelsTheMissing,
    LabelRevives,
    RotateIgnoresDigest,
    RotateKeepsPrevious,
    RotateForgetsUse,
    RotateForgetsExpiry,
    RotateMakesSessions,
    RotateMovesUseBack,
    RotateMovesExpiryBack,
    RotateGivesExpiry,
    RotateChangesId,
    RotateLosesLabel,
    RotateRestartsSession,
    RotateIsTwoSteps,
    RotateRevives,
    RemoveLies,
    RemoveIsTwoSteps,
    RemovesTheWholeSubject,
    RemoveAllForgetsExcept,
    RemoveAllSparesUnknown,
    RemoveAllCountsExpired,
    RemoveAllLeavesExpired,
    RemoveAllRestoresTheException,
    RemoveAllMiscounts,
    RemoveAllIgnoresSubject,
    SupersededIsIgnored,
    SupersededAtTheSameTime,
    SupersededToTheMillisecond,
    SupersededByNow,
    SupersededForgetsTheExceptionCase,
    SupersededForgetsWithTheLastSession,
    SupersededMovesBack,
    SupersededNeedsASession,
    SupersededIsGlobal,
    SupersededEvicts,
    SupersededAfterTheLimit,
    SupersededIsInserted,
    SupersededIsTwoSteps,
    RemembersInTheHandle,
    RemembersLate,
    LimitReadsThenActs,
    LimitIsOffByOne,
    LimitCountsExpired,
    LimitIsGlobal,
    DenyInsertsAnyway,
    EvictsNewest,
    EvictsByIdOnly,
    EvictsTheNewcomer,
    EvictsOneOnly,
    EvictsOthers,
    EvictsWithoutLimit,
    EvictionListsOthers,
    EvictionListsExpired,
    EvictionListsTwice,
    EvictionListsNone,
    EvictionIsTwoSteps,
    EvictsThenWaits,
    UnusedMeansOldest,
    UnusedMeansNeverUsed,
    IgnoresLabels,
    ReplacesWithoutCase,
    ReplacesUnlabelled,
    ReplacesUncounted,
    ReplacesExpired,
    ReplacesThenDenies,
    DeniesThenReplaces,
    ReplacingIsTwoSteps,
    PurgesActive,
    PurgesUnlimited,
    PurgeLeavesTheExpiryItself,
    PurgesNothing,
    IgnoresBatch,
    PurgeNeverEnds,
    PurgeStopsEarly,
    PurgeIsTwoSteps,
    PurgeForgetsRevocations,
    FailsWhenBusy,
    MixesIds,
    Halves(Operation),
}

use Bug::*;

/// A store in memory that is correct but for its bug.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    bug: Bug,
    all: Arc<Mutex<BTreeMap<SessionRef, SessionRecord>>>,
    /// Sessions that are there and not in lists, since the call that adds or removes them has come half way.
    unlisted: Mutex<BTreeSet<SessionId>>,
    /// What the store remembers of `remove_all`, where that is what is wrong with it: the inner one is not told then.
    revoked: Mutex<BTreeMap<Subject, Timestamp>>,
    removed: AtomicU64,
    calls: AtomicU64,
}

impl Broken {
    fn new(bug: Bug) -> Self {
        Self {
            inner: MemoryStore::new(),
            bug,
            all: Arc::default(),
            unlisted: Mutex::default(),
            revoked: Mutex::default(),
            removed: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// A handle on the same sessions that remembers on its own when all were revoked.
    fn another_handle(&self) -> Self {
        Self { inner: self.inner.clone(), all: Arc::clone(&self.all), ..Self::new(self.bug) }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn subject(&self, subject: &Subject) -> Subject {
        match self.bug {
            CaseInsensitive => Subject::new(subject.as_str().to_lowercase()).unwrap(),
            TrimsSubjects => Subject::new(subject.as_str().trim_end()).unwrap(),
            _ => subject.clone(),
        }
    }

    fn session(&self, session: &SessionRef) -> SessionRef {
        SessionRef::new(self.subject(&session.subject), session.id)
    }

    /// What the store has of a session, as it is.
    async fn found(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.inner.find(session).await?.map(Arc::unwrap_or_clone))
    }

    fn known(&self) -> Vec<SessionRecord> {
        self.all.lock().unwrap().values().cloned().collect()
    }

    async fn everything(&self, subject: &Subject) -> Vec<SessionRecord> {
        let mut records = Vec::new();
        for known in self.known() {
            if known.subject == *subject {
                records.extend(self.found(&known.session_ref()).await.unwrap());
            }
        }
        records.sort_by_key(|record| (record.created_at, record.id));
        records
    }

    /// What the store does wrong when it replaces the sessions of the same label; `None` if it does so correctly.
    async fn replace_wrongly(
        &self,
        record: &SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
        active: &[SessionRecord],
    ) -> Option<Result<InsertOutcome, StoreError>> {
        let same: Vec<&SessionRecord> = match self.bug {
            IgnoresLabels => Vec::new(),
            ReplacesWithoutCase => {
                let lower = |record: &SessionRecord| record.label.as_ref().map(|label| label.to_lowercase());
                active.iter().filter(|old| record.label.is_some() && lower(old) == lower(record)).collect()
            }
            ReplacesUnlabelled => active.iter().filter(|old| old.label == record.label).collect(),
            ReplacesUncounted | ReplacesExpired | ReplacesThenDenies | DeniesThenReplaces | ReplacingIsTwoSteps => {
                active.iter().filter(|old| record.label.is_some() && old.label == record.label).collect()
            }
            _ => return None,
        };
        let plain = match limit.action() {
            LimitAction::EvictOldest => SessionLimit::evict_oldest(limit.max()),
            _ => SessionLimit::deny(limit.max()),
        }
        .unwrap();
        if self.is(DeniesThenReplaces) && plain.evictions(record, active).is_err() {
            return Some(Ok(InsertOutcome::LimitReached));
        }
        if self.is(ReplacingIsTwoSteps) {
            dawdle().await;
        }
        let mut replaced = Vec::new();
        for old in &same {
            if self.inner.remove(&old.session_ref()).await.unwrap() {
                replaced.push(old.id);
            }
        }
        if self.is(ReplacesExpired) {
            let everything = self.everything(&record.subject).await;
            let expired = everything.iter().filter(|old| old.label == record.label && !old.is_active(now));
            replaced.extend(expired.map(|old| old.id));
        }
        let outcome = self.inner.insert(record.clone(), Some(plain), now).await;
        Some(outcome.map(|outcome| match outcome {
            InsertOutcome::Inserted { mut evicted } if !self.is(ReplacesUncounted) => {
                evicted.extend(replaced);
                InsertOutcome::Inserted { evicted }
            }
            other => other,
        }))
    }

    /// Whether the store remembers wrongly what `remove_all` ended.
    fn remembers_wrongly(&self) -> bool {
        matches!(
            self.bug,
            TouchRevives
                | LabelRevives
                | RotateRevives
                | RemoveAllRestoresTheException
                | SupersededIsIgnored
                | SupersededAtTheSameTime
                | SupersededToTheMillisecond
                | SupersededByNow
                | SupersededForgetsTheExceptionCase
                | SupersededForgetsWithTheLastSession
                | SupersededMovesBack
                | SupersededNeedsASession
                | SupersededIsGlobal
                | SupersededEvicts
                | SupersededAfterTheLimit
                | SupersededIsInserted
                | SupersededIsTwoSteps
                | PurgeForgetsRevocations
                | RemembersInTheHandle
                | RemembersLate
                | Halves(Operation::RemoveAll)
        )
    }

    /// What a store that remembers wrongly answers to a login that it takes for superseded, or should.
    async fn supersede_wrongly(
        &self,
        record: &SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Option<InsertOutcome> {
        let revoked_at = match self.bug {
            SupersededIsGlobal => self.revoked.lock().unwrap().values().max().copied(),
            _ => self.revoked.lock().unwrap().get(&record.subject).copied(),
        };
        if self.is(SupersededIsTwoSteps) {
            dawdle().await;
        }
        let revoked_at = revoked_at?;
        let is_superseded = match self.bug {
            TouchRevives | LabelRevives | RotateRevives | RemoveAllRestoresTheException | SupersededIsIgnored => false,
            SupersededAtTheSameTime => record.created_at <= revoked_at,
            SupersededToTheMillisecond => cut(record.created_at) < cut(revoked_at),
            SupersededByNow => now < revoked_at,
            _ => record.created_at < revoked_at,
        };
        if !is_superseded {
            return None;
        }
        let active = self.inner.list(&record.subject, now).await.unwrap();
        let evictions = limit.map(|limit| limit.evictions(record, &active));
        match (self.bug, evictions) {
            (SupersededEvicts, Some(Ok(evicted))) => {
                for id in evicted {
                    self.inner.remove(&SessionRef::new(record.subject.clone(), id)).await.unwrap();
                }
            }
            (SupersededAfterTheLimit, Some(Err(_))) => return Some(InsertOutcome::LimitReached),
            (SupersededIsInserted, _) => {
                self.overwrite(record.clone()).await;
            }
            _ => {}
        }
        Some(InsertOutcome::Superseded)
    }

    /// `remove_all` of a store that remembers wrongly.
    async fn remember_wrongly(&self, subject: &Subject, except: Option<&SessionId>, now: Timestamp) -> u64 {
        let mut count = 0;
        if self.is(RemembersLate) {
            for record in self.everything(subject).await {
                if except != Some(&record.id) && self.inner.remove(&record.session_ref()).await.unwrap() {
                    count += u64::from(record.is_active(now));
                }
            }
            dawdle().await;
        }
        let sessions = self.everything(subject).await;
        let is_remembered = match self.bug {
            SupersededForgetsTheExceptionCase => except.is_none(),
            SupersededNeedsASession => !sessions.is_empty(),
            _ => true,
        };
        if is_remembered {
            let mut revoked = self.revoked.lock().unwrap();
            let latest = revoked.get(subject).copied().filter(|_| !self.is(SupersededMovesBack)).max(Some(now));
            revoked.extend(latest.map(|latest| (subject.clone(), latest)));
        }
        let spared = sessions.iter().find(|record| except == Some(&record.id)).cloned();
        for record in sessions {
            if except != Some(&record.id) && self.inner.remove(&record.session_ref()).await.unwrap() {
                count += u64::from(record.is_active(now));
                self.half(Operation::RemoveAll).await;
            }
        }
        if let (Some(spared), true) = (spared, self.is(RemoveAllRestoresTheException)) {
            dawdle().await;
            self.overwrite(spared).await;
        }
        count
    }

    /// The outcome with wrong ids in it.
    async fn list_wrongly(
        &self,
        record: SessionRecord,
        limit: SessionLimit,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let everything = self.everything(&record.subject).await;
        let (subject, new) = (record.subject.clone(), record.id);
        self.all.lock().unwrap().insert(record.session_ref(), record.clone());
        let outcome = self.inner.insert(record, Some(limit), now).await?;
        let InsertOutcome::Inserted { mut evicted } = outcome else { return Ok(outcome) };
        match self.bug {
            EvictionListsOthers => {
                let others = self.inner.list(&subject, now).await?.into_iter().rev().filter(|other| other.id != new);
                evicted = others.take(evicted.len()).map(|other| other.id).collect();
            }
            EvictionListsExpired => {
                evicted.extend(everything.iter().filter(|old| !old.is_active(now)).map(|old| old.id));
            }
            EvictionListsTwice => evicted.extend(evicted.clone()),
            _ => evicted.clear(),
        }
        Ok(InsertOutcome::Inserted { evicted })
    }

    /// Writes a record over that of the same key, whatever was revoked.
    async fn overwrite(&self, record: SessionRecord) {
        // Another call may write the same one at the same time.
        while self.inner.insert(record.clone(), None, Timestamp::MIN).await.is_err() {
            self.inner.remove(&record.session_ref()).await.unwrap();
        }
    }

    /// Half of the operation is done: another call can come in between, or the end of this one.
    async fn half(&self, operation: Operation) {
        if self.is(Halves(operation)) {
            dawdle().await;
        }
    }

    async fn put(&self, record: SessionRecord, now: Timestamp) -> Result<InsertOutcome, StoreError> {
        self.all.lock().unwrap().insert(record.session_ref(), record.clone());
        self.inner.insert(record, None, now).await
    }
}

/// Gives the other calls time to get in between.
async fn dawdle() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

fn cut(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap()
}

#[async_trait]
impl TokenStore for Broken {
    async fn insert(
        &self,
        mut record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let original = record.subject.clone();
        record.subject = self.subject(&record.subject);
        match self.bug {
            LosesMicroseconds => {
                record.created_at = cut(record.created_at);
                record.expires_at = record.expires_at.map(cut);
            }
            LosesScope => record.scope = None,
            LosesPrevious => record.previous = None,
            LosesClaims => record.claims = None,
            DerivesIds => record.id = record.digest.session_id(),
            EndsIn2038 => record.expires_at = record.expires_at.filter(|time| time.as_second() <= i32::MAX.into()),
            CutsLabels => record.label = record.label.map(|label| label.chars().take(100).collect()),
            CutsScopes => record.scope = record.scope.map(|scope| scope.chars().take(4000).collect()),
            CutsAttributes => {
                for value in record.attributes.values_mut() {
                    *value = value.chars().take(4000).collect();
                }
            }
            OverwritesOnInsert => {
                self.inner.remove(&record.session_ref()).await?;
            }
            InsertIsTwoSteps if self.inner.find(&record.session_ref()).await?.is_none() => {
                dawdle().await;
                self.overwrite(record).await;
                return Ok(InsertOutcome::Inserted { evicted: Vec::new() });
            }
            MixesIds => {
                if let Some(twin) = self.known().into_iter().find(|twin| twin.id == record.id) {
                    self.inner.remove(&twin.session_ref()).await?;
                }
            }
            _ => {}
        }
        if self.remembers_wrongly()
            && let Some(outcome) = self.supersede_wrongly(&record, limit, now).await
        {
            return Ok(outcome);
        }
        if self.is(Halves(Operation::Insert)) && limit.is_none() {
            let id = record.id;
            self.unlisted.lock().unwrap().insert(id);
            let outcome = self.inner.insert(record, limit, now).await?;
            self.half(Operation::Insert).await;
            self.unlisted.lock().unwrap().remove(&id);
            return Ok(outcome);
        }
        let Some(limit) = limit else {
            if self.is(EvictsWithoutLimit) {
                let records = self.everything(&original).await;
                if records.len() >= 10 {
                    self.inner.remove(&records[0].session_ref()).await?;
                }
            }
            return self.put(record, now).await;
        };
        let full = |n: usize| n >= limit.max() as usize;
        let active = self.inner.list(&record.subject, now).await?;
        if limit.is_one_per_label()
            && let Some(outcome) = self.replace_wrongly(&record, limit, now, &active).await
        {
            return outcome;
        }
        match (self.bug, limit.action()) {
            (LimitReadsThenActs, LimitAction::Deny) => {
                if full(active.len()) {
                    return Ok(InsertOutcome::LimitReached);
                }
                dawdle().await;
                return self.put(record, now).await;
            }
            (LimitReadsThenActs, LimitAction::EvictOldest | LimitAction::EvictLeastRecentlyUsed) => {
                let excess = (active.len() + 1).saturating_sub(limit.max() as usize);
                let mut evicted = Vec::new();
                for old in active.iter().rev().take(excess) {
                    dawdle().await;
                    if self.inner.remove(&old.session_ref()).await? {
                        evicted.push(old.id);
                    }
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictionIsTwoSteps, _) => {
                let evicted = limit.evictions(&record, &active).unwrap();
                dawdle().await;
                for id in &evicted {
                    self.inner.remove(&SessionRef::new(record.subject.clone(), *id)).await?;
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictsThenWaits | LimitCountsTheListed, _) => {
                let Ok(evicted) = limit.evictions(&record, &active) else { return Ok(InsertOutcome::LimitReached) };
                for id in &evicted {
                    self.inner.remove(&SessionRef::new(record.subject.clone(), *id)).await?;
                }
                if self.is(EvictsThenWaits) {
                    dawdle().await;
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictsOthers, LimitAction::EvictOldest) => {
                let evicted = limit.evictions(&record, &active).unwrap();
                for old in active.iter().take(evicted.len()) {
                    self.inner.remove(&old.session_ref()).await?;
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictionListsOthers | EvictionListsExpired | EvictionListsTwice | EvictionListsNone, _) => {
                return self.list_wrongly(record, limit, now).await;
            }
            (UnusedMeansOldest, LimitAction::EvictLeastRecentlyUsed) => {
                return self.inner.insert(record, Some(SessionLimit::evict_oldest(limit.max()).unwrap()), now).await;
            }
            (UnusedMeansNeverUsed, LimitAction::EvictLeastRecentlyUsed) if full(active.len()) => {
                let old = active.iter().min_by_key(|old| (old.last_used_at, old.id)).unwrap();
                self.inner.remove(&old.session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: vec![old.id] });
            }
            (LimitIsOffByOne, LimitAction::Deny) if active.len() == limit.max() as usize => {
                return self.put(record, now).await;
            }
            (LimitCountsExpired, LimitAction::Deny) if full(self.everything(&original).await.len()) => {
                return Ok(InsertOutcome::LimitReached);
            }
            (LimitIsGlobal, LimitAction::Deny) if full(self.known().len()) => return Ok(InsertOutcome::LimitReached),
            (DenyInsertsAnyway, LimitAction::Deny) if full(active.len()) => {
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::LimitReached);
            }
            (EvictsNewest, LimitAction::EvictOldest) if full(active.len()) => {
                self.inner.remove(&active[0].session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: vec![active[0].id] });
            }
            (EvictsByIdOnly, LimitAction::EvictOldest) if full(active.len()) => {
                let old = active.iter().min_by_key(|old| old.id).unwrap();
                self.inner.remove(&old.session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: vec![old.id] });
            }
            (EvictsTheNewcomer, LimitAction::EvictOldest) if full(active.len()) => {
                let (subject, max) = (record.subject.clone(), limit.max() as usize);
                let evicted = limit.evictions(&record, &active).unwrap();
                let _ = self.put(record, now).await?;
                let active = self.inner.list(&subject, now).await?;
                for old in active.iter().skip(max) {
                    self.inner.remove(&old.session_ref()).await?;
                }
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictsOneOnly, LimitAction::EvictOldest) if full(active.len()) => {
                self.inner.remove(&active[active.len() - 1].session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: vec![active[active.len() - 1].id] });
            }
            _ => {}
        }
        self.all.lock().unwrap().insert(record.session_ref(), record.clone());
        self.inner.insert(record, Some(limit), now).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let mut found = self.found(&self.session(session)).await?;
        if self.is(UnknownIsAnError) && found.is_none() {
            return Err(StoreError::new("no such record"));
        }
        if let Some(record) = &mut found {
            record.subject = session.subject.clone();
        }
        Ok(found.map(Arc::new))
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        if self.is(ListsExpired) {
            let mut records = self.everything(subject).await;
            records.reverse();
            return Ok(records);
        }
        if let ListsAll | ListsTheOldestThousand | ListsExpiredInTheThousand = self.bug {
            let mut records = self.everything(subject).await;
            if !self.is(ListsExpiredInTheThousand) {
                records.retain(|record| record.is_active(now));
            }
            if self.is(ListsTheOldestThousand) {
                records.truncate(MAX_LISTED);
            }
            records.reverse();
            if self.is(ListsExpiredInTheThousand) {
                records.truncate(MAX_LISTED);
                records.retain(|record| record.is_active(now));
            }
            return Ok(records);
        }
        let mut records = self.inner.list(&self.subject(subject), now).await?;
        match self.bug {
            ListsOldestFirst => records.reverse(),
            ListsExpiringOnly => records.retain(|record| record.expires_at.is_some()),
            Halves(_) => {
                let unlisted = self.unlisted.lock().unwrap();
                records.retain(|record| !unlisted.contains(&record.id));
            }
            _ => {}
        }
        for record in &mut records {
            record.subject = subject.clone();
        }
        Ok(records)
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let Some(mut record) = self.found(session).await? else {
            let known = self.all.lock().unwrap().get(session).cloned();
            if let (true, Some(record)) = (self.is(TouchRevives), known) {
                let _ = self.inner.insert(record, None, last_used_at).await?;
                return Ok(true);
            }
            return Ok(false);
        };
        if !record.is_active(last_used_at) && !self.is(TouchesExpired) {
            return Ok(false);
        }
        if self.is(TouchForgets) {
            return Ok(true);
        }
        if self.is(Halves(Operation::Touch)) {
            if !self.inner.touch(session, last_used_at, None).await? {
                return Ok(false);
            }
            self.half(Operation::Touch).await;
            record = self.found(session).await?.unwrap_or(record);
            record.expires_at = record.expires_at.map(|old| expires_at.map_or(old, |new| old.max(new)));
            self.overwrite(record).await;
            return Ok(true);
        }
        let write = match self.bug {
            TouchRevives => {
                // Reads, waits, and writes the whole record back.
                dawdle().await;
                record.last_used_at = Some(last_used_at);
                true
            }
            TouchBackwards | TouchesExpired => {
                record.last_used_at = Some(last_used_at);
                true
            }
            TouchRepeats if record.last_used_at == Some(last_used_at) => {
                // As `<=` does, where the contract says `<`.
                record.expires_at = record.expires_at.map(|old| expires_at.map_or(old, |new| old.max(new)));
                true
            }
            TouchMovesExpiryBack if record.last_used_at.is_none_or(|before| before < last_used_at) => {
                record.last_used_at = Some(last_used_at);
                if record.expires_at.is_some() && expires_at.is_some() {
                    record.expires_at = expires_at;
                }
                true
            }
            TouchGivesExpiry if record.expires_at.is_none() => {
                record.last_used_at = Some(last_used_at);
                record.expires_at = expires_at;
                true
            }
            _ => false,
        };
        if write {
            self.inner.remove(session).await?;
            let _ = self.inner.insert(record, None, last_used_at).await?;
            return Ok(true);
        }
        self.inner.touch(session, last_used_at, expires_at).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let Some(mut record) = self.found(session).await? else {
            let known = self.all.lock().unwrap().get(session).cloned();
            if let (true, Some(record)) = (self.is(LabelsTheMissing), known) {
                self.overwrite(record).await;
            }
            return Ok(self.is(LabelsTheMissing));
        };
        if !record.is_active(now) && !self.is(LabelsExpired) {
            return Ok(false);
        }
        match self.bug {
            LabelForgets => return Ok(true),
            // As an `UPDATE` that counts the rows which it has changed.
            LabelKeepsTheOld if record.label.as_deref() == label => return Ok(false),
            LabelCountsAsUse => record.last_used_at = Some(now),
            LabelsExpired => {}
            // Reads, waits, and writes the whole record back.
            LabelRevives => dawdle().await,
            Halves(Operation::SetLabel) => {
                self.inner.set_label(session, None, now).await?;
                record.label = Some("half".to_owned());
                self.overwrite(record.clone()).await;
                self.half(Operation::SetLabel).await;
            }
            _ => return self.inner.set_label(session, label, now).await,
        }
        record.label = label.map(str::to_owned);
        self.overwrite(record).await;
        Ok(true)
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let Some(before) = self.found(session).await? else {
            if self.is(RotateMakesSessions) {
                let mut record =
                    SessionRecord::new(session.subject.clone(), rotation.digest.clone(), rotation.last_used_at);
                record.id = session.id;
                self.overwrite(record).await;
            }
            return Ok(false);
        };
        let mut record = before.clone();
        if self.is(RotateIgnoresDigest) {
            record.digest = rotation.previous.digest().clone();
        }
        if !rotation.apply(&mut record) {
            return Ok(false);
        }
        match self.bug {
            RotateIgnoresDigest => {}
            RotateKeepsPrevious => record.previous = before.previous,
            RotateForgetsUse => record.last_used_at = before.last_used_at,
            RotateForgetsExpiry => record.expires_at = before.expires_at,
            RotateMovesUseBack => record.last_used_at = Some(rotation.last_used_at),
            RotateMovesExpiryBack => {
                record.expires_at = before.expires_at.and(rotation.expires_at).or(before.expires_at);
            }
            RotateGivesExpiry => record.expires_at = record.expires_at.or(rotation.expires_at),
            RotateChangesId => record.id = record.digest.session_id(),
            RotateLosesLabel => record.label = None,
            RotateRestartsSession => record.created_at = rotation.last_used_at,
            RotateIsTwoSteps => {
                dawdle().await;
                if self.inner.find(session).await?.is_none() {
                    return Ok(false);
                }
            }
            // Reads, waits, and writes the whole record back.
            RotateRevives => dawdle().await,
            // So that it takes as long as `remove_all` does.
            RemoveAllRestoresTheException => {
                dawdle().await;
                return self.inner.rotate(session, rotation).await;
            }
            Halves(Operation::Rotate) => {
                let done = record.clone();
                (record.last_used_at, record.expires_at) = (before.last_used_at, before.expires_at);
                self.overwrite(record).await;
                self.half(Operation::Rotate).await;
                record = done;
            }
            _ => return self.inner.rotate(session, rotation).await,
        }
        self.inner.remove(session).await?;
        self.overwrite(record).await;
        Ok(true)
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let session = self.session(session);
        match self.bug {
            FailsWhenBusy => {
                let others = self.calls.fetch_add(1, Ordering::Relaxed);
                dawdle().await;
                self.calls.fetch_sub(1, Ordering::Relaxed);
                if others > 0 {
                    return Err(StoreError::new("deadlock"));
                }
                self.inner.remove(&session).await
            }
            RemoveLies => {
                self.inner.remove(&session).await?;
                Ok(true)
            }
            RemoveIsTwoSteps => {
                let was_there = self.inner.find(&session).await?.is_some();
                dawdle().await;
                self.inner.remove(&session).await?;
                Ok(was_there)
            }
            SupersededForgetsWithTheLastSession => {
                let removed = self.inner.remove(&session).await?;
                if self.everything(&session.subject).await.is_empty() {
                    self.revoked.lock().unwrap().remove(&session.subject);
                }
                Ok(removed)
            }
            Halves(Operation::Remove) => {
                self.unlisted.lock().unwrap().insert(session.id);
                self.half(Operation::Remove).await;
                self.inner.remove(&session).await
            }
            RemovesTheWholeSubject => Ok(self.inner.remove_all(&session.subject, None, Timestamp::MIN).await? > 0),
            _ => self.inner.remove(&session).await,
        }
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let subject = &self.subject(subject);
        match self.bug {
            _ if self.remembers_wrongly() => Ok(self.remember_wrongly(subject, except, now).await),
            RemoveAllForgetsExcept => self.inner.remove_all(subject, None, now).await,
            RemoveAllSparesUnknown => match except {
                Some(id) if !self.everything(subject).await.iter().any(|record| record.id == *id) => Ok(0),
                _ => self.inner.remove_all(subject, except, now).await,
            },
            RemoveAllCountsExpired => self.inner.remove_all(subject, except, Timestamp::MIN).await,
            RemoveAllLeavesExpired => {
                let mut count = 0;
                for record in self.inner.list(subject, now).await? {
                    if except != Some(&record.id) {
                        count += u64::from(self.inner.remove(&record.session_ref()).await?);
                    }
                }
                Ok(count)
            }
            RemoveAllMiscounts => {
                let active = self.inner.list(subject, now).await?;
                let count = active.iter().filter(|record| except != Some(&record.id)).count();
                dawdle().await;
                self.inner.remove_all(subject, except, now).await?;
                Ok(count as u64)
            }
            RemoveAllIgnoresSubject => {
                let mut count = 0;
                for record in self.known() {
                    if except != Some(&record.id) {
                        count += u64::from(self.inner.remove(&record.session_ref()).await?);
                    }
                }
                Ok(count)
            }
            _ => self.inner.remove_all(subject, except, now).await,
        }
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let far = Timestamp::from_second(4_200_000_000).unwrap();
        match self.bug {
            PurgesActive => self.inner.remove_expired(far, batch).await,
            PurgesUnlimited => {
                for record in self.known() {
                    if record.expires_at.is_none() {
                        self.inner.remove(&record.session_ref()).await?;
                    }
                }
                self.inner.remove_expired(now, batch).await
            }
            PurgeLeavesTheExpiryItself => {
                self.inner.remove_expired(now.checked_sub(Duration::from_micros(1)).unwrap(), batch).await
            }
            PurgesNothing => Ok(0),
            PurgeForgetsRevocations => {
                self.revoked.lock().unwrap().retain(|_, revoked_at| *revoked_at > now);
                self.inner.remove_expired(now, batch).await
            }
            Halves(Operation::RemoveExpired) => {
                let mut removed = 0;
                while removed < batch.get().into() && self.inner.remove_expired(now, NonZeroU32::MIN).await? > 0 {
                    removed += 1;
                    self.half(Operation::RemoveExpired).await;
                }
                Ok(removed)
            }
            IgnoresBatch => self.inner.remove_expired(now, NonZeroU32::MAX).await,
            PurgeNeverEnds => {
                self.inner.remove_expired(now, batch).await?;
                Ok(batch.get().into())
            }
            PurgeStopsEarly => {
                let removed = self.inner.remove_expired(now, batch).await?;
                let before = self.removed.fetch_add(removed, Ordering::Relaxed);
                Ok(if before == 0 { removed } else { removed.saturating_sub(1) })
            }
            PurgeIsTwoSteps => {
                let mut removed = 0;
                for record in self.known() {
                    if self.inner.find(&record.session_ref()).await?.is_some_and(|record| !record.is_active(now)) {
                        dawdle().await;
                        removed += u64::from(self.inner.remove(&record.session_ref()).await?);
                    }
                }
                Ok(removed.min(batch.get().into()))
            }
            _ => self.inner.remove_expired(now, batch).await,
        }
    }
}

/// A store without a bug passes.
mod sound {
    use super::*;

    async fn open() -> Broken {
        Broken::new(Sound)
    }

    store_tests!(open);
}

/// What the rule says of the store; `None` if it finds nothing.
async fn verdict(rule: impl Future<Output = ()> + Send + 'static) -> Option<String> {
    let panic = tokio::spawn(rule).await.err()?.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// For each bug: the rules that must find it, and what they must say.
macro_rules! bugs_are_found {
    ($($bug:ident: $($rule:ident says $sentence:literal),+;)*) => {
        const RULES_THAT_FIND_A_BUG: &[&str] = &[$($(stringify!($rule)),+),*];

        #[allow(non_snake_case)]
        mod bug {
            $(
                mod $bug {
                    use super::super::*;

                    $(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                        async fn $rule() {
                            // On a busy machine, calls that should meet may miss each other.
                            for _ in 0..5 {
                                if let Some(verdict) = verdict(rules::$rule(Arc::new(Broken::new($bug)))).await {
                                    assert!(verdict.contains($sentence), "the rule finds another bug: {verdict}");
                                    return;
                                }
                            }
                            panic!("the rule does not find the bug");
                        }
                    )+
                }
            )*
        }
    };
}

bugs_are_found! {
    CaseInsensitive: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    TrimsSubjects: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    MixesIds: ids_of_different_subjects_do_not_mix says "ids belong to a subject";
    LosesMicroseconds: a_record_comes_back_whole says "every field comes back";
    LosesScope: a_record_comes_back_whole says "every field comes back";
    LosesPrevious: a_record_comes_back_whole says "every field comes back";
    LosesClaims: a_record_comes_back_whole says "every field comes back";
    DerivesIds: a_record_comes_back_whole says "every field comes back";
    EndsIn2038: times_far_ahead_are_kept says "a hundred years ahead";
    CutsLabels: a_record_comes_back_whole says "every field comes back";
    CutsScopes: a_record_comes_back_whole says "every field comes back";
    CutsAttributes: a_record_comes_back_whole says "every field comes back";
    OverwritesOnInsert: a_record_is_inserted_once says "a key that is taken is an error";
    InsertIsTwoSteps: parallel_inserts_of_one_record_have_one_winner says "exactly one succeeds";
    UnknownIsAnError: an_unknown_record_is_not_found says "find: the store must answer";
    ListsOldestFirst: list_is_newest_first says "newest first";
    ListsExpired: list_gives_the_active_sessions_of_one_subject
        says "all active sessions of the subject and no others";
    ListsExpiringOnly: list_gives_the_active_sessions_of_one_subject says "all active sessions",
        a_session_is_removed_whole_or_there_whole says "there whole";
    ListsAll: list_gives_the_newest_thousand says "at most 1000 sessions";
    ListsTheOldestThousand: list_gives_the_newest_thousand says "the newest 1000 active sessions";
    ListsExpiredInTheThousand: list_gives_the_newest_thousand says "as many if there are more";
    LimitCountsTheListed: list_gives_the_newest_thousand says "limit: sessions that are too many for the list";
    TouchForgets: touch_records_the_use says "last_used_at is the time of use";
    LabelForgets: set_label_changes_the_label_alone says "the label is what was asked for";
    LabelKeepsTheOld: set_label_changes_the_label_alone says "also if it had that one";
    LabelCountsAsUse: set_label_changes_the_label_alone says "nothing else has changed";
    LabelsExpired: set_label_needs_an_active_session says "an expired session is not written";
    LabelsTheMissing: set_label_needs_an_active_session says "a missing record is not written";
    LabelRevives: a_new_label_revives_nothing says "does not bring the record back",
        a_new_label_undoes_no_rotation says "a rotation at the same time stays";
    TouchesExpired: touch_needs_an_active_session says "an expired session is not written";
    TouchBackwards: an_older_touch_is_rejected says "a use before the last one is not written";
    TouchRepeats: an_older_touch_is_rejected says "a use at the time of the last one is not written";
    TouchMovesExpiryBack: touch_moves_the_expiry_only_forwards says "the expiry moves only forwards";
    TouchGivesExpiry: touch_gives_no_expiry_to_a_session_without_one
        says "a session without an expiry never gets one";
    TouchRevives: touch_needs_an_active_session says "a revoked session is not written",
        a_touch_revives_nothing says "does not bring the record back";
    RemoveLies: remove_is_precise_and_may_be_repeated says "doing it again is no error, and `false`";
    RemovesTheWholeSubject: remove_is_precise_and_may_be_repeated says "the subject's other records stay";
    RemoveIsTwoSteps: parallel_removals_have_one_winner says "of parallel calls exactly one removed the record";
    RemoveAllForgetsExcept: remove_all_spares_the_exception says "the exception stays";
    RemoveAllSparesUnknown: remove_all_spares_the_exception says "an exception that is not there spares nothing";
    RemoveAllCountsExpired: remove_all_ends_all_and_counts_the_active says "the count is that of the active sessions";
    RemoveAllLeavesExpired: remove_all_ends_all_and_counts_the_active says "also expired ones",
        list_gives_the_newest_thousand says "remove_all: sessions that are too many for the list";
    RemoveAllIgnoresSubject: remove_all_leaves_other_subjects_alone says "counts one subject only";
    RemoveAllMiscounts: remove_all_counts_every_session_it_ends says "also of those that began in the meantime";
    RemoveAllRestoresTheException: a_rotation_does_not_outlive_remove_all says "the exception stays as it is";
    SupersededIsIgnored: a_login_that_began_before_remove_all_is_superseded says "an hour before it is rejected",
        a_superseded_login_changes_nothing says "is rejected for that, whatever the limit",
        remove_expired_forgets_no_revocation says "remove_all is remembered for a day",
        a_login_under_way_never_survives_remove_all says "no session is there that began before it";
    SupersededAtTheSameTime: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all, a login that began at the same time is accepted";
    SupersededToTheMillisecond: a_login_that_began_before_remove_all_is_superseded
        says "a microsecond before it is rejected";
    SupersededByNow: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all, a login that began an hour before it is rejected";
    SupersededForgetsTheExceptionCase: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all with an exception, a login that began a microsecond before it";
    SupersededForgetsWithTheLastSession: a_login_that_began_before_remove_all_is_superseded
        says "the removal of the last session";
    SupersededMovesBack: a_login_that_began_before_remove_all_is_superseded says "and one with an earlier time";
    SupersededNeedsASession: a_login_that_began_before_remove_all_is_superseded
        says "after remove_all of a subject without sessions";
    SupersededIsGlobal: a_login_that_began_before_remove_all_is_superseded says "concerns no other subject";
    SupersededIsInserted: a_login_that_began_before_remove_all_is_superseded
        says "a login that is rejected is not there";
    SupersededEvicts: a_superseded_login_changes_nothing says "a login that is rejected changes nothing";
    SupersededAfterTheLimit: a_superseded_login_changes_nothing says "is rejected for that, whatever the limit";
    SupersededIsTwoSteps: a_login_under_way_never_survives_remove_all says "no session is there that began before it";
    RotateIgnoresDigest: rotate_changes_the_secret_once says "with a digest that was rotated away, it is `false`";
    RotateKeepsPrevious: rotate_changes_the_secret_once says "the digest and the previous secret are written";
    RotateForgetsUse: rotate_changes_the_secret_once says "and the time of use";
    RotateForgetsExpiry: rotate_changes_the_secret_once says "and a later expiry";
    RotateMakesSessions: rotate_of_a_missing_session_changes_nothing says "a session that is not there is not made";
    RotateMovesUseBack: rotate_never_moves_times_back says "move only forwards";
    RotateMovesExpiryBack: rotate_never_moves_times_back says "move only forwards";
    RotateGivesExpiry: rotate_never_moves_times_back says "a session without an expiry never gets one";
    RotateChangesId: a_rotated_session_keeps_its_id_and_all_else says "the session is found by its id";
    RotateLosesLabel: a_rotated_session_keeps_its_id_and_all_else says "keeps all that a rotation does not change";
    RotateRestartsSession: a_rotated_session_keeps_its_id_and_all_else
        says "keeps all that a rotation does not change";
    RotateIsTwoSteps: parallel_rotations_have_one_winner says "exactly one wins";
    RotateRevives: a_rotation_revives_nothing says "does not bring the session back",
        a_rotation_does_not_outlive_remove_all says "does not outlive it",
        a_rotation_does_not_slip_past_the_limit says "leaves exactly 2 active sessions";
    LimitReadsThenActs: parallel_logins_keep_to_a_denying_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_an_evicting_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_a_limit_by_use says "leave exactly 3 active sessions";
    LimitIsOffByOne: a_denying_limit_rejects_one_too_many says "one too many is rejected";
    LimitCountsExpired: expired_sessions_count_in_no_limit says "an expired session does not count";
    LimitIsGlobal: a_limit_counts_one_subject_only says "the sessions of other subjects do not count";
    DenyInsertsAnyway: a_denying_limit_rejects_one_too_many says "a rejected record is not there";
    EvictsNewest: an_evicting_limit_ends_the_oldest says "evicts one, the oldest";
    EvictsOthers: an_evicting_limit_ends_the_oldest says "the oldest goes",
        eviction_names_the_sessions says "what is listed as evicted is gone, and nothing else";
    EvictsByIdOnly: an_evicting_limit_ends_the_oldest says "by created_at and then by id";
    EvictsTheNewcomer: an_evicting_limit_inserts_the_new_session says "the new record is there";
    EvictsOneOnly: a_lowered_limit_applies_to_the_next_login says "a lowered limit evicts down to it";
    EvictionListsOthers: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictionListsExpired: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictionListsTwice: eviction_names_the_sessions says "each once",
        parallel_logins_keep_to_an_evicting_limit says "is listed once",
        parallel_logins_keep_to_a_limit_by_use says "is listed once",
        parallel_logins_of_one_label_leave_one says "is listed once";
    EvictionListsNone: eviction_names_the_sessions says "the ids are those of the active sessions that go";
    EvictsWithoutLimit: without_a_limit_nothing_is_evicted says "without a limit all sessions stay";
    UnusedMeansOldest: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    UnusedMeansNeverUsed: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    IgnoresLabels: a_login_replaces_the_sessions_of_the_same_label says "the same label are replaced and listed";
    ReplacesWithoutCase: a_login_replaces_the_sessions_of_the_same_label says "and no others";
    ReplacesUnlabelled: a_login_replaces_the_sessions_of_the_same_label
        says "a session without a label replaces none";
    ReplacesUncounted: a_login_replaces_the_sessions_of_the_same_label says "are replaced and listed";
    ReplacesExpired: a_login_replaces_the_sessions_of_the_same_label says "the active sessions with the same label";
    ReplacesThenDenies: replacing_comes_before_the_limit says "a record that is rejected replaces nothing";
    DeniesThenReplaces: replacing_comes_before_the_limit says "what is replaced makes room";
    ReplacingIsTwoSteps: parallel_logins_of_one_label_leave_one says "leave exactly one active session of it";
    EvictionIsTwoSteps: a_session_is_removed_or_evicted_and_not_both says "is not counted as evicted too",
        a_recorded_use_saves_from_eviction says "by its last use, also if that comes in the meantime";
    PurgesActive: remove_expired_removes_only_what_has_expired says "what is active stays",
        remove_expired_loses_no_parallel_login says "a session that begins during the purge stays";
    PurgesUnlimited: remove_expired_removes_only_what_has_expired says "what never expires";
    PurgeLeavesTheExpiryItself: remove_expired_removes_only_what_has_expired says "from its expiry on";
    PurgesNothing: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
    IgnoresBatch: remove_expired_keeps_to_its_batch says "at most a batch of 3";
    PurgeNeverEnds: remove_expired_keeps_to_its_batch says "never says that it is done";
    PurgeStopsEarly: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
    PurgeForgetsRevocations: remove_expired_forgets_no_revocation says "remove_all is remembered for a day";
    PurgeIsTwoSteps: remove_expired_spares_a_session_that_is_used_in_parallel says "is used or purged, not both";
    FailsWhenBusy: calls_of_all_kinds_at_once_are_answered says "remove: the store must answer here";
}

/// Two stores that know nothing of each other are no two handles.
mod durable {
    use super::*;

    macro_rules! amnesia_is_found {
        ($($rule:ident says $sentence:literal;)*) => {
            pub(super) const RULES_THAT_FIND_A_BUG: &[&str] = &[$(stringify!($rule)),*];

            $(
                #[test]
                #[should_panic(expected = $sentence)]
                fn $rule() {
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime.block_on(rules::$rule(Opener::new(async || MemoryStore::new())));
                }
            )*
        };
    }

    amnesia_is_found! {
        reopening_sees_every_committed_record says "the same records when it is opened again";
        a_removal_is_seen_through_every_handle says "what one has inserted, the other finds";
        a_limit_holds_over_two_handles says "the outcomes add up";
        a_rotation_has_one_winner_over_two_handles says "what one has inserted, the other finds";
        a_revocation_supersedes_logins_of_every_handle says "supersedes earlier logins through the other";
        a_call_that_is_dropped_harms_no_later_one says "is there for all";
    }
}

/// Handles on the same sessions, of which each has the bug.
mod two_handles {
    use super::*;

    /// The rule fails, and says why.
    fn fails<S: TokenStore>(rule: impl AsyncFn(Opener), open: impl AsyncFn() -> S + 'static, sentence: &str) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let rule = || runtime.block_on(async { rule(Opener::new(open)).await });
        let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rule)) else {
            panic!("the rule does not find the bug");
        };
        let verdict = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(verdict.contains(sentence), "the rule finds another bug: {verdict}");
    }

    /// The same store each time.
    fn shared(bug: Bug) -> impl AsyncFn() -> Arc<Broken> {
        let store = Arc::new(Broken::new(bug));
        async move || Arc::clone(&store)
    }

    #[test]
    fn a_store_without_a_bug_passes() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(rules::a_call_that_is_dropped_harms_no_later_one(Opener::new(shared(Sound))));
        // No read is lost in the transaction that an insert leaves behind.
        let open = leaky((Operation::Insert, Operation::Find));
        runtime.block_on(rules::a_call_that_is_dropped_harms_no_later_one(Opener::new(open)));
        runtime.block_on(rules::a_revocation_supersedes_logins_of_every_handle(Opener::new(shared(Sound))));
    }

    #[test]
    fn a_limit_that_reads_and_then_acts() {
        fails(rules::a_limit_holds_over_two_handles, shared(LimitReadsThenActs), "leave exactly 3 active sessions");
    }

    #[test]
    fn a_rotation_in_two_steps() {
        fails(rules::a_rotation_has_one_winner_over_two_handles, shared(RotateIsTwoSteps), "exactly one wins");
    }

    #[test]
    fn a_revocation_that_each_handle_remembers_on_its_own() {
        let store = Broken::new(RemembersInTheHandle);
        let open = async move || store.another_handle();
        let sentence = "remove_all through one supersedes earlier logins through the other";
        fails(rules::a_revocation_supersedes_logins_of_every_handle, open, sentence);
    }

    /// Operations that stop half way when they are dropped there.
    mod halves {
        use super::*;

        macro_rules! halves_are_found {
            ($($name:ident: $bug:expr, $sentence:literal;)*) => {
                $(
                    #[test]
                    fn $name() {
                        fails(rules::a_call_that_is_dropped_harms_no_later_one, shared($bug), $sentence);
                    }
                )*
            };
        }

        halves_are_found! {
            of_insert: Halves(Operation::Insert), "find and list agree after a call that is dropped: Insert,";
            of_insert_at_a_limit: EvictsThenWaits, "does all or nothing, but InsertAtLimit";
            of_rotate: Halves(Operation::Rotate), "does all or nothing, but Rotate";
            of_touch: Halves(Operation::Touch), "does all or nothing, but Touch";
            of_set_label: Halves(Operation::SetLabel), "does all or nothing, but SetLabel";
            of_remove: Halves(Operation::Remove), "find and list agree after a call that is dropped: Remove,";
            of_remove_all: Halves(Operation::RemoveAll), "does all or nothing, but RemoveAll";
            of_remove_all_and_its_time: RemembersLate, "does all or nothing, but RemoveAll";
            of_remove_expired: Halves(Operation::RemoveExpired), "does all or nothing, but RemoveExpired";
        }
    }

    /// A handle that a call leaves in a transaction if it is dropped half way. Later writes are answered, and lost.
    struct Leaky {
        store: Arc<Broken>,
        /// The operation that leaves it there, and the one whose writes are lost.
        bug: (Operation, Operation),
        is_in_transaction: AtomicBool,
    }

    /// Handles of which each has its own transaction.
    fn leaky(bug: (Operation, Operation)) -> impl AsyncFn() -> Leaky {
        let store = Arc::new(Broken::new(Sound));
        async move || Leaky { store: Arc::clone(&store), bug, is_in_transaction: AtomicBool::new(false) }
    }

    /// A call under way. Dropped before it is at its end, it leaves the transaction behind.
    struct UnderWay<'a>(Option<&'a AtomicBool>);

    impl Drop for UnderWay<'_> {
        fn drop(&mut self) {
            if let Some(is_in_transaction) = self.0 {
                is_in_transaction.store(true, Ordering::SeqCst);
            }
        }
    }

    impl Leaky {
        /// Does a call, unless it is lost. That which can be dropped half way takes as long as with a database.
        async fn call<T>(&self, operation: Operation, lost: T, call: impl Future<Output = T>) -> T {
            let (dropped, loses) = self.bug;
            if loses == operation && self.is_in_transaction.load(Ordering::SeqCst) {
                return lost;
            }
            if dropped != operation {
                return call.await;
            }
            let mut under_way = UnderWay(Some(&self.is_in_transaction));
            dawdle().await;
            let answer = call.await;
            under_way.0 = None;
            answer
        }
    }

    #[async_trait]
    impl TokenStore for Leaky {
        async fn insert(
            &self,
            record: SessionRecord,
            limit: Option<SessionLimit>,
            now: Timestamp,
        ) -> Result<InsertOutcome, StoreError> {
            let lost = Ok(InsertOutcome::Inserted { evicted: Vec::new() });
            self.call(Operation::Insert, lost, self.store.insert(record, limit, now)).await
        }

        async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
            self.store.find(session).await
        }

        async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
            self.store.list(subject, now).await
        }

        async fn touch(
            &self,
            session: &SessionRef,
            last_used_at: Timestamp,
            expires_at: Option<Timestamp>,
        ) -> Result<bool, StoreError> {
            self.call(Operation::Touch, Ok(true), self.store.touch(session, last_used_at, expires_at)).await
        }

        async fn set_label(
            &self,
            session: &SessionRef,
            label: Option<&str>,
            now: Timestamp,
        ) -> Result<bool, StoreError> {
            self.call(Operation::SetLabel, Ok(true), self.store.set_label(session, label, now)).await
        }

        async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
            self.call(Operation::Rotate, Ok(true), self.store.rotate(session, rotation)).await
        }

        async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
            self.call(Operation::Remove, Ok(true), self.store.remove(session)).await
        }

        async fn remove_all(
            &self,
            subject: &Subject,
            except: Option<&SessionId>,
            now: Timestamp,
        ) -> Result<u64, StoreError> {
            self.call(Operation::RemoveAll, Ok(0), self.store.remove_all(subject, except, now)).await
        }

        async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
            self.call(Operation::RemoveExpired, Ok(0), self.store.remove_expired(now, batch)).await
        }
    }

    /// Each operation that leaves a transaction behind, and each write that may be lost in it.
    mod transactions {
        use super::*;

        macro_rules! lost_writes_are_found {
            ($($name:ident: $dropped:ident, $lost:ident, $sentence:literal;)*) => {
                $(
                    #[test]
                    fn $name() {
                        let open = leaky((Operation::$dropped, Operation::$lost));
                        fails(rules::a_call_that_is_dropped_harms_no_later_one, open, $sentence);
                    }
                )*
            };
        }

        lost_writes_are_found! {
            of_insert: Insert, Insert, "is there for all: InsertAtLimit";
            of_insert_that_loses_a_removal: Insert, Remove, "is gone for all: InsertAtLimit";
            of_insert_that_loses_a_use: Insert, Touch, "is recorded for all: InsertAtLimit";
            of_rotate: Rotate, Insert, "is there for all: Rotate";
            of_touch: Touch, Insert, "is there for all: Touch";
            of_set_label: SetLabel, Insert, "is there for all: SetLabel";
            of_remove: Remove, Insert, "is there for all: Remove,";
            of_remove_all: RemoveAll, Insert, "is there for all: RemoveAll,";
            of_remove_expired: RemoveExpired, Insert, "is there for all: RemoveExpired,";
        }
    }
}

/// A rule that finds no bug could as well be left out.
#[test]
fn every_rule_finds_a_bug() {
    macro_rules! names {
        (shared { $($shared:ident)* } durable { $($durable:ident)* }) => {
            [&[$(stringify!($shared)),*][..], &[$(stringify!($durable)),*][..]]
        };
    }

    let [shared, durable] = for_each_rule!(names);
    for (rules, proven) in [(shared, RULES_THAT_FIND_A_BUG), (durable, durable::RULES_THAT_FIND_A_BUG)] {
        for rule in rules {
            assert!(proven.contains(rule), "no bug shows that `{rule}` can fail");
        }
    }
}
