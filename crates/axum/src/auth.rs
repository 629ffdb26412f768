//! The extractors.

use std::{fmt, marker::PhantomData, ops::Deref};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Scope};

use crate::{rejection::KnoxRejection, translate::authenticate};

/// Whoever sends the request, proven by a bearer token. Without a good one the handler does not run.
///
/// The state of the router must give a [`KnoxHttp`]: be one, or implement `FromRef` for it.
///
/// As `Option<KnoxAuth>` it makes authentication optional, and fails closed: no credential is `None`, but a bad or
/// revoked token is 401 and a store that is down is 503.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use jwt_knox_axum::{KnoxAuth, KnoxHttp};
///
/// async fn me(auth: KnoxAuth) -> String {
///     format!("You are {}", auth.subject())
/// }
///
/// async fn greet(auth: Option<KnoxAuth>) -> String {
///     match auth {
///         Some(auth) => format!("Hello, {}", auth.subject()),
///         None => "Hello, stranger".to_owned(),
///     }
/// }
///
/// fn app(knox: KnoxHttp) -> Router {
///     Router::new().route("/me", get(me)).route("/greet", get(greet)).with_state(knox)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct KnoxAuth(pub Authenticated);

impl Deref for KnoxAuth {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.0
    }
}

impl<S> FromRequestParts<S> for KnoxAuth
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        Ok(Self(authenticate(parts, &KnoxHttp::from_ref(state)).await?))
    }
}

impl<S> OptionalFromRequestParts<S> for KnoxAuth
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, KnoxRejection> {
        let outcome = authenticate(parts, &KnoxHttp::from_ref(state)).await;
        Ok(KnoxHttp::optional(outcome)?.map(Self))
    }
}

/// Whoever sends the request, if their token grants the scope `S`. Otherwise: 403 `insufficient_scope`.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::{Scope, ScopedAuth};
///
/// struct Admin;
///
/// impl Scope for Admin {
///     const NAME: &'static str = "admin";
/// }
///
/// async fn delete_everything(auth: ScopedAuth<Admin>) -> String {
///     format!("Done, {}", auth.subject())
/// }
/// ```
pub struct ScopedAuth<S: Scope>(pub Authenticated, PhantomData<S>);

impl<S: Scope> Deref for ScopedAuth<S> {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.0
    }
}

impl<S: Scope> fmt::Debug for ScopedAuth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedAuth").field(&S::NAME).field(&self.0).finish()
    }
}

impl<T: Scope, S> FromRequestParts<S> for ScopedAuth<T>
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        let knox = KnoxHttp::from_ref(state);
        let auth = authenticate(parts, &knox).await?;
        knox.require_scope::<T>(&auth)?;
        Ok(Self(auth, PhantomData))
    }
}
