//! The handle of the contract.

use std::{fmt, sync::Arc};

use jwt_knox::{Authenticated, Issued, Knox};

use crate::{
    authorization::bearer,
    challenge::Challenge,
    credentials,
    endpoint::Endpoint,
    login::Login,
    refusal::Refusal,
    request::Request,
    response::Response,
    scope::{self, Scope},
    verification::Verification,
};

/// The HTTP contract on top of a [`Knox`]: what an adapter keeps in its framework's state. Cheap to clone.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};
/// use jwt_knox_http::{KnoxHttp, Request};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let http = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
///
/// let request = Request::new("GET", "/me", |_| None);
/// let refusal = http.authenticate(&request).await.unwrap_err();
/// assert_eq!(refusal.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KnoxHttp(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) knox: Knox,
    /// Tells this handle from others.
    pub(crate) id: u64,
    pub(crate) challenge: Challenge,
    pub(crate) login: Option<Arc<dyn Login>>,
    pub(crate) token_response: Option<TokenResponse>,
    pub(crate) debug_verify: bool,
    pub(crate) jwks_max_age: u64,
}

/// Makes the answer to a login, from the token and the scheme to send it with.
pub(crate) type TokenResponse = Box<dyn Fn(&Issued, &str) -> Response + Send + Sync>;

impl KnoxHttp {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The [`Knox`] underneath, for what goes beyond the contract.
    #[must_use]
    pub fn knox(&self) -> &Knox {
        &self.0.knox
    }

    /// Decides who sends `request`, by its bearer token.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with the response to send: 401 without a good token, 503 if the store cannot tell.
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<Authenticated, Refusal> {
        if let Some(outcome) = self.recall(request) {
            return outcome;
        }
        let token = bearer(request.authorization, self.scheme(), self.knox().max_token_bytes()).map_err(|error| {
            tracing::debug!(reason = error.reason(), "request refused: {error}");
            Refusal::auth(self.challenge(), error)
        })?;
        self.knox().authenticate(token).await.map_err(|error| Refusal::authenticate(self.challenge(), error))
    }

    /// Makes the outcome of [`authenticate`](Self::authenticate) that of optional authentication: no credential is
    /// `None`; a bad one, or a store that is down, stays what it is.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that came in, unless it was for want of a credential.
    pub fn optional(outcome: Result<Authenticated, Refusal>) -> Result<Option<Authenticated>, Refusal> {
        match outcome {
            Ok(auth) => Ok(Some(auth)),
            Err(refusal) if refusal.is_missing_credential() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Lets `auth` pass only if its token grants the scope `S`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with 403 and `insufficient_scope` ([RFC 6750 §3.1]) if it does not.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    pub fn require_scope<S: Scope>(&self, auth: &Authenticated) -> Result<(), Refusal> {
        const { assert!(scope::is_valid(S::NAME), "a scope is printable ASCII without spaces, quotes and backslashes") };
        auth.require_scope(S::NAME).map_err(|error| Refusal::auth(self.challenge(), error))
    }

    /// Wraps an outcome of [`authenticate`](Self::authenticate), for the adapter to keep with the request and hand in
    /// with [`Request::with_verification`] when another guard asks about the same request.
    #[must_use]
    pub fn remember(&self, request: &Request<'_>, outcome: &Result<Authenticated, Refusal>) -> Verification {
        Verification::new(self.0.id, request.authorization, outcome)
    }

    /// The outcome that was kept with a request; `None` if it is that of another handle, or for another credential.
    fn recall(&self, request: &Request<'_>) -> Option<Result<Authenticated, Refusal>> {
        request.verification?.recall(self.0.id, request.authorization)
    }

    /// An answer for an adapter that is asked for one to `status` and knows no reason, as when a handler of the
    /// application returns a bare 401. Statuses other than 401 and 403 count as 503.
    #[must_use]
    pub fn refusal(&self, status: u16) -> Refusal {
        Refusal::for_status(self.challenge(), status)
    }

    /// The ready routes that are on. An adapter mounts them for all methods; which of these are answered is decided
    /// here. [`Endpoint::Jwks`] is not among them: an adapter mounts that on its own.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.iter().copied().filter(|endpoint| match endpoint {
            Endpoint::GetToken => self.0.login.is_some(),
            Endpoint::DebugVerify => self.0.debug_verify,
            Endpoint::Jwks => false,
            _ => true,
        })
    }

    /// Whether [`respond`](Self::respond) needs the body of this request. If not, an adapter does not wait for it.
    #[must_use]
    pub fn needs_body(&self, endpoint: Endpoint, request: &Request<'_>) -> bool {
        endpoint == Endpoint::GetToken && endpoint.allows(request.method) && credentials::login_needs_body(request)
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.0.challenge.scheme
    }

    pub(crate) fn challenge(&self) -> &Challenge {
        &self.0.challenge
    }

    pub(crate) fn login(&self) -> Option<&dyn Login> {
        self.0.login.as_deref()
    }

    pub(crate) fn jwks_max_age(&self) -> u64 {
        self.0.jwks_max_age
    }

    pub(crate) fn token_response(&self) -> Option<&TokenResponse> {
        self.0.token_response.as_ref()
    }
}

impl fmt::Debug for KnoxHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnoxHttp")
            .field("knox", &self.0.knox)
            .field("challenge", &self.0.challenge)
            .finish_non_exhaustive()
    }
}
