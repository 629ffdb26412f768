//! Putting a [`KnoxHttp`] together.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jwt_knox::{Issued, Knox, is_scope};
use serde::Serialize;

use crate::{
    challenge::{AUTHORIZATION, Challenge},
    cookies::Cookies,
    endpoint::Endpoint,
    knox_http::{Inner, KnoxHttp},
    login::Login,
    paths::Paths,
    rejection::HttpRejection,
    settings::Settings,
};

/// The number of the next handle.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The settings of a [`KnoxHttp`]. [`KnoxHttp::builder`] starts one; none is required.
#[must_use]
pub struct KnoxHttpBuilder {
    knox: Knox,
    login_time_limit: Duration,
    settings: Settings,
}

impl KnoxHttp {
    /// Starts a handle on top of `knox`.
    pub fn builder(knox: Knox) -> KnoxHttpBuilder {
        KnoxHttpBuilder {
            knox,
            login_time_limit: Duration::from_secs(10),
            settings: Settings {
                challenge: Challenge::default(),
                login: None,
                token_response: None,
                problem: None,
                header: AUTHORIZATION.to_ascii_lowercase(),
                paths: Paths::default(),
                cookies: None,
                debug_verify: false,
                session_scope: "sessions".into(),
                jwks_max_age: Duration::from_secs(300),
            },
        }
    }
}

impl KnoxHttpBuilder {
    /// How users log in at `/get_token`. Default: that route is off.
    pub fn login(mut self, login: impl Login) -> Self {
        self.settings.login = Some(Arc::new(login));
        self
    }

    /// How long a [`Login`] may take. One that takes longer is a 503. Default: 10 seconds.
    pub fn login_time_limit(mut self, limit: Duration) -> Self {
        self.login_time_limit = limit;
        self
    }

    /// The word in front of the token in the `Authorization` header, and the `token_type` of the answer to a login. It
    /// is read without regard to case. Default: `Bearer`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.settings.challenge.scheme = scheme.into().into();
        self
    }

    /// The header that carries a token, or the user name and password of a login by HTTP Basic, in place of
    /// `Authorization`: for a site behind a proxy that has a login of its own there. A browser does not offer its login
    /// dialog then, since it could not answer in that header.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.settings.header = name.to_ascii_lowercase();
        self.settings.challenge.header = name.into();
        self
    }

    /// Lets browsers keep their session in a cookie, which no script can read. Default: off.
    ///
    /// The cookie counts where there is no `Authorization` header. A request with it that changes something, or that opens
    /// a WebSocket, is rejected unless a page of the same origin has sent it (403 `cross_origin`). `/login` sets it, and
    /// `/rotate`, `/logout`, `/logout_all` and `DELETE /sessions/{id}` change it. No challenge offers HTTP Basic then.
    /// Clients that send a token in the header notice nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{Cookies, KnoxHttp};
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox).cookies(Cookies::new()).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.settings.cookies = Some(cookies);
        self
    }

    /// Leaves a built-in route out, so that the application can have one of its own there. That of the public keys is
    /// mounted separately, so it is not concerned.
    pub fn without(mut self, endpoint: Endpoint) -> Self {
        self.settings.paths.leave_out(endpoint);
        self
    }

    /// Moves a built-in route to another path: plain segments, with `/{id}` at the end for [`Endpoint::Session`] and no
    /// other.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{Endpoint, KnoxHttp};
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox)
    ///     .without(Endpoint::LogoutAll)
    ///     .route(Endpoint::Sessions, "/devices")
    ///     .route(Endpoint::Session, "/devices/{id}")
    ///     .build()?;
    /// assert_eq!(http.path(Endpoint::Sessions), "/devices");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn route(mut self, endpoint: Endpoint, path: impl Into<Cow<'static, str>>) -> Self {
        self.settings.paths.set(endpoint, path.into());
        self
    }

    /// The realm that a challenge names. Default: `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.settings.challenge.realm = realm.into().into();
        self
    }

    /// Answers a login with another body: whatever `response` makes of the token, as JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::KnoxHttp;
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox)
    ///     .token_response(|issued| serde_json::json!({"jwt": issued.token.expose(), "id": issued.session.id.as_str()}))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_response<T: Serialize>(mut self, response: impl Fn(&Issued) -> T + Send + Sync + 'static) -> Self {
        self.settings.token_response = Some(Box::new(move |issued, _| serde_json::to_string(&response(issued))));
        self
    }

    /// Answers a login with the body that clients of drf-jwt-knox read: `{"token":"Bearer …"}`, with the scheme of this
    /// handle.
    pub fn drf_jwt_knox_response(mut self) -> Self {
        self.settings.token_response = Some(Box::new(|issued, scheme| {
            let token = format!("{scheme} {}", issued.token.expose());
            serde_json::to_string(&BTreeMap::from([("token", token)]))
        }));
        self
    }

    /// Answers every rejection and failure with another body: whatever `problem` makes of it, as JSON. Status and headers
    /// stay. This holds for the guards and the built-in routes, and for errors that go through [`KnoxHttp::reject`].
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::KnoxHttp;
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox)
    ///     .problem(|problem| serde_json::json!({"error": {"code": problem.code(), "message": problem.detail()}}))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn problem<T: Serialize>(mut self, problem: impl Fn(&HttpRejection) -> T + Send + Sync + 'static) -> Self {
        self.settings.problem = Some(Arc::new(move |rejection| serde_json::to_string(&problem(rejection))));
        self
    }

    /// How long others may keep the answer of `/.well-known/jwks.json`, in whole seconds, at most a day. A key that is
    /// staged has to wait for as long before it is promoted. Default: 5 minutes.
    pub fn jwks_max_age(mut self, max_age: Duration) -> Self {
        self.settings.jwks_max_age = max_age;
        self
    }

    /// Switches `/debug_verify` on, which shows a client the claims and the record of its token. Default: off.
    pub fn debug_verify(mut self, on: bool) -> Self {
        self.settings.debug_verify = on;
        self
    }

    /// The scope that a token with scopes needs at the routes that list, end and rotate sessions. A token without scopes
    /// needs none. Default: `sessions`.
    pub fn session_scope(mut self, scope: impl Into<Cow<'static, str>>) -> Self {
        self.settings.session_scope = scope.into();
        self
    }

    /// Makes the handle.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`] says which setting is wrong.
    pub fn build(self) -> Result<KnoxHttp, HttpConfigError> {
        let Challenge { scheme, realm, header } = &self.settings.challenge;
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
        if !is_scope(&self.settings.session_scope) {
            return Err(HttpConfigError::SessionScope);
        }
        if self.settings.jwks_max_age > Duration::from_secs(24 * 3600) {
            return Err(HttpConfigError::JwksMaxAge);
        }
        if let Some(cookies) = &self.settings.cookies {
            if !cookies.has_valid_name() {
                return Err(HttpConfigError::CookieName);
            }
            if let Some(origin) = cookies.invalid_origin() {
                return Err(HttpConfigError::Origin { origin: origin.to_owned() });
            }
        }
        let paths = &self.settings.paths;
        let mounted = Endpoint::ALL.iter().copied().filter(|endpoint| !paths.is_left_out(*endpoint));
        if let Some((endpoint, path)) = paths.problem(mounted) {
            return Err(HttpConfigError::Path { endpoint, path: path.to_owned() });
        }
        let login_limit = self.knox.time_limit().clone().with_limit(self.login_time_limit);
        Ok(KnoxHttp::new(Inner {
            knox: self.knox,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            login_limit: login_limit.map_err(|_| HttpConfigError::LoginTimeLimit)?,
            settings: self.settings,
        }))
    }
}

