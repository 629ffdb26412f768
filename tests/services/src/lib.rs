//! An issuer and a service that depends on it, each on a socket of its own, and what goes wrong between them.

// This is test code, which may fail by panicking.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

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
use futures_util::stream;
use jwt_knox::{ManualClock, TimeLimit, Timestamp};
use reqwest::{
    Client, Method, Response,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// When each test begins, in seconds since 1970.
pub const START: i64 = 1_800_000_000;

/// The challenge for a token that is not valid.
pub const INVALID: &str = r#"Bearer realm="api", error="invalid_token""#;

/// Both servers, and what the tests hold of them.
#[derive(Debug)]
pub struct Servers {
    /// Where the issuer is.
    pub issuer: SocketAddr,
    /// What the issuer serves, to be served again.
    routes: Router,
    issuing: JoinHandle<()>,
    /// The route that the service asks.
    pub route: Arc<Route>,
    /// Where the service is.
    pub service: SocketAddr,
    /// That of both.
    pub clock: ManualClock,
    /// Whether the time limit of the service is over.
    pub is_over: watch::Sender<bool>,
    /// Sends requests to them.
    pub client: Client,
}

/// A route of the issuer, which may do what it should not.
#[derive(Debug)]
pub struct Route {
    path: &'static str,
    reply: watch::Sender<Reply>,
    asked: AtomicU64,
}

/// What a route answers.
#[derive(Debug, Clone, Copy, Default)]
pub enum Reply {
    /// What it should.
    #[default]
    Truth,
    /// A page.
    Garbage,
    /// A 500, with the truth, which does not count then.
    Error,
    /// A redirect to itself, with the truth beside it.
    Elsewhere,
    /// More than anybody should read.
    TooMuch,
    /// The beginning of an answer, and then the connection ends.
    Half,
    /// None until it replies something else.
    Nothing,
}

impl Route {
    /// Sets what it answers from now on.
    pub fn replies(&self, reply: Reply) {
        self.reply.send_replace(reply);
    }

    /// How many requests have come.
    pub fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn asked_reaches(&self, count: u64) {
        while self.asked() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn around(State(route): State<Arc<Self>>, request: Request, next: Next) -> axum::response::Response {
        if request.uri().path() != route.path {
            return next.run(request).await;
        }
        route.asked.fetch_add(1, SeqCst);
        let reply = *route.reply.subscribe().wait_for(|reply| !matches!(reply, Reply::Nothing)).await.unwrap();
        match reply {
            Reply::Truth | Reply::Nothing => next.run(request).await,
            Reply::Garbage => "<html>It works!</html>".into_response(),
            Reply::Error => (StatusCode::INTERNAL_SERVER_ERROR, next.run(request).await).into_response(),
            Reply::Elsewhere => {
                (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, route.path)], next.run(request).await).into_response()
            }
            Reply::TooMuch => " ".repeat(1_000_000).into_response(),
            Reply::Half => {
                let parts = [Ok(Bytes::from_static(br#"{"active":true"#)), Err(io::Error::other("the end"))];
                Body::from_stream(stream::iter(parts)).into_response()
            }
        }
    }
}

impl Servers {
    /// Starts an issuer, and a service that asks it at `path`: made of the URL of that, and of a time limit that is
    /// over when the test says so.
    pub async fn start(
        path: &'static str,
        issuer: impl FnOnce(ManualClock) -> Router,
        service: impl FnOnce(String, ManualClock, TimeLimit) -> Router,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        let route = Arc::new(Route { path, reply: watch::Sender::default(), asked: AtomicU64::new(0) });
        let routes = issuer(clock.clone()).layer(from_fn_with_state(Arc::clone(&route), Route::around));
        let (issuer, issuing) = serve("127.0.0.1:0", routes.clone()).await;

        let is_over = watch::Sender::new(false);
        let timer = is_over.clone();
        let limit = TimeLimit::default().with_timer(move |_| {
            let mut is_over = timer.subscribe();
            async move { drop(is_over.wait_for(|is_over| *is_over).await) }
        });
        let app = service(format!("http://{issuer}{path}"), clock.clone(), limit);
        let (service, _) = serve("127.0.0.1:0", app).await;
        Self { issuer, routes, issuing, route, service, clock, is_over, client: Client::new() }
    }

    /// Stops the issuer.
    pub async fn stop_issuer(&mut self) {
        self.issuing.abort();
        drop((&mut self.issuing).await);
    }

    /// Starts it again, at the same address.
    pub async fn restart_issuer(&mut self) {
        self.issuing = serve(&self.issuer.to_string(), self.routes.clone()).await.1;
    }

    /// Lets so many seconds pass.
    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A token of the issuer.
    pub async fn log_in(&self, username: &str, password: &str) -> String {
        let url = format!("http://{}/get_token", self.issuer);
        let reply = self.client.post(url).basic_auth(username, Some(password)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// Ends the session of that token, at the issuer.
    pub async fn log_out(&self, token: &str) {
        let logout = self.client.post(format!("http://{}/logout", self.issuer)).bearer_auth(token);
        assert_eq!(logout.send().await.unwrap().status(), 204);
    }

    /// What the service answers to that token.
    pub async fn send(&self, method: Method, path: &str, token: &str) -> Response {
        let url = format!("http://{}{path}", self.service);
        self.client.request(method, url).bearer_auth(token).send().await.unwrap()
    }

    /// The same to a GET.
    pub async fn get(&self, path: &str, token: &str) -> Response {
        self.send(Method::GET, path, token).await
    }

    /// What it answers to a GET without a token.
    pub async fn get_without_token(&self, path: &str) -> Response {
        self.client.get(format!("http://{}{path}", self.service)).send().await.unwrap()
    }

    /// The status of `/orders` for that token.
    pub async fn status(&self, token: &str) -> u16 {
        self.get("/orders", token).await.status().as_u16()
    }

    /// The same of a request that is under way.
    #[must_use]
    pub fn in_background(self: &Arc<Self>, token: &str) -> JoinHandle<u16> {
        let (servers, token) = (Arc::clone(self), token.to_owned());
        tokio::spawn(async move { servers.status(&token).await })
    }

    /// The service says that the token is not valid.
    pub async fn assert_rejects(&self, token: &str) {
        for path in ["/", "/orders", "/reports/sales"] {
            let reply = self.get(path, token).await;
            assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, INVALID), "{path}");
        }
    }

    /// The service says that it cannot tell, and nothing of the reason.
    pub async fn assert_cannot_tell(&self, token: &str) {
        for path in ["/", "/orders", "/reports/sales"] {
            let reply = self.get(path, token).await;
            assert_eq!((reply.status().as_u16(), reply.headers()[RETRY_AFTER].to_str().unwrap()), (503, "5"), "{path}");
            assert!(!reply.headers().contains_key(WWW_AUTHENTICATE));
            let body = reply.text().await.unwrap();
            assert!(body.contains(r#""code":"unavailable""#), "{body}");
            assert!(!body.contains("issuer") && !body.contains("refused"), "{body}");
        }
    }

    /// alice (password: wonderland) may do everything at the service.
    pub async fn assert_lets_alice_in(&self, token: &str) {
        let reply = self.get("/orders", token).await;
        assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "The orders of 1\n"));
        assert_eq!(self.get("/", token).await.text().await.unwrap(), "Hello, 1\n");
        assert_eq!(self.send(Method::POST, "/orders", token).await.status(), 200);
        assert_eq!(self.get("/reports/sales", token).await.status(), 200);
    }

    /// Without a token there is a challenge, and for bob (password: builder), who may not order, a 403.
    pub async fn assert_guards(&self) {
        let reply = self.get_without_token("/orders").await;
        assert_eq!((reply.status().as_u16(), challenge(&reply)), (401, r#"Bearer realm="api""#));
        assert_eq!(self.get_without_token("/").await.text().await.unwrap(), "Hello, stranger\n");

        let bob = self.log_in("bob", "builder").await;
        assert_eq!(self.get("/orders", &bob).await.status(), 200);
        for (method, path) in [(Method::POST, "/orders"), (Method::GET, "/reports/sales")] {
            let reply = self.send(method, path, &bob).await;
            let expected = r#"Bearer realm="api", error="insufficient_scope", scope="orders:write""#;
            assert_eq!((reply.status().as_u16(), challenge(&reply)), (403, expected), "{path}");
            assert!(reply.text().await.unwrap().contains(r#""code":"insufficient_scope""#));
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
