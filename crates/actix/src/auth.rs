//! The extractors.

use std::{fmt, future::Future, marker::PhantomData, ops::Deref, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use jwt_knox::Authenticated;
use jwt_knox_http::{KnoxHttp, Scope};

use crate::{
    rejection::KnoxRejection,
    translate::{authenticate, configured},
};

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, KnoxRejection>>>>;

/// Whoever sends the request, proven by a bearer token. Without a good one the handler does not run.
///
/// The application must have a [`KnoxHttp`] in its data: `.app_data(web::Data::new(knox))`.
///
/// Do not take `Option<KnoxAuth>`: Actix Web turns every error into `None` there, so that a revoked token, or a store
/// that is down, looks like a stranger. Take [`MaybeAuth`].
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
            let knox = configured(&request)?;
            Ok(Self(authenticate(&request, &knox).await?))
        })
    }
}

/// Optional authentication that fails closed: no credential is `None`, but a bad or revoked token is 401 and a store
/// that is down is 503.
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

impl FromRequest for MaybeAuth {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let knox = configured(&request)?;
            Ok(Self(KnoxHttp::optional(authenticate(&request, &knox).await)?))
        })
    }
}

/// Whoever sends the request, if their token grants the scope `S`. Otherwise: 403 `insufficient_scope`.
///
/// # Examples
///
/// ```
/// use jwt_knox_actix::{Scope, ScopedAuth};
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

impl<S: Scope> FromRequest for ScopedAuth<S> {
    type Error = KnoxRejection;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let knox = configured(&request)?;
            let auth = authenticate(&request, &knox).await?;
            knox.require_scope::<S>(&auth)?;
            Ok(Self(auth, PhantomData))
        })
    }
}
