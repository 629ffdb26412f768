//! Why a request is rejected or fails, and what the client is told.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use jwt_knox::{
    AuthenticateError, ClaimsError, ConfigError, IssueError, KeyError, KeyFolderError, KeyRingError, KeySetError,
    LoginTooOld, MissingScope, Rejection, SessionIdError, SessionInfo, StoreError, SubjectError,
};
use serde::Serialize;

use crate::response::{
    Response,
    challenge::Challenge,
    problem::{ProblemCode, title},
};

/// A request that is rejected or cannot be decided, and the response that says so.
///
/// Every error of the core converts into one, so that `?` works in a handler; [`KnoxHttp::reject`] does the same with
/// the scheme and realm of the handle in the challenge.
///
/// The client learns little: whether a token was never issued, was revoked, or belongs to a deleted user is one and the
/// same answer. The reason is the [`source`](Error::source), for logs. Cheap to clone.
///
/// [`KnoxHttp::reject`]: crate::KnoxHttp::reject
#[derive(Clone)]
pub struct HttpRejection(Arc<Inner>);

struct Inner {
    cause: Cause,
    challenge: Challenge,
    body: Option<ProblemBody>,
}

/// Writes the body of a response to a rejection.
pub(crate) type ProblemBody = Arc<dyn Fn(&HttpRejection) -> Result<String, serde_json::Error> + Send + Sync>;

