//! An issuer and the service, each on a socket of its own.

#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::IntoResponse,
};
use example_resource_server::{app, issuer::issuer, jwks::Jwks, profile};
use jwt_knox_axum::{
    VerifierHttp,
    jwt_knox::{
        Algorithm, KeyRing, Knox, ManualClock, MemoryStore, RemoteKeySet, SigningKey, TimeLimit, Timestamp, Verifier,
    },
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
    issuing: JoinHandle<()>,
    jwks: Arc<JwksRoute>,
    service: SocketAddr,
    ring: KeyRing,
    clock: ManualClock,
    /// Whether the time limit of each fetch is over.
    is_over: watch::Sender<bool>,
    client: Client,
}

/// What the issuer does when it is asked for its keys.
#[derive(Default)]
struct JwksRoute {
    reply: watch::Sender<Reply>,
    asked: AtomicU64,
}

#[derive(Clone, Copy, Default)]
enum Reply {
    #[default]
    Keys,
    Garbage,
    Error,
    Elsewhere,
    TooMuch,
    /// Until it replies something else.
    Nothing,
}

impl JwksRoute {
    fn replies(&self, reply: Reply) {
        self.reply.send_replace(reply);
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    async fn around(State(route): State<Arc<Self>>, request: Request, next: Next) -> axum::response::Response {
        if request.uri().path() != "/.well-known/jwks.json" {
            return next.run(request).await;
        }
        route.asked.fetch_add(1, SeqCst);
        let reply = *route.reply.subscribe().wait_for(|reply| !matches!(reply, Reply::Nothing)).await.unwrap();
        match reply {
            Reply::Keys | Reply::Nothing => next.run(request).await,
            Reply::Garbage => "<html>It works!</html>".into_response(),
            // With good keys, which do not count then.
            Reply::Error => (StatusCode::INTERNAL_SERVER_ERROR, next.run(request).await).into_response(),
            Reply::Elsewhere => (StatusCode::FOUND, next.run(request).await).into_response(),
            Reply::TooMuch => " ".repeat(1_000_000).into_response(),
        }
    }
}

impl Servers {
    async fn start() -> Self {
        let ring = KeyRing::new(key("old"));
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        let jwks = Arc::new(JwksRoute::default());
        let (issuer, issuing) = serve_issuer("127.0.0.1:0", &ring, &clock, &jwks).await;

        let is_over = watch::Sender::new(false);
        let timer = is_over.clone();
        let limit = TimeLimit::default().with_timer(move |_| {
            let mut is_over = timer.subscribe();
            async move { drop(is_over.wait_for(|is_over| *is_over).await) }
        });
        let source = Jwks::new(format!("http://{issuer}/.well-known/jwks.json")).unwrap();
        let keys = RemoteKeySet::builder(source).clock(clock.clone()).time_limit(limit).build().unwrap();
        let verifier = Verifier::remote(keys, profile().unwrap()).clock(clock.clone());
        let (service, _) = serve("127.0.0.1:0", app(VerifierHttp::builder(verifier).build().unwrap())).await;
        Self { issuer, issuing, jwks, service, ring, clock, is_over, client: Client::new() }
    }

    async fn stop_issuer(&mut self) {
        self.issuing.abort();
        drop((&mut self.issuing).await);
    }

    async fn restart_issuer(&mut self) {
        self.issuing = serve_issuer(&self.issuer.to_string(), &self.ring, &self.clock, &self.jwks).await.1;
    }

    fn rotate_to(&self, id: &str) {
        self.ring.stage(key(id)).unwrap();
        self.ring.promote(id).unwrap();
    }

    /// What the service answers to that token.
    async fn status(&self, token: &str) -> u16 {
        self.get("/orders", token).await.status().as_u16()
    }

