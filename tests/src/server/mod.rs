//! The same small application on each framework, on a real socket.

mod on_actix;
mod on_axum;
mod on_hyper;
mod on_rocket;

use std::{net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::body::Bytes;
use jwt_knox_http::{KnoxHttp, LoginError, PendingLogin, scopes};

use crate::document;

scopes! {
    /// A scope that some routes need.
    pub Admin = "admin";
}

/// What `/role` reads out of a token.
#[derive(Debug, serde::Deserialize)]
pub struct Role {
    pub(crate) role: String,
}

/// The scope that `/project` needs, which no type names.
pub(crate) fn project_scope() -> String {
    format!("project:{}:write", 7)
}

/// How old a login may be for `/recent`.
const RECENT: Duration = Duration::from_secs(300);

/// What a server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// `jwt-knox-axum`.
    Axum,
    /// `jwt-knox-actix`.
    Actix,
    /// `jwt-knox-rocket`.
    Rocket,
    /// The adapter for plain hyper of `examples/adapter-hyper`.
    Hyper,
}

impl Framework {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Axum, Self::Actix, Self::Rocket, Self::Hyper];
}

/// A server that runs until the process ends.
///
/// Besides the built-in routes it has, on every framework:
///
/// | path | what it does |
/// |---|---|
/// | `/me`; `/change`, for POST | needs a token |
/// | `/maybe` | takes one |
/// | `/admin` | needs the scope `admin` |
/// | `/thrice` | asks three times |
/// | `/recent` | needs a login of the last 300 seconds |
/// | `/poll` | does not count as a use |
/// | `/guarded/hello`, `/guarded_me` | behind [`RequireAuth`] |
/// | `/guarded_admin/hello`, `/guarded_recent/hello`, `/guarded_poll/hello` | behind one that asks for the same as above |
/// | `/role`, `/project` | a claim; a scope known at run time only: with a `?` on errors of the core |
/// | `/own_login` | logs the user in whom the header `x-user` names, and does what `x-end` and `x-next` say |
/// | `/again`, `/leave` | one more session; revokes all of them |
/// | `/swallow` | on Actix Web and Rocket: takes the framework's own `Option<KnoxAuth>` |
/// | `/.well-known/jwks.json` | the public keys |
///
/// [`RequireAuth`]: jwt_knox_axum::RequireAuth
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the application on a port that is free.
    pub fn start(framework: Framework, knox: KnoxHttp) -> Self {
        let documented = knox.clone();
        let address = match framework {
            Framework::Axum => on_axum::start(knox),
            Framework::Actix => on_actix::start(knox),
            Framework::Rocket => on_rocket::start(knox),
            Framework::Hyper => on_hyper::start(knox),
        };
        document::register(address, &documented);
        Self { address }
    }
}

/// What `/me` and the like answer.
fn greeting(auth: &jwt_knox::Authenticated) -> String {
    format!("{} {}", auth.subject(), auth.session_id())
}

/// What `/maybe` answers.
fn maybe_greeting(auth: Option<&jwt_knox::Authenticated>) -> String {
    auth.map_or_else(|| "nobody".to_owned(), greeting)
}

/// The session that `/own_login` shall begin.
fn own_session(user: Option<&str>) -> Result<jwt_knox::NewSession, jwt_knox::SubjectError> {
    Ok(jwt_knox::NewSession::new(jwt_knox::Subject::new(user.unwrap_or_default())?))
}

/// Who `/own_login` does not know.
fn own_check(user: Option<&str>) -> Result<(), LoginError> {
    if user == Some("nobody") { Err(LoginError::InvalidCredentials) } else { Ok(()) }
}

/// `/own_login` as the headers `x-end` and `x-next` want it.
fn own_login_of(login: PendingLogin, end: Option<&str>, next: Option<&str>) -> PendingLogin {
    let login = login.end_session(own_end(end));
    match next {
        Some("body") => login.without_cookie(),
        Some("closing") => login.until_browser_closes(),
        Some(next) => login.redirect_to(next.to_owned()),
        None => login,
    }
}

/// The session that `/own_login` may end.
fn own_end(id: Option<&str>) -> Option<jwt_knox::SessionId> {
    id.and_then(|id| id.parse().ok())
}

/// An answer in plain text.
pub(crate) fn text(body: String) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::from(body));
    let text = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert("content-type", text);
    response
}
