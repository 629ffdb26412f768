//! The request, as an adapter gives it.

pub(crate) mod body;
pub(crate) mod cookies;
pub(crate) mod credential;
pub(crate) mod form_body;
pub(crate) mod json_body;
pub(crate) mod login_credentials;
pub(crate) mod slot;

use std::time::Duration;

use crate::request::{
    cookies::Cookies,
    credential::{Credential, Values, after_scheme},
    slot::AuthSlot,
};

/// The part of an HTTP request that the contract looks at, in plain bytes. [`KnoxHttp::request`] makes one.
///
/// [`KnoxHttp::request`]: crate::KnoxHttp::request
#[derive(Clone)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// `None` if the adapter has not said whether there is one.
    pub(crate) query: Option<&'a str>,
    pub(crate) authorization: Values<'a>,
    /// What browsers send, if cookies are on.
    pub(crate) browser: Option<Browser<'a>>,
    /// All of them, or none if the adapter has not given them.
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: Body<'a>,
    pub(crate) slot: Option<&'a AuthSlot>,
}

/// What browsers send.
#[derive(Clone, Copy)]
pub(crate) struct Browser<'a> {
    cookie: Values<'a>,
    /// `Sec-Fetch-Site`.
    site: Values<'a>,
    origin: Values<'a>,
    host: Values<'a>,
    is_upgrade: bool,
}

/// The body of a request, as far as an adapter could read it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// All of it.
    Complete(&'a [u8]),
    /// It is longer than [`Request::MAX_BODY_BYTES`], or broke off, and was not read to its end.
    TooLarge,
    /// It was not there after [`Request::BODY_TIMEOUT`].
    TooSlow,
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The bytes may be a password.
        f.write_str(match self {
            Self::Complete(_) => "Complete(redacted)",
            Self::TooLarge => "TooLarge",
            Self::TooSlow => "TooSlow",
        })
    }
}

impl<'a> Request<'a> {
    /// The longest body that is read, in bytes.
    pub const MAX_BODY_BYTES: usize = 8 * 1024;

    /// How long an adapter waits for a body.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// A request without a body, with its credential in the header of the name `credential`.
    pub(crate) fn new<V>(
        method: &'a str,
        path: &'a str,
        credential: &str,
        cookies: Option<&Cookies>,
        header: impl Fn(&str) -> V,
    ) -> Self
    where
        V: IntoIterator<Item = &'a [u8]>,
    {
        let first = |name| header(name).into_iter().next();
        Self {
            method,
            path,
            query: None,
            authorization: Values::new(header(credential)),
            browser: cookies.map(|cookies| Browser {
                cookie: cookies.find(header("cookie")),
                site: Values::new(header("sec-fetch-site")),
                origin: Values::new(header("origin")),
                host: Values::new(header("host")),
                // A proxy that asks whether a request is authenticated may drop `Upgrade`, which is between it and the
                // client. The others reach the server, and no page can leave them out.
                is_upgrade: UPGRADE.iter().any(|name| first(name).is_some()),
            }),
            headers: Vec::new(),
            body: Body::Complete(&[]),
            slot: None,
        }
    }

    /// Says that the target of the request names this host and port, as in HTTP/2, where there is no `Host` header. It
    /// counts in place of that (RFC 9110 §7.2).
    #[must_use]
    pub fn with_authority(mut self, authority: Option<&'a str>) -> Self {
        if let (Some(browser), Some(authority)) = (&mut self.browser, authority) {
            browser.host = Values::One(authority.as_bytes());
        }
        self
    }

    /// What the request is authenticated by. A cookie counts only where there is no header.
    pub(crate) fn credential(&self) -> Credential<'a> {
        match (&self.authorization, &self.browser) {
            (Values::None, Some(browser)) if browser.cookie != Values::None => Credential::Cookie(browser.cookie),
            (Values::None, _) => Credential::None,
            _ => Credential::Header(self.authorization),
        }
    }

    /// What stands behind `Basic` in the one header.
    pub(crate) fn basic(&self) -> Option<&'a [u8]> {
        match self.authorization {
            Values::One(value) => after_scheme(value, "Basic"),
            Values::None | Values::Several => None,
        }
    }

    /// The session cookie, whether it counts or not.
    pub(crate) fn cookie(&self) -> Values<'a> {
        self.browser.as_ref().map_or(Values::None, |browser| browser.cookie)
    }

    /// Whether a page of another origin could have made the browser send this, and would gain by it: a request that
    /// changes something, or an upgrade to a WebSocket, which the page could read.
    pub(crate) fn is_cross_origin(&self, cookies: &Cookies) -> bool {
        let Some(Browser { site, origin, host, is_upgrade, .. }) = self.browser else { return false };
        let changes_nothing = is_safe(self.method) && !is_upgrade;
        !changes_nothing && !cookies.is_same_origin(site, origin, host)
    }

    /// Whether the browser says that a page of another origin has sent this. What is no browser says nothing.
    pub(crate) fn is_from_elsewhere(&self, cookies: &Cookies) -> bool {
        let says = |browser: &Browser<'_>| browser.site != Values::None || browser.origin != Values::None;
        self.browser.as_ref().is_some_and(says) && self.is_cross_origin(cookies)
    }

    /// The request that a proxy has got from the client, of which this one tells.
    ///
    /// Proxies ask by GET whatever they have got. So a method counts as safe only if the proxy says that it is, and
    /// nothing says otherwise: a header that the client has sent along can only make it unsafe.
    pub(crate) fn original_request(&self) -> Self {
        let is_original = |name: &str| ORIGINAL_METHOD.iter().any(|header| name.eq_ignore_ascii_case(header));
        let mut original = self.headers.iter().filter(|(name, _)| is_original(name)).map(|(_, value)| value).peekable();
        let is_named = original.peek().is_some();
        let is_safe =
            is_named && is_safe(self.method) && original.all(|value| str::from_utf8(value).is_ok_and(is_safe));
        Self { method: if is_safe { self.method } else { UNKNOWN_METHOD }, ..self.clone() }
    }

    /// Adds the query of the URL as it was sent, without the `?`; `None` if there is none. `/forward_auth` needs it: it
    /// holds the scopes that a proxy asks for.
    #[must_use]
    pub fn with_query(self, query: Option<&'a str>) -> Self {
        Self { query: Some(query.unwrap_or_default()), ..self }
    }

    /// Adds all headers: for a login, and for the built-in routes that
    /// [need them](crate::KnoxHttp::needs_headers). A guard does not.
    #[must_use]
    pub fn with_headers(self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self { headers: headers.into_iter().collect(), ..self }
    }

    /// The first header of that name, if the adapter has given all of them.
    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Adds the body.
    #[must_use]
    pub fn with_body(self, body: Body<'a>) -> Self {
        Self { body, ..self }
    }

    /// Adds the slot that the adapter keeps with this request, so that it is verified once however many guards ask.
    #[must_use]
    pub fn with_slot(self, slot: &'a AuthSlot) -> Self {
        Self { slot: Some(slot), ..self }
    }
}

/// What a request has that opens a WebSocket.
const UPGRADE: [&str; 3] = ["upgrade", "sec-websocket-key", "sec-websocket-version"];

/// Where proxies name the method of the client's request.
const ORIGINAL_METHOD: [&str; 2] = ["x-forwarded-method", "x-original-method"];

/// Not a safe one.
const UNKNOWN_METHOD: &str = "";

/// Whether a request with that method changes nothing (RFC 9110 §9.2.1).
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither headers nor body: both carry secrets.
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
