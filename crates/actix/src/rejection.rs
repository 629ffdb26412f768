//! The answer of a guard that rejects a request.

use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use jwt_knox_http::HttpRejection;

use crate::translate;

/// A request that is rejected or cannot be decided. As a response it is what the contract says: 401, 403 or 503, with a
/// problem in JSON; or 500 if the application does not have the [handle](crate::http::Handle) in its data.
#[derive(Debug, Clone)]
pub struct KnoxRejection(HttpRejection);

impl KnoxRejection {
    /// Why, and what is answered.
    #[must_use]
    pub fn rejection(&self) -> &HttpRejection {
        &self.0
    }
}

/// From every error of the core, and from that of the contract: so `?` works in a handler.
impl<E: Into<HttpRejection>> From<E> for KnoxRejection {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ResponseError for KnoxRejection {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        translate::response(self.0.to_response())
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
