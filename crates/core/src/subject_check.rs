//! Asking the application whether a user may still be logged in.

use std::fmt;

use async_trait::async_trait;

use crate::{error::StoreError, subject::Subject};

/// Asks the application about a subject on each authentication and before each login, so that a user who is disabled or
/// deleted is refused on the next request, whatever tokens they hold.
///
/// On authentication it runs after the signature, the claims and the record have been found good: an attacker cannot
/// use it to learn which users exist, or to load the database with tokens that are not worth a question.
///
/// # Examples
///
/// ```
/// use jwt_knox::{async_trait, StoreError, Subject, SubjectCheck, SubjectStatus};
///
/// #[derive(Debug)]
/// struct OnlyAlice;
///
/// #[async_trait]
/// impl SubjectCheck for OnlyAlice {
///     async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
///         Ok(if subject.as_str() == "alice" { SubjectStatus::Active } else { SubjectStatus::Unknown })
///     }
/// }
/// ```
#[async_trait]
pub trait SubjectCheck: fmt::Debug + Send + Sync + 'static {
    /// The state of `subject`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be told. The client is then neither let in nor refused.
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError>;
}

#[async_trait]
impl<T: SubjectCheck + ?Sized> SubjectCheck for std::sync::Arc<T> {
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
        (**self).check(subject).await
    }
}

/// What the application says of a subject.
///
/// Exhaustive on purpose: code that maps it must not have a branch that lets an unforeseen state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectStatus {
    /// May be logged in.
    Active,
    /// Exists and may not be logged in.
    Inactive,
    /// Does not exist, or no longer.
    Unknown,
}
