//! A store in memory that is correct but for its bug.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jwt_knox::{
    InsertOutcome, LimitAction, MAX_LISTED, MemoryStore, Operation, Rotation, SessionId, SessionLimit, SessionRecord,
    SessionRef, StoreError, Subject, Timestamp, TokenStore, async_trait,
};

use Bug::*;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
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

/// A store in memory that is correct but for its bug.
#[derive(Debug)]
pub(crate) struct Broken {
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
    pub(crate) fn new(bug: Bug) -> Self {
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
    pub(crate) fn another_handle(&self) -> Self {
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
pub(crate) async fn dawdle() {
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
