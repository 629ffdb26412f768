//! A session, as the model has it.

use std::time::Duration;

use jwt_knox::*;
use proptest::{prelude::*, test_runner::TestCaseResult};

use super::{at, micros, whole_second};

/// What a session thinks of a secret that it has or had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Present,
    /// The one before, in its grace.
    Previous,
    /// The one before, after its grace.
    Reused,
    No,
}

#[derive(Debug)]
pub(super) struct ModelSession {
    pub(super) created: i64,
    pub(super) absolute_expiry: Option<i64>,
    pub(super) idle: Option<i64>,
    pub(super) expires: Option<i64>,
    last_used: Option<i64>,
    /// The latest time of use, recorded or not.
    pub(super) used: i64,
    /// Which of its secrets, counted from 0, it has now.
    pub(super) secret: usize,
    /// Until when the secret before that is valid.
    pub(super) grace_ends: i64,
    /// Revoked, evicted or purged.
    pub(super) is_gone: bool,
}

impl ModelSession {
    pub(super) fn new(lifetime: Lifetime, created: i64, now: i64) -> Self {
        let mut session = Self {
            created,
            absolute_expiry: lifetime.absolute().map(|lifetime| whole_second(now + micros(lifetime))),
            idle: lifetime.idle().map(|timeout| whole_second(micros(timeout))),
            expires: None,
            last_used: None,
            used: now,
            secret: 0,
            grace_ends: i64::MIN,
            is_gone: false,
        };
        session.expires = session.expiry_if_used(now);
        session
    }

    pub(super) fn has_expired(&self, time: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= time)
    }

    fn expiry_if_used(&self, now: i64) -> Option<i64> {
        let idle_expiry = self.idle.map(|idle| whole_second(now + idle));
        [idle_expiry, self.absolute_expiry].into_iter().flatten().min()
    }

    /// Whether a token with that secret is valid, as far as secrets go.
    pub(super) fn knows(&self, secret: usize, now: i64, cutoff: i64) -> Known {
        match self.secret - secret {
            0 => Known::Present,
            1 if now < self.grace_ends => Known::Previous,
            // By another clock, the grace may not be over.
            1 if cutoff < self.grace_ends => Known::No,
            1 => Known::Reused,
            _ => Known::No,
        }
    }

    /// Whether a use now is to be recorded: not in the leeway, and not so soon after the last one that was. The first
    /// one is.
    pub(super) fn is_recorded(&self, now: i64, touch_interval: Duration) -> bool {
        let throttle = self.idle.map_or(micros(touch_interval), |idle| micros(touch_interval).min(idle / 4));
        self.last_used.is_none_or(|last| now >= last + throttle) && !self.has_expired(now)
    }

    pub(super) fn record_use(&mut self, now: i64) {
        self.last_used = self.last_used.max(Some(now));
        if !self.has_expired(now) {
            self.expires = self.expires.max(self.expiry_if_used(now));
        }
    }

    /// The record says what the model says.
    pub(super) fn check(&self, record: &SessionRecord) -> TestCaseResult {
        prop_assert_eq!(record.created_at, at(self.created));
        prop_assert_eq!(record.absolute_expires_at, self.absolute_expiry.map(at));
        prop_assert_eq!(record.expires_at, self.expires.map(at));
        prop_assert_eq!(record.last_used_at, self.last_used.map(at));
        let grace_ends = (self.secret > 0).then(|| at(self.grace_ends));
        prop_assert_eq!(record.previous.as_ref().map(PreviousSecret::valid_until), grace_ends);
        let is_in_bounds = |absolute| record.expires_at.is_some_and(|expiry| expiry <= absolute);
        prop_assert!(record.absolute_expires_at.is_none_or(is_in_bounds));
        Ok(())
    }
}
