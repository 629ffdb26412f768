//! The extractors of a service without the store.

use std::ops::Deref;

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use jwt_knox::StatelessToken;
use jwt_knox_http::{Requirement, Scoped, VerifierHttp};
use serde::de::DeserializeOwned;

use crate::{
    auth::GuardedAuth,
    rejection::KnoxRejection,
    translate::{authenticate, authenticate_optional, claims},
};

/// What the bearer token of the request says, if it is valid: for a service that has no store, and has the issuer's
/// public keys or asks the issuer. Without such a token the handler does not run.
///
/// **A revoked token is accepted until its `exp`, unless the handle asks the issuer.** This is no
/// [`KnoxAuth`](crate::KnoxAuth), for which the store is asked.
///
/// The state of the router must give a [`VerifierHttp`]: be one, or implement `FromRef` for it.
///
/// As `Option<VerifiedToken>` it makes authentication optional, and fails closed: no credential is `None`, but an
/// invalid token is 401.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use jwt_knox_axum::{VerifiedToken, VerifierHttp};
///
/// async fn orders(token: VerifiedToken) -> String {
///     format!("The orders of {}", token.subject())
/// }
///
/// fn app(verifier: VerifierHttp) -> Router {
///     Router::new().route("/orders", get(orders)).with_state(verifier)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct VerifiedToken(pub StatelessToken);

impl VerifiedToken {
    /// Unwraps the [`StatelessToken`].
    #[must_use]
    pub fn into_inner(self) -> StatelessToken {
        self.0
    }
}

impl Deref for VerifiedToken {
    type Target = StatelessToken;

    fn deref(&self) -> &StatelessToken {
        &self.0
    }
}

impl<S> FromRequestParts<S> for VerifiedToken
where
    VerifierHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        Ok(Self(authenticate(parts, &Requirement::new(VerifierHttp::from_ref(state))).await?))
    }
}

impl<S> OptionalFromRequestParts<S> for VerifiedToken
where
    VerifierHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, KnoxRejection> {
        let token = authenticate_optional(parts, &Requirement::new(VerifierHttp::from_ref(state))).await?;
        Ok(token.map(Self))
    }
}

/// A [`VerifiedToken`] that has what `G` asks for: [`Scoped`], or a pair of them. A revoked token is accepted until its
/// `exp`, unless the handle asks the issuer.
pub type GuardedToken<G> = GuardedAuth<G, VerifierHttp>;

/// A [`VerifiedToken`] that claims the scope `S`. Otherwise: 403 `insufficient_scope`. A revoked token is accepted
/// until its `exp`, unless the handle asks the issuer.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::{ScopedToken, scopes};
///
/// scopes! { Write = "orders:write"; }
///
/// async fn order(token: ScopedToken<Write>) -> String {
///     format!("Ordered, {}", token.subject())
/// }
/// ```
pub type ScopedToken<S> = GuardedToken<Scoped<S>>;

/// The claims of a [`VerifiedToken`] as a type of the application. A token whose claims do not fit the type is answered
/// with 401. A revoked token is accepted until its `exp`, unless the handle asks the issuer.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::TokenClaims;
///
/// #[derive(serde::Deserialize)]
/// struct Profile {
///     name: String,
/// }
///
/// async fn hello(TokenClaims(profile): TokenClaims<Profile>) -> String {
///     format!("Hello, {}", profile.name)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct TokenClaims<T>(pub T);

impl<T: DeserializeOwned, S> FromRequestParts<S> for TokenClaims<T>
where
    VerifierHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        Ok(Self(claims(parts, &Requirement::new(VerifierHttp::from_ref(state))).await?))
    }
}
