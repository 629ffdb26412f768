//! The request guards of a service without the store.

use std::ops::Deref;

use jwt_knox::StatelessToken;
use jwt_knox_http::{HttpRejection, Requirement, Scoped, VerifierHttp};
use rocket::{
    Ignite, Request, Rocket, Sentinel,
    request::{FromRequest, Outcome},
};
use serde::de::DeserializeOwned;

use crate::{
    auth::GuardedAuth,
    rejection::KnoxRejection,
    translate::{self, authenticate, configured, is_unconfigured},
};

/// What the bearer token of the request says, if it is valid: for a service that has no store, and has the issuer's
/// public keys or asks the issuer. Without such a token the handler does not run.
///
/// **A revoked token is accepted until its `exp`, unless the handle asks the issuer.** This is no
/// [`KnoxAuth`](crate::KnoxAuth), for which the store is asked.
///
/// The application must manage a [`VerifierHttp`], as [`fairing`](crate::fairing) does; a Rocket without one does not
/// ignite.
///
/// Do not take `Option<VerifiedToken>`: Rocket turns every error into `None` there, so that a forged token looks like a
/// stranger. The [`fairing`](crate::fairing) does not let such an answer out, but the handler has run by then. Take
/// [`MaybeToken`].
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{VerifiedToken, VerifierHttp, fairing};
/// use rocket::{Build, Rocket, get, routes};
///
/// #[get("/orders")]
/// fn orders(token: VerifiedToken) -> String {
///     format!("The orders of {}", token.subject())
/// }
///
/// fn app(verifier: VerifierHttp) -> Rocket<Build> {
///     rocket::build().attach(fairing(verifier)).mount("/", routes![orders])
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

impl VerifiedToken {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = Requirement::<VerifierHttp>::new(configured(request)?);
        Ok(Self(authenticate(request, &requirement).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for VerifiedToken {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

/// Optional authentication that fails closed: no credential is `None`, but an invalid token is 401. A revoked token is
/// accepted until its `exp`, unless the handle asks the issuer.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::MaybeToken;
/// use rocket::get;
///
/// #[get("/prices")]
/// fn prices(token: MaybeToken) -> String {
///     match token.0 {
///         Some(token) => format!("The prices for {}", token.subject()),
///         None => "The prices for everybody".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MaybeToken(pub Option<StatelessToken>);

impl MaybeToken {
    /// Unwraps the [`StatelessToken`].
    #[must_use]
    pub fn into_inner(self) -> Option<StatelessToken> {
        self.0
    }
}

impl MaybeToken {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let verifier: VerifierHttp = configured(request)?;
        Ok(Self(verifier.authenticate_optional(&translate::request(&verifier, request)).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeToken {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
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
/// use jwt_knox_rocket::{ScopedToken, scopes};
/// use rocket::post;
///
/// scopes! { Write = "orders:write"; }
///
/// #[post("/orders")]
/// fn order(token: ScopedToken<Write>) -> String {
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
/// use jwt_knox_rocket::TokenClaims;
/// use rocket::{get, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "rocket::serde")]
/// struct Profile {
///     name: String,
/// }
///
/// #[get("/hello")]
/// fn hello(claims: TokenClaims<Profile>) -> String {
///     format!("Hello, {}", claims.0.name)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct TokenClaims<T>(pub T);

impl<T: DeserializeOwned> TokenClaims<T> {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = Requirement::<VerifierHttp>::new(configured(request)?);
        Ok(Self(requirement.claims(&translate::request(requirement.handle(), request)).await?))
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromRequest<'r> for TokenClaims<T> {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

impl Sentinel for VerifiedToken {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<VerifierHttp>(rocket)
    }
}

impl Sentinel for MaybeToken {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<VerifierHttp>(rocket)
    }
}

impl<T> Sentinel for TokenClaims<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<VerifierHttp>(rocket)
    }
}
