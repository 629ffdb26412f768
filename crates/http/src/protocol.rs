//! How a handle reads credentials and answers rejections, whether or not there is a store behind it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

use crate::{
    config_error::HttpConfigError,
    request::{
        Request,
        cookies::Cookies,
        credential::{Credential, bearer, cookie_token},
        slot::{AuthSlot, Found, Key, Slot},
    },
    response::{
        challenge::{AUTHORIZATION, Challenge},
        rejection::{Cause, HttpRejection, ProblemBody},
    },
};

/// The number of the next handle.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// How a handle reads credentials and answers rejections.
pub(crate) struct Protocol {
    /// Tells this handle from others.
    id: u64,
    pub(crate) challenge: Challenge,
    /// In lower case.
    header: String,
    pub(crate) cookies: Option<Cookies>,
    problem: Option<ProblemBody>,
}

impl Protocol {
    /// The defaults, for a handle of its own.
    pub(crate) fn new() -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            challenge: Challenge::default(),
            header: AUTHORIZATION.to_ascii_lowercase(),
            cookies: None,
            problem: None,
        }
    }

    pub(crate) fn set_scheme(&mut self, scheme: String) {
        self.challenge.scheme = scheme.into();
    }

    pub(crate) fn set_realm(&mut self, realm: String) {
        self.challenge.realm = realm.into();
    }

    pub(crate) fn set_header(&mut self, name: String) {
        self.header = name.to_ascii_lowercase();
        self.challenge.header = name.into();
    }

    pub(crate) fn set_problem<T: Serialize>(&mut self, problem: impl Fn(&HttpRejection) -> T + Send + Sync + 'static) {
        self.problem = Some(Arc::new(move |rejection| serde_json::to_string(&problem(rejection))));
    }

    /// Returns an error unless the settings are valid.
    pub(crate) fn check(&self) -> Result<(), HttpConfigError> {
        let Challenge { scheme, realm, header } = &self.challenge;
        if !is_token(scheme) || scheme.eq_ignore_ascii_case("Basic") {
            return Err(HttpConfigError::Scheme);
        }
        if !is_token(header) || OTHER_HEADERS.iter().any(|other| header.eq_ignore_ascii_case(other)) {
            return Err(HttpConfigError::Header);
        }
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if !realm.bytes().all(is_plain) {
            return Err(HttpConfigError::Realm);
        }
        if let Some(cookies) = &self.cookies {
            if !cookies.has_valid_name() {
                return Err(HttpConfigError::CookieName);
            }
            if let Some(origin) = cookies.invalid_origin() {
                return Err(HttpConfigError::Origin { origin: origin.to_owned() });
            }
        }
        Ok(())
    }

    /// A request, with its credential where this handle expects it.
    pub(crate) fn request<'a, V>(&self, method: &'a str, path: &'a str, header: impl Fn(&str) -> V) -> Request<'a>
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        Request::new(method, path, &self.header, self.cookies.as_ref(), header)
    }

    /// The token of a request, and the slot for what is decided of it.
    pub(crate) fn presented_token<'a, A>(
        &self,
        request: &Request<'a>,
        max_token_bytes: usize,
        slot: impl Fn(&'a AuthSlot) -> &'a Slot<A>,
    ) -> Result<PresentedToken<'a, A>, HttpRejection> {
        let credential = request.credential();
        if let Credential::Cookie(_) = credential {
            self.require_same_origin(request)?;
        }
        let token = self.token(credential, max_token_bytes)?;
        let slot = request.slot.map(|all| (slot(all), Key::new(self.id, credential)));
        Ok(PresentedToken { token, slot })
    }

    /// The token of a request. Where it comes in a cookie, nothing is said of the page that has sent it.
    pub(crate) fn token<'a>(&self, credential: Credential<'a>, max_bytes: usize) -> Result<&'a [u8], HttpRejection> {
        let token = match credential {
            Credential::None => Ok(None),
            Credential::Header(values) => bearer(values, self.scheme(), max_bytes),
            Credential::Cookie(values) => cookie_token(values, max_bytes),
        };
        match token {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(self.reject(Cause::MissingToken)),
            Err(reason) => {
                tracing::debug!(reason = reason.as_str(), "request rejected: {reason}");
                Err(self.reject(reason))
            }
        }
    }

    /// Returns an error if a page of another origin can have sent a request that the browser's cookie would authorize.
    pub(crate) fn require_same_origin(&self, request: &Request<'_>) -> Result<(), HttpRejection> {
        match &self.cookies {
            Some(cookies) if request.is_cross_origin(cookies) => Err(self.reject(Cause::cross_origin())),
            _ => Ok(()),
        }
    }

    /// Returns an error if the browser says that a page of another origin has sent the request: for a login that may do
    /// without a cookie, and for one by a name and a password. A browser adds what its user once typed into its dialog
    /// to the requests of any page, and such a page must not put the dialog up either.
    pub(crate) fn require_no_foreign_page(&self, request: &Request<'_>) -> Result<(), HttpRejection> {
        match &self.cookies {
            Some(cookies) if request.is_from_elsewhere(cookies) => Err(self.reject(Cause::cross_origin())),
            _ => Ok(()),
        }
    }

    /// Whether the application writes the bodies of problems.
    #[cfg(feature = "openapi")]
    pub(crate) fn has_own_problems(&self) -> bool {
        self.problem.is_some()
    }

    /// The answer to an error as this handle gives it.
    pub(crate) fn reject(&self, error: impl Into<HttpRejection>) -> HttpRejection {
        error.into().with_style(&self.challenge, self.problem.as_ref())
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.challenge.scheme
    }

    /// Whether a browser may be asked to put up its login dialog, which answers in `Authorization` only. Not where
    /// browsers log in with a cookie: what is typed there is sent along with requests of other pages for as long as it
    /// runs.
    pub(crate) fn offers_basic(&self) -> bool {
        self.cookies.is_none() && self.header.eq_ignore_ascii_case(AUTHORIZATION)
    }
}

/// The token of a request.
pub(crate) struct PresentedToken<'a, A> {
    token: &'a [u8],
    /// Where what is decided of it is kept, and what that counts for.
    slot: Option<(&'a Slot<A>, Key)>,
}

/// Whose token is presented, if one is, which is asked once for each request: what another guard of it has found out
/// counts.
pub(crate) async fn decide<'a, A: Clone, F>(
    presented: Result<PresentedToken<'a, A>, HttpRejection>,
    ask: impl FnOnce(&'a [u8]) -> F,
) -> Result<A, HttpRejection>
where
    F: Future<Output = Result<A, HttpRejection>>,
{
    let PresentedToken { token, slot } = presented?;
    let place = match slot {
        Some((slot, key)) => match slot.look(key).await {
            Found::Decided(outcome) => return outcome,
            Found::Empty(place) => Some(place),
            Found::Taken => None,
        },
        None => None,
    };
    let outcome = ask(token).await;
    if let Some(place) = place {
        place.fill(&outcome);
    }
    outcome
}

/// Optional authentication: no credential is `None`, and every other rejection stays what it is.
pub(crate) fn optional<A>(outcome: Result<A, HttpRejection>) -> Result<Option<A>, HttpRejection> {
    match outcome {
        Ok(auth) => Ok(Some(auth)),
        Err(rejection) if rejection.is_missing_token() => Ok(None),
        Err(rejection) => Err(rejection),
    }
}

/// What the contract, or HTTP itself, reads for something else.
const OTHER_HEADERS: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "sec-fetch-site",
    "sec-websocket-key",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-forwarded-method",
    "x-original-method",
];

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
