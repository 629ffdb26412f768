//! The kit finds bugs: a store that breaks one promise fails the rule of that promise.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jwt_knox::{
    InsertOutcome, LimitAction, MemoryStore, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError, Subject,
    Timestamp, TokenStore, async_trait,
};
use jwt_knox_testkit::{Opener, for_each_rule, rules, store_tests};
use tokio::sync::Barrier;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    Sound,
    CaseInsensitive,
    TrimsSubjects,
    LosesMicroseconds,
    LosesScope,
    EndsIn2038,
    CutsLabels,
    OverwritesOnInsert,
    UnknownIsAnError,
    ListsOldestFirst,
    ListsExpired,
    ListsExpiringOnly,
    TouchRevives,
    TouchesExpired,
    TouchBackwards,
    TouchRepeats,
    TouchMovesExpiryBack,
    TouchGivesExpiry,
    TouchForgets,
    ReplaceInsertsAnyway,
    ReplaceKeepsOld,
    ReplaceIsTwoSteps,
    RemoveLies,
    RemoveIsTwoSteps,
    RemovesTheWholeSubject,
    RemoveAllForgetsExcept,
    RemoveAllSparesUnknown,
    RemoveAllCountsExpired,
    RemoveAllLeavesExpired,
    RemoveAllTearsRotations,
    RemoveAllMiscounts,
    RemoveAllIgnoresSubject,
    LimitReadsThenActs,
    LimitIsOffByOne,
    LimitCountsExpired,
    LimitIsGlobal,
    DenyInsertsAnyway,
    EvictsNewest,
    EvictsByIdOnly,
    EvictsTheNewcomer,
    EvictsOneOnly,
    EvictsWithoutLimit,
    EvictionIsTwoSteps,
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
    FailsWhenBusy,
    MixesIds,
}

use Bug::*;

/// A store in memory that is correct but for its bug.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    bug: Bug,
    all: Mutex<BTreeMap<SessionRef, SessionRecord>>,
    removed: AtomicU64,
    calls: AtomicU64,
    reads: Barrier,
}

impl Broken {
    fn new(bug: Bug) -> Self {
        let (removed, calls) = (AtomicU64::new(0), AtomicU64::new(0));
        // As many logins as the rule about it makes at once.
        let reads = Barrier::new(if bug == ReplacingIsTwoSteps { 32 } else { 64 });
        Self { inner: MemoryStore::new(), bug, all: Mutex::default(), removed, calls, reads }
    }

