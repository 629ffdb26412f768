//! The extractors.

use std::{fmt, future::Future, marker::PhantomData, ops::Deref, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use jwt_knox::Authenticated;
use jwt_knox_http::{Guard, Handle, KnoxHttp, Passive, Recent, Requirement, Scoped};
use serde::de::DeserializeOwned;

use crate::{
    rejection::KnoxRejection,
    translate::{authenticate, authenticate_optional, claims, configured},
};

pub(crate) type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, KnoxRejection>>>>;

/// Who sends the request, proven by a bearer token. Without a valid one the handler does not run.
///
/// The application must have a [`KnoxHttp`] in its data: `.app_data(web::Data::new(knox))`.
///
/// Do not take `Option<KnoxAuth>`: Actix Web turns every error into `None` there, so that a revoked token, or a store
/// that is down, looks like a request without a token. Take [`MaybeAuth`].
///
/// # Examples
///
/// ```
/// use actix_web::{App, web};
/// use jwt_knox_actix::{KnoxAuth, KnoxHttp};
///
/// async fn me(auth: KnoxAuth) -> String {
///     format!("You are {}", auth.subject())
/// }
///
/// fn configure(config: &mut web::ServiceConfig, knox: KnoxHttp) {
///     config.app_data(web::Data::new(knox)).route("/me", web::get().to(me));
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

impl FromRequest for KnoxAuth {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<KnoxHttp>::new(configured(&request)?);
            Ok(Self(authenticate(&request, &requirement).await?))
        })
    }
}

/// Optional authentication that fails closed: no credential is `None`, but an invalid or revoked token is 401 and a
/// store that is down is 503.
///
/// # Examples
///
/// ```
/// use jwt_knox_actix::MaybeAuth;
///
/// async fn greet(MaybeAuth(auth): MaybeAuth) -> String {
///     match auth {
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

impl FromRequest for MaybeAuth {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<KnoxHttp>::new(configured(&request)?);
            Ok(Self(authenticate_optional(&request, &requirement).await?))
        })
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
/// use jwt_knox_actix::{GuardedAuth, http::{Recent, Scoped}, scopes};
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
/// use jwt_knox_actix::{ScopedAuth, scopes};
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
/// use jwt_knox_actix::RecentAuth;
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
/// use jwt_knox_actix::PassiveAuth;
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

impl<G: Guard<H>, H: Handle> FromRequest for GuardedAuth<G, H> {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = G::add_to(Requirement::<H>::new(configured(&request)?));
            Ok(Self(authenticate(&request, &requirement).await?, PhantomData))
        })
    }
}

/// The claims of the token as a type of the application. A token whose claims do not fit the type, as one that was
/// issued before a field was added, is answered with 401.
///
/// # Examples
///
/// ```
/// use jwt_knox_actix::KnoxClaims;
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

impl<T: DeserializeOwned> FromRequest for KnoxClaims<T> {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let requirement = Requirement::<KnoxHttp>::new(configured(&request)?);
            Ok(Self(claims(&request, &requirement).await?))
        })
    }
}
