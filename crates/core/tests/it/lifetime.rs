//! When sessions expire, and what their use changes.

use std::time::Duration;

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, START, at, claims, expires_after, seconds, subject, with_claims};

#[tokio::test]
async fn a_token_expires_at_its_second() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let issued = fixture.login("alice").await;
    fixture.set(99);
    assert!(fixture.is_valid(&issued).await);
    for second in [100, 101] {
        fixture.set(second);
        assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Expired);
    }
}

#[tokio::test]
async fn one_leeway_holds_for_token_and_record() {
    let fixture = Fixture::with(|builder| builder.lifetime(expires_after(100)).leeway(seconds(10)));
    let issued = fixture.login("alice").await;
    fixture.set(109);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.knox.sessions(&issued.session.subject).await.unwrap().len(), 1);
    fixture.set(110);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Expired);
    assert_eq!(fixture.knox.sessions(&issued.session.subject).await.unwrap().len(), 0);
    // A server whose clock is behind accepts it.
    fixture.set(-11);
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn a_session_expires_with_its_record_whatever_the_token_says() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let issued = fixture.login("alice").await;
    fixture.set(100);
    // A thief of the signing key and of one token cannot make it live longer.
    for exp in [json!(null), json!(START + 1_000_000)] {
        assert_eq!(fixture.rejection(&with_claims(&issued, json!({"exp": exp}))).await, Rejection::Expired);
    }
}

#[tokio::test]
async fn a_session_that_never_expires_has_no_exp() {
    let fixture = Fixture::with_lifetime(Lifetime::never());
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued).get("exp"), None);
    assert_eq!(issued.session.expires_at, None);
    fixture.set(100 * 365 * 86_400);
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn use_puts_an_idle_timeout_off_and_never_past_the_absolute_expiry() {
    let lifetime = expires_after(1000).or_idle_after(seconds(300)).unwrap();
    let fixture = Fixture::with_lifetime(lifetime);
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued)["exp"], START + 1000);
    for second in [250, 500, 750, 999] {
        fixture.set(second);
        assert!(fixture.is_valid(&issued).await, "{second}");
    }
    fixture.set(1000);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Expired);

    // A thief of the signing key cannot lift the absolute expiry either.
    let forged = with_claims(&issued, json!({"exp": null}));
    assert_eq!(fixture.rejection(&forged).await, Rejection::Expired);

    let unused = fixture.login("alice").await;
    fixture.set(1300);
    assert_eq!(fixture.rejection(unused.token.expose()).await, Rejection::Expired);
}

#[tokio::test]
async fn a_session_expires_at_its_absolute_expiry_even_if_the_store_has_moved_the_other_one() {
    for expires_at in [None, Some(at(START + 1_000_000))] {
        let fixture = Fixture::with_lifetime(expires_after(100));
        let issued = fixture.login("alice").await;
        fixture.tamper(&issued, |record| record.expires_at = expires_at).await;
        let forged = with_claims(&issued, json!({"exp": null}));
        fixture.set(99);
        assert!(fixture.knox.authenticate(&forged).await.is_ok());
        fixture.set(100);
        assert_eq!(fixture.rejection(&forged).await, Rejection::Expired);
    }
}

#[tokio::test]
async fn use_is_recorded_once_per_touch_interval() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for second in 0..=180 {
        fixture.set(second);
        assert!(fixture.is_valid(&issued).await);
    }
    assert_eq!(fixture.calls(Operation::Touch), 4, "at 0, 60, 120 and 180");
    let record = fixture.store.find(&issued.session.session_ref()).await.unwrap().unwrap();
    assert_eq!(record.last_used_at, Some(at(START + 180)));
    assert_eq!(record.expires_at, issued.session.expires_at);
    // A clock that jumps back writes nothing.
    fixture.set(60);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.calls(Operation::Touch), 4);
}

/// Where no idle timeout needs it, the list of sessions can do with a quarter of an hour.
#[tokio::test]
async fn use_is_recorded_four_times_an_hour_by_default() {
    let fixture = Fixture::new();
    let knox = Knox::builder(SigningKey::hs256(crate::fixture::KEY).unwrap())
        .store(fixture.store.clone())
        .clock(fixture.clock.clone())
        .build()
        .unwrap();
    let issued = knox.issue(1).await.unwrap();
    for minute in 0..120 {
        fixture.set(minute * 60);
        assert!(knox.authenticate(issued.token.expose()).await.is_ok());
    }
    assert_eq!(fixture.calls(Operation::Touch), 8);
}

#[tokio::test]
async fn only_the_first_use_is_recorded_if_the_touch_interval_has_no_end() {
    let fixture = Fixture::with(|builder| builder.touch_interval(Duration::MAX));
    let issued = fixture.login("alice").await;
    for second in [60, 3600, 35_999] {
        fixture.set(second);
        assert_eq!(fixture.authenticate(&issued).await.session().last_used_at, Some(at(START + 60)));
    }
    assert_eq!(fixture.calls(Operation::Touch), 1);
}

#[tokio::test]
async fn a_session_may_have_its_own_lifetime() {
    let fixture = Fixture::new();
    let issued = fixture.knox.issue(NewSession::new(subject("alice")).lifetime(expires_after(5))).await.unwrap();
    assert_eq!(issued.session.expires_at, Some(at(START + 5)));
    assert_eq!(claims(&issued)["exp"], START + 5);
    assert_eq!(Lifetime::expires_after(Duration::ZERO), Err(ConfigError::LifetimeTooShort));
}
