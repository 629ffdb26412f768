//! How an application checks who logs in.

use std::fmt;

use jwt_knox::{NewToken, StoreError, async_trait};

use crate::{challenge::Challenge, credentials::Credentials, refusal::Refusal, response::Response};

/// Checks a user name and a password, and says what token they are worth.
///
/// Take as long for an unknown user as for a wrong password, or the time tells who is a user: hash the password against
/// some fixed hash if there is no user. Password hashing takes long on purpose; run it where it blocks no other
/// request.
///
/// # Examples
///
/// ```
/// use jwt_knox::{async_trait, NewToken, Subject};
/// use jwt_knox_http::{Credentials, Login, LoginError};
///
/// #[derive(Debug)]
/// struct OneUser;
///
/// #[async_trait]
/// impl Login for OneUser {
///     async fn login(&self, credentials: &Credentials) -> Result<NewToken, LoginError> {
///         if credentials.username() == "alice" && credentials.password() == "wonderland" {
///             let subject = Subject::new("user-1").map_err(|_| LoginError::InvalidCredentials)?;
///             Ok(NewToken::for_subject(subject))
///         } else {
///             Err(LoginError::InvalidCredentials)
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Login: fmt::Debug + Send + Sync + 'static {
    /// The token for whoever has these credentials: its subject and, if wanted, scopes, claims, a label and a lifetime.
    /// Without a label, the browser's `User-Agent` becomes the label.
    ///
    /// # Errors
    ///
    /// [`LoginError`]: the credentials are wrong, or it cannot be told.
    async fn login(&self, credentials: &Credentials) -> Result<NewToken, LoginError>;
}

#[async_trait]
impl<T: Login + ?Sized> Login for std::sync::Arc<T> {
    async fn login(&self, credentials: &Credentials) -> Result<NewToken, LoginError> {
        (**self).login(credentials).await
    }
}

/// Why a login is not granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no such user, the password is wrong, or the user may not log in. The client is told no more than that:
    /// 401.
    #[error("the user name or the password is wrong, or the user is inactive")]
    InvalidCredentials,
    /// The users cannot be read: 503.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

impl Refusal {
    /// A login without credentials or with wrong ones: 401. With `offer_basic`, a browser may ask its user for them.
    pub(crate) fn login(challenge: &Challenge, detail: &str, offer_basic: bool) -> Self {
        let realm = &challenge.realm;
        let basic = if offer_basic { format!(r#", Basic realm="{realm}", charset="UTF-8""#) } else { String::new() };
        Self::request(challenge.add_to(Response::problem(401, detail), &basic))
    }

    pub(crate) fn login_error(challenge: &Challenge, error: LoginError, offer_basic: bool) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                // No name: what is typed as a name is often a password.
                tracing::info!("login refused");
                Self::login(challenge, "The user name or the password is wrong.", offer_basic)
            }
            LoginError::Unavailable(error) => error.into(),
        }
    }
}
