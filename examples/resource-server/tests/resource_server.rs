//! An issuer and the service, each on a socket of its own.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use example_resource_server::{app, issuer::issuer, jwks::Jwks, profile};
use jwt_knox_axum::{
    VerifierHttp,
    jwt_knox::{Algorithm, KeyRing, Knox, MemoryStore, RemoteKeySet, SigningKey, Timestamp, Verifier},
};
use jwt_knox_test_services::{Reply, START, Servers};

/// Both servers, and the keys of the issuer.
async fn start() -> (Servers, KeyRing) {
    let ring = KeyRing::new(key("old"));
    let issuer = |clock| issuer(ring.clone(), clock).unwrap();
    let servers = Servers::start("/.well-known/jwks.json", issuer, |url, clock, limit| {
        let source = Jwks::new(url).unwrap();
        let keys = RemoteKeySet::builder(source).clock(clock.clone()).time_limit(limit).build().unwrap();
        let verifier = Verifier::remote(keys, profile().unwrap()).clock(clock);
        app(VerifierHttp::builder(verifier).build().unwrap())
    })
    .await;
    (servers, ring)
}

fn key(id: &str) -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(id).unwrap()
}

fn rotate(ring: &KeyRing, id: &str) {
    ring.stage(key(id)).unwrap();
    ring.promote(id).unwrap();
}

/// What the service answers to a token that names a key that nobody has.
async fn status_of_forged(servers: &Servers) -> u16 {
    let forger = Knox::builder(key("forged")).profile(profile().unwrap()).store(MemoryStore::new());
    let forged = forger.clock(servers.clock.clone()).build().unwrap().issue(1).await.unwrap();
    servers.status(forged.token.expose()).await
}

#[tokio::test]
async fn a_token_of_the_issuer_is_valid_at_the_service_until_it_expires() {
    let (servers, _) = start().await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.assert_lets_alice_in(&token).await;

    // The service does not notice the end of the session.
    servers.log_out(&token).await;
    assert_eq!(servers.get("/orders", &token).await.status(), 200);

    servers.clock.set(Timestamp::from_second(START + 15 * 60).unwrap());
    servers.assert_rejects(&token).await;
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_and_without_the_scope_a_403() {
    let (servers, _) = start().await;
    servers.assert_guards().await;
}

#[tokio::test]
async fn a_forged_token_is_rejected() {
    let (servers, ring) = start().await;
    // The same claims and the same key id, and another key.
    let forger = Knox::builder(key("old")).profile(profile().unwrap()).store(MemoryStore::new());
    let forged = forger.clock(servers.clock.clone()).build().unwrap().issue(1).await.unwrap();
    // A token of the issuer for another service.
    let other = Knox::builder(ring.clone()).issuer("https://auth.example.com").audience("billing");
    let other = other.store(MemoryStore::new()).clock(servers.clock.clone()).build().unwrap().issue(1).await.unwrap();
    let honest = servers.log_in("alice", "wonderland").await;
    for token in [forged.token.expose(), other.token.expose(), &format!("{honest}A"), "a.b.c"] {
        servers.assert_rejects(token).await;
    }
}

#[tokio::test]
async fn a_rotation_of_keys_reaches_the_service_with_the_first_token() {
    let (servers, ring) = start().await;
    let before = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&before).await, servers.route.asked()), (200, 1));
    servers.pass(30);
    rotate(&ring, "new");
    let after = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&after).await, servers.status(&before).await), (200, 200));
    assert_eq!(servers.route.asked(), 2);
    for _ in 0..10 {
        assert_eq!(status_of_forged(&servers).await, 401);
    }
    assert_eq!(servers.route.asked(), 2);

    // What was retired is gone when `max-age` is over, which the issuer sets to 5 minutes.
    ring.retire("old").unwrap();
    servers.pass(299);
    assert_eq!((servers.status(&before).await, servers.route.asked()), (200, 2));
    servers.pass(1);
    assert_eq!((servers.status(&before).await, servers.status(&after).await), (401, 200));
    assert_eq!(servers.route.asked(), 3);
}

#[tokio::test]
async fn a_service_that_starts_before_its_issuer_answers_503_until_it_is_there() {
    let (mut servers, _) = start().await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.stop_issuer().await;
    servers.assert_cannot_tell(&token).await;
    // Without a token there is nothing to be told.
    assert_eq!(servers.get_without_token("/").await.status(), 200);
    assert_eq!(servers.status("a.b.c").await, 401);

    servers.restart_issuer().await;
    servers.pass(1);
    assert_eq!((servers.status(&token).await, status_of_forged(&servers).await), (200, 401));
}

#[tokio::test]
async fn an_issuer_that_fails_ends_nobody_at_the_service() {
    let (mut servers, ring) = start().await;
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!(servers.status(&token).await, 200);
    for reply in [Reply::Garbage, Reply::Error, Reply::Elsewhere, Reply::TooMuch] {
        servers.route.replies(reply);
        servers.pass(60);
        assert_eq!((status_of_forged(&servers).await, servers.status(&token).await), (503, 200));
    }
    assert_eq!(servers.route.asked(), 5);
    servers.stop_issuer().await;
    servers.pass(60);
    assert_eq!((status_of_forged(&servers).await, servers.status(&token).await), (503, 200));
    servers.pass(300);
    assert_eq!(servers.status(&token).await, 200);
    assert_eq!(servers.route.asked(), 5);

    servers.route.replies(Reply::Truth);
    servers.restart_issuer().await;
    rotate(&ring, "new");
    servers.pass(60);
    let after = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&after).await, servers.status(&token).await), (200, 200));
    assert_eq!((status_of_forged(&servers).await, servers.route.asked()), (401, 6));
}

#[tokio::test]
async fn an_issuer_that_hangs_delays_one_request_and_ends_nobody() {
    let (servers, ring) = start().await;
    let servers = Arc::new(servers);
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!(servers.status(&token).await, 200);
    servers.route.replies(Reply::Nothing);
    servers.pass(300);
    let driver = servers.in_background(&token);
    servers.route.asked_reaches(2).await;
    for _ in 0..10 {
        assert_eq!(servers.status(&token).await, 200);
    }
    assert!(!driver.is_finished());
    servers.is_over.send_replace(true);
    assert_eq!(driver.await.unwrap(), 200);
    assert_eq!(servers.route.asked(), 2);

    // A client that hangs up while its request fetches keeps nobody from it.
    servers.is_over.send_replace(false);
    servers.pass(60);
    let driver = servers.in_background(&token);
    servers.route.asked_reaches(3).await;
    driver.abort();
    drop(driver.await);
    rotate(&ring, "new");
    let after = servers.log_in("alice", "wonderland").await;
    let next = servers.status(&after);
    let answer = async { servers.route.replies(Reply::Truth) };
    assert_eq!(tokio::join!(next, answer).0, 200);
    assert_eq!(servers.route.asked(), 3);
}
