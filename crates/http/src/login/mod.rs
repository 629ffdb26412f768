//! How an application checks who logs in.

pub(crate) mod passwords;

use std::{borrow::Cow, future::Future, sync::Arc};

use jwt_knox::{ClaimsError, ConfigError, NewSession, StoreError, SubjectError, async_trait};

use crate::{
    request::login_credentials::{Credentials, MemberError},
    response::{
        problem::ProblemCode,
        rejection::{Cause, HttpRejection},
    },
};

/// Checks a user name and a password, and says what session they begin.
///
/// Take as long for an unknown user as for a wrong password, or the time tells who is a user; and hash passwords where
/// they block no other request, and not too many at once. [`Passwords`](crate::Passwords) does both.
///
/// # Examples
///
/// ```
/// use jwt_knox::{async_trait, NewSession};
/// use jwt_knox_http::{Credentials, Login, LoginError};
///
/// struct OneUser;
///
/// #[async_trait]
/// impl Login for OneUser {
///     async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
///         if credentials.username() == "alice" && credentials.password() == "wonderland" {
///             Ok(NewSession::new(1).scopes(["read"])?)
///         } else {
///             Err(LoginError::InvalidCredentials)
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Login: Send + Sync + 'static {
    /// The session for these credentials: its subject and, if wanted, scopes, claims, a label and a lifetime.
    /// Without a label, the browser's `User-Agent` becomes the label.
    ///
    /// # Errors
    ///
    /// [`LoginError`]: the credentials are wrong, or it cannot be told. A `?` converts errors of the core;
    /// [`LoginError::unavailable`] any other.
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError>;
}

#[async_trait]
impl<T: Login + ?Sized> Login for Arc<T> {
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        (**self).login(credentials).await
    }
}

/// A [`Login`] that calls a closure.
///
/// # Examples
///
/// ```
/// use jwt_knox::NewSession;
/// use jwt_knox_http::{LoginError, login_fn};
///
/// let login = login_fn(|credentials| async move {
///     if credentials.username() == "alice" && credentials.password() == "wonderland" {
///         Ok(NewSession::new(1))
///     } else {
///         Err(LoginError::InvalidCredentials)
///     }
/// });
/// # let _: Box<dyn jwt_knox_http::Login> = Box::new(login);
/// ```
pub fn login_fn<F, LoggingIn>(login: F) -> impl Login
where
    F: Fn(Credentials) -> LoggingIn + Send + Sync + 'static,
    LoggingIn: Future<Output = Result<NewSession, LoginError>> + Send + 'static,
{
    LoginFn(login)
}

struct LoginFn<F>(F);

#[async_trait]
impl<F, LoggingIn> Login for LoginFn<F>
where
    F: Fn(Credentials) -> LoggingIn + Send + Sync + 'static,
    LoggingIn: Future<Output = Result<NewSession, LoginError>> + Send + 'static,
{
    async fn login(&self, credentials: &Credentials) -> Result<NewSession, LoginError> {
        (self.0)(credentials.clone()).await
    }
}

/// What a login with a wrong password is told.
pub(crate) const WRONG_PASSWORD: &str = "The user name or the password is wrong.";

/// Why a login is rejected or fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no such user, the password is wrong, or the user may not log in. The client is told no more than that:
    /// 401.
    #[error("the user name or the password is wrong, or the user is inactive")]
    InvalidCredentials,
    /// The login needs something else, as a second factor: that status, with that code for programs and that sentence
    /// for people. [`LoginError::rejected`] makes one.
    #[error("{detail}")]
    Rejected {
        /// From 400 to 499. Anything else is answered with 500.
        status: u16,
        /// What it is, for programs: a word of lower-case letters, digits and `_`. Anything else is answered with 500.
        code: Cow<'static, str>,
        /// What it is, for people.
        detail: Cow<'static, str>,
    },
    /// A member of the body is not of the expected form: 400.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The users cannot be read: 503.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
    /// The session has claims or scopes that it cannot have: 500.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The user's id is not a valid subject: 500.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// A setting of the session is one that it cannot have, such as its lifetime: 500.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl LoginError {
    /// [`Unavailable`](Self::Unavailable) because of any error, for `map_err`.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(StoreError::new(source).in_store("users"))
    }

    /// [`Rejected`](Self::Rejected) with these parts.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox_http::LoginError;
    ///
    /// let error = LoginError::rejected(401, "second_factor_needed", "Send the code of your app as `otp`.");
    /// // What a handler of the application answers with.
    /// let rejection = jwt_knox_http::HttpRejection::from(error);
    /// assert_eq!((rejection.status(), rejection.code()), (401, "second_factor_needed"));
    /// ```
    pub fn rejected(status: u16, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Rejected { status, code: code.into(), detail: detail.into() }
    }
}

/// The answer of `/get_token`, for handlers. A login of the application's own is rejected by
/// [`PendingLogin::reject`](crate::PendingLogin::reject), which reports wrong credentials too.
impl From<LoginError> for HttpRejection {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                let (code, detail) = (ProblemCode::InvalidCredentials, WRONG_PASSWORD);
                Cause::Credentials { code, detail, offer_basic: false }.into()
            }
            LoginError::Rejected { status, code, detail } if (400..500).contains(&status) && is_code(&code) => {
                Cause::Application { status, code, detail }.into()
            }
            LoginError::Rejected { status, code, .. } => {
                let what = format!("a login cannot be rejected with the status {status} and the code `{code}`");
                Cause::Internal(what.into()).into()
            }
            LoginError::Member(error) => Cause::Other(ProblemCode::InvalidRequest, sentence(&error).into()).into(),
            LoginError::Unavailable(error) => error.into(),
            LoginError::Claims(error) => Cause::Internal(error.into()).into(),
            LoginError::Subject(error) => Cause::Internal(error.into()).into(),
            LoginError::Config(error) => error.into(),
        }
    }
}

fn is_code(code: &str) -> bool {
    let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&code.len()) && code.bytes().all(is_letter)
}

fn sentence(error: &MemberError) -> String {
    format!("The member `{}` of the body is there twice, or is not of the expected form.", error.name())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jwt_knox::Lifetime;

    use super::*;

    #[test]
    fn a_session_that_cannot_be_made_is_an_error_of_the_server() {
        fn session(lifetime: Duration, scope: &str) -> Result<NewSession, LoginError> {
            Ok(NewSession::new(1).lifetime(Lifetime::expires_after(lifetime)?).scopes([scope])?)
        }
        let hour = Duration::from_secs(3600);
        assert!(session(hour, "read").is_ok());
        for wrong in [session(Duration::ZERO, "read"), session(hour, "")] {
            let response = HttpRejection::from(wrong.unwrap_err()).to_response();
            assert_eq!(response.status(), 500);
            assert!(response.body().contains("Internal server error."), "{}", response.body());
        }
    }
}
