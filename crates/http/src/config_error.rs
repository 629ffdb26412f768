//! What is wrong with the settings of a handle.

use std::fmt;

use crate::endpoint::Endpoint;

/// Why a handle cannot be made: which setting is wrong.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// The scheme is not a token of RFC 9110 §5.6.2, or is `Basic`, which logins use.
    #[error("a scheme is one word of letters, digits and !#$%&'*+-.^_`|~, and not `Basic`, which logins use")]
    Scheme,
    /// The header's name is not a token of RFC 9110 §5.6.2, or is one that the contract reads for something else.
    #[error("`header` must be the name of a header that is free, such as `X-Auth-Token`")]
    Header,
    /// Not a valid cookie name, or one whose prefix does not match its attributes.
    #[error("a cookie's name is one word, with `__Host-` in front unless the cookie is insecure")]
    CookieName,
    /// An allowed origin is not an origin.
    #[error("`{origin}` is not an origin, such as `https://app.example.com`")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The path of a route is not made of plain segments.
    #[error("the path `{path}` of {endpoint:?} must be plain segments, with `/{{id}}` at the end for `Session` only")]
    Path {
        /// The route.
        endpoint: Endpoint,
        /// Its path.
        path: String,
    },
    /// Two routes have the same path, or one that a router may take for the other.
    #[error("{endpoint:?} and {other:?} are both at `{path}`; move one of them, or leave it out with `without`")]
    SharedPath {
        /// One of them.
        endpoint: Endpoint,
        /// The other one.
        other: Endpoint,
        /// The path.
        path: String,
    },
    /// The realm cannot be quoted in a header.
    #[error("a realm is printable ASCII without quotes and backslashes")]
    Realm,
    /// Public keys would be kept for more than a day.
    #[error("`jwks_max_age` must not exceed one day")]
    JwksMaxAge,
    /// The session scope is not a scope.
    #[error("`session_scope` must be printable ASCII without spaces, quotes and backslashes")]
    SessionScope,
    /// The prefix of names in OpenAPI documents cannot be a part of them.
    #[cfg(feature = "openapi")]
    #[error("`openapi_prefix` must be ASCII letters and digits that begin with a lower-case letter, such as `staff`")]
    OpenApiPrefix,
    /// A login that may take no time at all.
    #[error("`login_time_limit` must be longer than 0")]
    LoginTimeLimit,
}

impl fmt::Debug for HttpConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `main() -> Result<…>` prints.
        fmt::Display::fmt(self, f)
    }
}
