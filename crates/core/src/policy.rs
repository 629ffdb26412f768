//! How long a login lives, and how many a subject may have.

use std::time::Duration;

use jiff::Timestamp;

use crate::{digest::TokenId, error::ConfigError, record::TokenRecord};

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

/// How many live logins a subject may have, and what happens to one more.
///
/// The store keeps the limit in the same atomic step in which it inserts, so parallel logins cannot slip past it.
///
/// # Examples
///
/// ```
/// use jwt_knox::TokenLimit;
///
/// assert_eq!(TokenLimit::deny(3).max(), 3);
/// assert_ne!(TokenLimit::deny(3), TokenLimit::evict_oldest(3));
///
/// // Five devices; a login from a device that is known takes the place of the old one.
/// let devices = TokenLimit::evict_longest_unused(5).replacing_same_label();
/// assert!(devices.replaces_same_label());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimit {
    max: u32,
    when_full: WhenFull,
    replaces_same_label: bool,
}

impl TokenLimit {
    /// At most `max` live logins; one more is refused.
    #[must_use]
    pub const fn deny(max: u32) -> Self {
        Self { max, when_full: WhenFull::Deny, replaces_same_label: false }
    }

    /// At most `max` live logins; one more ends the oldest.
    #[must_use]
    pub const fn evict_oldest(max: u32) -> Self {
        Self { max, when_full: WhenFull::EvictOldest, replaces_same_label: false }
    }

    /// At most `max` live logins; one more ends the one that was not used for longest.
    ///
    /// Uses are noted at most once per touch interval, so of two logins used within the same minute or so either may be
    /// the one.
    #[must_use]
    pub const fn evict_longest_unused(max: u32) -> Self {
        Self { max, when_full: WhenFull::EvictLongestUnused, replaces_same_label: false }
    }

    /// Lets a login end the subject's live logins with the same label, before the limit is applied: one login per
    /// device.
    ///
    /// Labels compare byte for byte. A login without a label replaces none and is replaced by none. Whoever can log in
    /// as the subject can choose the label, and so which logins end.
    #[must_use]
    pub const fn replacing_same_label(self) -> Self {
        Self { replaces_same_label: true, ..self }
    }

    /// How many live logins a subject may have. Never 0 in a limit that reaches a store.
    #[must_use]
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// What happens to a login that would be one too many.
    #[must_use]
    pub const fn when_full(&self) -> WhenFull {
        self.when_full
    }

    /// Whether a login ends those with the same label.
    #[must_use]
    pub const fn replaces_same_label(&self) -> bool {
        self.replaces_same_label
    }

    /// Which of `live`, the live records of the subject, must end so that `new` gets in. `None`: it is denied, and all
    /// stay.
    ///
    /// For a store, so that it need not know how each limit works: keep other logins of the subject out, read its live
    /// records, remove these, and insert the new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{TokenLimit, TokenRecord};
    ///
    /// # fn login(first: &str, second: i64) -> Result<TokenRecord, Box<dyn std::error::Error>> {
    /// #     let digest = format!("sha256:{}", first.repeat(32)).parse()?;
    /// #     Ok(TokenRecord::new(jwt_knox::Subject::new("alice")?, digest, jiff::Timestamp::from_second(second)?))
    /// # }
    /// let live = [login("aa", 1)?, login("bb", 2)?];
    /// let new = login("cc", 3)?;
    /// assert_eq!(TokenLimit::deny(2).make_room(&new, &live), None);
    /// assert_eq!(TokenLimit::deny(3).make_room(&new, &live), Some(vec![]));
    /// assert_eq!(TokenLimit::evict_oldest(2).make_room(&new, &live), Some(vec![live[0].id()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn make_room<'a>(
        &self,
        new: &TokenRecord,
        live: impl IntoIterator<Item = &'a TokenRecord>,
    ) -> Option<Vec<TokenId>> {
        let replaces = |old: &TokenRecord| self.replaces_same_label && new.label.is_some() && new.label == old.label;
        let (mut victims, mut others): (Vec<_>, Vec<_>) = live.into_iter().partition(|old| replaces(old));
        let excess = (others.len() + 1).saturating_sub(self.max as usize);
        match self.when_full {
            WhenFull::Deny if excess > 0 => return None,
            WhenFull::Deny => {}
            WhenFull::EvictOldest => others.sort_by_cached_key(|old| (old.created_at, old.id())),
            WhenFull::EvictLongestUnused => {
                others.sort_by_cached_key(|old| (old.last_used_at.unwrap_or(old.created_at), old.id()));
            }
        }
        victims.extend(others.into_iter().take(excess));
        Some(victims.into_iter().map(TokenRecord::id).collect())
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.max == 0 { Err(ConfigError::LimitIsZero) } else { Ok(()) }
    }
}

/// What happens to a login that would be one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused.
    Deny,
    /// It is let in, and the oldest login ends: the one with the smallest `created_at`, and of two equal ones that with
    /// the smaller token id.
    EvictOldest,
    /// It is let in, and the login ends whose last use lies longest back: the one with the smallest `last_used_at`, or
    /// `created_at` if it was not used since, and of two equal ones that with the smaller token id.
    EvictLongestUnused,
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
    fn absurd_lifetimes_and_limits_are_refused() {
        assert!(matches!(Lifetime::absolute(Duration::ZERO).check(), Err(ConfigError::LifetimeTooShort)));
        assert!(matches!(Lifetime::idle(Duration::from_millis(1999)).check(), Err(ConfigError::LifetimeTooShort)));
        assert!(matches!(Lifetime::absolute(Duration::MAX).check(), Err(ConfigError::LifetimeTooLong)));
        assert!(matches!(TokenLimit::deny(0).check(), Err(ConfigError::LimitIsZero)));
        assert!(Lifetime::never().check().is_ok());
    }
}
