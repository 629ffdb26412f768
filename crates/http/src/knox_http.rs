//! The handle of the contract.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use jwt_knox::{Authenticated, Issued, Knox, LoginTooOld, MissingScope, TimeLimit};
use serde::de::DeserializeOwned;

use crate::{
    endpoint::Endpoint,
    handle::{Handle, Sealed},
    login::Login,
    oauth_client::OAuthClients,
    protocol::{Protocol, decide, optional},
    request::{Request, cookies::Cookies, credential::Values, login_credentials, slot::AuthSlot},
    response::{
        Response,
        answers::{DrfJwtKnoxAnswer, TokenAnswer},
        rejection::{Cause, HttpRejection},
    },
    settings::{Settings, TokenResponse},
};

/// The HTTP contract on top of a [`Knox`]: what an adapter keeps in its framework's state. Cheap to clone.
///
/// It dereferences to the [`Knox`] underneath, so that a handler can call `knox.revoke_all(…)` on it.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey};
/// use jwt_knox_http::KnoxHttp;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = KnoxHttp::builder(Knox::builder(key).store(MemoryStore::new()).build()?).build()?;
///
/// let request = knox.request("GET", "/me", |_| None);
/// let rejection = knox.authenticate(&request).await.unwrap_err();
/// assert_eq!(rejection.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KnoxHttp(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) knox: Knox,
    pub(crate) protocol: Protocol,
    pub(crate) login_limit: TimeLimit,
    pub(crate) settings: Settings,
}

impl KnoxHttp {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The [`Knox`] underneath, for what goes beyond the contract.
    #[must_use]
    pub fn knox(&self) -> &Knox {
        &self.0.knox
    }

