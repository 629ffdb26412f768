//! The kit finds what is broken: stores that break one promise each fail the rule of that promise.

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

use jiff::Timestamp;
use jwt_knox::{
    InsertOutcome, MemoryStore, StoreError, Subject, TokenId, TokenKey, TokenLimit, TokenRecord, TokenStore, WhenFull,
    async_trait,
};
use jwt_knox_testkit::{Opener, rules};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
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
    ListsBeforeDeadlineOnly,
    TouchRevives,
    TouchesExpired,
    TouchBackwards,
    TouchMovesDeadlineBack,
    TouchGivesDeadline,
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
    PurgesLive,
    PurgesWithoutDeadline,
    PurgeLeavesTheDeadlineItself,
    PurgesNothing,
    IgnoresBatch,
    PurgeNeverEnds,
    PurgeStopsEarly,
    PurgeIsTwoSteps,
    FailsWhenBusy,
    MixesIds,
}

use Fault::*;

/// A store in memory that is right but for its fault.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    all: Mutex<BTreeMap<TokenKey, TokenRecord>>,
    removed: AtomicU64,
    calls: AtomicU64,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let (removed, calls) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { inner: MemoryStore::new(), fault, all: Mutex::default(), removed, calls }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn subject(&self, subject: &Subject) -> Subject {
        match self.fault {
            CaseInsensitive => Subject::new(subject.as_str().to_lowercase()).unwrap(),
            TrimsSubjects => Subject::new(subject.as_str().trim_end()).unwrap(),
            _ => subject.clone(),
        }
    }

    fn key(&self, key: &TokenKey) -> TokenKey {
        TokenKey { subject: self.subject(&key.subject), id: key.id.clone() }
    }

    fn known(&self) -> Vec<TokenRecord> {
        self.all.lock().unwrap().values().cloned().collect()
    }

    async fn everything(&self, subject: &Subject) -> Vec<TokenRecord> {
        let mut records = Vec::new();
        for known in self.known() {
            if known.subject == *subject {
                records.extend(self.inner.find(&known.key()).await.unwrap());
            }
        }
        records.sort_by_key(|record| (record.created_at, record.id()));
        records
    }

    /// What a store does wrong that is to replace the records of the same label; `None` if it does so right.
    async fn replace_wrongly(
        &self,
        record: &TokenRecord,
        limit: TokenLimit,
        now: Timestamp,
        live: &[TokenRecord],
    ) -> Option<Result<InsertOutcome, StoreError>> {
        let same: Vec<&TokenRecord> = match self.fault {
            IgnoresLabels => Vec::new(),
            ReplacesWithoutCase => {
                let lower = |record: &TokenRecord| record.label.as_ref().map(|label| label.to_lowercase());
                live.iter().filter(|old| record.label.is_some() && lower(old) == lower(record)).collect()
            }
            ReplacesUnlabelled => live.iter().filter(|old| old.label == record.label).collect(),
            ReplacesUncounted | ReplacesExpired | ReplacesThenDenies | DeniesThenReplaces | ReplacingIsTwoSteps => {
                live.iter().filter(|old| record.label.is_some() && old.label == record.label).collect()
            }
            _ => return None,
        };
        let plain = match limit.when_full() {
            WhenFull::EvictOldest => TokenLimit::evict_oldest(limit.max()),
            _ => TokenLimit::deny(limit.max()),
        };
        if self.is(DeniesThenReplaces) && plain.make_room(record, live).is_none() {
            return Some(Ok(InsertOutcome::LimitReached));
        }
        if self.is(ReplacingIsTwoSteps) {
            dawdle().await;
        }
        let mut replaced = 0;
        for old in &same {
            replaced += u64::from(self.inner.remove(&old.key()).await.unwrap());
        }
        if self.is(ReplacesExpired) {
            let everything = self.everything(&record.subject).await;
            replaced += everything.iter().filter(|old| old.label == record.label && !old.is_live(now)).count() as u64;
        }
        let outcome = self.inner.insert(record.clone(), Some(plain), now).await;
        Some(outcome.map(|outcome| match outcome {
            InsertOutcome::Inserted { evicted } if !self.is(ReplacesUncounted) => {
                InsertOutcome::Inserted { evicted: evicted + replaced }
            }
            other => other,
        }))
    }

    async fn put(&self, record: TokenRecord, now: Timestamp) -> Result<InsertOutcome, StoreError> {
        self.all.lock().unwrap().insert(record.key(), record.clone());
        self.inner.insert(record, None, now).await
    }
}

/// Gives the other calls time to get in between.
async fn dawdle() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

fn cut(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap()
}

