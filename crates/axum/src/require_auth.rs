//! The layer that guards a whole router.

use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use jwt_knox::ClaimsError;
use jwt_knox_http::{Handle, KnoxHttp, Requirement, Scope, VerifierHttp};
use tower_layer::Layer;
use tower_service::Service;

use crate::{rejection::KnoxRejection, translate::authenticate};

/// Guards everything behind it: a request without a valid token is rejected.
///
/// Put on with `route_layer` it guards the routes of a router; with `layer` its fallback too, which answers for unknown
/// paths.
///
/// Handlers behind it take [`KnoxAuth`](crate::KnoxAuth) as usual; the request is still verified once.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use jwt_knox_axum::{KnoxHttp, RequireAuth, scopes};
///
/// scopes! { Admin = "admin"; }
///
/// fn app(knox: KnoxHttp) -> Router {
///     let admin = Router::new()
///         .route("/users", get(|| async { "all users" }))
///         .route_layer(RequireAuth::new(knox.clone()).with_scope::<Admin>());
///     let private = Router::new()
///         .route("/inbox", get(|| async { "your mail" }))
///         .route_layer(RequireAuth::new(knox));
///     Router::new().nest("/admin", admin).merge(private)
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
/// use axum::{Router, routing::get};
/// use jwt_knox_axum::{RequireToken, VerifierHttp, scopes};
///
/// scopes! { Read = "orders:read"; }
///
/// fn app(verifier: VerifierHttp) -> Router {
///     Router::new()
///         .route("/orders", get(|| async { "all orders" }))
///         .route_layer(RequireToken::new(verifier).with_scope::<Read>())
/// }
/// ```
pub type RequireToken = Require<VerifierHttp>;

/// The layer behind [`RequireAuth`] and [`RequireToken`]. With a [`VerifierHttp`], a revoked token is accepted until
/// its `exp`, unless it asks the issuer.
#[derive(Debug, Clone)]
pub struct Require<H: Handle>(Requirement<H>);

impl<H: Handle> Require<H> {
    /// A layer that asks for a valid token.
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

    async fn admit(&self, request: Request) -> Result<Request, KnoxRejection> {
        let (mut parts, body) = request.into_parts();
        authenticate(&mut parts, &self.0).await?;
        Ok(Request::from_parts(parts, body))
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

impl<S, H: Handle> Layer<S> for Require<H> {
    type Service = RequireService<S, H>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService { guard: self.clone(), inner }
    }
}

/// A service behind [`RequireAuth`] or [`RequireToken`].
#[derive(Debug, Clone)]
pub struct RequireService<S, H: Handle = KnoxHttp> {
    guard: Require<H>,
    inner: S,
}

impl<S, H: Handle> Service<Request> for RequireService<S, H>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was polled ready is the one to call; its clone takes the place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let guard = self.guard.clone();
        Box::pin(async move {
            match guard.admit(request).await {
                Ok(request) => inner.call(request).await,
                Err(rejection) => Ok(rejection.into_response()),
            }
        })
    }
}
