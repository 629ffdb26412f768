#![doc = include_str!("../README.md")]

mod auth;
mod login;
mod rejection;
mod require_auth;
mod routes;
mod task;
mod token;
mod translate;

pub use auth::{GuardedAuth, KnoxAuth, KnoxClaims, MaybeAuth, PassiveAuth, RecentAuth, ScopedAuth};
pub use login::{KnoxLogin, KnoxResponse};
pub use rejection::KnoxRejection;
pub use require_auth::{Require, RequireAuth, RequireService, RequireToken};
pub use routes::{jwks_route, routes};
pub use token::{GuardedToken, MaybeToken, ScopedToken, TokenClaims, VerifiedToken};

/// The core, so that an application needs no other dependency.
pub use jwt_knox;
/// The HTTP contract.
pub use jwt_knox_http as http;
pub use jwt_knox_http::{
    Cookies, Credentials, Endpoint, HttpConfigError, HttpRejection, KnoxHttp, KnoxHttpBuilder, Login, LoginError,
    OAuthClient, OAuthClientError, OAuthClientSecret, Passwords, PendingLogin, ProblemCode, Scope, VerifierHttp,
    VerifierHttpBuilder, login_fn, scopes,
};
