//! The settings that a handle keeps as they are given.

use std::{sync::Arc, time::Duration};

use crate::{
    lifetime::Lifetime, named::named, random::FillRandom, store::limit::SessionLimit, subject_check::SubjectCheck,
};

/// The settings that the handle keeps as they are given.
pub(super) struct Settings {
    pub(super) subject_check: Option<Arc<dyn SubjectCheck>>,
    pub(super) lifetime: Lifetime,
    pub(super) limit: Option<SessionLimit>,
    pub(super) touch_interval: Duration,
    pub(super) rotation_grace: Duration,
    pub(super) reuse: ReuseAction,
    pub(super) recheck_interval: Duration,
    pub(super) fill_random: FillRandom,
}

/// What happens to a session whose previous token is presented after the grace of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReuseAction {
    /// The session is revoked, since a thief may have either token ([RFC 9700 §4.14.2]).
    ///
    /// [RFC 9700 §4.14.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
    #[default]
    RevokeSession,
    /// The token is rejected, and the session goes on.
    Reject,
}

named! { ReuseAction {
    RevokeSession = "revoke_session",
    Reject = "reject",
} }
