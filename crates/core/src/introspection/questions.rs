//! The questions that are under way, and who waits for them.

use std::{
    collections::{HashMap, hash_map},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{
    clock::AskedAt,
    error::StoreError,
    introspection::{
        answer::Verdict,
        shared_future::{BoxFuture, SharedFuture},
    },
};

/// Of a token, and of what is known of it before its issuer is asked.
pub(super) type Key = [u8; 32];

/// How a question ends, for all who wait for it.
pub(super) type Outcome = Result<Verdict, Arc<StoreError>>;

/// The questions that somebody waits for.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<Key, Entry>>);

/// The questions about one token.
#[derive(Default)]
struct Entry {
    /// Locked by the one that is under way: they are asked one after the other.
    under_way: Arc<async_lock::Mutex<()>>,
    /// How many wait for any of them.
    callers: usize,
    /// The last one, which belongs to those who wait for it: if all of them go away, it goes with them.
    last: Weak<Question>,
}

/// One question about a token, for all who wait for its outcome.
struct Question {
    /// When it was sent.
    asked_at: Arc<OnceLock<AskedAt>>,
    outcome: SharedFuture<Outcome>,
    /// Whether somebody has taken note that it has failed.
    is_failure_known: AtomicBool,
}

/// The place of a question among those about the same token.
pub(super) struct Place {
    under_way: Arc<async_lock::Mutex<()>>,
    asked_at: Arc<OnceLock<AskedAt>>,
}

impl Place {
    /// Waits until the question before has ended. The next one waits for the guard.
    pub(super) async fn reached(&self) -> async_lock::MutexGuardArc<()> {
        self.under_way.lock_arc().await
    }

    /// Notes that it is sent now. Who comes later knows that it may have missed something.
    pub(super) fn set_asked_at(&self, now: AskedAt) {
        let _ = self.asked_at.set(now);
    }
}

impl Questions {
    /// Joins the question about a token that has not been sent, or that `may_join` says was sent late enough. Otherwise
    /// `ask` makes one, which does nothing before it is polled.
    pub(super) fn join(
        &self,
        key: Key,
        may_join: impl Fn(&AskedAt) -> bool,
        ask: impl FnOnce(Place) -> BoxFuture<Outcome>,
    ) -> Caller<'_> {
        let (question, last) = {
            let mut entries = self.lock();
            let entry = entries.entry(key).or_default();
            entry.callers += 1;
            let last = entry.last.upgrade();
            let question = match &last {
                Some(last) if last.may_be_joined(may_join) => Arc::clone(last),
                _ => {
                    let asked_at = Arc::default();
                    let place = Place { under_way: Arc::clone(&entry.under_way), asked_at: Arc::clone(&asked_at) };
                    let question = Arc::new(Question::new(asked_at, ask(place)));
                    entry.last = Arc::downgrade(&question);
                    question
                }
            };
            (question, last)
        };
        // What the application does when a question is dropped, is done without the lock.
        drop(last);
        Caller { questions: self, key, question }
    }

    /// How many tokens are asked about.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    fn new(asked_at: Arc<OnceLock<AskedAt>>, outcome: BoxFuture<Outcome>) -> Self {
        let panicked = || Err(Arc::new(StoreError::new("the introspection request panicked")));
        Self { asked_at, outcome: SharedFuture::new(outcome, panicked), is_failure_known: AtomicBool::new(false) }
    }

    fn may_be_joined(&self, is_late_enough: impl Fn(&AskedAt) -> bool) -> bool {
        self.asked_at.get().is_none_or(is_late_enough) && !self.outcome.has_ended()
    }
}

/// Somebody who waits for a question.
pub(super) struct Caller<'a> {
    questions: &'a Questions,
    key: Key,
    question: Arc<Question>,
}

impl Caller<'_> {
    pub(super) async fn outcome(&self) -> Outcome {
        self.question.outcome.output().await
    }

    /// Takes note that the question has failed, and says whether this caller is the first to do so.
    pub(super) fn notes_failure_first(&self) -> bool {
        !self.question.is_failure_known.swap(true, Relaxed)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        // The question, if this was the last of its callers, is dropped after this and without the lock.
        let mut entries = self.questions.lock();
        if let hash_map::Entry::Occupied(mut entry) = entries.entry(self.key) {
            entry.get_mut().callers -= 1;
            if entry.get().callers == 0 {
                entry.remove();
            }
        }
    }
}
