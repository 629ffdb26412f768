//! Guarding routes that ask for nothing themselves.

use std::{borrow::Cow, time::Duration};

use jwt_knox::ClaimsError;
use jwt_knox_http::{Handle, KnoxHttp, Requirement, Scope, VerifierHttp};
use rocket::{
    Data, Request, Route,
    route::{Handler, Outcome},
};

use crate::translate::{authenticate, response};

/// Guards routes: a request without a valid token is rejected. Rocket's fairings cannot reject a request, so this
/// goes around the routes that one mounts.
///
/// Handlers behind it take [`KnoxAuth`](crate::KnoxAuth) as usual; the request is still verified once.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{KnoxHttp, RequireAuth, scopes};
/// use rocket::{Build, Rocket, get, routes};
///
/// scopes! { Admin = "admin"; }
///
/// #[get("/users")]
/// fn users() -> &'static str {
///     "all users"
/// }
///
/// fn app(knox: KnoxHttp) -> Rocket<Build> {
///     rocket::build().mount("/admin", RequireAuth::new(knox).with_scope::<Admin>().protect(routes![users]))
/// }
/// ```
pub type RequireAuth = Require<KnoxHttp>;

/// Guards routes where there is no store: a request without a valid token is rejected. A revoked token is accepted
/// until its `exp`, unless the handle asks the issuer.
///
/// Handlers behind it take [`VerifiedToken`](crate::VerifiedToken) as usual; the request is still verified once.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{RequireToken, VerifierHttp, scopes};
/// use rocket::{Build, Rocket, get, routes};
///
/// scopes! { Read = "orders:read"; }
///
/// #[get("/all")]
/// fn all() -> &'static str {
///     "all orders"
/// }
///
/// fn app(verifier: VerifierHttp) -> Rocket<Build> {
///     rocket::build().mount("/orders", RequireToken::new(verifier).with_scope::<Read>().protect(routes![all]))
/// }
/// ```
pub type RequireToken = Require<VerifierHttp>;

/// What is behind [`RequireAuth`] and [`RequireToken`]. With a [`VerifierHttp`], a revoked token is accepted until its
/// `exp`, unless it asks the issuer.
#[derive(Debug, Clone)]
pub struct Require<H: Handle>(Requirement<H>);

impl<H: Handle> Require<H> {
    /// A guard that asks for a valid token.
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

    /// The same routes, guarded: to be mounted in place of them.
    #[must_use]
    pub fn protect(&self, routes: Vec<Route>) -> Vec<Route> {
        let guarded = |mut route: Route| {
            route.handler = Box::new(Guarded { requirement: self.0.clone(), inner: route.handler });
            route
        };
        routes.into_iter().map(guarded).collect()
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

#[derive(Clone)]
struct Guarded<H: Handle> {
    requirement: Requirement<H>,
    inner: Box<dyn Handler>,
}

#[rocket::async_trait]
impl<H: Handle> Handler for Guarded<H> {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match authenticate(request, &self.requirement).await {
            Ok(_) => self.inner.handle(request, data).await,
            Err(rejection) => Outcome::Success(response(rejection.to_response())),
        }
    }
}
