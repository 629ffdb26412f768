//! The catchers that answer for guards, and the fairing that sets everything up.

use jwt_knox_http::{HttpRejection, KnoxHttp};
use rocket::{
    Build, Catcher, Request, Response, Rocket,
    catcher::{Handler, Result},
    fairing::{self, Fairing, Info, Kind},
    http::Status,
};

use crate::translate::{configured, response, stashed, swallowed};

/// Sets a Rocket up: manages `knox` for the guards and registers the [`catchers`] for the whole application.
///
/// It also stands in for a handler that takes `Option<KnoxAuth>`, which Rocket fills with `None` for *any* error: if the
/// token was invalid, or nobody could tell, the rejection is sent in place of the handler's success. The same holds for a
/// `Result<KnoxAuth, _>` whose error the handler passes over. Take
/// [`MaybeAuth`](crate::MaybeAuth) there, so that the handler does not run at all.
///
/// An application that has catchers of its own for 401, 403 or 503 at `/` manages the handle itself, with
/// `.manage(knox)`, and registers these catchers where it wants them.
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
pub fn fairing(knox: KnoxHttp) -> impl Fairing {
    SetUp(knox)
}

struct SetUp(KnoxHttp);

#[rocket::async_trait]
impl Fairing for SetUp {
    fn info(&self) -> Info {
        Info { name: "jwt-knox", kind: Kind::Ignite | Kind::Response }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        Ok(rocket.manage(self.0.clone()).register("/", catchers()))
    }

    /// Rocket turns a guard that fails into `None` for an `Option` of it: a revoked token, or a store that is down, would
    /// look like a stranger. The handler has run by now, but nobody gets what it made.
    async fn on_response<'r>(&self, request: &'r Request<'_>, answer: &mut Response<'r>) {
        if answer.status().class().is_success()
            && let Some(rejection) = swallowed(request)
        {
            rocket::error!(
                "jwt-knox: a handler has answered although its guard rejected the request; take `MaybeAuth` there"
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
    stashed(request, status).unwrap_or_else(|| match configured(request) {
        // Not one of our guards: a handler of the application returned a bare status.
        Ok(knox) => knox.for_status(status.code),
        Err(unconfigured) => unconfigured,
    })
}
