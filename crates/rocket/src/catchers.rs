//! The catchers that answer for guards, and the fairing that sets everything up.

use jwt_knox_http::{HttpRejection, KnoxHttp};
use rocket::{
    Catcher, Request,
    catcher::{Handler, Result},
    fairing::{AdHoc, Fairing},
    http::Status,
};

use crate::translate::{configured, response, stashed};

/// Sets a Rocket up: manages `knox` for the guards and registers the [`catchers`] for the whole application.
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
    AdHoc::on_ignite("jwt-knox", |rocket| async { rocket.manage(knox).register("/", catchers()) })
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
