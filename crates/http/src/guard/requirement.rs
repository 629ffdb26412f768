//! What a guard requires: scopes, a recent login, a passive use.

use std::{borrow::Cow, time::Duration};

use futures_util::FutureExt;
use jwt_knox::{ClaimsError, is_scope};
use serde::de::DeserializeOwned;

use crate::{
    guard::scope::{Scope, name_of},
    handle::Handle,
    knox_http::KnoxHttp,
    protocol::optional,
    request::Request,
    response::rejection::HttpRejection,
};

/// A valid token and perhaps more: what an adapter's `RequireAuth` and extractors are made of. With a
/// [`VerifierHttp`](crate::VerifierHttp) in place of a [`KnoxHttp`], a revoked token is accepted until its `exp`,
/// unless it asks the issuer.
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
pub struct Requirement<H: Handle = KnoxHttp> {
    handle: H,
    scopes: Vec<Cow<'static, str>>,
    conditions: H::Conditions,
}

impl<H: Handle> Requirement<H> {
    /// Asks for a valid token.
    #[must_use]
    pub fn new(handle: H) -> Self {
        Self { handle, scopes: Vec::new(), conditions: H::Conditions::default() }
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
    pub const fn handle(&self) -> &H {
        &self.handle
    }

    /// Decides who sends `request`, and whether they may.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: that of [`KnoxHttp::authenticate`], 403 if a scope is missing, or
    /// 401 if the login is too old.
    pub fn authenticate<'a>(
        &'a self,
        request: &Request<'a>,
    ) -> impl Future<Output = Result<H::Auth, HttpRejection>> + Send + use<'a, H> {
        // No `async` block, which would have room for the future twice.
        self.handle.authenticate_with(request, &self.conditions).map(|auth| {
            let auth = auth?;
            self.scopes.iter().try_for_each(|scope| self.handle.require_scope(&auth, scope))?;
            self.handle.require_conditions(&auth, &self.conditions)?;
            Ok(auth)
        })
    }

    /// The same where authentication is optional: no credential is `None`; a bad one, or a store that is down, stays
    /// what it is.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate), unless no credential was sent.
    pub fn authenticate_optional<'a>(
        &'a self,
        request: &Request<'a>,
    ) -> impl Future<Output = Result<Option<H::Auth>, HttpRejection>> + Send + use<'a, H> {
        self.authenticate(request).map(optional)
    }

    /// The claims of the token of `request` as a type of the application.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate), and 401 if the claims do not fit `T`.
    pub fn claims<'a, T: DeserializeOwned>(
        &'a self,
        request: &Request<'a>,
    ) -> impl Future<Output = Result<T, HttpRejection>> + Send + use<'a, T, H> {
        self.authenticate(request).map(|auth| self.handle.claims(&auth?))
    }
}

/// What only the store can tell.
impl Requirement<KnoxHttp> {
    /// Asks for a login that is no older than `max_age` as well ([RFC 9470]).
    ///
    /// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470
    #[must_use]
    pub fn recent(mut self, max_age: Duration) -> Self {
        let before = &mut self.conditions.max_age;
        *before = Some(before.map_or(max_age, |before| before.min(max_age)));
        self
    }

    /// Does not count the request as a use of the session: for what a page polls by itself, so that an idle timeout
    /// measures what the user does. The first guard that looks at a request decides.
    #[must_use]
    pub fn passive(mut self) -> Self {
        self.conditions.is_passive = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use jwt_knox::{Knox, MemoryStore, SigningKey};

    use super::*;

    /// It is part of the future of each handler that has a guard, and so of what each request allocates.
    #[test]
    fn the_future_of_a_guard_is_small() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let knox = KnoxHttp::builder(knox).build().unwrap();
        let requirement = Requirement::new(knox.clone());
        let future = requirement.authenticate(&knox.request("GET", "/", |_| None));
        assert!(size_of_val(&future) <= 320, "{} bytes", size_of_val(&future));
    }
}
