//! Sessions of browsers in a cookie, which no script of a page can read.

use std::borrow::Cow;

use jwt_knox::SessionRecord;

use crate::request::credential::Values;

/// How a browser keeps its session in a cookie: `__Host-session` with `Secure`, `HttpOnly`, `SameSite=Lax` and `Path=/`
/// ([RFC 6265bis]), unless set otherwise. For [`KnoxHttpBuilder::cookies`](crate::KnoxHttpBuilder::cookies).
///
/// [RFC 6265bis]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis
///
/// # Examples
///
/// ```
/// use jwt_knox_http::Cookies;
///
/// let cookies = Cookies::new().allow_origin("https://app.example.com");
/// ```
#[derive(Debug, Clone)]
#[must_use = "it counts when it is given to `KnoxHttpBuilder::cookies`"]
pub struct Cookies {
    name: Cow<'static, str>,
    origins: Vec<Cow<'static, str>>,
    is_persistent: bool,
    is_secure: bool,
}

impl Cookies {
    /// The defaults.
    pub fn new() -> Self {
        Self { name: "__Host-session".into(), origins: Vec::new(), is_persistent: true, is_secure: true }
    }

    /// Another name: a word of letters, digits and `!#$%&'*+-.^_|~`, which begins with `__Host-` unless the cookie is
    /// [insecure](Self::insecure). The prefix keeps other hosts of the domain from setting it.
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Lets the pages of another origin send requests with the cookie that change something: `https://app.example.com`,
    /// without a path. Its own origin is always allowed. Since the cookie is `SameSite=Lax`, this is of use only for
    /// origins of the same site, and where a proxy changes the `Host` header.
    pub fn allow_origin(mut self, origin: impl Into<Cow<'static, str>>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Keeps the cookie until the browser is closed. Default: until the absolute expiry of the session, and for 400
    /// days at most.
    pub fn until_browser_closes(self) -> Self {
        Self { is_persistent: false, ..self }
    }

    /// For trying things out on plain HTTP where the browser keeps no `Secure` cookies: leaves `Secure` out, and is
    /// called `session`. Anybody on the way can read such a cookie, and other hosts of the domain can set it.
    pub fn insecure(self) -> Self {
        Self { name: "session".into(), is_secure: false, ..self }
    }

    #[cfg(feature = "openapi")]
    pub(crate) fn cookie_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn has_valid_name(&self) -> bool {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_|~".contains(&byte);
        let is_prefixed = self.name.len() > PREFIX.len() && self.name.starts_with(PREFIX);
        !self.name.is_empty()
            && self.name.len() <= 64
            && self.name.bytes().all(is_word)
            // An insecure cookie of that name is rejected by browsers.
            && is_prefixed == self.is_secure
            && (is_prefixed || !self.name.starts_with("__"))
    }

    /// An origin that is none, as browsers write them.
    pub(crate) fn invalid_origin(&self) -> Option<&str> {
        self.origins.iter().map(|origin| &**origin).find(|origin| authority(origin, true).is_none())
    }

    /// The same cookie for that session, which may be one until the browser is closed.
    pub(crate) fn for_session(&self, session: &SessionRecord) -> Cow<'_, Self> {
        match session.attributes.get(COOKIE_ATTRIBUTE) {
            Some(value) if value == UNTIL_BROWSER_CLOSES => Cow::Owned(self.clone().until_browser_closes()),
            _ => Cow::Borrowed(self),
        }
    }

