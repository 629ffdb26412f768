#![doc = include_str!("../README.md")]

mod answers;
mod authorization;
mod builder;
mod challenge;
mod credentials;
mod endpoint;
mod knox_http;
mod login;
mod refusal;
mod request;
mod requirement;
mod respond;
mod response;
mod scope;
mod verification;

pub use builder::{HttpConfigError, KnoxHttpBuilder};
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use knox_http::KnoxHttp;
pub use login::{Login, LoginError};
pub use refusal::Refusal;
pub use request::{Body, Request};
pub use requirement::Requirement;
pub use response::Response;
pub use scope::Scope;
pub use verification::Verification;
