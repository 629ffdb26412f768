//! The catchers that answer for guards, and the fairing that sets everything up.

use jwt_knox_http::{Handle, HttpRejection};
use rocket::{
    Build, Catcher, Request, Response, Rocket,
    catcher::{Handler, Result},
    fairing::{self, Fairing, Info, Kind},
    http::Status,
};

use crate::translate::{for_status, response, stashed, swallowed};

/// Sets a Rocket up: manages a handle for the guards, a [`KnoxHttp`](crate::KnoxHttp) or a
/// [`VerifierHttp`](crate::VerifierHttp), and registers the [`catchers`] for the whole application.
///
/// It also overrides the answer of a handler that takes `Option<KnoxAuth>`, which Rocket fills with `None` for *any*
/// error: if the token was invalid, or nobody could tell, the rejection is sent in place of the handler's success. The
/// same holds for a `Result<KnoxAuth, _>` whose error the handler passes over. Take [`MaybeAuth`](crate::MaybeAuth)
/// there, or [`MaybeToken`](crate::MaybeToken), so that the handler does not run at all.
///
/// An application that has catchers of its own for 401, 403 or 503 at `/` manages the handle itself, with
/// `.manage(knox)`, and registers these catchers where it wants them. One with two handles attaches this with the one,
/// and manages the other.
///
/// # Examples
///
/// ```
/// use jwt_knox_rocket::{KnoxHttp, fairing, routes};
/// use rocket::{Build, Rocket};
///
/// fn app(knox: KnoxHttp) -> Rocket<Build> {
///     rocket::build().attach(fairing(knox.clone())).mount("/auth", routes(knox))
/// }
/// ```
#[must_use]
pub fn fairing<H: Handle>(handle: H) -> impl Fairing {
    SetUp(handle)
}

struct SetUp<H>(H);

#[rocket::async_trait]
impl<H: Handle> Fairing for SetUp<H> {
    fn info(&self) -> Info {
        Info { name: "jwt-knox", kind: Kind::Ignite | Kind::Response }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        Ok(rocket.manage(self.0.clone()).register("/", catchers()))
    }

    /// Rocket turns a guard that fails into `None` for an `Option` of it: a revoked token, or a store that is down,
    /// would look like a stranger. The handler has run by now, but nobody gets what it made.
    async fn on_response<'r>(&self, request: &'r Request<'_>, answer: &mut Response<'r>) {
        let class = answer.status().class();
        if (class.is_success() || class.is_redirection())
            && let Some(rejection) = swallowed(request)
        {
            rocket::error!(
                "jwt-knox: a handler has answered although its guard rejected the request; take `MaybeAuth` or \
                 `MaybeToken` there"
            );
            *answer = response(rejection.to_response());
        }
    }
}

/// Catchers for 401, 403 and 503, which send what the guard that failed wanted to say. Rocket does not let a guard
/// answer by itself.
#[must_use]
pub fn catchers() -> Vec<Catcher> {
    [Status::Unauthorized, Status::Forbidden, Status::ServiceUnavailable]
        .map(|status| Catcher::new(status.code, AnswerForGuard))
        .into()
}

#[derive(Clone)]
struct AnswerForGuard;

#[rocket::async_trait]
impl Handler for AnswerForGuard {
    async fn handle<'r>(&self, status: Status, request: &'r Request<'_>) -> Result<'r> {
        Ok(response(answer(status, request).to_response()))
    }
}

fn answer(status: Status, request: &Request<'_>) -> HttpRejection {
    // Without one it was none of our guards: a handler of the application returned a bare status.
    stashed(request, status).unwrap_or_else(|| for_status(request, status))
}