    /// The session cookie in the `Cookie` headers, of which HTTP/2 may have several.
    pub(crate) fn find<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Values<'a> {
        let pairs = headers.into_iter().flat_map(|header| header.split(|&byte| byte == b';'));
        Values::new(pairs.filter_map(|pair| {
            let pair = pair.trim_ascii();
            pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")
        }))
    }

    /// How long a token may be, in bytes.
    pub(crate) fn max_token_bytes(&self) -> usize {
        MAX_BYTES.saturating_sub(self.name.len())
    }

    /// The header that sets the cookie. `None`: browsers would drop it, since it is longer than 4096 bytes.
    pub(crate) fn set(&self, token: &str, max_age: Option<i64>) -> Option<String> {
        if token.len() > self.max_token_bytes() {
            return None;
        }
        // Browsers cap it at that themselves (RFC 6265bis §5.5).
        const LONGEST: i64 = 400 * 24 * 3600;
        let max_age = max_age.unwrap_or(LONGEST).min(LONGEST);
        let max_age = if self.is_persistent { format!("; Max-Age={max_age}") } else { String::new() };
        Some(format!("{}={token}{max_age}{}", self.name, self.attributes()))
    }

    /// The header that makes the browser forget the cookie.
    pub(crate) fn clear(&self) -> String {
        format!("{}=; Max-Age=0{}", self.name, self.attributes())
    }

    fn attributes(&self) -> &'static str {
        if self.is_secure { "; Path=/; Secure; HttpOnly; SameSite=Lax" } else { "; Path=/; HttpOnly; SameSite=Lax" }
    }

    /// Whether a page of the server's own origin, or of one that is allowed, has sent the request.
    ///
    /// A browser says so in `Sec-Fetch-Site`, where no page can write. Old ones, and all on plain HTTP, send `Origin`
    /// only. Without either there is no proof.
    pub(crate) fn is_same_origin(&self, site: Values<'_>, origin: Values<'_>, host: Values<'_>) -> bool {
        let is_allowed = |origin: &[u8]| self.origins.iter().any(|allowed| allowed.as_bytes() == origin);
        match (site, origin) {
            (Values::One(b"same-origin" | b"none"), _) => true,
            (_, Values::One(origin)) if is_allowed(origin) => true,
            (Values::None, Values::One(origin)) => match (host, std::str::from_utf8(origin)) {
                (Values::One(host), Ok(origin)) => authority(origin, !self.is_secure)
                    .is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host)),
                _ => false,
            },
            _ => false,
        }
    }
}

impl Default for Cookies {
    fn default() -> Self {
        Self::new()
    }
}

/// The attribute of a session that says how long its cookie is kept, if that is not what the handle says. A rotation
/// sets the cookie anew, and has nothing else to go by.
pub(crate) const COOKIE_ATTRIBUTE: &str = "jwt_knox_cookie";

/// Its value for a cookie that goes when the browser is closed.
pub(crate) const UNTIL_BROWSER_CLOSES: &str = "until_browser_closes";

const PREFIX: &str = "__Host-";

/// How long the name and the value of a cookie may be together (RFC 6265bis §5.7).
const MAX_BYTES: usize = 4096;

