//! Putting a [`KnoxHttp`] together.

use std::{borrow::Cow, sync::Arc, time::Duration};

use jwt_knox::{Issued, Knox, is_scope};
use serde::Serialize;

use crate::{
    config_error::HttpConfigError,
    endpoint::Endpoint,
    knox_http::{Inner, KnoxHttp},
    login::Login,
    oauth_client::{OAuthClient, OAuthClients},
    paths::Paths,
    protocol::Protocol,
    request::cookies::Cookies,
    response::rejection::HttpRejection,
    settings::{Settings, TokenResponse},
};

/// The settings of a [`KnoxHttp`]. [`KnoxHttp::builder`] starts one; none is required.
#[must_use]
pub struct KnoxHttpBuilder {
    knox: Knox,
    login_time_limit: Duration,
    protocol: Protocol,
    settings: Settings,
}

impl KnoxHttp {
    /// Starts a handle on top of `knox`.
    pub fn builder(knox: Knox) -> KnoxHttpBuilder {
        KnoxHttpBuilder {
            knox,
            login_time_limit: Duration::from_secs(10),
            protocol: Protocol::new(),
            settings: Settings {
                login: None,
                token_response: TokenResponse::Standard,
                paths: Paths::default(),
                debug_verify: false,
                forward_auth: false,
                session_scope: "sessions".into(),
                jwks_max_age: Duration::from_secs(300),
                clients: None,
                #[cfg(feature = "openapi")]
                openapi_prefix: None,
            },
        }
    }
}

impl KnoxHttpBuilder {
    /// How users log in at `/get_token` and, with cookies on, at `/login`. Default: both routes are off.
    pub fn login(mut self, login: impl Login) -> Self {
        self.settings.login = Some(Arc::new(login));
        self
    }

    /// How long a [`Login`] may take. One that takes longer is a 503. Default: 10 seconds. It does not cover what a
    /// handler does with a [`PendingLogin`](crate::PendingLogin).
    pub fn login_time_limit(mut self, limit: Duration) -> Self {
        self.login_time_limit = limit;
        self
    }