    /// A request in the words of the contract, without a body. An adapter says how to find the values of a header;
    /// which headers matter is decided here.
    ///
    /// `path` is the path of the URL as it was sent, percent-encoded. `header` gives all values of the header with that
    /// name, which is in lower case; names of headers compare without regard to case.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn request(knox: &jwt_knox_http::KnoxHttp) {
    /// let headers = [("authorization", b"Bearer a.b.c".as_slice())];
    /// let request = knox.request("GET", "/verify", |name| {
    ///     let values: Vec<_> = headers.iter().filter(|(header, _)| *header == name).map(|(_, value)| *value).collect();
    ///     values
    /// });
    /// # let _ = request;
    /// # }
    /// ```
    pub fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        self.protocol().request(method, path, header)
    }

    /// Decides who sends `request`, by its bearer token.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`], with the response to send: 401 without a valid token, 503 if the store cannot tell.
    pub async fn authenticate(&self, request: &Request<'_>) -> Result<Authenticated, HttpRejection> {
        self.authenticate_with(request, &SessionConditions::default()).await
    }

    /// As [`authenticate`](Self::authenticate), and does not count as a use of the session, unless another guard of the
    /// same request has counted it before.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate).
    pub async fn authenticate_passively(&self, request: &Request<'_>) -> Result<Authenticated, HttpRejection> {
        self.authenticate_with(request, &SessionConditions { is_passive: true, ..Default::default() }).await
    }

    /// Optional authentication: no credential is `None`; an invalid one, or a store that is down, is still rejected.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate), unless no credential was sent.
    pub async fn authenticate_optional(&self, request: &Request<'_>) -> Result<Option<Authenticated>, HttpRejection> {
        optional(self.authenticate(request).await)
    }

    /// Returns an error unless the token of `auth` grants `scope`. For a scope that is known only at run time; guards
    /// take a [`Scope`](crate::Scope).
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 403 and `insufficient_scope` ([RFC 6750 §3.1]) if it does not.
    ///
    /// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    pub fn require_scope(&self, auth: &Authenticated, scope: &str) -> Result<(), HttpRejection> {
        auth.require_scope(scope).map_err(|error: MissingScope| self.reject(error))
    }

    /// Returns an error unless the login of `auth` is no older than `max_age`.
    ///
    /// # Errors
    ///
    /// [`HttpRejection`] with 401 and `insufficient_user_authentication` ([RFC 9470 §3]) if it is older, or lies more
    /// than 10 minutes in the future.
    ///
    /// [RFC 9470 §3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
    pub fn require_recent(&self, auth: &Authenticated, max_age: Duration) -> Result<(), HttpRejection> {
        auth.require_recent(max_age).map_err(|error: LoginTooOld| self.reject(error))
    }

    /// The contract's answer to an error of the core, as this handle gives it: with its scheme and realm in the
    /// challenge, and with its [body](crate::KnoxHttpBuilder::problem).
    pub fn reject(&self, error: impl Into<HttpRejection>) -> HttpRejection {
        self.protocol().reject(error)
    }

    /// An answer to `status` that gives no reason: for a handler that says no by a rule of the application, such as a
    /// role of its user, and for an adapter whose framework hands it a bare 401. Statuses other than 401 and 403 count
    /// as 503.
    #[must_use]
    pub fn for_status(&self, status: u16) -> HttpRejection {
        self.reject(HttpRejection::for_status(status))
    }

    /// The built-in routes that are on. An adapter mounts them for all methods; which of these are answered is decided
    /// here. [`Endpoint::Jwks`] is not among them: an adapter mounts that separately.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        let is_kept = |endpoint: &Endpoint| !self.0.settings.paths.is_left_out(*endpoint);
        Endpoint::ALL.iter().copied().filter(is_kept).filter(|endpoint| match endpoint {
            Endpoint::GetToken => self.0.settings.login.is_some(),
            Endpoint::Login => self.0.settings.login.is_some() && self.cookies().is_some(),
            Endpoint::DebugVerify => self.0.settings.debug_verify,
            Endpoint::ForwardAuth => self.0.settings.forward_auth,
            Endpoint::Jwks => false,
            Endpoint::Introspect | Endpoint::Revoke => self.oauth_clients().is_some(),
            _ => true,
        })
    }

    /// The path of a built-in route, from where the routes are mounted. A `{id}` at its end stands for one segment.
    #[must_use]
    pub fn path(&self, endpoint: Endpoint) -> &str {
        self.0.settings.paths.path(endpoint)
    }

    /// Whether [`respond`](Self::respond) needs [all headers](Request::with_headers) of a request to that route, as
    /// where it reads a body. If not, an adapter does not collect them.
    #[must_use]
    pub fn needs_headers(&self, endpoint: Endpoint) -> bool {
        use Endpoint::{ForwardAuth, GetToken, Introspect, Login, Revoke, Session};
        matches!(endpoint, GetToken | Login | ForwardAuth | Session | Introspect | Revoke)
    }

    /// Whether [`respond`](Self::respond) needs the body of this request. If not, an adapter does not wait for it.
    #[must_use]
    pub fn needs_body(&self, endpoint: Endpoint, request: &Request<'_>) -> bool {
        let needs = match endpoint {
            Endpoint::GetToken => login_credentials::login_needs_body(request),
            Endpoint::Login => true,
            Endpoint::Session => request.method == "PATCH",
            // Without a credential the body makes no difference.
            Endpoint::Introspect | Endpoint::Revoke => request.authorization != Values::None,
            _ => false,
        };
        needs && endpoint.allows(request.method)
    }

    /// The answer that hands a new token out.
    pub(crate) fn token_response(&self, issued: &Issued) -> Result<Response, HttpRejection> {
        let scheme = self.protocol().scheme();
        let body = match self.token_body() {
            TokenResponse::Standard => serde_json::to_string(&TokenAnswer::new(issued, scheme)),
            TokenResponse::DrfJwtKnox => serde_json::to_string(&DrfJwtKnoxAnswer::new(issued, scheme)),
            TokenResponse::Own(body) => body(issued),
        };
        self.json(body)
    }

    /// The answer that hands a new token to a browser, in a cookie.
    pub(crate) fn cookie_response(&self, issued: &Issued) -> Result<Response, HttpRejection> {
        let absolute = issued.session.absolute_expires_at;
        let max_age = absolute.map(|expires_at| (expires_at.as_second() - issued.issued_at.as_second()).max(0));
        let Some(cookie) =
            self.cookies().and_then(|cookies| cookies.for_session(&issued.session).set(issued.token.expose(), max_age))
        else {
            return Err(self.reject(Cause::no_room_in_a_cookie()));
        };
        let response = self.json(serde_json::to_string(&TokenAnswer::without_token(issued)))?;
        Ok(response.with_header("set-cookie", cookie))
    }

    /// 200 with that body.
    pub(crate) fn json(&self, body: Result<String, serde_json::Error>) -> Result<Response, HttpRejection> {
        body.map(Response::json).map_err(|error| self.reject(Cause::Internal(error.into())))
    }

    /// What the body of [`token_response`](Self::token_response) is.
    pub(crate) fn token_body(&self) -> &TokenResponse {
        &self.0.settings.token_response
    }

    pub(crate) fn protocol(&self) -> &Protocol {
        &self.0.protocol
    }

    pub(crate) fn cookies(&self) -> Option<&Cookies> {
        self.protocol().cookies.as_ref()
    }

    pub(crate) fn login_with(&self) -> Option<(&dyn Login, &TimeLimit)> {
        self.0.settings.login.as_deref().map(|login| (login, &self.0.login_limit))
    }

    /// The services that may ask about tokens.
    pub(crate) fn oauth_clients(&self) -> Option<&OAuthClients> {
        self.0.settings.clients.as_ref()
    }

    pub(crate) fn session_scope(&self) -> &str {
        &self.0.settings.session_scope
    }

    /// Whether what has these scopes may list and end sessions: without any it is its owner's, with some it is confined
    /// to them.
    pub(crate) fn may_use_sessions(&self, scope: Option<&str>) -> bool {
        scope.is_none_or(|scopes| scopes.split(' ').any(|scope| scope == self.session_scope()))
    }

    #[cfg(feature = "openapi")]
    pub(crate) fn openapi_prefix(&self) -> Option<&str> {
        self.0.settings.openapi_prefix.as_deref()
    }

    /// In seconds.
    pub(crate) fn jwks_max_age(&self) -> u64 {
        self.0.settings.jwks_max_age.as_secs()
    }
}

