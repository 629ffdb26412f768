//! The answer of a guard that rejects a request.

use std::{error::Error, fmt};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jwt_knox_http::HttpRejection;

use crate::translate;

/// A request that is rejected or cannot be decided. As a response it has the status of the rejection, such as 401 or
/// 503, and a problem in JSON.
#[derive(Debug, Clone)]
pub struct KnoxRejection(HttpRejection);

impl KnoxRejection {
    /// The status code of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

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

impl IntoResponse for KnoxRejection {
    fn into_response(self) -> Response {
        translate::response(self.0.to_response())
    }
}

impl fmt::Display for KnoxRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for KnoxRejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
