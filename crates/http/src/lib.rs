#![doc = include_str!("../README.md")]

mod answers;
mod authorization;
mod builder;
mod challenge;
mod cookies;
mod credentials;
mod endpoint;
mod guard;
mod knox_http;
mod log_in;
mod login;
mod paths;
mod problem;
mod rejection;
mod request;
mod requirement;
mod respond;
mod response;
mod scope;
mod settings;
mod slot;

pub use builder::{HttpConfigError, KnoxHttpBuilder};
pub use cookies::Cookies;
pub use credentials::{Credentials, MemberError};
pub use endpoint::Endpoint;
pub use guard::{Guard, Passive, Recent, Scoped};
pub use knox_http::KnoxHttp;
pub use log_in::PendingLogin;
pub use login::{Login, LoginError, login_fn};
pub use problem::ProblemCode;
pub use rejection::HttpRejection;
pub use request::{Body, Request};
pub use requirement::Requirement;
pub use response::Response;
pub use scope::Scope;
pub use slot::AuthSlot;
