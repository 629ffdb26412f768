//! The middleware that guards a whole scope.

use std::{
    borrow::Cow,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use jwt_knox::ClaimsError;
use jwt_knox_http::{Handle, KnoxHttp, Requirement, Scope, VerifierHttp};

use crate::translate::{authenticate, response};

/// Guards everything behind it: a request without a valid token is rejected.
///
/// Handlers behind it take [`KnoxAuth`](crate::KnoxAuth) as usual; the request is still verified once.
///
/// # Examples
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use jwt_knox_actix::{KnoxHttp, RequireAuth, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// fn configure(config: &mut web::ServiceConfig, knox: KnoxHttp) {
///     config.service(
///         web::scope("/admin")
///             .wrap(RequireAuth::new(knox).with_scope::<Admin>())
///             .route("/users", web::get().to(|| async { "all users" })),
///     );
/// }
/// ```
pub type RequireAuth = Require<KnoxHttp>;

/// Guards everything behind it where there is no store: a request without a valid token is rejected. A revoked token is
/// accepted until its `exp`, unless the handle asks the issuer.
///
/// Handlers behind it take [`VerifiedToken`](crate::VerifiedToken) as usual; the request is still verified once.
///
/// # Examples
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use jwt_knox_actix::{RequireToken, VerifierHttp, scopes};
///
/// scopes! { Read = "orders:read"; }
///
/// fn configure(config: &mut web::ServiceConfig, verifier: VerifierHttp) {
///     config.service(
///         web::scope("/orders")
///             .wrap(RequireToken::new(verifier).with_scope::<Read>())
///             .route("/all", web::get().to(|| async { "all orders" })),
///     );
/// }
/// ```
pub type RequireToken = Require<VerifierHttp>;

/// The middleware behind [`RequireAuth`] and [`RequireToken`]. With a [`VerifierHttp`], a revoked token is accepted
/// until its `exp`, unless it asks the issuer.
#[derive(Debug, Clone)]
pub struct Require<H: Handle>(Requirement<H>);

impl<H: Handle> Require<H> {
    /// A middleware that asks for a valid token.
    #[must_use]
    pub fn new(handle: H) -> Self {
        Self(Requirement::new(handle))
    }

    /// Asks for a token that grants the scope `S` as well.
    #[must_use]
    pub fn with_scope<S: Scope>(self) -> Self {
        Self(self.0.with_scope::<S>())
    }

    /// Asks for a token that grants `scope` as well.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::InvalidScope`] if it is not a scope.
    pub fn scope(self, scope: impl Into<Cow<'static, str>>) -> Result<Self, ClaimsError> {
        self.0.scope(scope).map(Self)
    }
}

impl Require<KnoxHttp> {
    /// Asks for a login that is no older than `max_age` as well. Otherwise: 401 `insufficient_user_authentication`
    /// ([RFC 9470]).
    ///
    /// [RFC 9470]: https://www.rfc-editor.org/rfc/rfc9470
    #[must_use]
    pub fn recent(self, max_age: Duration) -> Self {
        Self(self.0.recent(max_age))
    }

    /// Does not count a request as a use of the session: for what a page polls by itself.
    #[must_use]
    pub fn passive(self) -> Self {
        Self(self.0.passive())
    }
}

impl<S, B, H: Handle> Transform<S, ServiceRequest> for Require<H>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = RequireService<S, H>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(RequireService { requirement: self.0.clone(), inner: Rc::new(inner) }))
    }
}

/// A service behind [`RequireAuth`] or [`RequireToken`].
#[derive(Debug)]
pub struct RequireService<S, H: Handle = KnoxHttp> {
    requirement: Requirement<H>,
    inner: Rc<S>,
}

impl<S, B, H: Handle> Service<ServiceRequest> for RequireService<S, H>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (requirement, inner) = (self.requirement.clone(), Rc::clone(&self.inner));
        Box::pin(async move {
            match authenticate(request.request(), &requirement).await {
                Ok(_) => Ok(inner.call(request).await?.map_into_left_body()),
                Err(rejection) => {
                    let response = response(rejection.to_response());
                    Ok(request.into_response(response).map_into_right_body())
                }
            }
        })
    }
}
