#![doc = include_str!("../README.md")]

mod auth;
mod layer;
mod rejection;
mod routes;
mod translate;

pub use auth::{KnoxAuth, ScopedAuth};
pub use layer::{RequireAuth, RequireAuthService};
pub use rejection::KnoxRejection;
pub use routes::{jwks_route, routes};

pub use jwt_knox_http::{Credentials, HttpConfigError, KnoxHttp, KnoxHttpBuilder, Login, LoginError, Scope};
