//! Asking the application whether a subject may still be logged in.

use std::{any::Any, fmt, future::Future, sync::Arc};

use async_trait::async_trait;

use crate::{error::StoreError, store::record::SessionRecord};

/// Asks the application about a session and its subject on each authentication, at each rotation and before each
/// session begins, so that a user who is disabled or deleted is rejected on the next request, whatever tokens they
/// hold.
///
/// It sees the record. So a session can carry in an attribute what must still be true of the user, such as the number
/// of their password: when it has changed, [`Inactive`](SubjectStatus::Inactive) ends what was begun with the old one.
///
/// On authentication it runs after the signature, the claims and the record have been found valid: an attacker cannot
/// use it to learn which users exist, or to load the database with worthless tokens. It has the
/// [time limit](crate::KnoxBuilder::time_limit) of a call of the store.
///
/// [`subject_check_fn`] makes one out of a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{SessionRecord, StoreError, SubjectCheck, SubjectStatus, async_trait};
///
/// struct User {
///     is_active: bool,
///     password_version: u32,
/// }
///
/// struct Users;
///
/// impl Users {
///     async fn find(&self, id: &str) -> Result<Option<User>, StoreError> {
///         Ok((id == "42").then_some(User { is_active: true, password_version: 3 }))
///     }
/// }
///
/// #[async_trait]
/// impl SubjectCheck for Users {
///     async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
///         let Some(user) = self.find(session.subject.as_str()).await? else { return Ok(SubjectStatus::Unknown) };
///         let version = session.attributes.get("password_version");
///         if !user.is_active || version != Some(&user.password_version.to_string()) {
///             return Ok(SubjectStatus::Inactive);
///         }
///         // Handlers get it by `auth.user::<User>()`, without another query.
///         Ok(SubjectStatus::active_with(user))
///     }
/// }
/// ```
#[async_trait]
pub trait SubjectCheck: Send + Sync + 'static {
    /// The status of the subject of `session`. Of a session that is about to begin, the record is what will be stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be told. The token is then neither accepted nor rejected.
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError>;
}

#[async_trait]
impl<T: SubjectCheck + ?Sized> SubjectCheck for Arc<T> {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        (**self).check(session).await
    }
}

/// A [`SubjectCheck`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, SigningKey, SubjectStatus, subject_check_fn};
///
/// let check = subject_check_fn(|session| async move {
///     Ok(if session.subject == "alice" { SubjectStatus::Active } else { SubjectStatus::Unknown })
/// });
/// let builder = Knox::builder(SigningKey::hs256("an example key, 32 bytes or more!")?).subject_check(check);
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
pub fn subject_check_fn<F, Checking>(check: F) -> impl SubjectCheck
where
    F: Fn(SessionRecord) -> Checking + Send + Sync + 'static,
    Checking: Future<Output = Result<SubjectStatus, StoreError>> + Send + 'static,
{
    CheckFn(check)
}

struct CheckFn<F>(F);

#[async_trait]
impl<F, Checking> SubjectCheck for CheckFn<F>
where
    F: Fn(SessionRecord) -> Checking + Send + Sync + 'static,
    Checking: Future<Output = Result<SubjectStatus, StoreError>> + Send + 'static,
{
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        (self.0)(session.clone()).await
    }
}

/// What the application says of a subject.
///
/// Exhaustive on purpose: code that maps it must not have a branch that lets an unforeseen status in.
#[derive(Debug, Clone)]
pub enum SubjectStatus {
    /// May be logged in.
    Active,
    /// May be logged in, and this is the application's user; see [`active_with`](Self::active_with).
    ActiveWith(SubjectUser),
    /// Exists and may not be logged in, or not by this session.
    Inactive,
    /// Does not exist, or no longer.
    Unknown,
}

impl SubjectStatus {
    /// A short, fixed name of the status, for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active | Self::ActiveWith(_) => "active",
            Self::Inactive => "inactive",
            Self::Unknown => "unknown",
        }
    }

    /// May be logged in. Handlers get `user` by [`Authenticated::user`](crate::Authenticated::user), without reading it
    /// once more.
    #[must_use]
    pub fn active_with<T: Send + Sync + 'static>(user: T) -> Self {
        Self::ActiveWith(SubjectUser(Arc::new(user)))
    }
}

/// A user of the application, of whatever type. Cheap to clone; `Debug` does not show the user.
#[derive(Clone)]
pub struct SubjectUser(Arc<dyn Any + Send + Sync>);

impl SubjectUser {
    /// The user, if it is a `T`.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for SubjectUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectUser(redacted)")
    }
}
