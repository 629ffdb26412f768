//! Roles, by requests on real sockets.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use axum::http::Request;
use example_roles::{Role, User, Users, app, connect};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jwt_knox_axum::{
    KnoxHttp,
    jwt_knox::{
        Knox, KnoxBuilder, MemoryStore, NewSession, SessionRecord, SigningKey, StoreError, SubjectCheck, SubjectStatus,
        async_trait,
    },
};
use jwt_knox_test_program::{Program, command};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ALICE: i64 = 1;
const BOB: i64 = 2;

/// The server inside the test: alice is an admin, and bob an editor.
struct Server {
    address: SocketAddr,
    knox: KnoxHttp,
    users: Users,
}

impl Server {
    async fn start() -> Self {
        let users = users();
        let knox = connect(builder(), users.clone()).unwrap();
        Self::with(knox, users).await
    }

    async fn with(knox: KnoxHttp, users: Users) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app(knox.clone(), users.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, knox, users }
    }

    async fn log_in(&self, session: impl Into<NewSession>) -> Caller {
        let issued = self.knox.issue(session).await.unwrap();
        Caller { address: self.address, authorization: format!("Bearer {}", issued.token.expose()) }
    }
}

fn builder() -> KnoxBuilder {
    Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new())
}

fn users() -> Users {
    Users::new([User::new(ALICE, "alice", [Role::Admin]), User::new(BOB, "bob", [Role::Editor])])
}

/// Who sends requests.
struct Caller {
    address: SocketAddr,
    authorization: String,
}

