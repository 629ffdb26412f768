//! What a revocation has done.

/// Whether [`Knox::revoke`](crate::Knox::revoke) has ended a session.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Authenticated, Knox, Revocation, SessionId, StoreError};
///
/// async fn end_device(knox: &Knox, auth: &Authenticated, id: SessionId) -> Result<&'static str, StoreError> {
///     Ok(match knox.revoke(&auth.own_session(id)).await? {
///         Revocation::Revoked => "logged out",
///         Revocation::NotFound => "no such session",
///     })
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a session that was not found was not ended"]
pub enum Revocation {
    /// The session was there, and has ended.
    Revoked,
    /// There is no session of that subject with that id: it has ended before, or the id is a wrong one.
    NotFound,
}

impl Revocation {
    /// Whether a session was there, and has ended.
    #[must_use]
    pub const fn is_revoked(self) -> bool {
        matches!(self, Self::Revoked)
    }
}
