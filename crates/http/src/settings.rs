//! The settings of the built-in routes.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jwt_knox::Issued;

use crate::{login::Login, oauth_client::OAuthClients, paths::Paths};

/// The settings of the built-in routes.
pub(crate) struct Settings {
    pub(crate) login: Option<Arc<dyn Login>>,
    pub(crate) token_response: TokenResponse,
    pub(crate) paths: Paths,
    pub(crate) debug_verify: bool,
    pub(crate) forward_auth: bool,
    pub(crate) session_scope: Cow<'static, str>,
    pub(crate) jwks_max_age: Duration,
    pub(crate) clients: Option<OAuthClients>,
    #[cfg(feature = "openapi")]
    pub(crate) openapi_prefix: Option<Cow<'static, str>>,
}

/// What the body of the answer to a login is.
pub(crate) enum TokenResponse {
    /// In the words of RFC 6749.
    Standard,
    /// What clients of drf-jwt-knox read.
    DrfJwtKnox,
    /// Whatever the application makes of it.
    Own(OwnResponse),
}

pub(crate) type OwnResponse = Box<dyn Fn(&Issued) -> Result<String, serde_json::Error> + Send + Sync>;
