//! Session events, for the application and for the log.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    error::Rejection,
    named::named,
    subject::Subject,
    token::id::{SessionId, SessionRef},
};

/// Receives session events: for an audit log, for metrics, or to close the connections of a session that ended.
///
/// It is called after the store has done what the event says, and before the caller gets the result; so be quick, and
/// hand slow work to a channel or a task. It is told of what this process does, not of what others do on the same
/// store.
///
/// [`observer_fn`] makes one out of a closure.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use jwt_knox::{Event, Observer};
///
/// #[derive(Default)]
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
pub trait Observer: Send + Sync + 'static {
    /// Receives one event.
    fn observe(&self, event: &Event<'_>);
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// An [`Observer`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, SigningKey, observer_fn};
///
/// let observer = observer_fn(|event| println!("{}", event.as_str()));
/// let builder = Knox::builder(SigningKey::hs256("an example key, 32 bytes or more!")?).observer(observer);
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
pub fn observer_fn(observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> impl Observer {
    ObserverFn(observe)
}

struct ObserverFn<F>(F);

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for ObserverFn<F> {
    fn observe(&self, event: &Event<'_>) {
        (self.0)(event);
    }
}

/// What has happened. No event holds a token, a secret, a digest or a key.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A session has begun.
    #[non_exhaustive]
    Issued {
        /// The new session.
        session: &'a SessionRef,
    },
    /// A token was presented and is not valid.
    #[non_exhaustive]
    Rejected {
        /// Why not.
        reason: &'a Rejection,
    },
    /// The use of a session was recorded and, if it has an idle timeout, its expiry put off.
    #[non_exhaustive]
    Renewed {
        /// The session.
        session: &'a SessionRef,
        /// When it expires now unless it is used again. `None`: never.
        expires_at: Option<Timestamp>,
    },
    /// A session has a new token.
    #[non_exhaustive]
    Rotated {
        /// The session.
        session: &'a SessionRef,
    },
    /// A token was presented that was rotated away longer ago than the grace: two parties have it. Unless set otherwise,
    /// the session is revoked, of which another event tells.
    #[non_exhaustive]
    Reused {
        /// The session.
        session: &'a SessionRef,
    },
    /// Sessions were revoked.
    #[non_exhaustive]
    Revoked {
        /// Whose sessions.
        subject: &'a Subject,
        /// Which ones, as far as that is known: not for [`RevocationCause::All`] and [`RevocationCause::Others`].
        ids: &'a [SessionId],
        /// The one session that was spared, for [`RevocationCause::Others`].
        spared: Option<SessionId>,
        /// How many active sessions were revoked, never 0.
        count: u64,
        /// On what occasion.
        cause: RevocationCause,
    },
    /// The records of expired sessions were deleted from the store.
    #[non_exhaustive]
    Purged {
        /// How many.
        count: u64,
    },
}

impl Event<'_> {
    /// A short, fixed name of the event, for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Rejected { .. } => "rejected",
            Self::Renewed { .. } => "renewed",
            Self::Rotated { .. } => "rotated",
            Self::Reused { .. } => "reused",
            Self::Revoked { .. } => "revoked",
            Self::Purged { .. } => "purged",
        }
    }

    /// Writes the event to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Issued { session: SessionRef { subject, id } } => {
                tracing::debug!(%subject, session_id = %id, "token issued");
            }
            Self::Rejected { reason } => tracing::debug!(reason = reason.as_str(), "token rejected"),
            Self::Renewed { session: SessionRef { subject, id }, .. } => {
                tracing::trace!(%subject, session_id = %id, "session renewed");
            }
            Self::Rotated { session: SessionRef { subject, id } } => {
                tracing::debug!(%subject, session_id = %id, "token rotated");
            }
            Self::Reused { session: SessionRef { subject, id } } => {
                tracing::warn!(%subject, session_id = %id, "a token that was rotated away is used again");
            }
            Self::Revoked { subject, ids, count, cause, .. } => {
                tracing::debug!(%subject, ?ids, count, cause = cause.as_str(), "sessions revoked");
            }
            Self::Purged { count } => tracing::debug!(count, "expired sessions purged"),
        }
    }
}

/// On what occasion sessions were revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationCause {
    /// One session was revoked by its primary key: a logout.
    One,
    /// All sessions of the subject were revoked but one.
    Others,
    /// All sessions of the subject were revoked.
    All,
    /// A new session has taken the place of older ones, as the limit says.
    Evicted,
    /// The previous token of a session was used again after its grace.
    Reused,
}

named! { RevocationCause {
    One = "one",
    Others = "others",
    All = "all",
    Evicted = "evicted",
    Reused = "reused",
} }
