//! Authenticating, and asking again later.

use jwt_knox::*;

use crate::fixture::{Fixture, KEY, State, seconds, subject};

#[tokio::test]
async fn authentication_reads_one_record_however_many_sessions_there_are() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for _ in 0..500 {
        fixture.login("alice").await;
    }
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.calls(Operation::Find), 1);
}

#[tokio::test]
async fn what_cannot_be_decided_is_neither_accepted_nor_rejected() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;

    fixture.users.are(None);
    let undecided = fixture.knox.authenticate(issued.token.expose()).await;
    assert!(matches!(undecided, Err(AuthenticateError::Store(_))));
    fixture.users.are(SubjectStatus::Active);

    fixture.store_is(|_| State::Fails);
    let undecided = fixture.knox.authenticate(issued.token.expose()).await;
    assert!(matches!(undecided, Err(AuthenticateError::Store(_))));
    assert!(matches!(fixture.knox.issue(auth.subject().clone()).await, Err(IssueError::Store(_))));
    assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Store(_))));
    assert!(fixture.knox.revoke(&auth.session_ref()).await.is_err());
    assert!(fixture.knox.revoke_all(auth.subject()).await.is_err());
    assert!(fixture.knox.sessions(auth.subject()).await.is_err());
    // What is not even a token is rejected without a store.
    assert_eq!(fixture.rejection("a.b.c").await.as_str(), "malformed");
}

#[tokio::test]
async fn accepts_a_valid_token_although_the_store_cannot_write() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    fixture.store_is(|operation| if operation == Operation::Touch { State::Fails } else { State::Works });
    fixture.set(3600);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.calls(Operation::Touch), 1);
}

#[tokio::test]
async fn a_recheck_needs_no_token_and_sees_every_change() {
    let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap().with_key_id("old").unwrap());
    let fixture = Fixture::new();
    let knox = fixture
        .server(ring.clone())
        .subject_check(fixture.users.clone())
        .lifetime(Lifetime::expires_after(seconds(1000)).unwrap().or_idle_after(seconds(400)).unwrap())
        .build()
        .unwrap();
    let login = async || {
        let issued = knox.issue(subject("alice")).await.unwrap();
        knox.authenticate(issued.token.expose()).await.unwrap()
    };
    let rejection = async |auth: &Authenticated| match knox.recheck(auth).await {
        Err(AuthenticateError::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let (auth, revoked, rotated) = (login().await, login().await, login().await);
    let touches = fixture.calls(Operation::Touch);
    fixture.set(300);
    let again = knox.recheck(&auth).await.unwrap();
    assert_eq!(again.session(), auth.session());
    assert_eq!(fixture.calls(Operation::Touch), touches, "it does not count as a use of the session");

    assert!(knox.revoke(&revoked.session_ref()).await.unwrap().is_revoked());
    assert_eq!(rejection(&revoked).await, Rejection::Revoked);
    let issued = knox.rotate(&rotated).await.unwrap();
    assert!(knox.recheck(&rotated).await.is_ok(), "in the grace");
    fixture.set(310);
    assert_eq!(rejection(&rotated).await, Rejection::Revoked);
    let rotated = knox.authenticate(issued.token.expose()).await.unwrap();
    assert!(knox.recheck(&rotated).await.is_ok());

    fixture.users.are(SubjectStatus::Inactive);
    assert_eq!(rejection(&auth).await, Rejection::SubjectInactive);
    fixture.users.are(SubjectStatus::Active);
    fixture.store_is(|_| State::Fails);
    assert!(matches!(knox.recheck(&auth).await, Err(AuthenticateError::Store(_))));
    fixture.store_is(|_| State::Works);
    fixture.set(400);
    assert_eq!(rejection(&auth).await, Rejection::Expired, "the idle timeout goes on");
    assert!(knox.recheck(&rotated).await.is_ok(), "a rotation is a use");

    let new = SigningKey::hs256([1; 32]).unwrap().with_key_id("new").unwrap();
    ring.stage(new).unwrap();
    ring.promote("new").unwrap();
    assert!(knox.recheck(&rotated).await.is_ok());
    ring.retire("old").unwrap();
    assert_eq!(rejection(&rotated).await, Rejection::UnknownKey);
    let last = login().await;
    fixture.set(1400);
    assert_eq!(rejection(&last).await, Rejection::Expired);
}

/// The thumbprint of a symmetric key is a hash of it, and its id may have been chosen to reveal nothing.
#[tokio::test]
async fn debug_of_who_is_authenticated_shows_no_hash_of_the_key() {
    let fixture = Fixture::new();
    let key = SigningKey::hs256(KEY).unwrap();
    let thumbprint = key.key_id().to_owned();
    let knox = fixture.server(KeyRing::new(key.with_key_id("k1").unwrap())).build().unwrap();
    let auth = knox.authenticate(knox.issue(subject("alice")).await.unwrap().token.expose()).await.unwrap();
    let shown = format!("{auth:?}");
    assert!(shown.contains("k1") && !shown.contains(&thumbprint), "{shown}");
}
