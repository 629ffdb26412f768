//! How many logins a subject may have.

use crate::{error::ConfigError, store::record::TokenRecord, token::id::TokenId};

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
    fn a_limit_of_nothing_is_refused() {
        assert!(matches!(TokenLimit::deny(0).check(), Err(ConfigError::LimitIsZero)));
    }
}
