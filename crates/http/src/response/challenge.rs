//! The challenge of a 401 or 403: the header `WWW-Authenticate`.

use std::sync::Arc;

use crate::response::Response;

/// The header that carries a credential (RFC 9110 §11.6.2), unless another one is set.
pub(crate) const AUTHORIZATION: &str = "Authorization";

/// Writes challenges with the scheme and the realm of a handle (RFC 6750 §3). Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) scheme: Arc<str>,
    pub(crate) realm: Arc<str>,
    /// The name of the header that carries the credential.
    pub(crate) header: Arc<str>,
}

impl Challenge {
    /// Adds the header to `response`. `parameters` follow the realm.
    pub(crate) fn add_to(&self, response: Response, parameters: &str) -> Response {
        let Self { scheme, realm, .. } = self;
        response.with_header("www-authenticate", format!(r#"{scheme} realm="{realm}"{parameters}"#))
    }

    /// The challenge of HTTP Basic (RFC 7617 §2), which a browser answers with its login dialog.
    pub(crate) fn basic(&self) -> String {
        format!(r#"Basic realm="{}", charset="UTF-8""#, self.realm)
    }
}

impl Default for Challenge {
    fn default() -> Self {
        Self { scheme: "Bearer".into(), realm: "api".into(), header: AUTHORIZATION.into() }
    }
}
