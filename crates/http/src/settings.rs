//! The settings that a handle keeps as they are given.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jwt_knox::Issued;

use crate::{challenge::Challenge, cookies::Cookies, login::Login, paths::Paths, rejection::ProblemBody};

/// The settings that the handle keeps as they are given.
pub(crate) struct Settings {
    pub(crate) challenge: Challenge,
    pub(crate) login: Option<Arc<dyn Login>>,
    pub(crate) token_response: Option<TokenResponse>,
    pub(crate) problem: Option<ProblemBody>,
    /// In lower case.
    pub(crate) header: String,
    pub(crate) paths: Paths,
    pub(crate) cookies: Option<Cookies>,
    pub(crate) debug_verify: bool,
    pub(crate) session_scope: Cow<'static, str>,
    pub(crate) jwks_max_age: Duration,
}

/// Writes the body of the answer to a login, from the token and the scheme to send it with.
pub(crate) type TokenResponse = Box<dyn Fn(&Issued, &str) -> Result<String, serde_json::Error> + Send + Sync>;
