//! Guarding routes that ask for nothing themselves.

use std::{borrow::Cow, time::Duration};

use jwt_knox::{Authenticated, ClaimsError};
use jwt_knox_http::{HttpRejection, KnoxHttp, Requirement, Scope};
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
///     rocket::build().mount("/admin", RequireAuth::new(knox).with_scope::<Admin>().around(routes![users]))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RequireAuth(Requirement);

impl RequireAuth {
    /// A guard that asks for a valid token.
    #[must_use]
    pub fn new(knox: KnoxHttp) -> Self {
        Self(Requirement::new(knox))
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

    /// The same routes, guarded.
    #[must_use]
    pub fn around(&self, routes: Vec<Route>) -> Vec<Route> {
        let guarded = |mut route: Route| {
            route.handler = Box::new(Guarded { guard: self.clone(), inner: route.handler });
            route
        };
        routes.into_iter().map(guarded).collect()
    }

    async fn admit(&self, request: &Request<'_>) -> Result<Authenticated, HttpRejection> {
        authenticate(request, &self.0).await
    }
}

#[derive(Clone)]
struct Guarded {
    guard: RequireAuth,
    inner: Box<dyn Handler>,
}

#[rocket::async_trait]
impl Handler for Guarded {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match self.guard.admit(request).await {
            Ok(_) => self.inner.handle(request, data).await,
            Err(rejection) => Outcome::Success(response(rejection.to_response())),
        }
    }
}
