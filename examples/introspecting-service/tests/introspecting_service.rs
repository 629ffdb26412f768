//! An issuer and the service, each on a socket of its own.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use example_introspecting_service::{ID, app, introspection::Issuer, issuer::issuer, profile};
use jwt_knox_axum::{
    OAuthClientSecret, VerifierHttp,
    jwt_knox::{Algorithm, Introspector, Knox, MemoryStore, SigningKey, Verifier},
};
use jwt_knox_test_services::{Reply, Servers};

/// A service that remembers answers for so many seconds.
async fn start(max_age: u64) -> Servers {
    let secret = OAuthClientSecret::generate().unwrap();
    start_with(max_age, &secret.hash(), secret).await
}

async fn start_with(max_age: u64, hash: &str, secret: OAuthClientSecret) -> Servers {
    let issuer = |clock| issuer(hash, clock).unwrap();
    Servers::start("/introspect", issuer, |url, clock, limit| {
        let endpoint = Issuer::new(url, ID, secret).unwrap();
        let introspector = Introspector::builder(endpoint).max_age(Duration::from_secs(max_age)).time_limit(limit);
        let verifier = Verifier::introspecting(introspector.build(), profile().unwrap()).clock(clock);
        app(VerifierHttp::builder(verifier).build().unwrap())
    })
    .await
}

#[tokio::test]
async fn a_token_of_the_issuer_is_valid_at_the_service_until_its_session_ends() {
    let servers = start(0).await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.assert_lets_alice_in(&token).await;
    assert_eq!(servers.route.asked(), 4);

    servers.log_out(&token).await;
    servers.assert_rejects(&token).await;
}

#[tokio::test]
async fn with_a_max_age_the_end_of_a_session_counts_when_it_is_over() {
    let servers = start(2).await;
    let token = servers.log_in("alice", "wonderland").await;
    assert_eq!((servers.status(&token).await, servers.status(&token).await, servers.route.asked()), (200, 200, 1));
    servers.log_out(&token).await;
    servers.pass(1);
    assert_eq!((servers.status(&token).await, servers.route.asked()), (200, 1));
    servers.pass(1);
    assert_eq!((servers.status(&token).await, servers.route.asked()), (401, 2));
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_and_without_the_scope_a_403() {
    let servers = start(0).await;
    servers.assert_guards().await;
}

#[tokio::test]
async fn a_forged_token_is_rejected_and_garbage_not_even_asked_about() {
    let servers = start(2).await;
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
        let before = servers.route.asked();
        servers.assert_rejects(token).await;
        assert_eq!(servers.route.asked() - before, asked, "{token:.80}");
    }
    assert_eq!(servers.status(&honest).await, 200);
}

#[tokio::test]
async fn an_issuer_that_fails_lets_nobody_in_and_ends_nobody() {
    let mut servers = start(2).await;
    let token = servers.log_in("alice", "wonderland").await;
    for reply in [Reply::Garbage, Reply::Error, Reply::Elsewhere, Reply::TooMuch, Reply::Half] {
        servers.route.replies(reply);
        let before = servers.route.asked();
        servers.assert_cannot_tell(&token).await;
        // It is asked again each time, and follows no redirect.
        assert_eq!(servers.route.asked() - before, 3, "{reply:?}");
    }
    servers.route.replies(Reply::Truth);
    assert_eq!(servers.status(&token).await, 200);

    // For as long as an answer is not too old, nobody notices that the issuer is down.
    servers.stop_issuer().await;
    servers.route.replies(Reply::Error);
    servers.pass(1);
    assert_eq!(servers.status(&token).await, 200);
    servers.pass(1);
    servers.assert_cannot_tell(&token).await;
    // Where nothing has to be told, nothing is asked.
    assert_eq!(servers.get_without_token("/").await.status(), 200);
    assert_eq!(servers.status("a.b.c").await, 401);

    servers.route.replies(Reply::Truth);
    servers.restart_issuer().await;
    assert_eq!(servers.status(&token).await, 200);
}

/// The operator has to act, and no user.
#[tokio::test]
async fn a_service_that_the_issuer_does_not_know_cannot_tell() {
    let (secret, other) = (OAuthClientSecret::generate().unwrap(), OAuthClientSecret::generate().unwrap());
    let servers = start_with(2, &other.hash(), secret).await;
    let token = servers.log_in("alice", "wonderland").await;
    servers.assert_cannot_tell(&token).await;
    servers.assert_cannot_tell(&format!("{token}AAAA")).await;
    assert_eq!(servers.route.asked(), 6);
}

#[tokio::test]
async fn an_issuer_that_hangs_is_a_503_and_no_hang() {
    let servers = Arc::new(start(0).await);
    let token = servers.log_in("alice", "wonderland").await;
    servers.route.replies(Reply::Nothing);
    let requests: Vec<_> = (0..10).map(|_| servers.in_background(&token)).collect();
    servers.route.asked_reaches(1).await;
    servers.is_over.send_replace(true);
    for request in requests {
        assert_eq!(request.await.unwrap(), 503);
    }
    servers.is_over.send_replace(false);
    servers.route.replies(Reply::Truth);
    assert_eq!(servers.status(&token).await, 200);
}

#[tokio::test]
async fn a_page_that_sends_many_requests_at_once_asks_once() {
    let servers = Arc::new(start(2).await);
    let token = servers.log_in("alice", "wonderland").await;
    servers.route.replies(Reply::Nothing);
    let leader = servers.in_background(&token);
    servers.route.asked_reaches(1).await;
    let requests: Vec<_> = (0..50).map(|_| servers.in_background(&token)).collect();
    // The client whose request asks hangs up.
    leader.abort();
    drop(leader.await);
    servers.route.replies(Reply::Truth);
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    // Once more if the first one was gone before another came.
    assert!(servers.route.asked() <= 2, "{}", servers.route.asked());
}
