#![doc = include_str!("../README.md")]

mod answers;
mod authorization;
mod body;
mod builder;
mod challenge;
mod client;
mod config_error;
mod cookies;
mod credentials;
mod endpoint;
mod form_body;
mod forward_auth;
mod guard;
mod handle;
mod introspection;
mod json_body;
mod knox_http;
mod log_in;
mod login;
#[cfg(feature = "openapi")]
mod openapi;
mod passwords;
mod paths;
mod problem;
mod protocol;
mod rejection;
mod request;
mod requirement;
mod respond;
mod response;
mod scope;
mod settings;
mod slot;
mod verifier_http;

pub use builder::KnoxHttpBuilder;
pub use client::{Client, ClientError, ClientSecret};
pub use config_error::HttpConfigError;
pub use cookies::Cookies;
pub use credentials::{Credentials, MemberError};
pub use endpoint::Endpoint;
pub use guard::{Guard, Passive, Recent, Scoped};
pub use handle::Handle;
pub use knox_http::KnoxHttp;
pub use log_in::PendingLogin;
pub use login::{Login, LoginError, login_fn};
pub use passwords::Passwords;
pub use problem::ProblemCode;
pub use rejection::HttpRejection;
pub use request::{Body, Request};
pub use requirement::Requirement;
pub use response::Response;
pub use scope::Scope;
pub use slot::AuthSlot;
/// The crate that OpenAPI documents are of, in the version that [`KnoxHttp::openapi`] answers. With the feature `openapi`.
#[cfg(feature = "openapi")]
pub use utoipa;
pub use verifier_http::{VerifierHttp, VerifierHttpBuilder};
