//! An issuer and the service, each on a socket of its own.

#![allow(clippy::unwrap_used)]

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header::LOCATION},
    middleware::{Next, from_fn_with_state},
    response::IntoResponse,
};
use example_introspecting_service::{ID, app, introspection::Issuer, issuer::issuer, profile};
use futures_util::stream;
use jwt_knox_axum::{
    ClientSecret, VerifierHttp,
    jwt_knox::{Algorithm, Introspector, Knox, ManualClock, MemoryStore, SigningKey, TimeLimit, Timestamp, Verifier},
};
use reqwest::{
    Client, Method, Response,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

const START: i64 = 1_800_000_000;

/// Both servers, and what the tests hold of them.
struct Servers {
    issuer: SocketAddr,
    /// That of the issuer, to be served again.
    routes: Router,
    issuing: JoinHandle<()>,
    introspection: Arc<Introspection>,
    service: SocketAddr,
    clock: ManualClock,
    /// Whether all time limits are over.
    is_over: watch::Sender<bool>,
    client: Client,
}

/// What the issuer does when it is asked about a token.
#[derive(Default)]
struct Introspection {
    reply: watch::Sender<Reply>,
    asked: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default)]
enum Reply {
    #[default]
    Truth,
    Garbage,
    Error,
    /// To itself, with the truth beside it.
    Elsewhere,
    TooMuch,
    /// And then the connection ends.
    Half,
    /// Until it replies something else.
    Nothing,
}