    /// The same of a token that names a key that nobody has.
    async fn status_of_forged(&self) -> u16 {
        let forger = Knox::builder(key("forged")).profile(profile().unwrap()).store(MemoryStore::new());
        let forged = forger.clock(self.clock.clone()).build().unwrap().issue(1).await.unwrap();
        self.status(forged.token.expose()).await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn log_in(&self, username: &str, password: &str) -> String {
        let url = format!("http://{}/get_token", self.issuer);
        let reply = self.client.post(url).basic_auth(username, Some(password)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn send(&self, method: Method, path: &str, token: &str) -> Response {
        let url = format!("http://{}{path}", self.service);
        self.client.request(method, url).bearer_auth(token).send().await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        self.send(Method::GET, path, token).await
    }
}

fn key(id: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(id).unwrap()
}

async fn serve_issuer(
    address: &str,
    ring: &KeyRing,
    clock: &ManualClock,
    jwks: &Arc<JwksRoute>,
) -> (SocketAddr, JoinHandle<()>) {
    let app = issuer(ring.clone(), clock.clone()).unwrap();
    serve(address, app.layer(from_fn_with_state(Arc::clone(jwks), JwksRoute::around))).await
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
async fn a_token_of_the_issuer_is_valid_at_the_service_until_it_expires() {
    let servers = Servers::start().await;
    let token = servers.log_in("alice", "wonderland").await;
    let reply = servers.get("/orders", &token).await;
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "The orders of 1\n"));
    assert_eq!(servers.get("/", &token).await.text().await.unwrap(), "Hello, 1\n");
    assert_eq!(servers.send(Method::POST, "/orders", &token).await.status(), 200);
    assert_eq!(servers.get("/reports/sales", &token).await.status(), 200);

    // The service does not notice the end of the session.
    let logout = servers.client.post(format!("http://{}/logout", servers.issuer)).bearer_auth(&token);
    assert_eq!(logout.send().await.unwrap().status(), 204);
    assert_eq!(servers.get("/orders", &token).await.status(), 200);

    servers.clock.set(Timestamp::from_second(START + 15 * 60).unwrap());
    for path in ["/", "/orders", "/reports/sales"] {
        let reply = servers.get(path, &token).await;
        assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, INVALID), "{path}");
    }
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_and_without_the_scope_a_403() {
    let servers = Servers::start().await;
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
async fn a_forged_token_is_rejected() {
    let servers = Servers::start().await;
    // The same claims and the same key id, and another key.
    let forger = Knox::builder(key("old")).profile(profile().unwrap()).store(MemoryStore::new());
    let forged = forger.clock(servers.clock.clone()).build().unwrap().issue(1).await.unwrap();
    // A token of the issuer for another service.
    let other = Knox::builder(servers.ring.clone()).issuer("https://auth.example.com").audience("billing");
    let other = other.store(MemoryStore::new()).clock(servers.clock.clone()).build().unwrap().issue(1).await.unwrap();
    let honest = servers.log_in("alice", "wonderland").await;
    for token in [forged.token.expose(), other.token.expose(), &format!("{honest}A"), "a.b.c"] {
        for path in ["/", "/orders", "/reports/sales"] {
            let reply = servers.get(path, token).await;
            assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, INVALID), "{path}");
        }
    }
}

#[tokio::test]
async fn a_rotation_of_keys_reaches_the_service_with_the_first_token() {
    let servers = Servers::start().await;
    let before = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&before).await, servers.jwks.asked()), (200, 1));
    servers.pass(30);
    servers.rotate_to("new");
    let after = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&after).await, servers.status(&before).await), (200, 200));
    assert_eq!(servers.jwks.asked(), 2);
    for _ in 0..10 {
        assert_eq!(servers.status_of_forged().await, 401);
    }
    assert_eq!(servers.jwks.asked(), 2);

    // What was retired is gone when `max-age` is over, which the issuer sets to 5 minutes.
    servers.ring.retire("old").unwrap();
    servers.pass(299);
    assert_eq!((servers.status(&before).await, servers.jwks.asked()), (200, 2));
    servers.pass(1);
    assert_eq!((servers.status(&before).await, servers.status(&after).await), (401, 200));
    assert_eq!(servers.jwks.asked(), 3);
}

#[tokio::test]
async fn a_service_that_starts_before_its_issuer_answers_503_until_it_is_there() {
    let mut servers = Servers::start().await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.stop_issuer().await;
    for path in ["/", "/orders", "/reports/sales"] {
        let reply = servers.get(path, &token).await;
        assert_eq!((reply.status().as_u16(), reply.headers()[RETRY_AFTER].to_str().unwrap()), (503, "5"), "{path}");
        assert!(!reply.headers().contains_key(WWW_AUTHENTICATE));
        let body = reply.text().await.unwrap();
        assert!(body.contains(r#""code":"unavailable""#) && !body.contains("refused"), "{body}");
    }
    // Without a token there is nothing to be told.
    assert_eq!(servers.client.get(format!("http://{}/", servers.service)).send().await.unwrap().status(), 200);
    assert_eq!(servers.status("a.b.c").await, 401);

    servers.restart_issuer().await;
    servers.pass(1);
    assert_eq!((servers.status(&token).await, servers.status_of_forged().await), (200, 401));
}

#[tokio::test]
async fn an_issuer_that_fails_ends_nobody_at_the_service() {
    let mut servers = Servers::start().await;
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!(servers.status(&token).await, 200);
    for reply in [Reply::Garbage, Reply::Error, Reply::Elsewhere, Reply::TooMuch] {
        servers.jwks.replies(reply);
        servers.pass(60);
        assert_eq!((servers.status_of_forged().await, servers.status(&token).await), (503, 200));
    }
    assert_eq!(servers.jwks.asked(), 5);
    servers.stop_issuer().await;
    servers.pass(60);
    assert_eq!((servers.status_of_forged().await, servers.status(&token).await), (503, 200));
    servers.pass(300);
    assert_eq!(servers.status(&token).await, 200);
    assert_eq!(servers.jwks.asked(), 5);

    servers.jwks.replies(Reply::Keys);
    servers.restart_issuer().await;
    servers.rotate_to("new");
    servers.pass(60);
    let after = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&after).await, servers.status(&token).await), (200, 200));
    assert_eq!((servers.status_of_forged().await, servers.jwks.asked()), (401, 6));
}

#[tokio::test]
async fn an_issuer_that_hangs_delays_one_request_and_ends_nobody() {
    let servers = Arc::new(Servers::start().await);
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!(servers.status(&token).await, 200);
    servers.jwks.replies(Reply::Nothing);
    servers.pass(300);
    let driver = tokio::spawn({
        let (servers, token) = (Arc::clone(&servers), token.clone());
        async move { servers.status(&token).await }
    });
    while servers.jwks.asked() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        assert_eq!(servers.status(&token).await, 200);
    }
    assert!(!driver.is_finished());
    servers.is_over.send_replace(true);
    assert_eq!(driver.await.unwrap(), 200);
    assert_eq!(servers.jwks.asked(), 2);

    // A client that hangs up while its request fetches keeps nobody from it.
    servers.is_over.send_replace(false);
    servers.pass(60);
    let driver = tokio::spawn({
        let (servers, token) = (Arc::clone(&servers), token.clone());
        async move { servers.status(&token).await }
    });
    while servers.jwks.asked() < 3 {
        tokio::task::yield_now().await;
    }
    driver.abort();
    drop(driver.await);
    servers.rotate_to("new");
    let after = servers.log_in("alice", "wonderland").await;
    let next = servers.status(&after);
    let answer = async { servers.jwks.replies(Reply::Keys) };
    assert_eq!(tokio::join!(next, answer).0, 200);
    assert_eq!(servers.jwks.asked(), 3);
}
