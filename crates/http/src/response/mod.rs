//! The response, as an adapter sends it.

pub(crate) mod answers;
pub(crate) mod challenge;
pub(crate) mod problem;
pub(crate) mod rejection;

use std::fmt;

/// A whole HTTP response: status, headers and body. An adapter sends it as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers, with names in lower case and values of printable ASCII.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The body; empty if there is none. A response to HEAD is sent without it.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The body, taken out.
    #[must_use]
    pub fn into_body(self) -> String {
        self.body
    }

    /// 200, without a body.
    pub(crate) fn ok() -> Self {
        Self { status: 200, headers: vec![no_store()], body: String::new() }
    }

    /// 204, nothing to say.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, headers: vec![no_store()], body: String::new() }
    }

    /// 303, to a page of the application.
    pub(crate) fn see_other(location: String) -> Self {
        Self { status: 303, headers: vec![no_store(), ("location", location)], body: String::new() }
    }

    /// 200, with a body in JSON.
    pub(crate) fn json(body: String) -> Self {
        Self::with_body(200, "application/json", body)
    }

    /// 200, with a JWK Set (RFC 7517 §8.5.2), which anybody may keep for so many seconds.
    pub(crate) fn jwks(body: String, max_age: u64) -> Self {
        let cache = ("cache-control", format!("public, max-age={max_age}"));
        let content_type = ("content-type", "application/jwk-set+json".to_owned());
        Self { status: 200, headers: vec![cache, content_type], body }
    }

    /// A rejection or failure as problem details (RFC 9457).
    pub(crate) fn problem(status: u16, body: String) -> Self {
        Self::with_body(status, PROBLEM_TYPE, body)
    }

    /// A rejection or failure in a form of the application's.
    pub(crate) fn own_problem(status: u16, body: String) -> Self {
        Self::with_body(status, OWN_PROBLEM_TYPE, body)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the cookie that `other` sets.
    pub(crate) fn with_cookie_of(mut self, other: Self) -> Self {
        self.headers.extend(other.headers.into_iter().filter(|(name, _)| *name == "set-cookie"));
        self
    }

    fn with_body(status: u16, content_type: &str, body: String) -> Self {
        Self { status, headers: vec![no_store(), ("content-type", content_type.to_owned())], body }
    }
}

/// The media type of a rejection or failure.
pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";

/// That of one in a form of the application's, which need not be that of RFC 9457.
pub(crate) const OWN_PROBLEM_TYPE: &str = "application/json";

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may be a token.
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// No answer but the public keys may be cached: it holds a token, or depends on one.
fn no_store() -> (&'static str, String) {
    ("cache-control", "no-store".to_owned())
}