pub(crate) enum Cause {
    /// No bearer token was sent.
    MissingToken,
    /// The token is rejected.
    Token(Rejection),
    /// The token lacks a scope.
    Scope(MissingScope),
    /// The login is too long ago.
    Age(LoginTooOld),
    /// The token is valid, and its claims or its subject are not what the handler asks for.
    Claims(ClaimsError),
    /// The store cannot tell whether the token is valid. The core has told the log already.
    Undecided(StoreError),
    /// A store, or the time limit, did not let the request be carried out.
    Unavailable(StoreError),
    /// The session limit is reached, and these are the sessions that the client may end.
    Limit { error: IssueError, max: u32, sessions: Vec<SessionInfo> },
    /// The session limit is reached, or no token could be made.
    Issue(IssueError),
    /// The credentials of a login are missing or wrong, and the code says which. With `offer_basic`, a browser may ask
    /// its user for them.
    Credentials { code: ProblemCode, detail: &'static str, offer_basic: bool },
    /// The application's own login needs something else.
    Application { status: u16, code: Cow<'static, str>, detail: Cow<'static, str> },
    /// The handler itself failed.
    Internal(Box<dyn Error + Send + Sync>),
    /// The method is not one of these, as in the header `Allow`.
    Method { allow: &'static str },
    /// A request of a service is wrong, in the words of RFC 6749 §5.2.
    OAuth(ProblemCode, &'static str),
    /// Anything else, of which the code and the detail say all.
    Other(ProblemCode, Cow<'static, str>),
}

impl Cause {
    /// A token for a browser that would not keep it.
    pub(crate) fn no_room_in_a_cookie() -> Self {
        Self::Internal("the token is longer than a cookie may be, 4096 bytes; use fewer or shorter claims".into())
    }

    /// A session id that is not one of the subject's.
    pub(crate) fn no_such_session() -> Self {
        Self::Other(ProblemCode::NotFound, "No such session.".into())
    }

    /// A request with a cookie that may come from a hostile page.
    pub(crate) fn cross_origin() -> Self {
        Self::Other(ProblemCode::CrossOrigin, "A page of another origin must not send this request.".into())
    }
}

impl HttpRejection {
    /// The response that says so. An adapter calls this once, when it sends it: a failure of the server goes to the log
    /// here.
    #[must_use]
    pub fn to_response(&self) -> Response {
        self.log();
        let body = self.0.body.as_ref().and_then(|body| {
            body(self)
                .inspect_err(|error| {
                    tracing::error!(error = error as &dyn Error, "the body of a problem does not serialize");
                })
                .ok()
        });
        let response = match body {
            Some(body) => Response::own_problem(self.status(), body),
            None => Response::problem(self.status(), self.default_body()),
        };
        let challenge = &self.0.challenge;
        match &self.0.cause {
            Cause::MissingToken
            | Cause::Issue(IssueError::Superseded)
            // A 401 has a challenge (RFC 9110 §15.5.2).
            | Cause::Application { status: 401, .. } => challenge.add_to(response, ""),
            Cause::Token(_) | Cause::Claims(_) | Cause::Issue(IssueError::Rejected(_)) => {
                challenge.add_to(response, r#", error="invalid_token""#)
            }
            Cause::Scope(MissingScope { scope, .. }) => {
                // A string that is not a scope could end the quotes.
                let parameter = if jwt_knox::is_scope(scope) { format!(r#", scope="{scope}""#) } else { String::new() };
                challenge.add_to(response, &format!(r#", error="insufficient_scope"{parameter}"#))
            }
            Cause::Age(LoginTooOld { max_age, .. }) => {
                let seconds = max_age.as_secs();
                challenge
                    .add_to(response, &format!(r#", error="insufficient_user_authentication", max_age="{seconds}""#))
            }
            Cause::Credentials { offer_basic, .. } => {
                let basic = if *offer_basic { format!(", {}", challenge.basic()) } else { String::new() };
                challenge.add_to(response, &basic)
            }
            Cause::OAuth(ProblemCode::InvalidClient, _) => {
                response.with_header("www-authenticate", challenge.basic())
            }
            Cause::Method { allow } => response.with_header("allow", *allow),
            _ => match self.retry_after() {
                Some(after) => response.with_header("retry-after", after.as_secs().to_string()),
                None => response,
            },
        }
    }

    /// The body without a hook: problem details (RFC 9457).
    fn default_body(&self) -> String {
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: &'a str,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            sessions: Option<&'a [SessionInfo]>,
            /// Where clients of OAuth look for the code (RFC 6749 §5.2): an extension member (RFC 9457 §3.2).
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
        }
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: title(status),
            status,
            code: self.code(),
            detail: &self.detail(),
            sessions: self.sessions(),
            error: matches!(self.0.cause, Cause::OAuth(..)).then(|| self.code()),
        };
        serde_json::to_string(&problem).unwrap_or_default()
    }

    /// What it is, for programs: one of [`ProblemCode`], or a code of the application.
    #[must_use]
    pub fn code(&self) -> &str {
        match &self.0.cause {
            Cause::Application { code, .. } => code,
            _ => self.problem_code().as_str(),
        }
    }

    fn problem_code(&self) -> ProblemCode {
        match &self.0.cause {
            Cause::MissingToken => ProblemCode::MissingToken,
            Cause::Token(_) | Cause::Claims(_) | Cause::Issue(IssueError::Rejected(_)) => ProblemCode::InvalidToken,
            Cause::Scope(_) => ProblemCode::InsufficientScope,
            Cause::Age(_) => ProblemCode::LoginTooOld,
            Cause::Credentials { code, .. } | Cause::OAuth(code, _) | Cause::Other(code, _) => *code,
            Cause::Issue(IssueError::Superseded) => ProblemCode::LoginSuperseded,
            Cause::Limit { .. } | Cause::Issue(IssueError::LimitReached { .. }) => ProblemCode::LimitReached,
            Cause::Method { .. } => ProblemCode::MethodNotAllowed,
            Cause::Undecided(_)
            | Cause::Unavailable(_)
            | Cause::Issue(IssueError::Store(_) | IssueError::Random(_)) => ProblemCode::Unavailable,
            Cause::Issue(_) | Cause::Internal(_) | Cause::Application { .. } => ProblemCode::InternalError,
        }
    }

    /// The status code of the response.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.0.cause {
            Cause::Application { status, .. } => *status,
            _ => self.problem_code().status(),
        }
    }

    /// What it is, in a sentence for people. It tells a client nothing that it must not know.
    #[must_use]
    pub fn detail(&self) -> Cow<'_, str> {
        match &self.0.cause {
            Cause::MissingToken => {
                let Challenge { scheme, header, .. } = &self.0.challenge;
                format!("No token was sent. Send it in the header `{header}: {scheme} <token>`.").into()
            }
            Cause::Token(_) | Cause::Claims(_) | Cause::Issue(IssueError::Rejected(_)) => {
                "The token is not valid: malformed, expired or revoked. Log in again.".into()
            }
            Cause::Scope(MissingScope { scope, .. }) => format!("The token lacks the scope `{scope}`.").into(),
            Cause::Age(LoginTooOld { max_age, .. }) => {
                format!("This needs a login within the last {} seconds. Log in again.", max_age.as_secs()).into()
            }
            Cause::Undecided(_)
            | Cause::Unavailable(_)
            | Cause::Issue(IssueError::Store(_) | IssueError::Random(_)) => UNAVAILABLE.into(),
            Cause::Limit { max, .. } | Cause::Issue(IssueError::LimitReached { max }) => {
                let sessions = if *max == 1 { "session" } else { "sessions" };
                format!("You already have {max} active {sessions}, the maximum. End one of them first.").into()
            }
            Cause::Issue(IssueError::Superseded) => {
                "All your sessions were revoked during this login. Log in again.".into()
            }
            Cause::Issue(_) => "The server could not issue a token.".into(),
            Cause::Credentials { detail, .. } | Cause::OAuth(_, detail) => (*detail).into(),
            Cause::Internal(_) => "Internal server error.".into(),
            Cause::Method { allow } => format!("Method not allowed; use {allow}.").into(),
            Cause::Application { detail, .. } | Cause::Other(_, detail) => detail.as_ref().into(),
        }
    }

    /// After what time the client may try again, as the header `Retry-After` says. `None`: it makes no difference.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.status() == ProblemCode::Unavailable.status()).then_some(RETRY_AFTER)
    }

    /// At the session limit: the sessions of which the client may end one, if it has proven that they are its own.
    #[must_use]
    pub fn sessions(&self) -> Option<&[SessionInfo]> {
        match &self.0.cause {
            Cause::Limit { sessions, .. } => Some(sessions),
            _ => None,
        }
    }

    /// Whether the request simply came without a bearer token.
    #[must_use]
    pub fn is_missing_token(&self) -> bool {
        matches!(self.0.cause, Cause::MissingToken)
    }

    /// Whether the token may be that of a session, and only whether its user may be logged in speaks against it, or
    /// cannot be told.
    pub(crate) fn may_have_session(&self) -> bool {
        self.is_undecided()
            || matches!(self.0.cause, Cause::Token(Rejection::SubjectInactive | Rejection::SubjectUnknown))
    }

    /// Whether nobody can tell now whether the token is valid.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.0.cause, Cause::Undecided(_))
    }

    /// Whether it is about who sends the request: the credential is invalid, or it cannot be decided now. A handler
    /// that takes such a rejection for a request without a credential fails open.
    #[must_use]
    pub fn forbids_anonymous(&self) -> bool {
        matches!(
            self.problem_code(),
            ProblemCode::InvalidToken
                | ProblemCode::CrossOrigin
                | ProblemCode::Unavailable
                | ProblemCode::InternalError
        )
    }

    /// The answer of an adapter that finds no [handle](crate::Handle) where its framework keeps such things: 500.
    /// `remedy`, what is to be done about it, goes to the log.
    #[must_use]
    pub fn unconfigured(remedy: &str) -> Self {
        tracing::error!(remedy, "no `KnoxHttp` or `VerifierHttp` is configured; rejecting every request");
        Cause::Other(ProblemCode::InternalError, "Authentication is not configured on this server.".into()).into()
    }

    /// The answer for a status of which no reason is known; see [`KnoxHttp::for_status`](crate::KnoxHttp::for_status).
    pub(crate) fn for_status(status: u16) -> Self {
        match status {
            401 => Cause::MissingToken.into(),
            403 => Cause::Other(ProblemCode::Forbidden, "Forbidden.".into()).into(),
            _ => Cause::Other(ProblemCode::Unavailable, UNAVAILABLE.into()).into(),
        }
    }

    /// The same as a handle answers it.
    pub(crate) fn with_style(self, challenge: &Challenge, body: Option<&ProblemBody>) -> Self {
        let (challenge, body) = (challenge.clone(), body.cloned());
        Self(match Arc::try_unwrap(self.0) {
            Ok(inner) => Arc::new(Inner { challenge, body, ..inner }),
            // Somebody else has it, and so it has been given its style before.
            Err(shared) => shared,
        })
    }

    fn log(&self) {
        let (error, message): (&dyn Error, _) = match &self.0.cause {
            Cause::Unavailable(error) => (error, "a request could not be carried out"),
            Cause::Issue(IssueError::Rejected(_) | IssueError::LimitReached { .. } | IssueError::Superseded) => return,
            Cause::Issue(error) => (error, "no token could be issued"),
            Cause::Claims(error) => (error, "the claims of a token do not fit the handler"),
            Cause::Internal(error) => (&**error, "a handler failed"),
            _ => return,
        };
        tracing::error!(error, "{message}");
    }
}

const UNAVAILABLE: &str = "The service is temporarily unavailable. Try again in a few seconds.";

const RETRY_AFTER: Duration = Duration::from_secs(5);

impl From<Cause> for HttpRejection {
    fn from(cause: Cause) -> Self {
        Self(Arc::new(Inner { cause, challenge: Challenge::default(), body: None }))
    }
}

/// 401 `invalid_token`.
impl From<Rejection> for HttpRejection {
    fn from(reason: Rejection) -> Self {
        Cause::Token(reason).into()
    }
}

/// 401, or 503 if the store cannot tell.
impl From<AuthenticateError> for HttpRejection {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Rejected(reason) => Cause::Token(reason).into(),
            AuthenticateError::Store(error) => Cause::Undecided(error).into(),
        }
    }
}

/// 403 if the limit is reached, 401 if the subject or the token is rejected, 503 if the store cannot tell, else 500.
impl From<IssueError> for HttpRejection {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Claims(error) => error.into(),
            error => Cause::Issue(error).into(),
        }
    }
}