impl Caller {
    /// The status, and the body: as JSON, or else as text.
    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", &self.authorization)
            .body(body.to_owned())
            .unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::from(std::str::from_utf8(&body).unwrap());
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
    }

    async fn publishes(&self) -> (u16, Value) {
        self.send("POST", "/articles", "News").await
    }

    /// Publishes without success, and gives the status and the code of the problem.
    async fn is_rejected(&self) -> (u16, String) {
        let (status, problem) = self.publishes().await;
        (status, problem["code"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_role_opens_what_it_is_for_and_nothing_else() {
    let server = Server::start().await;
    let (alice, bob) = (server.log_in(ALICE).await, server.log_in(BOB).await);
    assert_eq!(bob.publishes().await, (201, json!(r#"bob has published "News""#)));
    let forbidden = json!({
        "type": "about:blank", "title": "Forbidden", "status": 403, "code": "forbidden", "detail": "Forbidden."
    });
    assert_eq!(alice.publishes().await, (403, forbidden.clone()));
    for (method, path) in [
        ("PUT", "/users/bob/roles/admin"),
        ("DELETE", "/users/alice/roles/admin"),
        ("DELETE", "/users/alice"),
        ("DELETE", "/users/nobody"),
    ] {
        assert_eq!(bob.send(method, path, "").await, (403, forbidden.clone()), "{method} {path}");
    }
    let stranger = Caller { address: server.address, authorization: "Bearer a.b.c".to_owned() };
    assert_eq!(stranger.is_rejected().await, (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn a_change_of_a_role_counts_at_the_next_request_and_logs_nobody_out() {
    let server = Server::start().await;
    let (alice, bob) = (server.log_in(ALICE).await, server.log_in(BOB).await);
    assert_eq!(bob.publishes().await.0, 201);

    assert_eq!(alice.send("DELETE", "/users/bob/roles/editor", "").await.0, 204);
    assert_eq!(bob.is_rejected().await, (403, "forbidden".to_owned()));
    let me = json!({"id": BOB, "name": "bob", "roles": [], "is_active": true});
    assert_eq!(bob.send("GET", "/me", "").await, (200, me));

    assert_eq!(alice.send("PUT", "/users/bob/roles/editor", "").await.0, 204);
    assert_eq!(bob.publishes().await.0, 201);

    // In the table itself, whoever writes there.
    assert!(server.users.update("alice", |user| user.roles.clear()));
    assert_eq!(alice.send("PUT", "/users/alice/roles/admin", "").await.0, 403);
    assert_eq!(alice.send("GET", "/me", "").await.0, 200);
}

#[tokio::test]
async fn a_user_who_is_inactive_or_gone_has_no_session() {
    let server = Server::start().await;
    let (alice, bob) = (server.log_in(ALICE).await, server.log_in(BOB).await);
    assert_eq!(alice.send("DELETE", "/users/bob", "").await.0, 204);
    assert_eq!(bob.is_rejected().await, (401, "invalid_token".to_owned()));
    assert_eq!(bob.send("GET", "/me", "").await.0, 401);
    assert!(server.knox.issue(BOB).await.is_err(), "and cannot log in");

    // Nobody was logged out, so it is the same session again.
    assert!(server.users.update("bob", |user| user.is_active = true));
    assert_eq!(bob.publishes().await.0, 201);

    assert_eq!(alice.send("DELETE", "/users/nobody", "").await.0, 404);
    assert_eq!(alice.send("PUT", "/users/nobody/roles/editor", "").await.0, 404);
    assert_eq!(alice.send("PUT", "/users/bob/roles/emperor", "").await.0, 400);
}

#[tokio::test]
async fn a_scope_confines_a_token_and_gives_its_user_no_role() {
    let server = Server::start().await;
    let session = |user, scope| NewSession::new(user).scopes([scope]).unwrap();
    let reader = server.log_in(session(BOB, "read")).await;
    assert_eq!(reader.is_rejected().await, (403, "insufficient_scope".to_owned()));
    let editor = server.log_in(session(BOB, "editor")).await;
    assert_eq!(editor.publishes().await.0, 201);
    let no_editor = server.log_in(session(ALICE, "editor")).await;
    assert_eq!(no_editor.is_rejected().await, (403, "forbidden".to_owned()));

    assert!(server.users.update("bob", |user| user.roles.clear()));
    assert_eq!(editor.is_rejected().await, (403, "forbidden".to_owned()));
}

/// A check that counts how often the table is read.
struct Counted(Users, Arc<AtomicU32>);

#[async_trait]
impl SubjectCheck for Counted {
    async fn check(&self, session: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        self.1.fetch_add(1, SeqCst);
        self.0.check(session).await
    }
}

#[tokio::test]
async fn a_request_reads_the_user_once() {
    let (users, reads) = (users(), Arc::new(AtomicU32::new(0)));
    let knox = builder().subject_check(Counted(users.clone(), reads.clone())).build().unwrap();
    let server = Server::with(KnoxHttp::builder(knox).build().unwrap(), users).await;
    let bob = server.log_in(BOB).await;
    for status in [201, 403] {
        reads.store(0, SeqCst);
        assert_eq!(bob.publishes().await.0, status);
        assert_eq!(reads.load(SeqCst), 1);
        server.users.update("bob", |user| user.roles.clear());
    }
}

#[tokio::test]
async fn without_a_user_from_the_check_nobody_has_a_role() {
    let knox = KnoxHttp::builder(builder().build().unwrap()).build().unwrap();
    let server = Server::with(knox, users()).await;
    assert_eq!(server.log_in(BOB).await.is_rejected().await, (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn the_program_lets_its_users_log_in() {
    let mut program = Program::start(command("roles").env("LISTEN", "127.0.0.1:0"));
    let line = program.line();
    let address = line.strip_prefix("Listening on http://").unwrap().split(". ").next().unwrap().parse().unwrap();

    // alice:wonderland, alice:builder, bob:builder
    let log_in = async |basic: &str| {
        let caller = Caller { address, authorization: format!("Basic {basic}") };
        let (status, answer) = caller.send("POST", "/get_token", "").await;
        let token = answer["access_token"].as_str().unwrap_or_default();
        (status, Caller { address, authorization: format!("Bearer {token}") })
    };
    let (_, alice) = log_in("YWxpY2U6d29uZGVybGFuZA==").await;
    assert_eq!(log_in("YWxpY2U6YnVpbGRlcg==").await.0, 401);
    let (_, bob) = log_in("Ym9iOmJ1aWxkZXI=").await;
    assert_eq!(bob.publishes().await.0, 201);
    assert_eq!(alice.send("DELETE", "/users/bob", "").await.0, 204);
    assert_eq!(bob.publishes().await.0, 401);
    assert_eq!(log_in("Ym9iOmJ1aWxkZXI=").await.0, 401);
}
