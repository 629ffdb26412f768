#![doc = include_str!("../README.md")]

mod body;
mod builder;
mod credentials;
mod endpoint;
mod endpoints;
mod knox_http;
mod login;
mod refusal;
mod request;
mod requirement;
mod response;
mod scope;

pub use builder::{HttpConfigError, KnoxHttpBuilder};
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use knox_http::{KnoxHttp, Verification};
pub use login::{Login, LoginError};
pub use refusal::Refusal;
pub use request::{Body, Request};
pub use requirement::Requirement;
pub use response::Response;
pub use scope::Scope;