/// 503, with nothing of what the store said.
impl From<StoreError> for HttpRejection {
    fn from(error: StoreError) -> Self {
        Cause::Unavailable(error).into()
    }
}

/// 403 `insufficient_scope`.
impl From<MissingScope> for HttpRejection {
    fn from(error: MissingScope) -> Self {
        Cause::Scope(error).into()
    }
}

/// 401 `insufficient_user_authentication`.
impl From<LoginTooOld> for HttpRejection {
    fn from(error: LoginTooOld) -> Self {
        Cause::Age(error).into()
    }
}

/// 401 `invalid_token` if the claims of a token are not what the handler asks for; 500 if a new session has claims or
/// scopes that it cannot have.
impl From<ClaimsError> for HttpRejection {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Mismatch(_) => Cause::Claims(error).into(),
            error => Cause::Internal(error.into()).into(),
        }
    }
}

/// 400.
impl From<SubjectError> for HttpRejection {
    fn from(error: SubjectError) -> Self {
        Cause::Other(ProblemCode::InvalidRequest, format!("Not a valid subject: {error}.").into()).into()
    }
}

/// 404, as for an id that nobody has.
impl From<SessionIdError> for HttpRejection {
    fn from(_: SessionIdError) -> Self {
        Cause::no_such_session().into()
    }
}

