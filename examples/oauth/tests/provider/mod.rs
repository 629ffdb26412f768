//! A small provider, as strict as RFC 6749 and RFC 7636 ask for, on a real socket.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

pub(crate) const CLIENT_ID: &str = "the application";
pub(crate) const CLIENT_SECRET: &str = "its secret: 100%";

/// What the token endpoint does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Fails,
    Garbage,
    Endless,
    NoToken,
    Redirects,
    Hangs,
    UserFails,
    UserHangs,
    UserHasNoId,
}

#[derive(Clone)]
pub(crate) struct FakeProvider {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    mood: Mood,
    /// What the user does at the provider: logs in as this, or does not want to.
    user: Option<Value>,
    /// The callback that is registered.
    redirect_uri: String,
    /// The challenge that each code was given for.
    codes: HashMap<String, String>,
    issued: usize,
}

impl FakeProvider {
    pub(crate) async fn start(redirect_uri: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let user = Some(json!({"sub": "248289761001", "email": "jane@example.com"}));
        let inner = Inner { mood: Mood::Well, user, redirect_uri, codes: HashMap::new(), issued: 0 };
        let provider = Self { url, inner: Arc::new(Mutex::new(inner)) };
        let app = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/elsewhere", post(async || token_with("")))
            .route("/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    pub(crate) fn user(&self, user: Option<Value>) {
        self.inner.lock().unwrap().user = user;
    }

    /// How many tokens it has given.
    pub(crate) fn issued(&self) -> usize {
        self.inner.lock().unwrap().issued
    }
}

async fn authorize(State(provider): State<FakeProvider>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut inner = provider.inner.lock().unwrap();
    let is = |name: &str, value: &str| query.get(name).map(String::as_str) == Some(value);
    if !is("client_id", CLIENT_ID) || !is("redirect_uri", &inner.redirect_uri) {
        // Never send anybody to an address that is not registered.
        return StatusCode::BAD_REQUEST.into_response();
    }
    let answer = if !is("response_type", "code") || !is("scope", "openid") || !is("code_challenge_method", "S256") {
        "error=invalid_request".to_owned()
    } else if inner.user.is_none() {
        "error=access_denied&error_description=%3Cscript%3E".to_owned()
    } else {
        let code = format!("code-{}", inner.codes.len() + 1);
        inner.codes.insert(code.clone(), query["code_challenge"].clone());
        format!("code={code}")
    };
    Redirect::to(&format!("{}?{answer}&state={}", inner.redirect_uri, query["state"])).into_response()
}

async fn token(
    State(provider): State<FakeProvider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mood = provider.inner.lock().unwrap().mood;
    match mood {
        Mood::Fails => return (StatusCode::INTERNAL_SERVER_ERROR, "hunter2").into_response(),
        Mood::Garbage => return Json(json!({"access_token": ["hunter2"], "token_type": 1})).into_response(),
        Mood::Endless => return token_with(&"x".repeat(1_000_000)),
        Mood::NoToken => return Json(json!({"token_type": "Bearer"})).into_response(),
        Mood::Redirects => return Redirect::temporary("/elsewhere").into_response(),
        Mood::Hangs => std::future::pending().await,
        _ => {}
    }
    let error = |status: StatusCode, error: &str| {
        (status, Json(json!({"error": error, "error_description": "hunter2"}))).into_response()
    };
    // Both are form-encoded before (RFC 6749 §2.3.1).
    let basic = Base64::encode_string(b"the+application:its+secret%3A+100%25");
    if headers.get("authorization").is_none_or(|sent| sent != &format!("Basic {basic}")) {
        return error(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut inner = provider.inner.lock().unwrap();
    let is = |name: &str, value: &str| form.get(name).map(String::as_str) == Some(value);
    // The code works once, right or wrong.
    let challenge = form.get("code").and_then(|code| inner.codes.get_mut(code)).map(std::mem::take);
    let verifier =
        form.get("code_verifier").map(Sha256::digest).map(|digest| Base64UrlUnpadded::encode_string(&digest));
    let has_proof = verifier.is_some() && challenge.filter(|challenge| !challenge.is_empty()) == verifier;
    if !is("grant_type", "authorization_code") || !is("redirect_uri", &inner.redirect_uri) || !has_proof {
        return error(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    inner.issued += 1;
    token_with("")
}

fn token_with(more: &str) -> Response {
    Json(json!({"access_token": "hunter2", "token_type": "Bearer", "expires_in": 60, "more": more})).into_response()
}

async fn userinfo(State(provider): State<FakeProvider>, headers: HeaderMap) -> Response {
    let (mood, user) = {
        let inner = provider.inner.lock().unwrap();
        (inner.mood, inner.user.clone())
    };
    match mood {
        Mood::UserFails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::UserHangs => std::future::pending().await,
        Mood::UserHasNoId => Json(json!({"email": "jane@example.com"})).into_response(),
        _ if headers["authorization"] != "Bearer hunter2" => StatusCode::UNAUTHORIZED.into_response(),
        _ => Json(user).into_response(),
    }
}
