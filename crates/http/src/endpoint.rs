//! The routes of the contract.

/// One of the built-in routes. Which of them are on is told by [`KnoxHttp::endpoints`](crate::KnoxHttp::endpoints).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST /get_token`: logs in.
    GetToken,
    /// `POST /login`: logs a browser in, with a cookie. Off unless cookies are on.
    Login,
    /// `GET`, `HEAD` or `POST /verify`: says whether the token is valid.
    Verify,
    /// `POST /logout`: revokes this session.
    Logout,
    /// `POST /logout_other`: revokes the subject's other sessions.
    LogoutOther,
    /// `POST /logout_all`: revokes all sessions of the subject.
    LogoutAll,
    /// `POST /rotate`: gives this session a new token; the old one stays valid for the rotation grace.
    Rotate,
    /// `GET /debug_verify`: shows claims and record of the token. Off unless switched on.
    DebugVerify,
    /// `/forward_auth`, with any method: tells a reverse proxy who sends a request. Off unless switched on.
    ForwardAuth,
    /// `GET /sessions`: lists the subject's sessions.
    Sessions,
    /// `DELETE /sessions/{id}`: revokes one of them. `PATCH /sessions/{id}`: gives it another label.
    Session,
    /// `GET /.well-known/jwks.json`: the public keys, for everybody. Mounted separately, at the root of the site.
    Jwks,
    /// `POST /introspect`: tells a service whether a token is active (RFC 7662). Off unless there are
    /// [clients](crate::KnoxHttpBuilder::oauth_clients).
    Introspect,
    /// `POST /revoke`: ends the session of a token for a service (RFC 7009). Off unless there are
    /// [clients](crate::KnoxHttpBuilder::oauth_clients).
    Revoke,
}

impl Endpoint {
    /// All routes, whether on or off.
    pub const ALL: &'static [Self] = &[
        Self::GetToken,
        Self::Login,
        Self::Verify,
        Self::Logout,
        Self::LogoutOther,
        Self::LogoutAll,
        Self::Rotate,
        Self::DebugVerify,
        Self::ForwardAuth,
        Self::Sessions,
        Self::Session,
        Self::Jwks,
        Self::Introspect,
        Self::Revoke,
    ];

    /// The path, from where the routes are mounted. A `{id}` in it stands for one segment.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::GetToken => "/get_token",
            Self::Login => "/login",
            Self::Verify => "/verify",
            Self::Logout => "/logout",
            Self::LogoutOther => "/logout_other",
            Self::LogoutAll => "/logout_all",
            Self::Rotate => "/rotate",
            Self::DebugVerify => "/debug_verify",
            Self::ForwardAuth => "/forward_auth",
            Self::Sessions => "/sessions",
            Self::Session => "/sessions/{id}",
            Self::Jwks => "/.well-known/jwks.json",
            Self::Introspect => "/introspect",
            Self::Revoke => "/revoke",
        }
    }

    /// Whether a token with scopes needs the session scope here: all routes that show or change sessions, but for the
    /// one that ends its own.
    pub(crate) fn is_about_sessions(self) -> bool {
        match self {
            Self::GetToken
            | Self::Login
            | Self::Verify
            | Self::Logout
            | Self::ForwardAuth
            | Self::Jwks
            | Self::Introspect
            | Self::Revoke => false,
            Self::LogoutOther | Self::LogoutAll | Self::Rotate | Self::DebugVerify | Self::Sessions | Self::Session => {
                true
            }
        }
    }

    /// The methods that are answered, as in the header `Allow`; `None` if all are.
    pub(crate) fn allow(self) -> Option<&'static str> {
        Some(match self {
            Self::ForwardAuth => return None,
            Self::Verify => "GET, HEAD, POST",
            Self::DebugVerify | Self::Sessions | Self::Jwks => "GET, HEAD",
            Self::GetToken
            | Self::Login
            | Self::Logout
            | Self::LogoutOther
            | Self::LogoutAll
            | Self::Rotate
            | Self::Introspect
            | Self::Revoke => "POST",
            Self::Session => "DELETE, PATCH",
        })
    }

    pub(crate) fn allows(self, method: &str) -> bool {
        self.allow().is_none_or(|allow| allow.split(", ").any(|allowed| allowed == method))
    }
}
