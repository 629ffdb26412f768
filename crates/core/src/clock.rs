//! Where the core gets the time from.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// Tells the time. Every expiry is checked by one of these, so that a test owns the clock.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system, which [`Knox`](crate::Knox) uses unless told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
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
    fn times_are_cut_to_what_can_be_read_again() {
        let nanosecond = |nanos| Timestamp::from_nanosecond(nanos).unwrap();
        assert_eq!(whole_microseconds(nanosecond(1_999)), nanosecond(1_000));
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let cut = whole_microseconds(time);
            assert_eq!(Timestamp::from_microsecond(cut.as_microsecond()).unwrap(), cut);
        }
    }
}
