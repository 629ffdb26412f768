//! Revoking sessions, and listing them.

use jwt_knox::*;

use crate::fixture::{Fixture, START, at, expires_after, subject};

#[tokio::test]
async fn a_token_is_valid_until_it_is_revoked() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    assert_eq!(auth.subject().as_str(), "alice");
    assert_eq!(auth.session_ref(), issued.session.session_ref());
    let mut expected = issued.session.clone();
    expected.last_used_at = Some(at(START));
    assert_eq!(auth.session(), &expected);

    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
    assert!(
        !fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked(),
        "a second time there is nothing to revoke"
    );
}

#[tokio::test]
async fn a_second_login_gives_another_token_and_each_is_revoked_alone() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.login("alice").await, fixture.login("alice").await);
    assert_ne!(first.token.expose(), second.token.expose());
    assert!(fixture.knox.revoke(&first.session.session_ref()).await.unwrap().is_revoked());
    assert!(!fixture.is_valid(&first).await);
    assert!(fixture.is_valid(&second).await);
}

#[tokio::test]
async fn revoke_others_and_revoke_all_stay_with_their_subject() {
    let fixture = Fixture::new();
    let (mine, other, third) =
        (fixture.login("alice").await, fixture.login("alice").await, fixture.login("alice").await);
    let bobs = fixture.login("bob").await;
    let auth = fixture.authenticate(&mine).await;
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 2);
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 0);
    assert!(fixture.is_valid(&mine).await && !fixture.is_valid(&other).await && !fixture.is_valid(&third).await);
    assert_eq!(fixture.knox.revoke_all(auth.subject()).await.unwrap(), 1);
    assert!(!fixture.is_valid(&mine).await);
    assert!(fixture.is_valid(&bobs).await);
}

#[tokio::test]
async fn lists_active_sessions_newest_first() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let first = fixture.login("alice").await;
    fixture.set(50);
    let second = fixture.login("alice").await;
    let third = fixture.login("alice").await;
    let ids = async || -> Vec<SessionId> {
        let records = fixture.knox.sessions(&subject("alice")).await.unwrap();
        records.iter().map(|record| record.id).collect()
    };
    let mut at_one_time = [second.session.id, third.session.id];
    at_one_time.sort_by(|a, b| b.cmp(a));
    assert_eq!(ids().await, [at_one_time.as_slice(), &[first.session.id]].concat());
    fixture.set(100);
    assert_eq!(ids().await, at_one_time);
}
