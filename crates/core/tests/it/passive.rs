//! Requests that a page makes by itself.

use jwt_knox::*;

use crate::fixture::{Audit, Fixture, START, at, seconds};

#[tokio::test]
async fn a_poll_does_not_keep_an_idle_session_alive() {
    let audit = Audit::default();
    let lifetime = Lifetime::idle_after(seconds(100)).unwrap();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()).lifetime(lifetime));
    let issued = fixture.login("alice").await;
    audit.take();
    for second in 0..100 {
        fixture.set(second);
        let auth = fixture.knox.authenticate_passively(issued.token.expose()).await.unwrap();
        assert_eq!(auth.session().last_used_at, None);
    }
    assert_eq!(audit.take(), [""; 0]);
    assert_eq!(fixture.calls(Operation::Touch), 0);
    fixture.set(100);
    let late = fixture.knox.authenticate_passively(issued.token.expose()).await;
    assert!(matches!(late, Err(AuthenticateError::Rejected(Rejection::Expired))));
}

#[tokio::test]
async fn what_the_user_does_counts_between_polls() {
    let lifetime = Lifetime::idle_after(seconds(100)).unwrap();
    let fixture = Fixture::with_lifetime(lifetime);
    let issued = fixture.login("alice").await;
    fixture.set(90);
    assert!(fixture.is_valid(&issued).await);
    fixture.set(150);
    let auth = fixture.knox.authenticate_passively(issued.token.expose()).await.unwrap();
    assert_eq!(auth.session().last_used_at, Some(at(START + 90)));
    assert_eq!(auth.session().expires_at, Some(at(START + 190)));
}

/// What is remembered makes no difference to what counts as a use.
#[tokio::test]
async fn a_poll_that_is_answered_from_memory_is_no_use() {
    let fixture = Fixture::with(|builder| builder.cache(Cache::default().max_age(seconds(3600))));
    let issued = fixture.login("alice").await;
    let passive = async || {
        let auth = fixture.knox.authenticate_passively(issued.token.expose()).await.unwrap();
        auth.session().last_used_at
    };
    assert_eq!((passive().await, passive().await), (None, None));
    assert_eq!((fixture.calls(Operation::Find), fixture.calls(Operation::Touch)), (1, 0));
    assert!(fixture.is_valid(&issued).await, "it counts, and is answered from memory");
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(passive().await, Some(at(START)));
    assert_eq!((fixture.calls(Operation::Find), fixture.calls(Operation::Touch)), (1, 1));
}
