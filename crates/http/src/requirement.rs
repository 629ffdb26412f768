//! What a guard asks of a request.

use std::borrow::Cow;

use jwt_knox::{Authenticated, ClaimsError, is_scope};

use crate::{
    knox_http::KnoxHttp,
    rejection::HttpRejection,
    scope::{Scope, name_of},
};

/// A valid token and perhaps scopes: what an adapter's `RequireAuth` and `ScopedAuth` are made of.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey};
/// use jwt_knox_http::{KnoxHttp, Request, Requirement, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
/// let requirement = Requirement::new(knox).with_scope::<Admin>();
///
/// let outcome = requirement.knox().authenticate(&Request::new("GET", "/", |_| None)).await;
/// assert_eq!(requirement.check(outcome).unwrap_err().status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Requirement {
    knox: KnoxHttp,
    scopes: Vec<Cow<'static, str>>,
}

impl Requirement {
    /// Asks for a valid token.
    #[must_use]
    pub const fn new(knox: KnoxHttp) -> Self {
        Self { knox, scopes: Vec::new() }
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

    /// The handle to authenticate with.
    #[must_use]
    pub const fn knox(&self) -> &KnoxHttp {
        &self.knox
    }

    /// Checks an outcome of [`KnoxHttp::authenticate`].
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], the one that came in or one for want of a scope.
    pub fn check(&self, outcome: Result<Authenticated, HttpRejection>) -> Result<Authenticated, HttpRejection> {
        let auth = outcome?;
        self.scopes.iter().try_for_each(|scope| self.knox.require_scope(&auth, scope))?;
        Ok(auth)
    }
}
