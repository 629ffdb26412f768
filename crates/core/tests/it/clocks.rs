//! Servers whose clocks are apart.

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, KEY, START, at, expires_after, rejection, seconds, with_claims};

/// A server on the same store, whose clock shows another time.
fn server(fixture: &Fixture, second: i64) -> Knox {
    let clock = ManualClock::new(at(START + second));
    Knox::builder(SigningKey::hs256(KEY).unwrap()).store(fixture.store.clone()).clock(clock).build().unwrap()
}

#[tokio::test]
async fn a_fresh_token_is_accepted_by_a_server_whose_clock_is_behind() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for behind in [1, 5, 60, 3600] {
        let other = server(&fixture, -behind);
        let auth = other.authenticate(issued.token.expose()).await.unwrap();
        assert_eq!(*auth.subject(), "alice", "{behind} s");
    }
    // What that server issues is good here too, at once.
    let other = server(&fixture, -5);
    let auth = other.authenticate(issued.token.expose()).await.unwrap();
    let rotated = other.rotate(&auth).await.unwrap();
    assert!(fixture.is_valid(&rotated).await);
    let ahead = server(&fixture, 5).issue(1).await.unwrap();
    assert!(fixture.is_valid(&ahead).await);
}

/// Without the store, only the token says when it begins.
#[tokio::test]
async fn a_verifier_accepts_a_token_from_up_to_a_minute_ahead() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let verifier = |second: i64, leeway: u64| {
        let profile = TokenProfile::new().leeway(seconds(leeway)).unwrap();
        let key = SigningKey::hs256(KEY).unwrap().verifying_key();
        Verifier::new(key, profile).clock(ManualClock::new(at(START + second)))
    };
    for (second, leeway) in [(-1, 0), (-60, 0), (-60, 5), (-61, 61), (-600, 600)] {
        assert!(verifier(second, leeway).verify(issued.token.expose()).is_ok(), "{second} {leeway}");
    }
    for (second, leeway) in [(-61, 0), (-61, 60), (-601, 600)] {
        let outcome = verifier(second, leeway).verify(issued.token.expose());
        assert_eq!(outcome.unwrap_err(), Rejection::NotYetValid, "{second} {leeway}");
    }
}

#[tokio::test]
async fn nbf_gets_the_leeway_and_exp_gets_no_more() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let issued = fixture.login("alice").await;
    let early = with_claims(&issued, json!({"nbf": START + 1}));
    assert_eq!(fixture.rejection(&early).await, Rejection::NotYetValid);
    assert!(server(&fixture, 1).authenticate(&early).await.is_ok());
    assert_eq!(rejection(&server(&fixture, 100), issued.token.expose()).await, Rejection::Expired);
    assert!(server(&fixture, 99).authenticate(issued.token.expose()).await.is_ok());
}