    /// Waits until all logins have read what is there. One that reads late would clean up after the others.
    async fn all_have_read(&self) {
        assert!(tokio::time::timeout(Duration::from_secs(30), self.reads.wait()).await.is_ok());
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

    fn known(&self) -> Vec<SessionRecord> {
        self.all.lock().unwrap().values().cloned().collect()
    }

    async fn everything(&self, subject: &Subject) -> Vec<SessionRecord> {
        let mut records = Vec::new();
        for known in self.known() {
            if known.subject == *subject {
                records.extend(self.inner.find(&known.session_ref()).await.unwrap());
            }
        }
        records.sort_by_key(|record| (record.created_at, record.id()));
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
            self.all_have_read().await;
        }
        let mut replaced = 0;
        for old in &same {
            replaced += u64::from(self.inner.remove(&old.session_ref()).await.unwrap());
        }
        if self.is(ReplacesExpired) {
            let everything = self.everything(&record.subject).await;
            replaced += everything.iter().filter(|old| old.label == record.label && !old.is_active(now)).count() as u64;
        }
        let outcome = self.inner.insert(record.clone(), Some(plain), now).await;
        Some(outcome.map(|outcome| match outcome {
            InsertOutcome::Inserted { evicted } if !self.is(ReplacesUncounted) => {
                InsertOutcome::Inserted { evicted: evicted + replaced }
            }
            other => other,
        }))
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
            EndsIn2038 => record.expires_at = record.expires_at.filter(|time| time.as_second() <= i32::MAX.into()),
            CutsLabels => record.label = record.label.map(|label| label.chars().take(100).collect()),
            OverwritesOnInsert => {
                self.inner.remove(&record.session_ref()).await?;
            }
            MixesIds => {
                if let Some(twin) = self.known().into_iter().find(|twin| twin.id() == record.id()) {
                    self.inner.remove(&twin.session_ref()).await?;
                }
            }
            _ => {}
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
                self.all_have_read().await;
                if full(active.len()) {
                    return Ok(InsertOutcome::LimitReached);
                }
                return self.put(record, now).await;
            }
            (LimitReadsThenActs, LimitAction::EvictOldest | LimitAction::EvictLeastRecentlyUsed) => {
                self.all_have_read().await;
                let excess = (active.len() + 1).saturating_sub(limit.max() as usize);
                let mut evicted = 0;
                for old in active.iter().rev().take(excess) {
                    evicted += u64::from(self.inner.remove(&old.session_ref()).await?);
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
                return Ok(InsertOutcome::Inserted { evicted: evicted.len() as u64 });
            }
            (UnusedMeansOldest, LimitAction::EvictLeastRecentlyUsed) => {
                return self.inner.insert(record, Some(SessionLimit::evict_oldest(limit.max()).unwrap()), now).await;
            }
            (UnusedMeansNeverUsed, LimitAction::EvictLeastRecentlyUsed) if full(active.len()) => {
                let old = active.iter().min_by_key(|old| (old.last_used_at, old.id())).unwrap();
                self.inner.remove(&old.session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
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
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            (EvictsByIdOnly, LimitAction::EvictOldest) if full(active.len()) => {
                let old = active.iter().min_by_key(|old| old.id()).unwrap();
                self.inner.remove(&old.session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            (EvictsTheNewcomer, LimitAction::EvictOldest) if full(active.len()) => {
                let (subject, max) = (record.subject.clone(), limit.max() as usize);
                let _ = self.put(record, now).await?;
                let active = self.inner.list(&subject, now).await?;
                let mut evicted = 0;
                for old in active.iter().skip(max) {
                    evicted += u64::from(self.inner.remove(&old.session_ref()).await?);
                }
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictsOneOnly, LimitAction::EvictOldest) if full(active.len()) => {
                self.inner.remove(&active[active.len() - 1].session_ref()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            _ => {}
        }
        self.all.lock().unwrap().insert(record.session_ref(), record.clone());
        self.inner.insert(record, Some(limit), now).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
        let mut found = self.inner.find(&self.session(session)).await?;
        if self.is(UnknownIsAnError) && found.is_none() {
            return Err(StoreError::new("no such record"));
        }
        if let Some(record) = &mut found {
            record.subject = session.subject.clone();
        }
        Ok(found)
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        if self.is(ListsExpired) {
            let mut records = self.everything(subject).await;
            records.reverse();
            return Ok(records);
        }
        let mut records = self.inner.list(&self.subject(subject), now).await?;
        match self.bug {
            ListsOldestFirst => records.reverse(),
            ListsExpiringOnly => records.retain(|record| record.expires_at.is_some()),
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
        let Some(mut record) = self.inner.find(session).await? else {
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

    async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError> {
        self.all.lock().unwrap().insert(new.session_ref(), new.clone());
        let now = new.created_at;
        match self.bug {
            ReplaceInsertsAnyway => {
                let removed = self.inner.remove(old).await?;
                let _ = self.inner.insert(new, None, now).await?;
                Ok(removed)
            }
            ReplaceKeepsOld if self.inner.find(old).await?.is_some() => {
                let _ = self.inner.insert(new, None, now).await?;
                Ok(true)
            }
            ReplaceIsTwoSteps => {
                if self.inner.find(old).await?.is_none() {
                    return Ok(false);
                }
                dawdle().await;
                let _ = self.inner.insert(new, None, now).await?;
                self.inner.remove(old).await?;
                Ok(true)
            }
            RemoveAllTearsRotations => {
                if !self.inner.remove(old).await? {
                    return Ok(false);
                }
                dawdle().await;
                let _ = self.inner.insert(new, None, now).await?;
                Ok(true)
            }
            _ => self.inner.replace(old, new).await,
        }
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
            RemoveAllForgetsExcept => self.inner.remove_all(subject, None, now).await,
            RemoveAllSparesUnknown => match except {
                Some(id) if !self.everything(subject).await.iter().any(|record| record.id() == *id) => Ok(0),
                _ => self.inner.remove_all(subject, except, now).await,
            },
            RemoveAllCountsExpired => self.inner.remove_all(subject, except, Timestamp::MIN).await,
            RemoveAllLeavesExpired => {
                let mut count = 0;
                for record in self.inner.list(subject, now).await? {
                    if except != Some(&record.id()) {
                        count += u64::from(self.inner.remove(&record.session_ref()).await?);
                    }
                }
                Ok(count)
            }
            RemoveAllMiscounts => {
                let active = self.inner.list(subject, now).await?;
                let count = active.iter().filter(|record| except != Some(&record.id())).count();
                dawdle().await;
                self.inner.remove_all(subject, except, now).await?;
                Ok(count as u64)
            }
            RemoveAllIgnoresSubject => {
                let mut count = 0;
                for record in self.known() {
                    if except != Some(&record.id()) {
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
                            let verdict = verdict(rules::$rule(Arc::new(Broken::new($bug)))).await;
                            let Some(verdict) = verdict else { panic!("the rule does not find the bug") };
                            assert!(verdict.contains($sentence), "the rule finds another bug: {verdict}");
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
    EndsIn2038: times_far_ahead_are_kept says "a hundred years ahead";
    CutsLabels: a_record_comes_back_whole says "every field comes back";
    OverwritesOnInsert: a_record_is_inserted_once says "a key that is taken is an error";
    UnknownIsAnError: an_unknown_record_is_not_found says "find: the store must answer";
    ListsOldestFirst: list_is_newest_first says "newest first";
    ListsExpired: list_gives_the_active_sessions_of_one_subject
        says "all active sessions of the subject and no others";
    ListsExpiringOnly: list_gives_the_active_sessions_of_one_subject says "all active sessions",
        a_session_is_removed_whole_or_there_whole says "there whole";
    TouchForgets: touch_records_the_use says "last_used_at is the time of use";
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
    RemoveAllLeavesExpired: remove_all_ends_all_and_counts_the_active says "also expired ones";
    RemoveAllIgnoresSubject: remove_all_leaves_other_subjects_alone says "counts one subject only";
    RemoveAllTearsRotations: a_rotation_does_not_outlive_remove_all says "a session that is rotated in the meantime";
    RemoveAllMiscounts: remove_all_counts_every_session_it_ends says "also of those that began in the meantime";
    ReplaceInsertsAnyway: replace_of_a_missing_record_inserts_nothing says "nothing was inserted";
    ReplaceKeepsOld: replace_swaps_a_record_once says "the old record is gone";
    ReplaceIsTwoSteps: parallel_rotations_have_one_winner says "exactly one wins",
        a_rotation_does_not_slip_past_the_limit says "limit of 2";
    LimitReadsThenActs: parallel_logins_keep_to_a_denying_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_an_evicting_limit says "leave exactly 3 active sessions",
        parallel_logins_keep_to_a_limit_by_use says "leave exactly 3 active sessions";
    LimitIsOffByOne: a_denying_limit_rejects_one_too_many says "one too many is rejected";
    LimitCountsExpired: expired_sessions_count_in_no_limit says "an expired session does not count";
    LimitIsGlobal: a_limit_counts_one_subject_only says "the sessions of other subjects do not count";
    DenyInsertsAnyway: a_denying_limit_rejects_one_too_many says "a rejected record is not there";
    EvictsNewest: an_evicting_limit_ends_the_oldest says "the oldest goes";
    EvictsByIdOnly: an_evicting_limit_ends_the_oldest says "by created_at and then by id";
    EvictsTheNewcomer: an_evicting_limit_inserts_the_new_session says "the new record is there";
    EvictsOneOnly: a_lowered_limit_applies_to_the_next_login says "a lowered limit evicts down to it";
    EvictsWithoutLimit: without_a_limit_nothing_is_evicted says "without a limit all sessions stay";
    UnusedMeansOldest: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    UnusedMeansNeverUsed: a_limit_by_use_ends_the_least_recently_used says "by last_used_at or else created_at";
    IgnoresLabels: a_login_replaces_the_sessions_of_the_same_label says "the same label are replaced and counted";
    ReplacesWithoutCase: a_login_replaces_the_sessions_of_the_same_label says "and no others";
    ReplacesUnlabelled: a_login_replaces_the_sessions_of_the_same_label
        says "a session without a label replaces none";
    ReplacesUncounted: a_login_replaces_the_sessions_of_the_same_label says "are replaced and counted";
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
        a_rotation_has_one_winner_over_two_handles says "leaves one in its place";
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
