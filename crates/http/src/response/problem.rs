//! The codes of problems.

macro_rules! problem_codes {
    ($($(#[doc = $doc:literal])* $code:ident $name:literal $status:literal)*) => {
        /// What a problem is, for programs: the member `code` of the body of every rejection and failure. A code never
        /// changes its meaning; there may be more of them.
        ///
        /// # Examples
        ///
        /// ```
        /// use jwt_knox_http::ProblemCode;
        ///
        /// assert_eq!(ProblemCode::InvalidToken.as_str(), "invalid_token");
        /// assert_eq!(ProblemCode::InvalidToken.status(), 401);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $($(#[doc = $doc])* $code,)*
        }

        impl ProblemCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code as it stands in the body.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// The status code of a response with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$code => $status,)*
                }
            }
        }
    };
}

problem_codes! {
    /// No token was sent.
    MissingToken "missing_token" 401
    /// The token is malformed, forged, expired or revoked, or its subject is inactive.
    InvalidToken "invalid_token" 401
    /// The login is too long ago (RFC 9470 §3).
    LoginTooOld "insufficient_user_authentication" 401
    /// The token lacks a scope (RFC 6750 §3.1).
    InsufficientScope "insufficient_scope" 403
    /// No user name and password were sent.
    MissingCredentials "missing_credentials" 401
    /// The user name or the password is wrong, or the user may not log in.
    InvalidCredentials "invalid_credentials" 401
    /// All sessions of the subject were ended while the login was under way.
    LoginSuperseded "login_superseded" 401
    /// The subject has as many sessions as it may have.
    LimitReached "limit_reached" 403
    /// A request with the session cookie that changes something, or that opens a WebSocket, and no proof that a page of
    /// the server's own origin has sent it.
    CrossOrigin "cross_origin" 403
    /// The application has answered with a bare 403.
    Forbidden "forbidden" 403
    /// The request cannot be read.
    InvalidRequest "invalid_request" 400
    /// There is no such thing, or it is someone else's.
    NotFound "not_found" 404
    /// The method is not answered here; `allow` lists those that are.
    MethodNotAllowed "method_not_allowed" 405
    /// The body did not arrive in time.
    RequestTimeout "request_timeout" 408
    /// The body is too long.
    ContentTooLarge "content_too_large" 413
    /// The body is of a type that is not read here.
    UnsupportedMediaType "unsupported_media_type" 415
    /// The server has a bug, or is not set up.
    InternalError "internal_error" 500
    /// The server cannot decide now; `retry-after` says when to try again.
    Unavailable "unavailable" 503
    /// A service has sent no id and secret of a client, or wrong ones (RFC 6749 §5.2).
    InvalidClient "invalid_client" 401
}

/// The reason phrase of RFC 9110 §15, which RFC 9457 §4.2.1 asks for in a problem without a type of its own.
pub(crate) fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        423 => "Locked",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ if status < 500 => "Client Error",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_snake_case_and_each_is_there_once() {
        let names: std::collections::BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }
}
