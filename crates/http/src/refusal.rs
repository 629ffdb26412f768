//! Why a request got no further, and what the client is told.

use std::{error::Error, fmt, sync::Arc};

use jwt_knox::{AuthError, AuthenticateError, IssueError, StoreError};

use crate::{knox_http::KnoxHttp, login::LoginError, response::Response};

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

    /// An answer for an adapter that is asked for one to `status` and knows no reason, as when a handler of the
    /// application returns a bare 401. Statuses other than 401 and 403 count as 503.
    #[must_use]
    pub fn of_status(knox: &KnoxHttp, status: u16) -> Self {
        match status {
            401 => Self::auth(knox, AuthError::Missing),
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
    pub(crate) fn auth(knox: &KnoxHttp, error: AuthError) -> Self {
        let scheme = knox.scheme();
        let response = match &error {
            AuthError::Missing => {
                let detail = format!("No token was sent. Send it in the header `Authorization: {scheme} <token>`.");
                challenge(Response::problem(401, &detail), knox, "")
            }
            AuthError::InsufficientScope { scope } => challenge(
                Response::problem(403, &format!("The token lacks the scope `{scope}`.")),
                knox,
                &format!(r#", error="insufficient_scope", scope="{scope}""#),
            ),
            _ => challenge(
                Response::problem(401, "The token is not valid: malformed, expired or revoked. Log in again."),
                knox,
                r#", error="invalid_token""#,
            ),
        };
        Self::new(Cause::Auth(error), response)
    }

    pub(crate) fn authenticate(knox: &KnoxHttp, error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Refused(error) => Self::auth(knox, error),
            // The core has told the log already.
            AuthenticateError::Store(error) => Self::new(Cause::Store(error), unavailable()),
            // A kind of error that is not known here is no reason to let anybody in.
            _ => Self::auth(knox, AuthError::Revoked),
        }
    }

    /// A login without credentials or with wrong ones: 401. With `offer_basic`, a browser may ask its user for them.
    pub(crate) fn login(knox: &KnoxHttp, detail: &str, offer_basic: bool) -> Self {
        let realm = knox.realm();
        let basic = if offer_basic { format!(r#", Basic realm="{realm}", charset="UTF-8""#) } else { String::new() };
        Self::request(challenge(Response::problem(401, detail), knox, &basic))
    }

    pub(crate) fn login_error(knox: &KnoxHttp, error: LoginError, offer_basic: bool) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                // No name: what is typed as a name is often a password.
                tracing::info!("login refused");
                Self::login(knox, "The user name or the password is wrong.", offer_basic)
            }
            LoginError::Unavailable(error) => error.into(),
        }
    }

    pub(crate) fn issue(knox: &KnoxHttp, error: IssueError) -> Self {
        match error {
            IssueError::Refused(error) => Self::auth(knox, error),
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

/// Adds the challenge of RFC 6750 §3. `parameters` follow the realm.
fn challenge(response: Response, knox: &KnoxHttp, parameters: &str) -> Response {
    let (scheme, realm) = (knox.scheme(), knox.realm());
    response.with_header("www-authenticate", format!(r#"{scheme} realm="{realm}"{parameters}"#))
}

fn unavailable() -> Response {
    Response::problem(503, "The server cannot decide this now. Try again in a few seconds.")
        .with_header("retry-after", "5")
}
