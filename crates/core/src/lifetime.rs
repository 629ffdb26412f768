//! How long a login lives, and how many a subject may have.

use std::time::Duration;

use jiff::Timestamp;

use crate::error::ConfigError;

/// How long a login lives.
///
/// An *absolute* lifetime counts from the login and is also the JWT's `exp`. An *idle* lifetime counts from the last
/// use; it slides in the store only, and never past the absolute deadline. The default is 10 hours, absolute.
///
/// Deadlines fall on whole seconds, since the JWT's `exp` does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::Lifetime;
///
/// let hours = |n: u64| Duration::from_secs(n * 3600);
/// let working_day = Lifetime::absolute(hours(10));
/// let keep_me_logged_in = Lifetime::absolute(hours(24 * 90)).with_idle(hours(24 * 14));
/// assert_eq!(working_day, Lifetime::default());
/// assert_eq!(keep_me_logged_in.idle_timeout(), Some(hours(24 * 14)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    absolute: Option<Duration>,
    idle: Option<Duration>,
}

impl Lifetime {
    /// The longest lifetime, about 100 years. Who wants more, wants [`Lifetime::never`].
    const MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

    /// A login that ends `lifetime` after it began, at least 1 second.
    #[must_use]
    pub const fn absolute(lifetime: Duration) -> Self {
        Self { absolute: Some(lifetime), idle: None }
    }

    /// A login that ends when it has not been used for `timeout`, at least 2 seconds, and has no other deadline.
    #[must_use]
    pub const fn idle(timeout: Duration) -> Self {
        Self { absolute: None, idle: Some(timeout) }
    }

    /// A login that ends only when it is revoked. The JWT then has no `exp`.
    #[must_use]
    pub const fn never() -> Self {
        Self { absolute: None, idle: None }
    }

    /// Adds an idle timeout: the login also ends when it has not been used for `timeout`.
    #[must_use]
    pub const fn with_idle(self, timeout: Duration) -> Self {
        Self { idle: Some(timeout), ..self }
    }

    /// How long a login lives after it began; `None`: without end.
    #[must_use]
    pub const fn absolute_lifetime(&self) -> Option<Duration> {
        self.absolute
    }

    /// How long a login lives unused; `None`: it makes no difference whether it is used.
    #[must_use]
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle
    }

    /// Refuses what is shorter than the second that deadlines are counted in, and what is absurdly long.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        // Deadlines are cut to whole seconds, so an idle timeout of one could be over at once.
        for (lifetime, min_seconds) in [(self.absolute, 1), (self.idle, 2)] {
            let Some(lifetime) = lifetime else { continue };
            if lifetime < Duration::from_secs(min_seconds) {
                return Err(ConfigError::LifetimeTooShort);
            }
            if lifetime > Self::MAX {
                return Err(ConfigError::LifetimeTooLong);
            }
        }
        Ok(())
    }

    /// The absolute deadline of a login that began at `created_at`.
    pub(crate) fn deadline(&self, created_at: Timestamp) -> Option<Timestamp> {
        self.absolute.map(|lifetime| deadline(created_at, lifetime))
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::absolute(Duration::from_secs(10 * 3600))
    }
}

/// The whole second at which `lifetime`, counted from `start`, is over.
pub(crate) fn deadline(start: Timestamp, lifetime: Duration) -> Timestamp {
    let end = start.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(end.as_second()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_whole_seconds() {
        let start = Timestamp::from_microsecond(1_000_900_000).unwrap();
        let deadline = Lifetime::absolute(Duration::from_secs(60)).deadline(start);
        assert_eq!(deadline, Some(Timestamp::from_second(1_060).unwrap()));
        assert_eq!(Lifetime::never().deadline(start), None);
        assert_eq!(Lifetime::idle(Duration::from_secs(60)).deadline(start), None);
    }

    #[test]
    fn absurd_lifetimes_are_refused() {
        assert!(matches!(Lifetime::absolute(Duration::ZERO).check(), Err(ConfigError::LifetimeTooShort)));
        assert!(matches!(Lifetime::idle(Duration::from_millis(1999)).check(), Err(ConfigError::LifetimeTooShort)));
        assert!(matches!(Lifetime::absolute(Duration::MAX).check(), Err(ConfigError::LifetimeTooLong)));
        assert!(Lifetime::never().check().is_ok());
    }
}
