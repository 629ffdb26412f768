#![doc = include_str!("../README.md")]

mod auth;

mod rejection;
mod require_auth;
mod routes;
mod translate;

pub use auth::{KnoxAuth, MaybeAuth, ScopedAuth};
pub use rejection::KnoxRejection;
pub use require_auth::{RequireAuth, RequireAuthService};
pub use routes::{jwks_route, routes};

pub use jwt_knox_http::{Credentials, HttpConfigError, KnoxHttp, KnoxHttpBuilder, Login, LoginError, Scope};