impl Sealed for KnoxHttp {}

impl Handle for KnoxHttp {
    const NAME: &'static str = "KnoxHttp";

    type Auth = Authenticated;

    type Conditions = SessionConditions;

    fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        self.request(method, path, header)
    }

    fn authenticate_with<'a>(
        &'a self,
        request: &Request<'a>,
        conditions: &'a SessionConditions,
    ) -> impl Future<Output = Result<Authenticated, HttpRejection>> + Send + use<'a> {
        let presented = self.protocol().presented_token(request, self.max_token_bytes(), AuthSlot::session);
        let ask = async |token| {
            let outcome = if conditions.is_passive {
                self.0.knox.authenticate_passively(token).await
            } else {
                self.0.knox.authenticate(token).await
            };
            outcome.map_err(|error| self.reject(error))
        };
        decide(presented, ask)
    }

    fn require_scope(&self, auth: &Authenticated, scope: &str) -> Result<(), HttpRejection> {
        self.require_scope(auth, scope)
    }

    fn require_conditions(&self, auth: &Authenticated, conditions: &SessionConditions) -> Result<(), HttpRejection> {
        conditions.max_age.map_or(Ok(()), |max_age| self.require_recent(auth, max_age))
    }

    fn claims<T: DeserializeOwned>(&self, auth: &Authenticated) -> Result<T, HttpRejection> {
        auth.claims().map_err(|error| self.reject(error))
    }
}

/// What a requirement may ask of a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionConditions {
    /// How old the login may be.
    pub(crate) max_age: Option<Duration>,
    /// Whether the request does not count as a use.
    pub(crate) is_passive: bool,
}

impl Deref for KnoxHttp {
    type Target = Knox;

    fn deref(&self) -> &Knox {
        self.knox()
    }
}

impl fmt::Debug for KnoxHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnoxHttp")
            .field("knox", &self.0.knox)
            .field("challenge", &self.protocol().challenge)
            .finish_non_exhaustive()
    }
}
