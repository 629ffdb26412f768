//! Why a request got no further, and what the client is told.

use std::{error::Error, fmt, sync::Arc};

use jwt_knox::{AuthError, AuthenticateError, IssueError, StoreError};

use crate::{challenge::Challenge, response::Response};

/// A request that is refused or cannot be decided, with the response that says so.
///
/// The client learns little: whether a token was never issued, was revoked, or belongs to someone who was deleted is
/// one and the same answer. The reason is the [`source`](Error::source), for logs. Cheap to clone.
#[derive(Clone)]
pub struct Refusal(Arc<Inner>);

struct Inner {
    cause: Cause,
    response: Response,
}

#[derive(Debug)]
enum Cause {
    Auth(AuthError),
    Store(StoreError),
    Issue(IssueError),
    /// The request itself is wrong, and the response says how.
    Request,
}

impl Refusal {
    /// The response that says so.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.0.response
    }

    /// The status code of the response.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.response.status()
    }

    /// Whether the request simply came without a bearer token.
    #[must_use]
    pub fn is_missing_credential(&self) -> bool {
        matches!(self.0.cause, Cause::Auth(AuthError::Missing))
    }

    /// The answer of an adapter that finds no [`KnoxHttp`] where its framework keeps such things: 500. What is to be
    /// done about it, `remedy`, goes to the log.
    #[must_use]
    pub fn unconfigured(remedy: &str) -> Self {
        tracing::error!(remedy, "a guard found no KnoxHttp, so it lets nobody in");
        let detail = "The server is not set up to check tokens. Its log says what is missing.";
        Self::request(Response::problem(500, detail))
    }

    /// See [`KnoxHttp::refusal`](crate::KnoxHttp::refusal).
    pub(crate) fn for_status(challenge: &Challenge, status: u16) -> Self {
        match status {
            401 => Self::auth(challenge, AuthError::Missing),
            403 => Self::request(Response::problem(403, "You may not do this.")),
            _ => Self::request(unavailable()),
        }
    }

    fn new(cause: Cause, response: Response) -> Self {
        Self(Arc::new(Inner { cause, response }))
    }

    /// The request itself is wrong, and `response` says how.
    pub(crate) fn request(response: Response) -> Self {
        Self::new(Cause::Request, response)
    }

    /// No right to do this: 401, or 403 if only a scope is missing.
    pub(crate) fn auth(challenge: &Challenge, error: AuthError) -> Self {
        let scheme = &challenge.scheme;
        let response = match &error {
            AuthError::Missing => {
                let detail = format!("No token was sent. Send it in the header `Authorization: {scheme} <token>`.");
                challenge.add_to(Response::problem(401, &detail), "")
            }
            AuthError::InsufficientScope { scope } => challenge.add_to(
                Response::problem(403, &format!("The token lacks the scope `{scope}`.")),
                &format!(r#", error="insufficient_scope", scope="{scope}""#),
            ),
            _ => challenge.add_to(
                Response::problem(401, "The token is not valid: malformed, expired or revoked. Log in again."),
                r#", error="invalid_token""#,
            ),
        };
        Self::new(Cause::Auth(error), response)
    }

    pub(crate) fn authenticate(challenge: &Challenge, error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Refused(error) => Self::auth(challenge, error),
            // The core has told the log already.
            AuthenticateError::Store(error) => Self::new(Cause::Store(error), unavailable()),
            // A kind of error that is not known here is no reason to let anybody in.
            _ => Self::auth(challenge, AuthError::Revoked),
        }
    }

    pub(crate) fn issue(challenge: &Challenge, error: IssueError) -> Self {
        match error {
            IssueError::Refused(error) => Self::auth(challenge, error),
            IssueError::LimitReached { max } => {
                let detail = format!("You are logged in {max} times, which is the limit. Log out elsewhere first.");
                Self::new(Cause::Issue(error), Response::problem(403, &detail))
            }
            error @ (IssueError::Store(_) | IssueError::Random(_)) => {
                tracing::error!(error = &error as &dyn Error, "no token could be issued");
                Self::new(Cause::Issue(error), unavailable())
            }
            error => {
                tracing::error!(error = &error as &dyn Error, "no token could be issued");
                let response = Response::problem(500, "The server could not make a token. Its log says why.");
                Self::new(Cause::Issue(error), response)
            }
        }
    }
}

/// The server cannot decide, or cannot do what it was asked for: 503, with nothing of what the store said.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn Error, "a request could not be carried out");
        Self::new(Cause::Store(error), unavailable())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal").field("cause", &self.0.cause).field("status", &self.status()).finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request is answered with status {}", self.status())
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            Cause::Auth(error) => Some(error),
            Cause::Store(error) => Some(error),
            Cause::Issue(error) => Some(error),
            Cause::Request => None,
        }
    }
}

fn unavailable() -> Response {
    Response::problem(503, "The server cannot decide this now. Try again in a few seconds.")
        .with_header("retry-after", "5")
}
