//! The challenge of a 401 or 403: the header `WWW-Authenticate`.

use crate::response::Response;

/// Writes challenges with the scheme and the realm of a handle (RFC 6750 §3).
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) realm: String,
}

impl Challenge {
    /// Adds the header to `response`. `parameters` follow the realm.
    pub(crate) fn add_to(&self, response: Response, parameters: &str) -> Response {
        let Self { scheme, realm } = self;
        response.with_header("www-authenticate", format!(r#"{scheme} realm="{realm}"{parameters}"#))
    }
}
