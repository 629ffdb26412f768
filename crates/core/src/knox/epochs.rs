//! Epochs of subjects, which invalidate what is cached.

use std::{fmt, hash::BuildHasher};

use foldhash::fast::RandomState;

use crate::{
    subject::Subject,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

/// A counter for each subject, which several may share: a change of one is then taken for one of the other, too, which
/// costs a question and nothing else.
///
/// Whoever reads something to remember it notes the epoch before, and compares it with that of the time at which it is
/// used. So what was read before a change, and is remembered after it, is not used.
pub(super) struct Epochs {
    /// Counts the times at which anything may have changed.
    all: AtomicU64,
    counters: Box<[AtomicU64]>,
    /// A fast one: subjects that share a counter only cost each other a question.
    hasher: RandomState,
}

impl Epochs {
    // A model checker tells all of them apart.
    const COUNTERS: usize = if cfg!(loom_model) { 1 } else { 4096 };

    /// The epoch of `subject` now.
    pub(super) fn of(&self, subject: &Subject) -> u64 {
        // Both only grow, so the sum is the same only if neither has changed.
        self.counter(subject).load(SeqCst) + self.all.load(SeqCst)
    }

    /// Begins the next epoch of `subject`.
    pub(super) fn changed(&self, subject: &Subject) {
        drop(self.changing(subject));
    }

    /// Begins the next epoch of every subject.
    pub(super) fn all_changed(&self) {
        self.all.fetch_add(1, SeqCst);
    }

    /// Begins the next epoch of `subject` when dropped: once before it is answered that something has changed, and also
    /// if the caller goes away before that.
    pub(super) fn changing<'a>(&'a self, subject: &Subject) -> Changing<'a> {
        Changing(self.counter(subject))
    }

    fn counter(&self, subject: &Subject) -> &AtomicU64 {
        &self.counters[self.hasher.hash_one(subject) as usize % Self::COUNTERS]
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            all: AtomicU64::new(0),
            counters: (0..Self::COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs").finish_non_exhaustive()
    }
}

/// A change that is under way.
#[must_use]
pub(super) struct Changing<'a>(&'a AtomicU64);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}
