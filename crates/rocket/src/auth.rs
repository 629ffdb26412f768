//! The request guards.

use std::{fmt, marker::PhantomData, ops::Deref};

use jwt_knox::Authenticated;
use jwt_knox_http::{Guard, Handle, HttpRejection, KnoxHttp, Passive, Recent, Requirement, Scoped};
use rocket::{
    Ignite, Request, Rocket, Sentinel,
    request::{FromRequest, Outcome},
};
use serde::de::DeserializeOwned;

use crate::{
    rejection::KnoxRejection,
    translate::{self, authenticate, configured, is_unconfigured},
};

/// Who sends the request, proven by a bearer token. Without a valid one the handler does not run.
///
/// The application must manage a [`KnoxHttp`], as [`fairing`](crate::fairing) does; a Rocket without one does not
/// ignite.
///
/// Do not take `Option<KnoxAuth>`: Rocket turns every error into `None` there, so that a revoked token, or a store that
/// is down, looks like a request without a token. The [`fairing`](crate::fairing) does not let such an answer out, but
/// the handler has run by then. Take [`MaybeAuth`].
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::KnoxAuth;
/// use rocket::get;
///
/// #[get("/me")]
/// fn me(auth: KnoxAuth) -> String {
///     format!("You are {}", auth.subject())
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

impl KnoxAuth {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = Requirement::<KnoxHttp>::new(configured(request)?);
        Ok(Self(authenticate(request, &requirement).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for KnoxAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

/// Optional authentication that fails closed: no credential is `None`, but an invalid or revoked token is 401 and a
/// store that is down is 503.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::MaybeAuth;
/// use rocket::get;
///
/// #[get("/greet")]
/// fn greet(auth: MaybeAuth) -> String {
///     match auth.0 {
///         Some(auth) => format!("Hello, {}", auth.subject()),
///         None => "Hello, stranger".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MaybeAuth(pub Option<Authenticated>);

impl MaybeAuth {
    /// Unwraps the [`Authenticated`].
    #[must_use]
    pub fn into_inner(self) -> Option<Authenticated> {
        self.0
    }
}

impl MaybeAuth {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let knox: KnoxHttp = configured(request)?;
        Ok(Self(knox.authenticate_optional(&translate::request(&knox, request)).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
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
/// use jwt_knox_rocket::{GuardedAuth, http::{Recent, Scoped}, scopes};
/// use rocket::delete;
///
/// scopes! { Admin = "admin"; }
///
/// #[delete("/everything")]
/// fn delete_everything(auth: GuardedAuth<(Scoped<Admin>, Recent<300>)>) -> String {
///     format!("Done, {}", auth.subject())
/// }
/// ```
pub struct GuardedAuth<G: Guard<H>, H: Handle = KnoxHttp>(pub H::Auth, PhantomData<G>);

/// Who sends the request, if their token grants the scope `S`. Otherwise: 403 `insufficient_scope`.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{ScopedAuth, scopes};
/// use rocket::delete;
///
/// scopes! { Admin = "admin"; }
///
/// #[delete("/everything")]
/// fn delete_everything(auth: ScopedAuth<Admin>) -> String {
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
/// use jwt_knox_rocket::RecentAuth;
/// use rocket::post;
///
/// #[post("/password")]
/// fn change_password(auth: RecentAuth<300>) -> String {
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
/// use jwt_knox_rocket::PassiveAuth;
/// use rocket::get;
///
/// #[get("/unread")]
/// fn unread(auth: PassiveAuth) -> String {
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

impl<G: Guard<H>, H: Handle> GuardedAuth<G, H> {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = G::add_to(Requirement::<H>::new(configured(request)?));
        Ok(Self(authenticate(request, &requirement).await?, PhantomData))
    }
}

#[rocket::async_trait]
impl<'r, G: Guard<H>, H: Handle> FromRequest<'r> for GuardedAuth<G, H> {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

/// The claims of the token as a type of the application. A token whose claims do not fit the type, as one that was
/// issued before a field was added, is answered with 401.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::KnoxClaims;
/// use rocket::{get, serde::Deserialize};
///
/// #[derive(Deserialize)]
/// #[serde(crate = "rocket::serde")]
/// struct Profile {
///     name: String,
/// }
///
/// #[get("/hello")]
/// fn hello(claims: KnoxClaims<Profile>) -> String {
///     format!("Hello, {}", claims.0.name)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct KnoxClaims<T>(pub T);

impl<T: DeserializeOwned> KnoxClaims<T> {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = Requirement::<KnoxHttp>::new(configured(request)?);
        Ok(Self(requirement.claims(&translate::request(requirement.handle(), request)).await?))
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromRequest<'r> for KnoxClaims<T> {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

impl Sentinel for KnoxAuth {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<KnoxHttp>(rocket)
    }
}

impl Sentinel for MaybeAuth {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<KnoxHttp>(rocket)
    }
}

impl<G: Guard<H>, H: Handle> Sentinel for GuardedAuth<G, H> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<H>(rocket)
    }
}

impl<T> Sentinel for KnoxClaims<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured::<KnoxHttp>(rocket)
    }
}