impl std::fmt::Debug for KnoxHttpBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnoxHttpBuilder")
            .field("knox", &self.knox)
            .field("challenge", &self.settings.challenge)
            .finish_non_exhaustive()
    }
}

/// Why [`KnoxHttpBuilder::build`] rejects a setting.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// The scheme is not a token of RFC 9110 §5.6.2, or is `Basic`, which logins use.
    #[error("a scheme is one word of letters, digits and !#$%&'*+-.^_`|~, and not `Basic`, which logins use")]
    Scheme,
    /// The header's name is not a token of RFC 9110 §5.6.2, or is one that the contract reads for something else.
    #[error("`header` must be the name of a header that is free, such as `X-Auth-Token`")]
    Header,
    /// The name of the cookie is none, or does not fit its prefix.
    #[error("a cookie's name is one word, with `__Host-` in front unless the cookie is insecure")]
    CookieName,
    /// An allowed origin is not an origin.
    #[error("`{origin}` is not an origin, such as `https://app.example.com`")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The path of a route is not made of plain segments, or is that of another route.
    #[error(
        "the path `{path}` of {endpoint:?} must be plain segments, with `/{{id}}` at the end for `Session` only, and no \
         other route's"
    )]
    Path {
        /// The route.
        endpoint: Endpoint,
        /// Its path.
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
    /// A login that may take no time at all.
    #[error("`login_time_limit` must be longer than 0")]
    LoginTimeLimit,
}

impl std::fmt::Debug for HttpConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What `main() -> Result<…>` prints.
        std::fmt::Display::fmt(self, f)
    }
}

/// What the contract, or HTTP itself, reads for something else.
const OTHER_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "sec-fetch-site",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use jwt_knox::{MemoryStore, SigningKey};

    use super::*;

    #[test]
    fn bad_settings_are_rejected_when_it_is_built() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let builder = || KnoxHttp::builder(knox.clone());
        assert!(builder().scheme("Token").realm("my api").build().is_ok());
        for scheme in ["", "Bearer ", "a b", "basic", "é", "a\"", "a\n"] {
            assert_eq!(builder().scheme(scheme).build().err(), Some(HttpConfigError::Scheme), "{scheme:?}");
        }
        assert!(builder().header("X-Auth-Token").build().is_ok());
        for header in ["", "a b", "Cookie", "a:", "é", "host"] {
            assert_eq!(builder().header(header).build().err(), Some(HttpConfigError::Header), "{header:?}");
        }
        let moved = |endpoint, path: &'static str| builder().route(endpoint, path).build().map(|_| ()).err();
        assert_eq!(moved(Endpoint::Verify, "/check"), None);
        for (endpoint, path) in
            [(Endpoint::Verify, "/logout"), (Endpoint::Session, "/devices"), (Endpoint::Verify, "/sessions/all")]
        {
            assert!(matches!(moved(endpoint, path), Some(HttpConfigError::Path { .. })), "{path}");
        }
        assert!(builder().without(Endpoint::Logout).route(Endpoint::Verify, "/logout").build().is_ok());
        for realm in ["a\"b", "a\\", "a\r\nSet-Cookie: x", "é"] {
            assert_eq!(builder().realm(realm).build().err(), Some(HttpConfigError::Realm), "{realm:?}");
        }
        let too_long = Duration::from_secs(24 * 3600 + 1);
        assert_eq!(builder().jwks_max_age(too_long).build().err(), Some(HttpConfigError::JwksMaxAge));
        let none = builder().login_time_limit(Duration::ZERO).build();
        assert_eq!(none.err(), Some(HttpConfigError::LoginTimeLimit));
    }
}
