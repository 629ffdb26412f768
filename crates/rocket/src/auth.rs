//! The request guards.

use std::{fmt, marker::PhantomData, ops::Deref};

use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Refusal, Scope};
use rocket::{
    Ignite, Request, Rocket, Sentinel,
    request::{FromRequest, Outcome},
};

use crate::{
    rejection::KnoxRejection,
    translate::{authenticate, configured},
};

/// Whoever sends the request, proven by a bearer token. Without a good one the handler does not run.
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

impl Deref for KnoxAuth {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.0
    }
}

impl KnoxAuth {
    async fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        let knox = configured(request)?;
        Ok(Self(authenticate(request, &knox).await?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for KnoxAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::of(request).await)
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
    async fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        let knox = configured(request)?;
        Ok(Self(KnoxHttp::optional(authenticate(request, &knox).await)?))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeAuth {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::of(request).await)
    }
}

/// Whoever sends the request, if their token grants the scope `S`. Otherwise: 403 `insufficient_scope`.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{Scope, ScopedAuth};
/// use rocket::delete;
///
/// struct Admin;
///
/// impl Scope for Admin {
///     const NAME: &'static str = "admin";
/// }
///
/// #[delete("/everything")]
/// fn delete_everything(auth: ScopedAuth<Admin>) -> String {
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

impl<S: Scope> ScopedAuth<S> {
    async fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        let knox = configured(request)?;
        let auth = authenticate(request, &knox).await?;
        knox.require_scope::<S>(&auth)?;
        Ok(Self(auth, PhantomData))
    }
}

#[rocket::async_trait]
impl<'r, S: Scope> FromRequest<'r> for ScopedAuth<S> {
    type Error = KnoxRejection;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, KnoxRejection> {
        KnoxRejection::outcome(request, Self::of(request).await)
    }
}

/// Whether `rocket` must not start: a guard without a handle would refuse every request.
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
