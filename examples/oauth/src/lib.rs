//! A server whose users log in with an external provider: OAuth 2, authorization code with PKCE (RFC 6749, RFC 7636).
//!
//! `cargo run --example oauth` says which settings it needs.
//!
//! ```text
//! GET /oauth/login            303 to the provider; a cookie binds the login to this browser
//!   … the user logs in there, and the provider sends the browser to …
//! GET /oauth/callback         the provider is asked who it was; 303 to /, and the session is in a cookie
//!
//! GET /oauth/login/program    the same, but that the browser shows the token in the end: for its user to give to a program
//! ```
//!
//! From then on nothing of the provider is involved: the session is one of jwt-knox, and ends when it says so. The
//! provider's access token is used once, to ask who the user is, and dropped.
//!
//! [`provider`] talks to the provider, [`begun`] remembers who is on the way there, and [`users`] are the
//! application's.

pub mod begun;
pub mod provider;
pub mod settings;
pub mod users;

use axum::{
    Json, Router,
    extract::{FromRef, Query, State, rejection::QueryRejection},
    http::{
        HeaderName,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
    },
    response::{Html, IntoResponse, Redirect},
    routing::get,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use jwt_knox_axum::{
    KnoxAuth, KnoxHttp, KnoxLogin, KnoxRejection, KnoxResponse, LoginError,
    jwt_knox::{NewSession, StoreError},
    routes,
};
use oauth2::CsrfToken;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    begun::{BegunLogins, Client},
    provider::{Provider, ProviderError},
    users::Users,
};

/// The path that the provider sends browsers to. It is registered with the provider.
pub const CALLBACK: &str = "/oauth/callback";

/// The cookie of a browser whose user has gone to the provider.
const COOKIE: &str = "__Host-oauth";

#[derive(Clone, FromRef)]
struct AppState {
    knox: KnoxHttp,
    provider: Provider,
    begun: BegunLogins,
    users: Users,
}

/// The routes of the application. The cookies of `knox` are on, and `users` is its `SubjectCheck`.
pub fn app(knox: KnoxHttp, provider: Provider, users: Users) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/me", get(me))
        .route("/oauth/login", get(begin_in_browser))
        .route("/oauth/login/program", get(begin_for_program))
        .route(CALLBACK, get(callback))
        // /auth/verify, /auth/logout, /auth/sessions and so on
        .nest("/auth", routes(knox.clone()))
        .with_state(AppState { knox, provider, begun: BegunLogins::default(), users })
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html")))
}

/// Who sends the request? Without a valid session this does not run, and the client gets a 401.
async fn me(auth: KnoxAuth) -> Json<Value> {
    Json(json!({"subject": auth.subject().as_str()}))
}

async fn begin_in_browser(State(state): State<AppState>, jar: CookieJar) -> impl IntoResponse {
    begin(&state, jar, Client::Browser)
}

async fn begin_for_program(State(state): State<AppState>, jar: CookieJar) -> impl IntoResponse {
    begin(&state, jar, Client::Program)
}

/// Sends the browser to the provider. A login that was begun in the same browser before does not count any more.
fn begin(state: &AppState, jar: CookieJar, client: Client) -> ([(HeaderName, &'static str); 1], CookieJar, Redirect) {
    let request = state.provider.authorization_request();
    let browser = state.begun.insert(request.state, request.verifier, client, state.knox.now());
    ([(CACHE_CONTROL, "no-store")], jar.add(cookie(browser.into_secret())), Redirect::to(request.url.as_str()))
}

/// What the provider adds to the URL of the callback: a code, or an error. Anybody can send a browser here with
/// anything.
#[derive(Default, Deserialize)]
struct Callback {
    state: Option<CsrfToken>,
    code: Option<String>,
    error: Option<String>,
}

/// `login` is the first argument, so that it has noted when the login began before anything is looked up: if the user's
/// sessions are all ended in the meantime, this one does not begin.
async fn callback(
    login: KnoxLogin,
    State(state): State<AppState>,
    jar: CookieJar,
    query: Result<Query<Callback>, QueryRejection>,
) -> impl IntoResponse {
    let browser = jar.get(COOKIE).map(|cookie| CsrfToken::new(cookie.value().to_owned()));
    let callback = query.map(|Query(callback)| callback).unwrap_or_default();
    // Whatever comes of it, the cookie has served its purpose.
    (jar.remove(cookie(String::new())), log_in(login, &state, browser, callback).await)
}

async fn log_in(
    login: KnoxLogin,
    state: &AppState,
    browser: Option<CsrfToken>,
    callback: Callback,
) -> Result<KnoxResponse, KnoxRejection> {
    let begun =
        browser.zip(callback.state).and_then(|(browser, sent)| state.begun.take(&browser, &sent, state.knox.now()));
    let Some(begun) = begun else {
        let detail = "This login was not begun in this browser, or too long ago. Begin again.";
        return Err(login.reject(LoginError::rejected(400, "login_not_begun", detail)));
    };
    // What the provider says about its error is not passed on: anybody can write it into the URL.
    let (None, Some(code)) = (callback.error, callback.code) else {
        return Err(login.reject(LoginError::InvalidCredentials));
    };
    let id = match state.provider.user_id(code, begun.verifier).await {
        Ok(id) => id,
        Err(ProviderError::InvalidCode) => return Err(login.reject(LoginError::InvalidCredentials)),
        // 503, and the log says why.
        Err(error) => return Err(login.reject(StoreError::new(error).in_store("provider's user").into())),
    };
    let session = NewSession::new(state.users.find_or_add(&id));
    match begun.client {
        Client::Browser => login.redirect_to("/").log_in(session).await,
        Client::Program => login.without_cookie().log_in(session).await,
    }
}

/// `Lax`, since the provider's page sends the browser to the callback; `__Host-`, so that no other host of the domain
/// can set it.
fn cookie(browser: String) -> Cookie<'static> {
    Cookie::build((COOKIE, browser)).path("/").secure(true).http_only(true).same_site(SameSite::Lax).build()
}
