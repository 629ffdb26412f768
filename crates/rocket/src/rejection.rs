//! The answer of a guard that rejects a request.

use std::fmt;

use jwt_knox_http::HttpRejection;
use rocket::{
    Request,
    http::Status,
    request::Outcome,
    response::{self, Responder},
};

use crate::translate;

/// A request that is rejected or cannot be decided. As a response it has the status of the rejection, such as 401 or
/// 503, and a problem in JSON.
///
/// A guard that fails with it leaves the response to a catcher; see [`catchers`](crate::catchers). A handler that takes
/// `Result<KnoxAuth, KnoxRejection>` can return it, since it is a responder.
#[derive(Debug, Clone)]
pub struct KnoxRejection(HttpRejection);

impl KnoxRejection {
    /// Why, and what is answered.
    #[must_use]
    pub fn rejection(&self) -> &HttpRejection {
        &self.0
    }

    /// The outcome of a guard that fails: an error and never a forward, which could reach a route without a guard.
    pub(crate) fn outcome<T>(request: &Request<'_>, result: Result<T, HttpRejection>) -> Outcome<T, Self> {
        match result {
            Ok(value) => Outcome::Success(value),
            Err(rejection) => {
                translate::stash(request, &rejection);
                Outcome::Error((Status::new(rejection.status()), Self(rejection)))
            }
        }
    }
}

/// From every error of the core, and from that of the contract: so `?` works in a handler.
impl<E: Into<HttpRejection>> From<E> for KnoxRejection {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<'r> Responder<'r, 'static> for KnoxRejection {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Ok(translate::response(self.0.to_response()))
    }
}

impl fmt::Display for KnoxRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for KnoxRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}
