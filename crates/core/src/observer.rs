//! Telling the application what happens to logins.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    error::AuthError,
    subject::Subject,
    token::id::{TokenId, TokenKey},
};

/// Is told what happens to logins: for an audit log, for metrics, or to close the connections of a login that ended.
///
/// It is called after the store has done what the event says, and before the caller gets the result; so be quick, and
/// hand slow work to a channel or a task. It is told of what this process does, not of what others do on the same
/// store.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use jwt_knox::{Event, Observer};
///
/// #[derive(Debug, Default)]
/// struct Logins(AtomicU64);
///
/// impl Observer for Logins {
///     fn observe(&self, event: &Event<'_>) {
///         if let Event::Issued { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Is told of one event.
    fn observe(&self, event: &Event<'_>);
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// What has happened. No event holds a token, a secret, a digest or a key.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Somebody has logged in.
    #[non_exhaustive]
    Issued {
        /// The new login.
        key: &'a TokenKey,
    },
    /// A token was presented and is not good.
    #[non_exhaustive]
    Rejected {
        /// Why it is not.
        reason: &'a AuthError,
    },
    /// The use of a login was noted and, if it has an idle timeout, its end put off.
    #[non_exhaustive]
    Renewed {
        /// The login.
        key: &'a TokenKey,
        /// When it ends now unless it is used again. `None`: never.
        expires_at: Option<Timestamp>,
    },
    /// A login has a new secret and so a new token id.
    #[non_exhaustive]
    Rotated {
        /// The login as it was called before.
        old: &'a TokenKey,
        /// The login as it is called now.
        new: &'a TokenKey,
    },
    /// Logins have been ended.
    #[non_exhaustive]
    Revoked {
        /// Whose logins.
        subject: &'a Subject,
        /// The one login that was ended ([`RevocationCause::One`]), or the one that was spared
        /// ([`RevocationCause::Others`]).
        id: Option<&'a TokenId>,
        /// How many live logins were ended, never 0.
        count: u64,
        /// On what occasion.
        cause: RevocationCause,
    },
    /// The records of logins that were over have been removed from the store.
    #[non_exhaustive]
    Purged {
        /// How many.
        count: u64,
    },
}

impl Event<'_> {
    /// A short, fixed name of the event, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Rejected { .. } => "rejected",
            Self::Renewed { .. } => "renewed",
            Self::Rotated { .. } => "rotated",
            Self::Revoked { .. } => "revoked",
            Self::Purged { .. } => "purged",
        }
    }

    /// Writes the event to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Issued { key } => tracing::debug!(subject = %key.subject, token_id = %key.id, "token issued"),
            Self::Rejected { reason } => tracing::debug!(reason = reason.reason(), "token refused"),
            Self::Renewed { key, .. } => tracing::trace!(subject = %key.subject, token_id = %key.id, "token renewed"),
            Self::Rotated { old, new } => {
                tracing::debug!(subject = %new.subject, old_token_id = %old.id, token_id = %new.id, "token rotated");
            }
            Self::Revoked { subject, id, count, cause } => {
                let token_id = id.map(TokenId::as_str);
                tracing::debug!(%subject, token_id, count, cause = cause.name(), "tokens revoked");
            }
            Self::Purged { count } => tracing::debug!(count, "expired tokens purged"),
        }
    }
}

/// On what occasion logins were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationCause {
    /// One login was ended by its key: a logout.
    One,
    /// All logins of the subject were ended but one.
    Others,
    /// All logins of the subject were ended.
    All,
    /// A new login has taken the place of older ones, as the limit says.
    Evicted,
}

impl RevocationCause {
    /// A short, fixed name of the cause, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Others => "others",
            Self::All => "all",
            Self::Evicted => "evicted",
        }
    }
}
