//! What a guard asks of a request.

use std::{borrow::Cow, time::Duration};

use jwt_knox::{Authenticated, ClaimsError, is_scope};

use crate::{
    knox_http::KnoxHttp,
    rejection::HttpRejection,
    request::Request,
    scope::{Scope, name_of},
};

/// A valid token and perhaps more: what an adapter's `RequireAuth` and extractors are made of.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey};
/// use jwt_knox_http::{KnoxHttp, Requirement, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
/// let requirement = Requirement::new(knox.clone()).with_scope::<Admin>();
///
/// let outcome = requirement.authenticate(&knox.request("GET", "/", |_| None)).await;
/// assert_eq!(outcome.unwrap_err().status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Requirement {
    knox: KnoxHttp,
    scopes: Vec<Cow<'static, str>>,
    max_age: Option<Duration>,
    is_passive: bool,
}

impl Requirement {
    /// Asks for a valid token.
    #[must_use]
    pub const fn new(knox: KnoxHttp) -> Self {
        Self { knox, scopes: Vec::new(), max_age: None, is_passive: false }
    }

    /// Asks for a token that grants the scope `S` as well.
    #[must_use]
    pub fn with_scope<S: Scope>(mut self) -> Self {
        self.scopes.push(name_of::<S>().into());
        self
    }

    /// Asks for a token that grants `scope` as well.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::InvalidScope`] if it is not a scope.
    pub fn scope(mut self, scope: impl Into<Cow<'static, str>>) -> Result<Self, ClaimsError> {
        let scope = scope.into();
        if !is_scope(&scope) {
            return Err(ClaimsError::InvalidScope { scope: scope.into_owned() });
        }
        self.scopes.push(scope);
        Ok(self)
    }

    /// Asks for a login that is no older than `max_age` as well ([RFC 9470]).
    ///
    /// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470
    #[must_use]
    pub fn recent(mut self, max_age: Duration) -> Self {
        self.max_age = Some(self.max_age.map_or(max_age, |before| before.min(max_age)));
        self
    }

    /// Does not count the request as a use of the session: for what a page polls by itself, so that an idle timeout
    /// measures what the user does. The first guard that looks at a request decides.
    #[must_use]
    pub fn passive(self) -> Self {
        Self { is_passive: true, ..self }
    }

    /// The handle to authenticate with.
    #[must_use]
    pub const fn knox(&self) -> &KnoxHttp {
        &self.knox
    }

    /// Decides who sends `request`, and whether they may.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: that of [`KnoxHttp::authenticate`], 403 for want of a scope, or 401
    /// if the login is too old.
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<Authenticated, HttpRejection> {
        let auth = self.knox.authenticate_once(request, self.is_passive).await?;
        self.scopes.iter().try_for_each(|scope| self.knox.require_scope(&auth, scope))?;
        self.max_age.map_or(Ok(()), |max_age| self.knox.require_recent(&auth, max_age))?;
        Ok(auth)
    }
}