    /// The word in front of the token in the `Authorization` header, and the `token_type` of the answer to a login. It
    /// is read without regard to case. Default: `Bearer`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.protocol.set_scheme(scheme.into());
        self
    }

    /// The header that carries a token, or the user name and password of a login by HTTP Basic, in place of
    /// `Authorization`: for a site behind a proxy that has a login of its own there. A browser does not offer its login
    /// dialog then, since it could not answer in that header.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.protocol.set_header(name.into());
        self
    }

    /// Lets browsers keep their session in a cookie, which no script can read. Default: off.
    ///
    /// The cookie counts where there is no `Authorization` header. A request with it that changes something, or that
    /// opens a WebSocket, is rejected unless a page of the same origin has sent it (403 `cross_origin`). `/login` sets
    /// it, and `/rotate`, `/logout`, `/logout_all` and `DELETE /sessions/{id}` change it. No challenge offers HTTP
    /// Basic then. Clients that send a token in the header notice nothing.
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
        self.protocol.cookies = Some(cookies);
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
    ///     .path(Endpoint::Sessions, "/devices")
    ///     .path(Endpoint::Session, "/devices/{id}")
    ///     .build()?;
    /// assert_eq!(http.path(Endpoint::Sessions), "/devices");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(mut self, endpoint: Endpoint, path: impl Into<Cow<'static, str>>) -> Self {
        self.settings.paths.set(endpoint, path.into());
        self
    }

    /// The realm that a challenge names. Default: `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.protocol.set_realm(realm.into());
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
        self.settings.token_response =
            TokenResponse::Own(Box::new(move |issued| serde_json::to_string(&response(issued))));
        self
    }

    /// Answers a login with the body that clients of drf-jwt-knox read: `{"token":"Bearer …"}`, with the scheme of this
    /// handle.
    pub fn drf_jwt_knox_response(mut self) -> Self {
        self.settings.token_response = TokenResponse::DrfJwtKnox;
        self
    }

    /// Answers every rejection and failure with another body: whatever `problem` makes of it, as `application/json`.
    /// Status and the other headers stay. This holds for the guards and the built-in routes, and for errors that go
    /// through [`KnoxHttp::reject`].
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
        self.protocol.set_problem(problem);
        self
    }

    /// How long others may keep the answer of `/.well-known/jwks.json`, in whole seconds, at most a day. A key that is
    /// staged has to wait for as long before it is promoted, and for 30 seconds at least, the default
    /// [cooldown](jwt_knox::RemoteKeySetBuilder::cooldown) of a verifier. Default: 5 minutes.
    pub fn jwks_max_age(mut self, max_age: Duration) -> Self {
        self.settings.jwks_max_age = max_age;
        self
    }

    /// Switches `/debug_verify` on, which shows a client the claims and the record of its token. Default: off.
    pub fn debug_verify(mut self, on: bool) -> Self {
        self.settings.debug_verify = on;
        self
    }

    /// Switches `/forward_auth` on, where a reverse proxy asks who sends a request before it passes it on:
    /// `auth_request` of nginx, `forward_auth` of Caddy, `forwardAuth` of Traefik, `ext_authz` of Envoy. Default: off.
    ///
    /// A check counts as a use of the session. The answer is 200 with the headers `X-Auth-Subject` (percent-encoded but
    /// for letters, digits and `-._~@:`), `X-Auth-Session` and `X-Auth-Scope` (empty if the token has none); or what a
    /// guard answers. The proxy may ask for scopes in the query, as in `/forward_auth?scope=admin`. It has to drop
    /// these headers from what clients send, and with [cookies](Self::cookies) on it has to name the method of the
    /// client's request in `X-Forwarded-Method` or `X-Original-Method`: without one, the request is taken for one that
    /// changes something.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{Endpoint, KnoxHttp};
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox).forward_auth(true).build()?;
    /// assert!(http.endpoints().any(|endpoint| endpoint == Endpoint::ForwardAuth));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward_auth(mut self, on: bool) -> Self {
        self.settings.forward_auth = on;
        self
    }

    /// The scope that a token with scopes needs at the routes that list, end and rotate sessions. A token without
    /// scopes needs none. Default: `sessions`.
    pub fn session_scope(mut self, scope: impl Into<Cow<'static, str>>) -> Self {
        self.settings.session_scope = scope.into();
        self
    }

    /// Switches `/introspect` ([RFC 7662]) and `/revoke` ([RFC 7009]) on, for the services that are named here: there
    /// they ask whether a token is active, and end its session. Default: off. [`without`](Self::without) leaves one of
    /// them out.
    ///
    /// A client may be there twice, with two secrets, while it changes from one to the other. A token of this server
    /// with the scope `introspect` opens `/introspect` too, so there need not be any client.
    ///
    /// An answer of `/introspect` that a token is active counts as a use of its session, as at `/verify`: a service
    /// asks because the user's client has sent it a request.
    ///
    /// [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
    /// [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{OAuthClient, KnoxHttp};
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// // From the settings: `OAuthClientSecret::generate` makes a secret and its hash.
    /// let hash = "sha256:c0baa32bc5be11d14c5ab01c5b8bbc9f0e0f5ccdc33f1e4dff4ca1e1e2a1eaf9";
    /// let http = KnoxHttp::builder(knox).oauth_clients([OAuthClient::new("orders", hash)?]).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oauth_clients(mut self, clients: impl IntoIterator<Item = OAuthClient>) -> Self {
        self.settings.clients = Some(OAuthClients::new(clients));
        self
    }

    /// Puts a word in front of all names in the OpenAPI documents of this handle, so that those of another one can be
    /// in the same document: with `staff`, the operation `getToken` is `staffGetToken`, the schema `KnoxToken` is
    /// `StaffKnoxToken`, the security scheme `knoxToken` is `staffKnoxToken`, and the tag `jwt-knox` is
    /// `staff-jwt-knox`. Default: none.
    ///
    /// A prefix is made of ASCII letters and digits, and begins with a lower-case letter. It needs the feature
    /// `openapi`.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::{
    ///     KnoxHttp,
    ///     utoipa::openapi::{Info, OpenApi, Paths},
    /// };
    ///
    /// # let knox = |key: &str| Knox::builder(SigningKey::hs256(key).unwrap()).store(MemoryStore::new()).build();
    /// # let customers = knox("an example key, 32 bytes or more!")?;
    /// # let staff = knox("another example key, 32 bytes or more!")?;
    /// let customers = KnoxHttp::builder(customers).build()?;
    /// let staff = KnoxHttp::builder(staff).openapi_prefix("staff").build()?;
    /// let document = OpenApi::new(Info::new("Orders", "1.0.0"), Paths::new())
    ///     .nest("/shop", customers.openapi())
    ///     .nest("/office", staff.openapi());
    /// let schemes = document.components.unwrap_or_default().security_schemes;
    /// assert!(schemes.contains_key("knoxToken") && schemes.contains_key("staffKnoxToken"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "openapi")]
    pub fn openapi_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.settings.openapi_prefix = Some(prefix.into());
        self
    }

    /// Makes the handle.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`] says which setting is wrong.
    pub fn build(self) -> Result<KnoxHttp, HttpConfigError> {
        self.protocol.check()?;
        if !is_scope(&self.settings.session_scope) {
            return Err(HttpConfigError::SessionScope);
        }
        if self.settings.jwks_max_age > Duration::from_secs(24 * 3600) {
            return Err(HttpConfigError::JwksMaxAge);
        }
        #[cfg(feature = "openapi")]
        if !self.settings.openapi_prefix.as_deref().is_none_or(is_openapi_prefix) {
            return Err(HttpConfigError::OpenApiPrefix);
        }
        let paths = &self.settings.paths;
        let mounted = Endpoint::ALL.iter().copied().filter(|endpoint| !paths.is_left_out(*endpoint));
        paths.check(mounted)?;
        let login_limit = self.knox.time_limit().clone().with_limit(self.login_time_limit);
        Ok(KnoxHttp::new(Inner {
            knox: self.knox,
            protocol: self.protocol,
            login_limit: login_limit.map_err(|_| HttpConfigError::LoginTimeLimit)?,
            settings: self.settings,
        }))
    }
}

