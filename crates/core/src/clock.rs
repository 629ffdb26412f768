//! Where the core gets the time from.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// Tells the time. Every expiry is checked by one of these, so that a test owns the clock.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// The time of a clock that is never set, if there is one: for how long ago something was, whatever has happened to
    /// [`now`](Self::now) in between. Default: `None`, and `now` alone tells.
    fn monotonic(&self) -> Option<Instant> {
        None
    }
}

/// The clock of the operating system, which [`Knox`](crate::Knox) uses unless told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Option<Instant> {
        Some(Instant::now())
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Option<Instant> {
        (**self).monotonic()
    }
}

/// A clock that stands still until it is set, for tests. A clone is the same clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::{Clock, ManualClock};
///
/// let clock = ManualClock::new(jwt_knox::Timestamp::UNIX_EPOCH);
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().as_second(), 90);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Moves the clock forward, at most to the last time that a [`Timestamp`] can show.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When something was asked, by a clock that may be set and by one that is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedAt {
    pub(crate) time: Timestamp,
    monotonic: Option<Instant>,
}

impl AskedAt {
    /// `time` is what the clock shows now.
    pub(crate) fn new(time: Timestamp, clock: &dyn Clock) -> Self {
        Self { time, monotonic: clock.monotonic() }
    }

    /// Whether that is less than `max_age` before `now`, by both clocks. If it is after `now`, the clock was set back,
    /// and says nothing of how long ago it is.
    pub(crate) fn is_within(&self, max_age: Duration, now: &Self) -> bool {
        let by_time = elapsed(self.time, now.time).is_some_and(|age| age < max_age);
        let by_monotonic = match (self.monotonic, now.monotonic) {
            (Some(then), Some(now)) => now.saturating_duration_since(then) < max_age,
            _ => true,
        };
        by_time && by_monotonic
    }
}

/// How long `now` is after `then`, both in whole microseconds; `None` if it is before.
pub(crate) fn elapsed(then: Timestamp, now: Timestamp) -> Option<Duration> {
    let micros = now.as_microsecond() - then.as_microsecond();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// The time cut to the microseconds that every store keeps.
pub(crate) fn whole_microseconds(time: Timestamp) -> Timestamp {
    // In the last second that there is, only its beginning can be read from microseconds.
    let last = || Timestamp::from_second(time.as_second()).unwrap_or(time);
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or_else(|_| last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_below_the_limit_by_both_clocks() {
        let (limit, start) = (Duration::from_secs(5), Instant::now());
        let at = |time: i64, monotonic: Option<u64>| AskedAt {
            time: Timestamp::from_second(time).unwrap(),
            monotonic: monotonic.map(|seconds| start + Duration::from_secs(seconds)),
        };
        let asked_at = at(100, Some(10));
        for (now, is_within) in [
            (at(100, Some(10)), true),
            (at(104, Some(14)), true),
            (at(105, Some(14)), false),
            (at(104, Some(15)), false),
            (at(104, None), true),
            (at(105, None), false),
            // The clock was ahead, was set back, and has come to that time again.
            (at(101, Some(3600)), false),
            (at(99, Some(11)), false),
            (at(99, None), false),
        ] {
            assert_eq!(asked_at.is_within(limit, &now), is_within, "{now:?}");
        }
        assert!(at(100, None).is_within(limit, &at(104, Some(3600))));
        assert!(SystemClock.monotonic() <= Arc::new(SystemClock).monotonic());
    }

    #[test]
    fn times_are_cut_to_what_can_be_read_again() {
        let nanosecond = |nanos| Timestamp::from_nanosecond(nanos).unwrap();
        assert_eq!(whole_microseconds(nanosecond(1_999)), nanosecond(1_000));
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let cut = whole_microseconds(time);
            assert_eq!(Timestamp::from_microsecond(cut.as_microsecond()).unwrap(), cut);
        }
    }
}
