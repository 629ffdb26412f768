//! The application, without a socket: requests go straight into the router.

#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use base64ct::{Base64, Encoding};
use example_axum::{
    app, database,
    passwords::{compare, hash},
    users::Users,
};
use jwt_knox_axum::{
    KnoxHttp, Passwords,
    jwt_knox::{Knox, MemoryStore, SigningKey},
};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::Value;
use tower::ServiceExt;

/// The application, on a database that only this test uses.
struct TestApp {
    router: Router,
    /// How many passwords were hashed.
    hashed: Arc<AtomicUsize>,
    connection: DatabaseConnection,
}

impl TestApp {
    async fn new(name: &str) -> Self {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("example-axum-{name}.sqlite"));
        // One that an earlier run has left.
        let _ = std::fs::remove_file(&file);
        let connection = database::open(&format!("sqlite:{}", file.display())).await.unwrap();
        let hashed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hashed);
        let passwords = Passwords::new(hash("nobody's password").unwrap(), move |password, stored| {
            let outcome = compare(password, stored);
            count.fetch_add(usize::from(outcome.is_some()), SeqCst);
            outcome
        });
        let users = Users::new(connection.clone(), passwords);
        let key = SigningKey::hs256("a key of the tests, 32 bytes or more!").unwrap();
        let knox = Knox::builder(key).store(MemoryStore::new()).subject_check(users.clone()).build().unwrap();
        let router = app(KnoxHttp::builder(knox).login(users).build().unwrap());
        Self { router, hashed, connection }
    }

    async fn send(&self, method: &str, path: &str, authorization: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("authorization", authorization);
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn log_in(&self, username: &str, password: &str) -> (StatusCode, Value) {
        let basic = Base64::encode_string(format!("{username}:{password}").as_bytes());
        self.send("POST", "/get_token", &format!("Basic {basic}")).await
    }

    async fn sql(&self, statement: &str) {
        assert_eq!(self.connection.execute_unprepared(statement).await.unwrap().rows_affected(), 1, "{statement}");
    }
}

#[tokio::test]
async fn a_session_lasts_from_the_login_to_the_logout() {
    let app = TestApp::new("session").await;
    assert_eq!(app.log_in("alice", "builder").await.0, 401);
    let (status, login) = app.log_in("alice", "wonderland").await;
    assert_eq!(status, 200);
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());

    let (status, me) = app.send("GET", "/me", &bearer).await;
    assert_eq!((status, &me["session_id"]), (StatusCode::OK, &login["session_id"]));
    let (_, sessions) = app.send("GET", "/sessions", &bearer).await;
    assert_eq!(sessions[0]["id"], login["session_id"]);
    assert_eq!(app.send("POST", "/logout", &bearer).await.0, 204);
    assert_eq!(app.send("GET", "/me", &bearer).await.0, 401);
}

#[tokio::test]
async fn an_inactive_user_has_no_session() {
    let app = TestApp::new("inactive").await;
    let (_, login) = app.log_in("alice", "wonderland").await;
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());
    app.sql("UPDATE users SET active = 0 WHERE username = 'alice'").await;
    assert_eq!(app.send("GET", "/me", &bearer).await.0, 401);
    assert_eq!(app.log_in("alice", "wonderland").await.0, 401);
}

/// Otherwise the time that a login takes would tell which users there are.
#[tokio::test]
async fn every_login_hashes_once() {
    let app = TestApp::new("hashing").await;
    let hashings = async |username, password| {
        let before = app.hashed.load(SeqCst);
        let (status, _) = app.log_in(username, password).await;
        (status.as_u16(), app.hashed.load(SeqCst) - before)
    };
    assert_eq!(hashings("alice", "wonderland").await, (200, 1));
    assert_eq!(hashings("alice", "builder").await, (401, 1));
    assert_eq!(hashings("nobody", "wonderland").await, (401, 1));

    // What is put there to lock an account.
    for unusable in ["", "!", "wonderland"] {
        app.sql(&format!("UPDATE users SET password_hash = '{unusable}' WHERE username = 'alice'")).await;
        for password in ["wonderland", "nobody's password", "", unusable] {
            assert_eq!(hashings("alice", password).await, (401, 1), "{unusable}");
        }
    }
}
