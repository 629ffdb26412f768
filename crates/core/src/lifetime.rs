//! How long a session lives.

use std::time::Duration;

use jiff::Timestamp;

use crate::{clock::whole_microseconds, error::ConfigError};

/// How long a session lives.
///
/// An *absolute* lifetime counts from the login and is also the JWT's `exp`. An *idle timeout* counts from the last
/// use; it slides in the store only, and never past the absolute expiry. The default is 10 hours, absolute.
///
/// Sessions expire on whole seconds, since the JWT's `exp` is one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::Lifetime;
///
/// let hours = |n: u64| Duration::from_secs(n * 3600);
/// let working_day = Lifetime::expires_after(hours(10))?;
/// let keep_me_logged_in = Lifetime::expires_after(hours(24 * 90))?.or_idle_after(hours(24 * 14))?;
/// assert_eq!(working_day, Lifetime::default());
/// assert_eq!(keep_me_logged_in.idle(), Some(hours(24 * 14)));
///
/// assert!(Lifetime::expires_after(Duration::ZERO).is_err());
/// # Ok::<(), jwt_knox::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetime {
    absolute: Option<Duration>,
    idle: Option<Duration>,
}

impl Lifetime {
    /// The longest lifetime, about 100 years. For longer, use [`Lifetime::never`].
    const MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

    /// A session that expires `lifetime` after the login, used or not.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LifetimeTooShort`] under 1 second, [`ConfigError::LifetimeTooLong`] over 100 years.
    pub fn expires_after(lifetime: Duration) -> Result<Self, ConfigError> {
        Ok(Self { absolute: Some(in_bounds(lifetime, 1)?), idle: None })
    }

    /// A session that expires when it has not been used for `timeout`, in whole seconds, and has no absolute expiry.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LifetimeTooShort`] under 2 seconds, [`ConfigError::LifetimeTooLong`] over 100 years.
    pub fn idle_after(timeout: Duration) -> Result<Self, ConfigError> {
        Self::never().or_idle_after(timeout)
    }

    /// A session that ends only when it is revoked. Its JWT has no `exp`.
    #[must_use]
    pub const fn never() -> Self {
        Self { absolute: None, idle: None }
    }

    /// Adds an idle timeout: the session also expires when it has not been used for `timeout`, in whole seconds.
    ///
    /// # Errors
    ///
    /// As for [`idle_after`](Self::idle_after).
    pub fn or_idle_after(self, timeout: Duration) -> Result<Self, ConfigError> {
        // Expiry is cut to whole seconds, so an idle timeout of one second could be over at once.
        let whole_seconds = Duration::from_secs(timeout.as_secs());
        in_bounds(timeout, 2)?;
        Ok(Self { idle: Some(whole_seconds), ..self })
    }

    /// How long a session lives after the login; `None`: without end.
    #[must_use]
    pub const fn absolute(&self) -> Option<Duration> {
        self.absolute
    }

    /// How long a session lives unused; `None`: use makes no difference.
    #[must_use]
    pub const fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// The absolute expiry of a session whose first token is issued at `issued_at`.
    pub(crate) fn absolute_expiry(&self, issued_at: Timestamp) -> Option<Timestamp> {
        self.absolute.map(|lifetime| expiry(issued_at, lifetime))
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { absolute: Some(Duration::from_secs(10 * 3600)), idle: None }
    }
}

/// `lifetime`, if it is at least `min_seconds` and not absurdly long.
fn in_bounds(lifetime: Duration, min_seconds: u64) -> Result<Duration, ConfigError> {
    if lifetime < Duration::from_secs(min_seconds) {
        Err(ConfigError::LifetimeTooShort)
    } else if lifetime > Lifetime::MAX {
        Err(ConfigError::LifetimeTooLong)
    } else {
        Ok(lifetime)
    }
}

/// The whole second at which `lifetime`, counted from `start`, is over.
pub(crate) fn expiry(start: Timestamp, lifetime: Duration) -> Timestamp {
    let end = start.checked_add(lifetime).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(end.as_second()).unwrap_or(Timestamp::MAX)
}

/// The time `duration` after `start`, to the microsecond.
pub(crate) fn expiry_exact(start: Timestamp, duration: Duration) -> Timestamp {
    whole_microseconds(start.checked_add(duration).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_expire_on_whole_seconds() {
        let start = Timestamp::from_microsecond(1_000_900_000).unwrap();
        let minute = Duration::from_secs(60);
        let expiry = Lifetime::expires_after(minute).unwrap().absolute_expiry(start);
        assert_eq!(expiry, Some(Timestamp::from_second(1_060).unwrap()));
        assert_eq!(Lifetime::never().absolute_expiry(start), None);
        assert_eq!(Lifetime::idle_after(minute).unwrap().absolute_expiry(start), None);
    }

    #[test]
    fn a_grace_ends_at_a_time_that_every_store_can_keep() {
        let start = Timestamp::from_microsecond(7).unwrap();
        assert_eq!(expiry_exact(start, Duration::from_nanos(1_999)), Timestamp::from_microsecond(8).unwrap());
        assert_eq!(expiry_exact(start, Duration::MAX), whole_microseconds(Timestamp::MAX));
    }

    #[test]
    fn rejects_absurd_lifetimes() {
        assert_eq!(Lifetime::expires_after(Duration::ZERO), Err(ConfigError::LifetimeTooShort));
        assert_eq!(Lifetime::expires_after(Duration::from_millis(999)), Err(ConfigError::LifetimeTooShort));
        assert_eq!(Lifetime::idle_after(Duration::from_millis(1999)), Err(ConfigError::LifetimeTooShort));
        assert_eq!(Lifetime::expires_after(Duration::MAX), Err(ConfigError::LifetimeTooLong));
        assert_eq!(Lifetime::default().or_idle_after(Duration::MAX), Err(ConfigError::LifetimeTooLong));
        assert!(Lifetime::expires_after(Duration::from_secs(1)).is_ok());
    }
}
