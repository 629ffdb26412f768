//! An issuer and the service, each on a socket of its own.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use axum::Router;
use example_resource_server::{app, issuer::issuer, jwks::Jwks, profile};
use jwt_knox_axum::{
    VerifierHttp,
    jwt_knox::{Algorithm, KeyRing, KeySet, Knox, ManualClock, MemoryStore, SigningKey, Timestamp, Verifier},
};
use reqwest::{Client, Method, Response, header::WWW_AUTHENTICATE};
use serde_json::Value;
use tokio::net::TcpListener;

const START: i64 = 1_800_000_000;

/// Both servers, and what the tests hold of them.
struct Servers {
    issuer: SocketAddr,
    service: SocketAddr,
    ring: KeyRing,
    clock: ManualClock,
    jwks: Jwks,
    keys: KeySet,
    client: Client,
}

impl Servers {
    async fn start() -> Self {
        let ring = KeyRing::new(key("old"));
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        let issuer = serve(issuer(ring.clone(), clock.clone()).unwrap()).await;
        let jwks = Jwks::new(format!("http://{issuer}/.well-known/jwks.json")).unwrap();
        let keys = jwks.fetch().await.unwrap();
        let verifier = Verifier::new(keys.clone(), profile().unwrap()).clock(clock.clone());
        let service = serve(app(VerifierHttp::builder(verifier).build().unwrap())).await;
        Self { issuer, service, ring, clock, jwks, keys, client: Client::new() }
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

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
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
async fn a_rotation_of_keys_reaches_the_service_with_the_next_refresh() {
    let servers = Servers::start().await;
    let before = servers.log_in("alice", "wonderland").await;
    servers.ring.stage(key("new")).unwrap();
    servers.ring.promote("new").unwrap();
    let after = servers.log_in("alice", "wonderland").await;
    // Staged long enough, the new key would be here already.
    assert_eq!(servers.get("/orders", &after).await.status(), 401);
    servers.jwks.refresh(&servers.keys).await.unwrap();
    assert_eq!(servers.get("/orders", &before).await.status(), 200);
    assert_eq!(servers.get("/orders", &after).await.status(), 200);

    servers.ring.retire("old").unwrap();
    servers.jwks.refresh(&servers.keys).await.unwrap();
    assert_eq!(servers.get("/orders", &before).await.status(), 401);
    assert_eq!(servers.get("/orders", &after).await.status(), 200);

    // An issuer that cannot be reached, or answers something else, takes no key away.
    let elsewhere = Jwks::new(format!("http://{}/nothing", servers.issuer)).unwrap();
    assert!(elsewhere.refresh(&servers.keys).await.is_err());
    assert!(elsewhere.fetch().await.is_err());
    assert_eq!(servers.get("/orders", &after).await.status(), 200);
}