impl Introspection {
    fn replies(&self, reply: Reply) {
        self.reply.send_replace(reply);
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    /// Waits until so many questions have come.
    async fn asked_reaches(&self, count: u64) {
        while self.asked() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn around(State(route): State<Arc<Self>>, request: Request, next: Next) -> axum::response::Response {
        if request.uri().path() != "/introspect" {
            return next.run(request).await;
        }
        route.asked.fetch_add(1, SeqCst);
        // The truth at the time at which the question comes.
        let truth = next.run(request).await;
        let reply = *route.reply.subscribe().wait_for(|reply| !matches!(reply, Reply::Nothing)).await.unwrap();
        match reply {
            Reply::Truth | Reply::Nothing => truth,
            Reply::Garbage => "<html>It works!</html>".into_response(),
            Reply::Error => (StatusCode::INTERNAL_SERVER_ERROR, truth).into_response(),
            Reply::Elsewhere => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/introspect")], truth).into_response(),
            Reply::TooMuch => " ".repeat(1_000_000).into_response(),
            Reply::Half => {
                let parts = [Ok(Bytes::from_static(br#"{"active":true"#)), Err(io::Error::other("the end"))];
                Body::from_stream(stream::iter(parts)).into_response()
            }
        }
    }
}

impl Servers {
    /// A service that remembers answers for so many seconds.
    async fn start(max_age: u64) -> Self {
        let secret = ClientSecret::generate().unwrap();
        Self::start_with(max_age, &secret.hash(), secret).await
    }

    async fn start_with(max_age: u64, hash: &str, secret: ClientSecret) -> Self {
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        let introspection = Arc::new(Introspection::default());
        let layer = from_fn_with_state(Arc::clone(&introspection), Introspection::around);
        let routes = issuer(hash, clock.clone()).unwrap().layer(layer);
        let (issuer, issuing) = serve("127.0.0.1:0", routes.clone()).await;

        let is_over = watch::Sender::new(false);
        let timer = is_over.clone();
        let limit = TimeLimit::default().with_timer(move |_| {
            let mut is_over = timer.subscribe();
            async move { drop(is_over.wait_for(|is_over| *is_over).await) }
        });
        let endpoint = Issuer::new(format!("http://{issuer}/introspect"), ID, secret).unwrap();
        let introspector = Introspector::builder(endpoint).max_age(Duration::from_secs(max_age)).time_limit(limit);
        let verifier = Verifier::introspecting(introspector.build(), profile().unwrap()).clock(clock.clone());
        let (service, _) = serve("127.0.0.1:0", app(VerifierHttp::builder(verifier).build().unwrap())).await;
        Self { issuer, routes, issuing, introspection, service, clock, is_over, client: Client::new() }
    }

    async fn stop_issuer(&mut self) {
        self.issuing.abort();
        drop((&mut self.issuing).await);
    }

    async fn restart_issuer(&mut self) {
        self.issuing = serve(&self.issuer.to_string(), self.routes.clone()).await.1;
    }

    /// What the service answers to that token.
    async fn status(&self, token: &str) -> u16 {
        self.get("/orders", token).await.status().as_u16()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn asked(&self) -> u64 {
        self.introspection.asked()
    }

    async fn log_in(&self, username: &str, password: &str) -> String {
        let url = format!("http://{}/get_token", self.issuer);
        let reply = self.client.post(url).basic_auth(username, Some(password)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn log_out(&self, token: &str) {
        let logout = self.client.post(format!("http://{}/logout", self.issuer)).bearer_auth(token);
        assert_eq!(logout.send().await.unwrap().status(), 204);
    }

    async fn send(&self, method: Method, path: &str, token: &str) -> Response {
        let url = format!("http://{}{path}", self.service);
        self.client.request(method, url).bearer_auth(token).send().await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        self.send(Method::GET, path, token).await
    }

    /// The service says that it cannot tell, and nothing of the reason.
    async fn assert_cannot_tell(&self, token: &str) {
        for path in ["/", "/orders", "/reports/sales"] {
            let reply = self.get(path, token).await;
            assert_eq!((reply.status().as_u16(), reply.headers()[RETRY_AFTER].to_str().unwrap()), (503, "5"), "{path}");
            assert!(!reply.headers().contains_key(WWW_AUTHENTICATE));
            let body = reply.text().await.unwrap();
            assert!(body.contains(r#""code":"unavailable""#) && !body.contains("issuer"), "{body}");
        }
    }
}

async fn serve(address: &str, app: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

fn challenge(reply: &Response) -> &str {
    reply.headers()[WWW_AUTHENTICATE].to_str().unwrap()
}

const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;

#[tokio::test]
async fn a_token_of_the_issuer_is_valid_at_the_service_until_its_session_ends() {
    let servers = Servers::start(0).await;
    let token = servers.log_in("alice", "wonderland").await;
    let reply = servers.get("/orders", &token).await;
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "The orders of 1\n"));
    assert_eq!(servers.get("/", &token).await.text().await.unwrap(), "Hello, 1\n");
    assert_eq!(servers.send(Method::POST, "/orders", &token).await.status(), 200);
    assert_eq!(servers.get("/reports/sales", &token).await.status(), 200);
    assert_eq!(servers.asked(), 4);

    servers.log_out(&token).await;
    for path in ["/", "/orders", "/reports/sales"] {
        let reply = servers.get(path, &token).await;
        assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, INVALID), "{path}");
    }
}

#[tokio::test]
async fn with_a_max_age_the_end_of_a_session_counts_when_it_is_over() {
    let servers = Servers::start(2).await;
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&token).await, servers.status(&token).await, servers.asked()), (200, 200, 1));
    servers.log_out(&token).await;
    servers.pass(1);
    assert_eq!((servers.status(&token).await, servers.asked()), (200, 1));
    servers.pass(1);
    assert_eq!((servers.status(&token).await, servers.asked()), (401, 2));
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_and_without_the_scope_a_403() {
    let servers = Servers::start(0).await;
    let reply = servers.client.get(format!("http://{}/orders", servers.service)).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, r#"Bearer realm="api""#));
    let reply = servers.client.get(format!("http://{}/", servers.service)).send().await.unwrap();
    assert_eq!(reply.text().await.unwrap(), "Hello, stranger\n");

    let bob = servers.log_in("bob", "builder").await;
    assert_eq!(servers.get("/orders", &bob).await.status(), 200);
    for (method, path) in [(Method::POST, "/orders"), (Method::GET, "/reports/sales")] {
        let reply = servers.send(method, path, &bob).await;
        let expected = r#"Bearer realm="api", error="insufficient_scope", scope="orders:write""#;
        assert_eq!((reply.status().as_u16(), challenge(&reply)), (403, expected), "{path}");
        assert!(reply.text().await.unwrap().contains(r#""code":"insufficient_scope""#));
    }
}

#[tokio::test]
async fn a_forged_token_is_rejected_and_garbage_not_even_asked_about() {
    let servers = Servers::start(2).await;
    let honest = servers.log_in("alice", "wonderland").await;
    // The same claims, and another key.
    let forger = Knox::builder(SigningKey::generate(Algorithm::EdDsa).unwrap()).profile(profile().unwrap());
    let forger = forger.store(MemoryStore::new()).clock(servers.clock.clone()).build().unwrap();
    let forged = forger.issue(1).await.unwrap();
    let forged = forged.token.expose();
    let patched = format!("{}{}", &honest[..honest.rfind('.').unwrap()], &forged[forged.rfind('.').unwrap()..]);
    for (token, asked) in
        [(forged, 3), (&patched, 3), ("a.b.c", 0), (&format!("{honest}&token=x"), 0), (&"a".repeat(9000), 0)]
    {
        let before = servers.asked();
        for path in ["/", "/orders", "/reports/sales"] {
            let reply = servers.get(path, token).await;
            assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, INVALID), "{path}");
        }
        assert_eq!(servers.asked() - before, asked, "{token:.80}");
    }
    assert_eq!(servers.status(&honest).await, 200);
}

#[tokio::test]
async fn an_issuer_that_fails_lets_nobody_in_and_ends_nobody() {
    let mut servers = Servers::start(2).await;
    let token = servers.log_in("alice", "wonderland").await;
    for reply in [Reply::Garbage, Reply::Error, Reply::Elsewhere, Reply::TooMuch, Reply::Half] {
        servers.introspection.replies(reply);
        let before = servers.asked();
        servers.assert_cannot_tell(&token).await;
        // It is asked again each time, and follows no redirect.
        assert_eq!(servers.asked() - before, 3, "{reply:?}");
    }
    servers.introspection.replies(Reply::Truth);
    assert_eq!(servers.status(&token).await, 200);

    // For as long as an answer is not too old, nobody notices that the issuer is down.
    servers.stop_issuer().await;
    servers.introspection.replies(Reply::Error);
    servers.pass(1);
    assert_eq!(servers.status(&token).await, 200);
    servers.pass(1);
    servers.assert_cannot_tell(&token).await;
    // Where nothing has to be told, nothing is asked.
    assert_eq!(servers.client.get(format!("http://{}/", servers.service)).send().await.unwrap().status(), 200);
    assert_eq!(servers.status("a.b.c").await, 401);

    servers.introspection.replies(Reply::Truth);
    servers.restart_issuer().await;
    assert_eq!(servers.status(&token).await, 200);
}

/// The operator has to act, and no user.
#[tokio::test]
async fn a_service_that_the_issuer_does_not_know_cannot_tell() {
    let (secret, other) = (ClientSecret::generate().unwrap(), ClientSecret::generate().unwrap());
    let servers = Servers::start_with(2, &other.hash(), secret).await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.assert_cannot_tell(&token).await;
    servers.assert_cannot_tell(&format!("{token}AAAA")).await;
    assert_eq!(servers.asked(), 6);
}

#[tokio::test]
async fn an_issuer_that_hangs_is_a_503_and_no_hang() {
    let servers = Arc::new(Servers::start(0).await);
    let token = servers.log_in("alice", "wonderland").await;
    servers.introspection.replies(Reply::Nothing);
    let requests: Vec<_> = (0..10).map(|_| in_background(&servers, &token)).collect();
    servers.introspection.asked_reaches(1).await;
    servers.is_over.send_replace(true);
    for request in requests {
        assert_eq!(request.await.unwrap(), 503);
    }
    servers.is_over.send_replace(false);
    servers.introspection.replies(Reply::Truth);
    assert_eq!(servers.status(&token).await, 200);
}

#[tokio::test]
async fn a_page_that_sends_many_requests_at_once_asks_once() {
    let servers = Arc::new(Servers::start(2).await);
    let token = servers.log_in("alice", "wonderland").await;
    servers.introspection.replies(Reply::Nothing);
    let leader = in_background(&servers, &token);
    servers.introspection.asked_reaches(1).await;
    let requests: Vec<_> = (0..50).map(|_| in_background(&servers, &token)).collect();
    // The client whose request asks hangs up.
    leader.abort();
    drop(leader.await);
    servers.introspection.replies(Reply::Truth);
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    // Once more if the first one was gone before another came.
    assert!(servers.asked() <= 2, "{}", servers.asked());
}

/// The status of a request that is under way.
fn in_background(servers: &Arc<Servers>, token: &str) -> JoinHandle<u16> {
    let (servers, token) = (Arc::clone(servers), token.to_owned());
    tokio::spawn(async move { servers.status(&token).await })
}
