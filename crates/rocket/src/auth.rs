//! The request guards.

use std::{fmt, marker::PhantomData, ops::Deref};

use jwt_knox::Authenticated;
use jwt_knox_http::{HttpRejection, KnoxHttp, Requirement, Scope};
use rocket::{
    Ignite, Request, Rocket, Sentinel,
    request::{FromRequest, Outcome},
};
use serde::de::DeserializeOwned;

use crate::{
    rejection::KnoxRejection,
    translate::{self, authenticate, configured},
};

/// Who sends the request, proven by a bearer token. Without a valid one the handler does not run.
///
/// The application must manage a [`KnoxHttp`], as [`fairing`](crate::fairing) does; a Rocket without one does not
/// ignite.
///
/// Do not take `Option<KnoxAuth>`: Rocket turns every error into `None` there, so that a revoked token, or a store that
/// is down, looks like a stranger. Take [`MaybeAuth`].
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
    /// The proof, taken out.
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
        let knox = configured(request)?;
        Ok(Self(authenticate(request, &knox).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for KnoxAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

/// Optional authentication that fails closed: no credential is `None`, but a bad or revoked token is 401 and a store
/// that is down is 503.
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
    /// The proof, taken out.
    #[must_use]
    pub fn into_inner(self) -> Option<Authenticated> {
        self.0
    }
}

impl MaybeAuth {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let knox = configured(request)?;
        Ok(Self(knox.authenticate_optional(&translate::request(request)).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

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
pub struct ScopedAuth<S: Scope>(pub Authenticated, PhantomData<S>);

impl<S: Scope> ScopedAuth<S> {
    /// The proof, taken out.
    #[must_use]
    pub fn into_inner(self) -> Authenticated {
        self.0
    }
}

impl<S: Scope> Clone for ScopedAuth<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

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

impl<S: Scope> ScopedAuth<S> {
    async fn extract(request: &Request<'_>) -> Result<Self, HttpRejection> {
        let requirement = Requirement::new(configured(request)?).with_scope::<S>();
        Ok(Self(requirement.check(authenticate(request, requirement.knox()).await)?, PhantomData))
    }
}

#[rocket::async_trait]
impl<'r, S: Scope> FromRequest<'r> for ScopedAuth<S> {
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
        let knox = configured(request)?;
        let auth = authenticate(request, &knox).await?;
        Ok(Self(auth.claims().map_err(|error| knox.reject(error))?))
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromRequest<'r> for KnoxClaims<T> {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::extract(request).await)
    }
}

/// Whether `rocket` must not start: a guard without a handle would reject every request.
fn is_unconfigured(rocket: &Rocket<Ignite>) -> bool {
    let is_unconfigured = rocket.state::<KnoxHttp>().is_none();
    if is_unconfigured {
        rocket::error!("jwt-knox: no KnoxHttp is managed. Call `.attach(jwt_knox_rocket::fairing(knox))`.");
    }
    is_unconfigured
}

impl Sentinel for KnoxAuth {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured(rocket)
    }
}

impl Sentinel for MaybeAuth {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured(rocket)
    }
}

impl<S: Scope> Sentinel for ScopedAuth<S> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured(rocket)
    }
}

impl<T> Sentinel for KnoxClaims<T> {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        is_unconfigured(rocket)
    }
}
