//! Which uses this process has recorded lately.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::token::id::SessionRef;

/// The sessions whose use this process has recorded lately, or has tried to.
#[derive(Default)]
pub(super) struct RecentTouches(Mutex<HashMap<SessionRef, Timestamp>>);

impl RecentTouches {
    /// More are forgotten, which costs one write too many and nothing else.
    const MAX: usize = 10_000;

    /// Whether this call is the one to record a use at `now`: no other one is about to, has done it or has failed
    /// lately.
    pub(super) fn begin(&self, session: &SessionRef, is_due: impl Fn(Timestamp) -> bool, now: Timestamp) -> bool {
        let mut touches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if touches.get(session).is_some_and(|tried| !is_due(*tried)) {
            return false;
        }
        if touches.len() >= Self::MAX {
            touches.clear();
        }
        touches.insert(session.clone(), now);
        true
    }

    /// Nothing was to be recorded, so the next request may try.
    pub(super) fn forget(&self, session: &SessionRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

impl fmt::Debug for RecentTouches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentTouches").finish_non_exhaustive()
    }
}
