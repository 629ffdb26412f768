//! How many sessions a subject may have.

use crate::{error::ConfigError, named::named, store::record::SessionRecord, token::id::SessionId};

/// How many active sessions a subject may have, and what happens at a login beyond that.
///
/// The store applies the limit in the same atomic step in which it inserts, so parallel logins cannot slip past it.
///
/// # Examples
///
/// ```
/// use jwt_knox::SessionLimit;
///
/// assert_eq!(SessionLimit::deny(3)?.max(), 3);
/// assert!(SessionLimit::deny(0).is_err());
///
/// // Five devices; a login from a device that is known replaces its old session.
/// let devices = SessionLimit::evict_least_recently_used(5)?.one_per_label();
/// assert!(devices.is_one_per_label());
/// # Ok::<(), jwt_knox::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionLimit {
    max: u32,
    action: LimitAction,
    is_one_per_label: bool,
}

impl SessionLimit {
    /// At most `max` active sessions; a login beyond that is rejected.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LimitIsZero`] if `max` is 0.
    pub const fn deny(max: u32) -> Result<Self, ConfigError> {
        Self::new(max, LimitAction::Deny)
    }

    /// At most `max` active sessions; a login beyond that revokes the oldest.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LimitIsZero`] if `max` is 0.
    pub const fn evict_oldest(max: u32) -> Result<Self, ConfigError> {
        Self::new(max, LimitAction::EvictOldest)
    }

    /// At most `max` active sessions; a login beyond that revokes the least recently used.
    ///
    /// Uses are recorded at most once per touch interval, so of two sessions used within one interval either may be
    /// revoked.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LimitIsZero`] if `max` is 0.
    pub const fn evict_least_recently_used(max: u32) -> Result<Self, ConfigError> {
        Self::new(max, LimitAction::EvictLeastRecentlyUsed)
    }

    const fn new(max: u32, action: LimitAction) -> Result<Self, ConfigError> {
        if max == 0 { Err(ConfigError::LimitIsZero) } else { Ok(Self { max, action, is_one_per_label: false }) }
    }

    /// Lets a login revoke the subject's active sessions with the same label, before the limit is applied: one session
    /// per device.
    ///
    /// Labels compare byte for byte. A session without a label replaces none and is replaced by none, and one with a
    /// [default label](crate::NewSession::default_label) replaces none: two computers with the same browser are two
    /// devices. So the application has to name devices, by [`NewSession::label`](crate::NewSession::label). A client
    /// that can log in as the subject can choose the label, and so which sessions end.
    #[must_use]
    pub const fn one_per_label(self) -> Self {
        Self { is_one_per_label: true, ..self }
    }

    /// The same without [`one_per_label`](Self::one_per_label).
    pub(crate) const fn any_per_label(self) -> Self {
        Self { is_one_per_label: false, ..self }
    }

    /// How many active sessions a subject may have; at least 1.
    #[must_use]
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// What happens at a login beyond the limit.
    #[must_use]
    pub const fn action(&self) -> LimitAction {
        self.action
    }

    /// Whether a login revokes the sessions with the same label.
    #[must_use]
    pub const fn is_one_per_label(&self) -> bool {
        self.is_one_per_label
    }

    /// The sessions to evict so that `new` fits. `active` are the active records of the subject.
    ///
    /// For a store, so that it need not know how each limit works: lock out other logins of the subject, read its
    /// active records, remove these, and insert the new one.
    ///
    /// # Errors
    ///
    /// [`LimitReached`] if `new` must be rejected; nothing is to be removed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{LimitReached, SessionLimit, SessionRecord};
    ///
    /// # fn session(first: &str, second: i64) -> Result<SessionRecord, Box<dyn std::error::Error>> {
    /// #     let digest = format!("sha256:{}", first.repeat(32)).parse()?;
    /// #     Ok(SessionRecord::new(jwt_knox::Subject::new("alice")?, digest, jwt_knox::Timestamp::from_second(second)?))
    /// # }
    /// let active = [session("aa", 1)?, session("bb", 2)?];
    /// let new = session("cc", 3)?;
    /// assert_eq!(SessionLimit::deny(2)?.evictions(&new, &active), Err(LimitReached));
    /// assert_eq!(SessionLimit::deny(3)?.evictions(&new, &active), Ok(vec![]));
    /// assert_eq!(SessionLimit::evict_oldest(2)?.evictions(&new, &active), Ok(vec![active[0].id]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evictions<'a>(
        &self,
        new: &SessionRecord,
        active: impl IntoIterator<Item = &'a SessionRecord>,
    ) -> Result<Vec<SessionId>, LimitReached> {
        let is_replaced = |old: &SessionRecord| self.is_one_per_label && new.label.is_some() && new.label == old.label;
        let (mut evicted, mut others): (Vec<_>, Vec<_>) = active.into_iter().partition(|old| is_replaced(old));
        let excess = (others.len() + 1).saturating_sub(self.max as usize);
        match self.action {
            LimitAction::Deny if excess > 0 => return Err(LimitReached),
            LimitAction::Deny => {}
            LimitAction::EvictOldest => others.sort_by_cached_key(|old| (old.created_at, old.id)),
            LimitAction::EvictLeastRecentlyUsed => {
                others.sort_by_cached_key(|old| (old.last_used_at.unwrap_or(old.created_at), old.id));
            }
        }
        evicted.extend(others.into_iter().take(excess));
        Ok(evicted.into_iter().map(|old| old.id).collect())
    }
}

/// A subject has as many active sessions as its [`SessionLimit`] allows, and the limit denies more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session limit is reached")]
pub struct LimitReached;

/// What happens at a login beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitAction {
    /// The login is rejected.
    Deny,
    /// The oldest session is revoked: the one with the smallest `created_at`, and of two equal ones that with the
    /// smaller id.
    EvictOldest,
    /// The least recently used session is revoked: the one with the smallest `last_used_at`, or `created_at` if it was
    /// not used since, and of two equal ones that with the smaller id.
    EvictLeastRecentlyUsed,
}

named! { LimitAction {
    Deny = "deny",
    EvictOldest = "evict_oldest",
    EvictLeastRecentlyUsed = "evict_least_recently_used",
} }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_limit_of_nothing() {
        assert_eq!(SessionLimit::deny(0), Err(ConfigError::LimitIsZero));
        assert_eq!(SessionLimit::evict_oldest(0), Err(ConfigError::LimitIsZero));
        assert_eq!(SessionLimit::evict_least_recently_used(0), Err(ConfigError::LimitIsZero));
    }
}