/// The host and port of an origin, as a `Host` header has them. One of plain HTTP counts only if that is allowed, or if
/// it is this machine: a page that somebody on the way has put in must not speak for the secure one.
fn authority(origin: &str, allow_plain: bool) -> Option<&str> {
    let is_authority = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    };
    let authority = match origin.strip_prefix("https://") {
        Some(authority) => authority,
        None => origin.strip_prefix("http://").filter(|authority| allow_plain || is_this_machine(authority))?,
    };
    is_authority(authority).then_some(authority)
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1" || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(headers: &[&'a str]) -> Result<&'a str, &'static str> {
        match Cookies::new().find(headers.iter().map(|header| header.as_bytes())) {
            Values::None => Err("none"),
            Values::One(value) => Ok(std::str::from_utf8(value).unwrap()),
            Values::Several => Err("several"),
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_by_its_exact_name() {
        assert_eq!(found(&["__Host-session=a.b"]), Ok("a.b"));
        assert_eq!(found(&["a=1;__Host-session=x;b=2"]), Ok("x"));
        assert_eq!(found(&["a=1", "b=2; __Host-session=x"]), Ok("x"));
        assert_eq!(found(&["__Host-session="]), Ok(""));
        for header in [
            "",
            ";;",
            "__Host-session",
            "__host-session=x",
            "x__Host-session=x",
            "a=__Host-session=x",
            "__Host-session =x",
            "session=x",
        ] {
            assert_eq!(found(&[header]), Err("none"), "{header}");
        }
        assert_eq!(found(&["__Host-session=x; __Host-session=x"]), Err("several"));
        assert_eq!(found(&["__Host-session=x", "__Host-session=y"]), Err("several"));
    }

    #[test]
    fn the_attributes_are_those_that_the_prefix_asks_for() {
        let cookies = Cookies::new();
        let set = "__Host-session=a.b; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax";
        assert_eq!(cookies.set("a.b", Some(60)).as_deref(), Some(set));
        assert!(cookies.set("x", None).unwrap().contains("Max-Age=34560000;"));
        assert!(cookies.set("x", Some(i64::MAX)).unwrap().contains("Max-Age=34560000;"));
        assert!(!cookies.clone().until_browser_closes().set("x", Some(1)).unwrap().contains("Max-Age"));
        assert_eq!(cookies.clear(), "__Host-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(Cookies::new().insecure().clear(), "session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
        let longest = 4096 - "__Host-session".len();
        assert!(cookies.set(&"a".repeat(longest), None).is_some());
        assert!(cookies.set(&"a".repeat(longest + 1), None).is_none());
    }

    #[test]
    fn names_and_origins_are_checked() {
        for name in ["__Host-id", "__Host-a.b"] {
            assert!(Cookies::new().name(name).has_valid_name(), "{name}");
        }
        for name in ["session", "__Host-", "__Host-a b", "__Host-a=b", "__Host-a;b", "__Secure-a", "", "__Host-é"] {
            assert!(!Cookies::new().name(name).has_valid_name(), "{name}");
        }
        assert!(Cookies::new().insecure().has_valid_name());
        assert!(!Cookies::new().insecure().name("__Host-a").has_valid_name());
        for origin in ["https://a.example", "https://a.example:8443", "http://localhost:3000", "http://a.example"] {
            assert_eq!(Cookies::new().allow_origin(origin).invalid_origin(), None, "{origin}");
        }
        for origin in [
            "a.example",
            "https://",
            "https://a.example/",
            "null",
            "*",
            "https://*.example",
            "https://a@b",
            "HTTPS://a.example",
        ] {
            assert_eq!(Cookies::new().allow_origin(origin).invalid_origin(), Some(origin));
        }
    }

    #[test]
    fn only_the_own_origin_and_those_that_are_allowed_are_the_same() {
        fn one(value: Option<&str>) -> Values<'_> {
            Values::new(value.map(str::as_bytes))
        }
        let cookies = Cookies::new().allow_origin("https://app.example");
        let check = |site, origin, host| cookies.is_same_origin(one(site), one(origin), one(host));
        let host = Some("api.example");
        for (site, origin) in [
            (Some("same-origin"), None),
            (Some("none"), None),
            (Some("same-origin"), Some("https://api.example")),
            (None, Some("https://api.example")),
            (None, Some("https://app.example")),
            (Some("same-site"), Some("https://app.example")),
        ] {
            assert!(check(site, origin, host), "{site:?} {origin:?}");
        }
        for (site, origin) in [
            (None, None),
            (Some("cross-site"), None),
            (Some("same-site"), None),
            (Some("same-site"), Some("https://api.example")),
            (Some("cross-site"), Some("https://api.example")),
            (Some("cross-site"), Some("https://evil.example")),
            (Some("SAME-ORIGIN"), None),
            (Some(""), Some("https://api.example")),
            (None, Some("null")),
            (None, Some("")),
            (None, Some("http://api.example")),
            (None, Some("https://api.example:8443")),
            (None, Some("https://api.example.evil.example")),
            (None, Some("https://evil.api.example")),
            (None, Some("https://user@api.example")),
            (None, Some("https://APP.example")),
        ] {
            assert!(!check(site, origin, host), "{site:?} {origin:?}");
        }
        assert!(!check(None, Some("https://api.example"), None));
        let two = Values::Several;
        assert!(!cookies.is_same_origin(two, one(Some("https://api.example")), one(host)));
        assert!(!cookies.is_same_origin(Values::None, two, one(host)));
        assert!(!cookies.is_same_origin(Values::None, one(Some("https://api.example")), two));
        for (origin, local) in [
            ("http://localhost:8000", "localhost:8000"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(check(None, Some(origin), Some(local)), "{local}");
        }
        let plain = Cookies::new().insecure();
        let (origin, host) = (one(Some("http://10.0.0.1:8000")), one(Some("10.0.0.1:8000")));
        assert!(plain.is_same_origin(Values::None, origin, host));
        assert!(!cookies.is_same_origin(Values::None, origin, host));
    }
}