/// Whether it can begin the names of functions and of components (OpenAPI 3.1 §4.8.7.1).
#[cfg(feature = "openapi")]
fn is_openapi_prefix(prefix: &str) -> bool {
    prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl std::fmt::Debug for KnoxHttpBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnoxHttpBuilder")
            .field("knox", &self.knox)
            .field("challenge", &self.protocol.challenge)
            .finish_non_exhaustive()
    }
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
        let moved = |endpoint, path: &'static str| builder().path(endpoint, path).build().map(|_| ()).err();
        assert_eq!(moved(Endpoint::Verify, "/check"), None);
        for (endpoint, path) in [(Endpoint::Session, "/devices"), (Endpoint::Verify, "/a b")] {
            assert!(matches!(moved(endpoint, path), Some(HttpConfigError::Path { .. })), "{path}");
        }
        for (endpoint, path, other) in [
            (Endpoint::Verify, "/logout", "Logout"),
            (Endpoint::Rotate, "/verify", "Verify"),
            (Endpoint::Verify, "/sessions/all", "Session"),
        ] {
            let error = moved(endpoint, path).expect("the path is shared");
            assert!(matches!(error, HttpConfigError::SharedPath { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(&format!("{endpoint:?}")) && message.contains(other), "{message}");
        }
        assert!(builder().without(Endpoint::Logout).path(Endpoint::Verify, "/logout").build().is_ok());
        for realm in ["a\"b", "a\\", "a\r\nSet-Cookie: x", "é"] {
            assert_eq!(builder().realm(realm).build().err(), Some(HttpConfigError::Realm), "{realm:?}");
        }
        #[cfg(feature = "openapi")]
        for prefix in ["", "Staff", "2fa", "my staff", "staff-", "büro"] {
            let error = builder().openapi_prefix(prefix).build().err();
            assert_eq!(error, Some(HttpConfigError::OpenApiPrefix), "{prefix:?}");
        }
        let too_long = Duration::from_secs(24 * 3600 + 1);
        assert_eq!(builder().jwks_max_age(too_long).build().err(), Some(HttpConfigError::JwksMaxAge));
        let none = builder().login_time_limit(Duration::ZERO).build();
        assert_eq!(none.err(), Some(HttpConfigError::LoginTimeLimit));
    }
}
