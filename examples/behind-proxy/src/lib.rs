//! Two servers behind a reverse proxy: one that knows the sessions, and one that believes the proxy.
//!
//! The proxy asks the first one at `/forward_auth` whether a request may pass, and passes it on to the second one with
//! headers that say who sends it. `docs/proxies.md` explains the files beside this one: `nginx.conf`, `Caddyfile`,
//! `haproxy.cfg` with `forward_auth.lua`, `traefik.yaml` with `routes.yaml`, and `envoy.yaml`.

use std::error::Error;

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use jwt_knox_axum::{
    Credentials, KnoxHttp, LoginError,
    jwt_knox::{Knox, MemoryStore, NewSession, SigningKey},
    login_fn, routes,
};
use percent_encoding::percent_decode_str;

/// The server that the proxy asks, and where users log in.
///
/// # Errors
///
/// If the key is too short.
pub fn auth(key: &[u8]) -> Result<Router, Box<dyn Error>> {
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).build()?;
    let knox = KnoxHttp::builder(knox).login(login_fn(log_in)).forward_auth(true).build()?;
    Ok(routes(knox))
}

/// Two users whose passwords everybody knows. `examples/axum` has a database of users.
async fn log_in(credentials: Credentials) -> Result<NewSession, LoginError> {
    match (credentials.username(), credentials.password()) {
        ("alice", "wonderland") => Ok(NewSession::new(1)),
        ("root", "toor") => Ok(NewSession::new(0).scopes(["admin", "sessions"])?),
        _ => Err(LoginError::InvalidCredentials),
    }
}

/// The application. It verifies nothing, so nobody but the proxy may reach it.
pub fn app() -> Router {
    Router::new().route("/", get(greet)).route("/admin/", get(greet_admin))
}

/// Only for tokens with the scope `admin`. The proxy has asked for it by the path as it reads that, which may be in
/// another way than here.
async fn greet_admin(headers: HeaderMap) -> Result<String, StatusCode> {
    let scopes = headers.get("x-auth-scope").and_then(|scopes| scopes.to_str().ok()).unwrap_or_default();
    if scopes.split(' ').any(|scope| scope == "admin") { greet(headers).await } else { Err(StatusCode::FORBIDDEN) }
}

async fn greet(headers: HeaderMap) -> Result<String, StatusCode> {
    // If there is none, or if there are two, the proxy is not set up right.
    let mut subjects = headers.get_all("x-auth-subject").iter();
    let (Some(subject), None) = (subjects.next(), subjects.next()) else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let subject = percent_decode_str(subject.to_str().unwrap_or_default()).decode_utf8_lossy().into_owned();
    Ok(format!("Hello, user {subject}\n"))
}