macro_rules! internal {
    ($($error:ty)*) => {
        $(
            /// 500, and the log says why.
            impl From<$error> for HttpRejection {
                fn from(error: $error) -> Self {
                    Cause::Internal(error.into()).into()
                }
            }
        )*
    };
}

internal! { ConfigError KeyError KeyRingError KeyFolderError KeySetError }

impl fmt::Debug for HttpRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRejection").field("code", &self.code()).field("source", &self.source()).finish()
    }
}

impl fmt::Display for HttpRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request is answered with status {}, {}", self.status(), self.code())
    }
}

impl Error for HttpRejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            Cause::Token(error) => Some(error),
            Cause::Scope(error) => Some(error),
            Cause::Age(error) => Some(error),
            Cause::Claims(error) => Some(error),
            Cause::Undecided(error) | Cause::Unavailable(error) => Some(error),
            Cause::Issue(error) | Cause::Limit { error, .. } => Some(error),
            Cause::Internal(error) => Some(&**error),
            Cause::MissingToken
            | Cause::Credentials { .. }
            | Cause::Application { .. }
            | Cause::Method { .. }
            | Cause::OAuth(..)
            | Cause::Other(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: impl Into<HttpRejection>) -> u16 {
        let rejection = error.into();
        assert_eq!(rejection.status(), rejection.to_response().status(), "{rejection:?}");
        rejection.status()
    }

    #[test]
    fn every_error_of_the_core_has_an_answer() {
        let mismatch = || ClaimsError::Mismatch("a number".into());
        assert_eq!(status(Rejection::Expired), 401);
        assert_eq!(status(AuthenticateError::Rejected(Rejection::Revoked)), 401);
        assert_eq!(status(AuthenticateError::Store(StoreError::new("down"))), 503);
        assert_eq!(status(IssueError::Rejected(Rejection::SubjectInactive)), 401);
        assert_eq!(status(IssueError::LimitReached { max: 1 }), 403);
        assert_eq!(status(IssueError::Superseded), 401);
        assert_eq!(status(IssueError::Store(StoreError::new("down"))), 503);
        assert_eq!(status(IssueError::Random("no entropy".into())), 503);
        assert_eq!(status(IssueError::TooLarge { bytes: 9000, max: 8192 }), 500);
        assert_eq!(status(IssueError::Signing("no key".into())), 500);
        assert_eq!(status(IssueError::Claims(mismatch())), 401);
        assert_eq!(status(StoreError::new("down")), 503);
        assert_eq!(status(mismatch()), 401);
        assert_eq!(status(ClaimsError::NotAnObject), 500);
        assert_eq!(status(ClaimsError::NotSerializable("a map whose keys are no strings".into())), 500);
        assert_eq!(status(SubjectError::Empty), 400);
        assert_eq!(status(SessionIdError), 404);
        assert_eq!(status(ConfigError::NoStore), 500);
        assert_eq!(status(KeyError::NotPrivate), 500);
        assert_eq!(status(KeyRingError::UnknownKeyId { key_id: "x".into() }), 500);
        assert_eq!(status(KeyFolderError::Missing { folder: "keys".into() }), 500);
        assert_eq!(status(KeySetError::NoKey { skipped: Vec::new() }), 500);
    }

    #[test]
    fn what_the_store_said_reaches_no_client() {
        let secret = "password=hunter2";
        let rejections: [HttpRejection; 3] = [
            StoreError::new(secret).into(),
            IssueError::Random(secret.into()).into(),
            ClaimsError::Mismatch(secret.into()).into(),
        ];
        for rejection in rejections {
            let response = rejection.to_response();
            let headers: String = response.headers().map(|(_, value)| value).collect();
            assert!(!response.body().contains(secret) && !headers.contains(secret), "{rejection:?}");
        }
    }
}
