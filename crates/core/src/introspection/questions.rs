//! The questions that are under way, and who waits for them.

use std::{
    collections::HashMap,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
};

use event_listener::Event;
use jiff::Timestamp;

use crate::{error::StoreError, introspection::answer::Verdict};

/// SHA-256 of a whole token.
pub(super) type Key = [u8; 32];

/// How a question ends, for all who wait for it.
pub(super) type Outcome = Result<Verdict, Arc<StoreError>>;

/// A question that is under way.
pub(super) type Asking = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The questions that somebody waits for. Each token has one that can be joined at most.
#[derive(Default)]
pub(super) struct Questions(Mutex<HashMap<Key, Entry>>);

struct Entry {
    question: Arc<Question>,
    /// How many wait for it.
    callers: usize,
}

/// A question about a token, which one of its callers drives.
struct Question {
    start: Start,
    state: Mutex<State>,
    /// Notified when it ends, and when nobody drives it any more.
    changed: Event,
}

enum State {
    /// Nobody drives it: it is new, or the caller that did has gone away.
    Left(Asking),
    Driven,
    Ended(Outcome),
}

/// When a question begins.
#[derive(Clone, Default)]
pub(super) struct Start {
    /// The questions about one token are asked one after the other.
    line: Arc<async_lock::Mutex<()>>,
    /// When it was sent.
    began_at: Arc<OnceLock<Timestamp>>,
}

impl Start {
    /// Waits for the end of the question before this one.
    pub(super) async fn turn(&self) -> async_lock::MutexGuardArc<()> {
        self.line.lock_arc().await
    }

    /// Notes that it begins now. Who comes later knows that it may have missed something.
    pub(super) fn begin(&self, now: Timestamp) {
        let _ = self.began_at.set(now);
    }

    /// Of a question that comes after this one.
    fn next(&self) -> Self {
        Self { line: Arc::clone(&self.line), began_at: Arc::default() }
    }
}

impl Questions {
    /// Joins the question about a token that has not begun, or that `may_join` says has begun late enough. Otherwise
    /// `asking` makes one, which does nothing before it is polled.
    pub(super) fn join(
        &self,
        key: Key,
        may_join: impl Fn(Timestamp) -> bool,
        asking: impl FnOnce(Start) -> Asking,
    ) -> Caller<'_> {
        let mut entries = self.lock();
        let present = entries.get_mut(&key);
        if let Some(entry) = present
            && entry.question.start.began_at.get().is_none_or(|began_at| may_join(*began_at))
            && !entry.question.has_ended()
        {
            entry.callers += 1;
            return Caller { questions: self, key, question: Arc::clone(&entry.question) };
        }
        let start = entries.get(&key).map(|entry| entry.question.start.next()).unwrap_or_default();
        let state = Mutex::new(State::Left(asking(start.clone())));
        let question = Arc::new(Question { start, state, changed: Event::new() });
        // The one before, if there is one, belongs to its callers alone from here on.
        entries.insert(key, Entry { question: Arc::clone(&question), callers: 1 });
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

/// Somebody who waits for a question.
pub(super) struct Caller<'a> {
    questions: &'a Questions,
    key: Key,
    question: Arc<Question>,
}

impl Caller<'_> {
    /// Drives the question, or waits until somebody else has.
    pub(super) async fn outcome(&self) -> Outcome {
        let question = &*self.question;
        loop {
            // Before looking, so that no change falls in between.
            let changed = question.changed.listen();
            match question.turn() {
                Turn::Ended(outcome) => return outcome,
                Turn::Drive(asking) => return Driver { question, asking: Some(asking) }.await,
                Turn::Wait => changed.await,
            }
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut entries = self.questions.lock();
        let Some(entry) = entries.get_mut(&self.key) else { return };
        if !Arc::ptr_eq(&entry.question, &self.question) {
            return;
        }
        entry.callers -= 1;
        if entry.callers == 0 || self.question.has_ended() {
            // What the application does when a question is dropped, is done without the lock: this caller has it as well.
            entries.remove(&self.key);
        }
    }
}

/// What a caller has to do.
enum Turn {
    Ended(Outcome),
    /// To wait for somebody else.
    Wait,
    /// To drive the question.
    Drive(Asking),
}

impl Question {
    fn turn(&self) -> Turn {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Driven) {
            State::Left(asking) => Turn::Drive(asking),
            State::Driven => Turn::Wait,
            State::Ended(outcome) => {
                *state = State::Ended(outcome.clone());
                Turn::Ended(outcome)
            }
        }
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify(usize::MAX);
    }

    fn has_ended(&self) -> bool {
        matches!(*self.lock(), State::Ended(_))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller who polls the question. Dropped before its end, it leaves the question as it is to the next.
struct Driver<'a> {
    question: &'a Question,
    asking: Option<Asking>,
}

impl Future for Driver<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let panicked = || Err(Arc::new(StoreError::new("asking the issuer panicked")));
        let Some(asking) = &mut self.asking else { return Poll::Ready(panicked()) };
        // A future that has panicked must not be polled again, and would be by the next.
        let outcome = match catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(_) => panicked(),
        };
        self.asking = None;
        self.question.set(State::Ended(outcome.clone()));
        Poll::Ready(outcome)
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        if let Some(asking) = self.asking.take() {
            self.question.set(State::Left(asking));
        }
    }
}
