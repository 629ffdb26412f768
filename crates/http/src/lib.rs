#![doc = include_str!("../README.md")]

mod builder;
mod config_error;
mod endpoint;
mod guard;
mod handle;
mod knox_http;
mod login;
mod oauth_client;
#[cfg(feature = "openapi")]
mod openapi;
mod paths;
mod pending_login;
mod protocol;
mod request;
mod response;
mod routes;
mod settings;
mod verifier_http;

pub use builder::KnoxHttpBuilder;
pub use config_error::HttpConfigError;
pub use endpoint::Endpoint;
pub use guard::requirement::Requirement;
pub use guard::scope::Scope;
pub use guard::{Guard, Passive, Recent, Scoped};
pub use handle::Handle;
pub use knox_http::KnoxHttp;
pub use login::passwords::Passwords;
pub use login::{Login, LoginError, login_fn};
pub use oauth_client::{OAuthClient, OAuthClientError, OAuthClientSecret};
pub use pending_login::PendingLogin;
pub use request::cookies::Cookies;
pub use request::login_credentials::{Credentials, MemberError};
pub use request::slot::AuthSlot;
pub use request::{Body, Request};
pub use response::Response;
pub use response::problem::ProblemCode;
pub use response::rejection::HttpRejection;
/// The crate that OpenAPI documents are of, in the version that [`KnoxHttp::openapi`] answers. With the feature
/// `openapi`.
#[cfg(feature = "openapi")]
pub use utoipa;
pub use verifier_http::{VerifierHttp, VerifierHttpBuilder};