#[async_trait]
impl TokenStore for Broken {
    async fn insert(
        &self,
        mut record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let original = record.subject.clone();
        record.subject = self.subject(&record.subject);
        match self.fault {
            LosesMicroseconds => {
                record.created_at = cut(record.created_at);
                record.expires_at = record.expires_at.map(cut);
            }
            LosesScope => record.scope = None,
            EndsIn2038 => record.expires_at = record.expires_at.filter(|moment| moment.as_second() <= i32::MAX.into()),
            CutsLabels => record.label = record.label.map(|label| label.chars().take(100).collect()),
            OverwritesOnInsert => {
                self.inner.remove(&record.key()).await?;
            }
            MixesIds => {
                if let Some(twin) = self.known().into_iter().find(|twin| twin.id() == record.id()) {
                    self.inner.remove(&twin.key()).await?;
                }
            }
            _ => {}
        }
        let Some(limit) = limit else {
            if self.is(EvictsWithoutLimit) {
                let records = self.everything(&original).await;
                if records.len() >= 10 {
                    self.inner.remove(&records[0].key()).await?;
                }
            }
            return self.put(record, now).await;
        };
        let full = |n: usize| n >= limit.max() as usize;
        let live = self.inner.list(&record.subject, now).await?;
        if limit.replaces_same_label()
            && let Some(outcome) = self.replace_wrongly(&record, limit, now, &live).await
        {
            return outcome;
        }
        match (self.fault, limit.when_full()) {
            (LimitReadsThenActs, WhenFull::Deny) => {
                if full(live.len()) {
                    return Ok(InsertOutcome::LimitReached);
                }
                dawdle().await;
                return self.put(record, now).await;
            }
            (LimitReadsThenActs, WhenFull::EvictOldest | WhenFull::EvictLongestUnused) => {
                let excess = (live.len() + 1).saturating_sub(limit.max() as usize);
                let mut evicted = 0;
                for victim in live.iter().rev().take(excess) {
                    dawdle().await;
                    evicted += u64::from(self.inner.remove(&victim.key()).await?);
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictionIsTwoSteps, _) => {
                let victims = limit.make_room(&record, &live).unwrap();
                dawdle().await;
                for id in &victims {
                    self.inner.remove(&TokenKey { subject: record.subject.clone(), id: id.clone() }).await?;
                }
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: victims.len() as u64 });
            }
            (UnusedMeansOldest, WhenFull::EvictLongestUnused) => {
                return self.inner.insert(record, Some(TokenLimit::evict_oldest(limit.max())), now).await;
            }
            (UnusedMeansNeverUsed, WhenFull::EvictLongestUnused) if full(live.len()) => {
                let victim = live.iter().min_by_key(|victim| (victim.last_used_at, victim.id())).unwrap();
                self.inner.remove(&victim.key()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            (LimitIsOffByOne, WhenFull::Deny) if live.len() == limit.max() as usize => {
                return self.put(record, now).await;
            }
            (LimitCountsExpired, WhenFull::Deny) if full(self.everything(&original).await.len()) => {
                return Ok(InsertOutcome::LimitReached);
            }
            (LimitIsGlobal, WhenFull::Deny) if full(self.known().len()) => return Ok(InsertOutcome::LimitReached),
            (DenyInsertsAnyway, WhenFull::Deny) if full(live.len()) => {
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::LimitReached);
            }
            (EvictsNewest, WhenFull::EvictOldest) if full(live.len()) => {
                self.inner.remove(&live[0].key()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            (EvictsByIdOnly, WhenFull::EvictOldest) if full(live.len()) => {
                let victim = live.iter().min_by_key(|victim| victim.id()).unwrap();
                self.inner.remove(&victim.key()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            (EvictsTheNewcomer, WhenFull::EvictOldest) if full(live.len()) => {
                let (subject, max) = (record.subject.clone(), limit.max() as usize);
                let _ = self.put(record, now).await?;
                let live = self.inner.list(&subject, now).await?;
                let mut evicted = 0;
                for victim in live.iter().skip(max) {
                    evicted += u64::from(self.inner.remove(&victim.key()).await?);
                }
                return Ok(InsertOutcome::Inserted { evicted });
            }
            (EvictsOneOnly, WhenFull::EvictOldest) if full(live.len()) => {
                self.inner.remove(&live[live.len() - 1].key()).await?;
                let _ = self.put(record, now).await?;
                return Ok(InsertOutcome::Inserted { evicted: 1 });
            }
            _ => {}
        }
        self.all.lock().unwrap().insert(record.key(), record.clone());
        self.inner.insert(record, Some(limit), now).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let mut found = self.inner.find(&self.key(key)).await?;
        if self.is(UnknownIsAnError) && found.is_none() {
            return Err(StoreError::new("broken", "no such record"));
        }
        if let Some(record) = &mut found {
            record.subject = key.subject.clone();
        }
        Ok(found)
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        if self.is(ListsExpired) {
            let mut records = self.everything(subject).await;
            records.reverse();
            return Ok(records);
        }
        let mut records = self.inner.list(&self.subject(subject), now).await?;
        match self.fault {
            ListsOldestFirst => records.reverse(),
            ListsBeforeDeadlineOnly => records.retain(|record| record.expires_at.is_some()),
            _ => {}
        }
        for record in &mut records {
            record.subject = subject.clone();
        }
        Ok(records)
    }

    async fn touch(
        &self,
        key: &TokenKey,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let Some(mut record) = self.inner.find(key).await? else {
            let known = self.all.lock().unwrap().get(key).cloned();
            if let (true, Some(record)) = (self.is(TouchRevives), known) {
                let _ = self.inner.insert(record, None, last_used_at).await?;
                return Ok(true);
            }
            return Ok(false);
        };
        if !record.is_live(last_used_at) && !self.is(TouchesExpired) {
            return Ok(false);
        }
        if self.is(TouchForgets) {
            return Ok(true);
        }
        let write = match self.fault {
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
            TouchMovesDeadlineBack if record.last_used_at.is_none_or(|before| before < last_used_at) => {
                record.last_used_at = Some(last_used_at);
                if record.expires_at.is_some() && expires_at.is_some() {
                    record.expires_at = expires_at;
                }
                true
            }
            TouchGivesDeadline if record.expires_at.is_none() => {
                record.last_used_at = Some(last_used_at);
                record.expires_at = expires_at;
                true
            }
            _ => false,
        };
        if write {
            self.inner.remove(key).await?;
            let _ = self.inner.insert(record, None, last_used_at).await?;
            return Ok(true);
        }
        self.inner.touch(key, last_used_at, expires_at).await
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        self.all.lock().unwrap().insert(new.key(), new.clone());
        let now = new.created_at;
        match self.fault {
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

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        let key = self.key(key);
        match self.fault {
            FailsWhenBusy => {
                let others = self.calls.fetch_add(1, Ordering::Relaxed);
                dawdle().await;
                self.calls.fetch_sub(1, Ordering::Relaxed);
                if others > 0 {
                    return Err(StoreError::new("broken", "deadlock"));
                }
                self.inner.remove(&key).await
            }
            RemoveLies => {
                self.inner.remove(&key).await?;
                Ok(true)
            }
            RemoveIsTwoSteps => {
                let there = self.inner.find(&key).await?.is_some();
                dawdle().await;
                self.inner.remove(&key).await?;
                Ok(there)
            }
            RemovesTheWholeSubject => Ok(self.inner.remove_all(&key.subject, None, Timestamp::MIN).await? > 0),
            _ => self.inner.remove(&key).await,
        }
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        let subject = &self.subject(subject);
        match self.fault {
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
                        count += u64::from(self.inner.remove(&record.key()).await?);
                    }
                }
                Ok(count)
            }
            RemoveAllMiscounts => {
                let live = self.inner.list(subject, now).await?;
                let count = live.iter().filter(|record| except != Some(&record.id())).count();
                dawdle().await;
                self.inner.remove_all(subject, except, now).await?;
                Ok(count as u64)
            }
            RemoveAllIgnoresSubject => {
                let mut count = 0;
                for record in self.known() {
                    if except != Some(&record.id()) {
                        count += u64::from(self.inner.remove(&record.key()).await?);
                    }
                }
                Ok(count)
            }
            _ => self.inner.remove_all(subject, except, now).await,
        }
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        let far = Timestamp::from_second(4_200_000_000).unwrap();
        match self.fault {
            PurgesLive => self.inner.remove_expired(far, batch).await,
            PurgesWithoutDeadline => {
                for record in self.known() {
                    if record.expires_at.is_none() {
                        self.inner.remove(&record.key()).await?;
                    }
                }
                self.inner.remove_expired(now, batch).await
            }
            PurgeLeavesTheDeadlineItself => {
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
                    if self.inner.find(&record.key()).await?.is_some_and(|record| !record.is_live(now)) {
                        dawdle().await;
                        removed += u64::from(self.inner.remove(&record.key()).await?);
                    }
                }
                Ok(removed.min(batch.get().into()))
            }
            _ => self.inner.remove_expired(now, batch).await,
        }
    }
}

/// What the rule says of the store; `None` if it finds nothing.
async fn verdict(rule: impl Future<Output = ()> + Send + 'static) -> Option<String> {
    let panic = tokio::spawn(rule).await.err()?.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// For each fault: the rule that must find it, and what it must say.
macro_rules! faults_are_found {
    ($($fault:ident: $rule:ident says $sentence:literal;)*) => {
        #[allow(non_snake_case)]
        mod fault {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $fault() {
                    use super::*;

                    let sound = verdict(rules::$rule(Arc::new(Broken::new(Sound)))).await;
                    assert_eq!(sound, None, "the rule is broken by a store that is right");
                    let verdict = verdict(rules::$rule(Arc::new(Broken::new($fault)))).await;
                    let Some(verdict) = verdict else { panic!("the rule does not find the fault") };
                    assert!(verdict.contains($sentence), "the rule finds another fault: {verdict}");
                }
            )*
        }
    };
}

faults_are_found! {
    CaseInsensitive: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    TrimsSubjects: subjects_compare_byte_for_byte says "subjects compare byte for byte";
    MixesIds: ids_of_different_subjects_do_not_mix says "ids belong to a subject";
    LosesMicroseconds: a_record_comes_back_whole says "every field comes back";
    LosesScope: a_record_comes_back_whole says "every field comes back";
    EndsIn2038: moments_far_ahead_are_kept says "a hundred years ahead";
    CutsLabels: a_record_comes_back_whole says "every field comes back";
    OverwritesOnInsert: a_record_is_inserted_once says "a key that is taken is an error";
    UnknownIsAnError: an_unknown_record_is_not_found says "find: the store must answer";
    ListsOldestFirst: list_is_newest_first says "newest first";
    ListsExpired: list_gives_the_live_records_of_one_subject says "all live records of the subject and no others";
    ListsBeforeDeadlineOnly: list_gives_the_live_records_of_one_subject says "all live records";
    TouchForgets: touch_notes_the_use says "last_used_at is the moment of use";
    TouchesExpired: touch_needs_a_live_record says "a record that is over is not written";
    TouchBackwards: an_older_touch_is_refused says "a use before the last one is not written";
    TouchMovesDeadlineBack: touch_moves_the_deadline_only_forwards says "the deadline moves only forwards";
    TouchGivesDeadline: touch_gives_no_deadline_to_a_record_without_one says "a record without a deadline never gets one";
    TouchRevives: touch_needs_a_live_record says "a revoked record is not written";
    RemoveLies: remove_is_precise_and_may_be_repeated says "doing it again is no error, and `false`";
    RemovesTheWholeSubject: remove_is_precise_and_may_be_repeated says "the subject's other records stay";
    RemoveIsTwoSteps: parallel_removals_have_one_winner says "of parallel calls exactly one removed the record";
    RemoveAllForgetsExcept: remove_all_spares_the_exception says "the exception stays";
    RemoveAllSparesUnknown: remove_all_spares_the_exception says "an exception that is not there spares nothing";
    RemoveAllCountsExpired: remove_all_ends_all_and_counts_the_live says "the count is that of the live records";
    RemoveAllLeavesExpired: remove_all_ends_all_and_counts_the_live says "also those that are over";
    RemoveAllIgnoresSubject: remove_all_leaves_other_subjects_alone says "counts one subject only";
    RemoveAllTearsRotations: a_rotation_does_not_outlive_remove_all says "a login that is rotated meanwhile";
    RemoveAllMiscounts: remove_all_counts_every_login_it_ends says "also of those that happened meanwhile";
    ReplaceInsertsAnyway: replace_of_a_missing_record_inserts_nothing says "nothing was inserted";
    ReplaceKeepsOld: replace_swaps_a_record_once says "the old record is gone";
    ReplaceIsTwoSteps: parallel_rotations_have_one_winner says "exactly one wins";
    LimitReadsThenActs: parallel_logins_keep_to_a_denying_limit says "leave exactly 3 live records";
    LimitIsOffByOne: a_denying_limit_refuses_one_too_many says "one too many is denied";
    LimitCountsExpired: expired_records_count_in_no_limit says "a record that is over does not count";
    LimitIsGlobal: a_limit_counts_its_own_subject_only says "the records of other subjects do not count";
    DenyInsertsAnyway: a_denying_limit_refuses_one_too_many says "a denied record is not there";
    EvictsNewest: an_evicting_limit_ends_the_oldest says "the oldest goes";
    EvictsByIdOnly: an_evicting_limit_ends_the_oldest says "by created_at and then by id";
    EvictsTheNewcomer: an_evicting_limit_lets_the_new_record_in says "the new record is there";
    EvictsOneOnly: a_lowered_limit_applies_to_the_next_login says "a lowered limit evicts down to it";
    EvictsWithoutLimit: without_a_limit_nothing_is_evicted says "without a limit all records stay";
    UnusedMeansOldest: a_limit_by_use_ends_the_longest_unused says "by last_used_at or else created_at";
    UnusedMeansNeverUsed: a_limit_by_use_ends_the_longest_unused says "by last_used_at or else created_at";
    IgnoresLabels: a_login_replaces_those_of_the_same_label says "the same label are replaced and counted";
    ReplacesWithoutCase: a_login_replaces_those_of_the_same_label says "and no others";
    ReplacesUnlabelled: a_login_replaces_those_of_the_same_label says "a record without a label replaces none";
    ReplacesUncounted: a_login_replaces_those_of_the_same_label says "are replaced and counted";
    ReplacesExpired: a_login_replaces_those_of_the_same_label says "the live records with the same label";
    ReplacesThenDenies: replacing_comes_before_the_limit says "a record that is denied replaces nothing";
    DeniesThenReplaces: replacing_comes_before_the_limit says "what is replaced makes room";
    ReplacingIsTwoSteps: parallel_logins_of_one_label_leave_one says "leave exactly one live record of it";
    EvictionIsTwoSteps: a_record_is_removed_or_evicted_and_not_both says "is not counted as evicted too";
    PurgesLive: remove_expired_removes_only_what_is_over says "what is live stays";
    PurgesWithoutDeadline: remove_expired_removes_only_what_is_over says "what has no deadline";
    PurgeLeavesTheDeadlineItself: remove_expired_removes_only_what_is_over says "from its deadline on";
    PurgesNothing: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
    IgnoresBatch: remove_expired_keeps_to_its_batch says "at most a batch of 3";
    PurgeNeverEnds: remove_expired_keeps_to_its_batch says "never says that it is through";
    PurgeIsTwoSteps: remove_expired_spares_a_login_that_is_used_meanwhile says "is used or purged, not both";
    FailsWhenBusy: calls_of_all_kinds_at_once_are_answered says "remove: the store must answer here";
    PurgeStopsEarly: remove_expired_keeps_to_its_batch says "fewer than a batch means that nothing is left";
}

/// Some faults break more than one rule, and each must see them.
mod more {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_evicting_limit_that_reads_and_then_acts_is_found() {
        let verdict =
            verdict(rules::parallel_logins_keep_to_an_evicting_limit(Arc::new(Broken::new(LimitReadsThenActs))));
        assert!(verdict.await.is_some_and(|verdict| verdict.contains("leave exactly 3 live records")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_limit_by_use_that_reads_and_then_acts_is_found() {
        let store = Arc::new(Broken::new(LimitReadsThenActs));
        let verdict = verdict(rules::parallel_logins_keep_to_a_limit_by_use(store)).await;
        assert!(verdict.is_some_and(|verdict| verdict.contains("leave exactly 3 live records")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_eviction_that_overlooks_a_use_is_found() {
        let store = Arc::new(Broken::new(EvictionIsTwoSteps));
        let verdict = verdict(rules::a_use_that_is_noted_saves_from_eviction(store)).await;
        assert!(verdict.is_some_and(|verdict| verdict.contains("by its last use, also if that happens meanwhile")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_touch_that_races_a_removal_is_found() {
        let verdict = verdict(rules::a_touch_revives_nothing(Arc::new(Broken::new(TouchRevives)))).await;
        assert!(verdict.is_some_and(|verdict| verdict.contains("does not bring the record back")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_rotation_that_slips_past_the_limit_is_found() {
        let verdict = verdict(rules::a_rotation_does_not_slip_past_the_limit(Arc::new(Broken::new(ReplaceIsTwoSteps))));
        assert!(verdict.await.is_some_and(|verdict| verdict.contains("limit of 2")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_purge_that_takes_live_records_is_found_during_logins() {
        let store = Arc::new(Broken::new(PurgesLive));
        let verdict = verdict(rules::remove_expired_loses_no_login_that_happens_meanwhile(store)).await;
        assert!(verdict.is_some_and(|verdict| verdict.contains("a login that happens during the purge stays")));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_store_that_tears_logins_is_found() {
        let store = Arc::new(Broken::new(ListsBeforeDeadlineOnly));
        let verdict = verdict(rules::a_login_is_removed_whole_or_there_whole(store)).await;
        assert!(verdict.is_some_and(|verdict| verdict.contains("there whole")));
    }
}

/// Two stores that know nothing of each other are no two handles.
mod durable {
    use super::*;

    macro_rules! amnesia_is_found {
        ($($rule:ident says $sentence:literal;)*) => {
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
