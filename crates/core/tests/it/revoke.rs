//! Revoking sessions, and listing them.

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, START, State, at, expires_after, secret, subject, with_claims};

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

/// Two changes of a password at once, one of which may be a thief's: none of the sessions stays.
#[tokio::test]
async fn a_session_that_has_just_ended_still_ends_the_others() {
    let fixture = Fixture::new();
    let (thief, owner) = (fixture.login("alice").await, fixture.login("alice").await);
    let (by_thief, by_owner) = (fixture.authenticate(&thief).await, fixture.authenticate(&owner).await);
    assert_eq!(fixture.knox.revoke_others(&by_thief).await.unwrap(), 1);
    assert_eq!(fixture.knox.revoke_others(&by_owner).await.unwrap(), 1);
    assert!(!fixture.is_valid(&thief).await && !fixture.is_valid(&owner).await);
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

#[tokio::test]
async fn whoever_has_a_token_can_end_its_session() {
    let fixture = Fixture::new();
    let (issued, other) = (fixture.login("alice").await, fixture.login("alice").await);
    assert!(fixture.knox.revoke_token(issued.token.expose()).await.unwrap().is_revoked());
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
    for token in [issued.token.expose(), "", "a.b.c"] {
        assert!(!fixture.knox.revoke_token(token).await.unwrap().is_revoked(), "{token:?}");
    }
    assert!(fixture.is_valid(&other).await);
    // The id of a session that goes on, in a token that is not its own.
    let forged = with_claims(&other, json!({"jti": secret(&issued)}));
    assert!(!fixture.knox.revoke_token(&forged).await.unwrap().is_revoked());
    assert!(fixture.is_valid(&other).await);
}

/// The user may be active again tomorrow, and the session with them.
#[tokio::test]
async fn the_session_of_an_inactive_subject_can_be_ended_by_its_token() {
    for status in [SubjectStatus::Inactive, SubjectStatus::Unknown] {
        let fixture = Fixture::new();
        let issued = fixture.login("alice").await;
        fixture.users.are(status);
        assert!(fixture.knox.revoke_token(issued.token.expose()).await.unwrap().is_revoked());
        fixture.users.are(SubjectStatus::Active);
        assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
    }
}

#[tokio::test]
async fn a_token_that_was_rotated_away_ends_the_session_in_its_grace_and_after_it() {
    for second in [5, 10] {
        let fixture = Fixture::new();
        let old = fixture.login("alice").await;
        let new = fixture.rotate(&old).await;
        fixture.set(second);
        let outcome = fixture.knox.revoke_token(old.token.expose()).await.unwrap();
        assert_eq!(outcome.is_revoked(), second == 5, "after the grace, the reuse has ended it before");
        assert!(!fixture.is_valid(&new).await);
    }
}

#[tokio::test]
async fn a_store_that_cannot_tell_is_no_answer_to_the_end_of_a_session() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let states: [fn(Operation) -> State; 2] =
        [|_| State::Fails, |operation| if operation == Operation::Remove { State::Fails } else { State::Works }];
    for state in states {
        fixture.store_is(state);
        assert!(fixture.knox.revoke_token(issued.token.expose()).await.is_err());
    }
    fixture.store_is(|_| State::Works);
    assert!(fixture.is_valid(&issued).await);
}
