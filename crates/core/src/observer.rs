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
///     fn observe(&self, event: &Event) {
///         if let Event::Issued { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Receives one event.
    fn observe(&self, event: &Event);
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn observe(&self, event: &Event) {
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
pub fn observer_fn(observe: impl Fn(&Event) + Send + Sync + 'static) -> impl Observer {
    ObserverFn(observe)
}

struct ObserverFn<F>(F);

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for ObserverFn<F> {
    fn observe(&self, event: &Event) {
        (self.0)(event);
    }
}

/// What has happened. No event holds a token, a secret, a digest or a key. It owns what it holds, so a clone can be
/// sent to a channel or a task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A session has begun.
    #[non_exhaustive]
    Issued {
        /// The new session.
        session: SessionRef,
    },
    /// A login was rejected, and no session has begun.
    #[non_exhaustive]
    LoginRejected {
        /// Who would have been logged in. `None`: that is not known, as when the credentials are wrong.
        subject: Option<Subject>,
        /// Why.
        cause: LoginRejectionCause,
    },
    /// A token was presented and is not valid.
    #[non_exhaustive]
    Rejected {
        /// Why not.
        reason: Rejection,
        /// The session that the token is of, or was. `None`: signature or claims are not valid, so it is of none. With
        /// [`Rejection::Revoked`] it is a revoked token in use.
        session: Option<SessionRef>,
    },
    /// The use of a session was recorded. With an idle timeout, its expiry has moved.
    #[non_exhaustive]
    Touched {
        /// The session.
        session: SessionRef,
        /// When it expires now unless it is used again. `None`: never.
        expires_at: Option<Timestamp>,
    },
    /// A session has a new token.
    #[non_exhaustive]
    Rotated {
        /// The session.
        session: SessionRef,
    },
    /// A token was presented that was rotated away longer ago than the grace: two parties have it. Unless set
    /// otherwise, the session is revoked, of which another event tells.
    #[non_exhaustive]
    Reused {
        /// The session.
        session: SessionRef,
    },
    /// Sessions were revoked.
    #[non_exhaustive]
    Revoked {
        /// Whose sessions.
        subject: Subject,
        /// Which ones, as far as that is known: not for [`RevocationCause::All`] and [`RevocationCause::Others`].
        ids: Vec<SessionId>,
        /// The one session that was spared, for [`RevocationCause::Others`].
        spared: Option<SessionId>,
        /// How many sessions were revoked, never 0. Only active ones count, but for a single one that has expired and
        /// is revoked before it was purged.
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

impl Event {
    /// A short, fixed name of the event, for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::LoginRejected { .. } => "login_rejected",
            Self::Rejected { .. } => "rejected",
            Self::Touched { .. } => "touched",
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
            Self::LoginRejected { subject, cause } => {
                let subject = subject.as_ref().map(tracing::field::display);
                tracing::info!(subject, cause = cause.as_str(), "login rejected");
            }
            Self::Rejected { reason, session } => {
                let subject = session.as_ref().map(|session| tracing::field::display(&session.subject));
                let session_id = session.as_ref().map(|session| tracing::field::display(session.id));
                tracing::debug!(subject, session_id, reason = reason.as_str(), "token rejected");
            }
            Self::Touched { session: SessionRef { subject, id }, .. } => {
                tracing::trace!(%subject, session_id = %id, "session use recorded");
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

/// Why a login was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginRejectionCause {
    /// The credentials are wrong, or the application did not let the user in.
    Credentials,
    /// The subject has as many active sessions as the limit allows.
    LimitReached,
    /// All sessions of the subject were revoked after this login began.
    Superseded,
    /// The [`SubjectCheck`](crate::SubjectCheck) calls the subject inactive.
    SubjectInactive,
    /// The [`SubjectCheck`](crate::SubjectCheck) does not know the subject.
    SubjectUnknown,
}

named! { LoginRejectionCause {
    Credentials = "credentials",
    LimitReached = "limit_reached",
    Superseded = "superseded",
    SubjectInactive = "subject_inactive",
    SubjectUnknown = "subject_unknown",
} }

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
