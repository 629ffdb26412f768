//! The extractors of a service without the store.

use std::ops::Deref;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use jwt_knox::StatelessToken;
use jwt_knox_http::{Requirement, Scoped, VerifierHttp};
use serde::de::DeserializeOwned;

use crate::{
    auth::{Extraction, GuardedAuth},
    rejection::KnoxRejection,
    translate::{authenticate, authenticate_optional, claims, configured},
};

/// What the bearer token of the request says, if it is valid: for a service that has no store, and has the issuer's
/// public keys or asks the issuer. Without such a token the handler does not run.
///
/// **A revoked token is accepted until its `exp`, unless the handle asks the issuer.** This is no
/// [`KnoxAuth`](crate::KnoxAuth), for which the store is asked.
///
/// The application must have a [`VerifierHttp`] in its data: `.app_data(web::Data::new(verifier))`.
///
/// Do not take `Option<VerifiedToken>`: Actix Web turns every error into `None` there, so that a forged token looks
/// like no token. Take [`MaybeToken`].
///
/// # Examples
///
/// ```
/// use actix_web::{App, web};
/// use jwt_knox_actix::{VerifiedToken, VerifierHttp};
///
/// async fn orders(token: VerifiedToken) -> String {
///     format!("The orders of {}", token.subject())
/// }
///
/// fn configure(config: &mut web::ServiceConfig, verifier: VerifierHttp) {
///     config.app_data(web::Data::new(verifier)).route("/orders", web::get().to(orders));
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

impl FromRequest for VerifiedToken {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<VerifierHttp>::new(configured(&request)?);
            Ok(Self(authenticate(&request, &requirement).await?))
        })
    }
}

/// Optional authentication that fails closed: no credential is `None`, but an invalid token is 401. A revoked token is
/// accepted until its `exp`, unless the handle asks the issuer.
///
/// # Examples
///
/// ```
/// use jwt_knox_actix::MaybeToken;
///
/// async fn prices(MaybeToken(token): MaybeToken) -> String {
///     match token {
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

impl FromRequest for MaybeToken {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<VerifierHttp>::new(configured(&request)?);
            Ok(Self(authenticate_optional(&request, &requirement).await?))
        })
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
/// use jwt_knox_actix::{ScopedToken, scopes};
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
/// use jwt_knox_actix::TokenClaims;
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

impl<T: DeserializeOwned> FromRequest for TokenClaims<T> {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<VerifierHttp>::new(configured(&request)?);
            Ok(Self(claims(&request, &requirement).await?))
        })
    }
}
