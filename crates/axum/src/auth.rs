//! The extractors.

use std::{fmt, marker::PhantomData, ops::Deref};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use jwt_knox::Authenticated;
use jwt_knox_http::{Guard, Handle, KnoxHttp, Passive, Recent, Requirement, Scoped};
use serde::de::DeserializeOwned;

use crate::{
    rejection::KnoxRejection,
    translate::{authenticate, authenticate_optional, claims},
};

/// Who sends the request, proven by a bearer token. Without a valid one the handler does not run.
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

impl KnoxAuth {
    /// Unwraps the [`Authenticated`].
    #[must_use]
    pub fn into_inner(self) -> Authenticated {
        self.0
    }
}

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
        Ok(Self(authenticate(parts, &Requirement::new(KnoxHttp::from_ref(state))).await?))
    }
}

impl<S> OptionalFromRequestParts<S> for KnoxAuth
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, KnoxRejection> {
        let auth = authenticate_optional(parts, &Requirement::new(KnoxHttp::from_ref(state))).await?;
        Ok(auth.map(Self))
    }
}

/// Who sends the request, if they have what `G` asks for besides a valid token: [`Scoped`], [`Recent`], [`Passive`], or
/// a pair of these.
///
/// With a `VerifierHttp` for `H` it is a [`GuardedToken`](crate::GuardedToken), for which no store is asked.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::{GuardedAuth, http::{Recent, Scoped}, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// async fn delete_everything(auth: GuardedAuth<(Scoped<Admin>, Recent<300>)>) -> String {
///     format!("Done, {}", auth.subject())
/// }
/// ```
pub struct GuardedAuth<G: Guard<H>, H: Handle = KnoxHttp>(pub H::Auth, PhantomData<G>);

/// Who sends the request, if their token grants the scope `S`. Otherwise: 403 `insufficient_scope`.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::{ScopedAuth, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// async fn delete_everything(auth: ScopedAuth<Admin>) -> String {
///     format!("Done, {}", auth.subject())
/// }
/// ```
pub type ScopedAuth<S> = GuardedAuth<Scoped<S>>;

/// Who sends the request, if their login is no older than so many seconds: for what a stolen token must not do.
/// Otherwise: 401 `insufficient_user_authentication`, and the client logs in again ([RFC 9470]).
///
/// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::RecentAuth;
///
/// async fn change_password(auth: RecentAuth<300>) -> String {
///     format!("Changed, {}", auth.subject())
/// }
/// ```
pub type RecentAuth<const SECONDS: u64> = GuardedAuth<Recent<SECONDS>>;

/// Who sends the request, which does not count as a use of the session: for what a page polls by itself, so that an
/// idle timeout measures what the user does. A [`RequireAuth`](crate::RequireAuth) in front counts it, unless it is
/// passive too.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::PassiveAuth;
///
/// async fn unread(auth: PassiveAuth) -> String {
///     format!("3 unread messages, {}", auth.subject())
/// }
/// ```
pub type PassiveAuth = GuardedAuth<Passive>;

impl<G: Guard<H>, H: Handle> GuardedAuth<G, H> {
    /// Unwraps the [`Authenticated`].
    #[must_use]
    pub fn into_inner(self) -> H::Auth {
        self.0
    }
}

impl<G: Guard<H>, H: Handle> Clone for GuardedAuth<G, H> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<G: Guard<H>, H: Handle> Deref for GuardedAuth<G, H> {
    type Target = H::Auth;

    fn deref(&self) -> &H::Auth {
        &self.0
    }
}

impl<G: Guard<H>, H: Handle> fmt::Debug for GuardedAuth<G, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardedAuth").field(&self.0).finish()
    }
}

impl<G: Guard<H>, H: Handle + FromRef<S>, S> FromRequestParts<S> for GuardedAuth<G, H>
where
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        let requirement = G::add_to(Requirement::new(H::from_ref(state)));
        Ok(Self(authenticate(parts, &requirement).await?, PhantomData))
    }
}

/// The claims of the token as a type of the application. A token whose claims do not fit the type, as one that was
/// issued before a field was added, is answered with 401.
///
/// # Examples
///
/// ```
/// use jwt_knox_axum::KnoxClaims;
///
/// #[derive(serde::Deserialize)]
/// struct Profile {
///     name: String,
/// }
///
/// async fn hello(KnoxClaims(profile): KnoxClaims<Profile>) -> String {
///     format!("Hello, {}", profile.name)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct KnoxClaims<T>(pub T);

impl<T: DeserializeOwned, S> FromRequestParts<S> for KnoxClaims<T>
where
    KnoxHttp: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = KnoxRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, KnoxRejection> {
        Ok(Self(claims(parts, &Requirement::new(KnoxHttp::from_ref(state))).await?))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use jwt_knox::{Knox, MemoryStore, SigningKey};

    use super::*;

    /// The future of a handler with a guard holds this, the request and its parts, which are 500 bytes more, and
    /// allocators take longer from about a kibibyte on.
    #[test]
    fn the_future_of_a_guard_is_small() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let knox = KnoxHttp::builder(knox).build().unwrap();
        let (mut parts, ()) = Request::new(()).into_parts();
        let size = size_of_val(&<KnoxAuth as FromRequestParts<KnoxHttp>>::from_request_parts(&mut parts, &knox));
        assert!(size <= 432, "{size} bytes");
        let size = size_of_val(&KnoxClaims::<()>::from_request_parts(&mut parts, &knox));
        assert!(size <= 432, "{size} bytes");
    }
}
