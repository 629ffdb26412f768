//! Rotation: a session gets a new secret, and the old one stays valid for a grace.

use std::{collections::HashSet, time::Duration};

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{
    Audit, Fixture, KEY, START, State, at, claims, expires_after, rejection, seconds, secret, subject,
};

/// Everything that a session can have.
fn full_session() -> NewSession {
    NewSession::new(subject("alice"))
        .label("Firefox")
        .attribute("ip", "192.0.2.1")
        .unwrap()
        .claims(&json!({"role": "editor"}))
        .unwrap()
        .scopes(["read"])
        .unwrap()
}

fn assert_revoked(outcome: Result<Issued, IssueError>) {
    assert!(matches!(outcome, Err(IssueError::Rejected(Rejection::Revoked))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_parallel_rotations_all_give_the_same_new_secret_and_one_changes_the_record() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()));
    let old = fixture.knox.issue(full_session()).await.unwrap();
    fixture.set(1000);
    let auth = fixture.authenticate(&old).await;
    let rotations: Vec<_> = (0..32)
        .map(|_| {
            let (knox, auth) = (fixture.knox.clone(), auth.clone());
            tokio::spawn(async move { knox.rotate(&auth).await })
        })
        .collect();
    let mut answers = Vec::new();
    for rotation in rotations {
        answers.push(rotation.await.unwrap().unwrap());
    }
    let secrets: HashSet<String> = answers.iter().map(secret).collect();
    assert_eq!(secrets.len(), 1);
    assert!(!secrets.contains(&secret(&old)));
    let events = audit.take();
    assert_eq!(events.iter().filter(|event| *event == "rotated alice").count(), 1, "{events:?}");
    assert_eq!(fixture.knox.sessions(auth.subject()).await.unwrap().len(), 1);
    let record = fixture.record(&old).await.unwrap();
    assert_eq!(record.previous.as_ref().unwrap().digest(), &old.session.digest);
    assert_eq!(record.previous.as_ref().unwrap().valid_until(), at(START + 1010));
    for answer in &answers {
        assert_eq!(answer.session, record);
        assert!(fixture.is_valid(answer).await);
    }
    // All of them are one token, as far as the next rotation is concerned.
    let next = fixture.rotate(&answers[0]).await;
    fixture.set(1010);
    for answer in &answers {
        assert!(!fixture.is_valid(answer).await);
    }
    assert_ne!(secret(&next), secret(&answers[0]));
}

#[tokio::test]
async fn a_rotated_session_keeps_all_but_its_secret() {
    let fixture = Fixture::new();
    let old = fixture.knox.issue(full_session()).await.unwrap();
    fixture.set(1000);
    let mut new = fixture.rotate(&old).await;
    for _ in 0..3 {
        let mut expected = old.session.clone();
        expected.digest = new.session.digest.clone();
        expected.previous = new.session.previous.clone();
        expected.last_used_at = new.session.last_used_at;
        assert_eq!(new.session, expected, "and its id above all");
        assert_ne!(new.session.digest, old.session.digest);
        assert_eq!(fixture.record(&old).await.unwrap(), new.session);
        let (mut before, mut after) = (claims(&old), claims(&new));
        assert_ne!(before["jti"].take(), after["jti"].take());
        assert_ne!(before["iat"].take(), after["iat"].take());
        assert_eq!(before, after, "exp, sid, scope and the custom claims");
        let auth = fixture.authenticate(&new).await;
        assert!(auth.has_scope("read"));
        assert_eq!(auth.session_ref(), old.session.session_ref());
        new = fixture.rotate(&new).await;
    }
}

/// The client never gets the answer, and asks again with the token that it has.
#[tokio::test]
async fn a_lost_answer_loses_no_session() {
    let fixture = Fixture::new();
    let old = fixture.login("alice").await;
    let lost = fixture.rotate(&old).await;
    fixture.set(9);
    let record = fixture.record(&old).await;
    let again = fixture.rotate(&old).await;
    assert_eq!(secret(&again), secret(&lost));
    assert_eq!(claims(&again)["iat"], START + 9);
    assert_eq!(fixture.record(&old).await, record, "the grace is not prolonged, and nothing else changes");
    fixture.set(10);
    assert!(fixture.is_valid(&again).await && fixture.is_valid(&lost).await);
    let next = fixture.rotate(&again).await;
    assert!(fixture.is_valid(&next).await);
}

/// The store has rotated, and its answer never comes.
#[tokio::test]
async fn an_answer_of_the_store_that_is_lost_loses_no_session() {
    let fixture = Fixture::new();
    let old = fixture.login("alice").await;
    let auth = fixture.authenticate(&old).await;
    fixture.store_is(|operation| if operation == Operation::Rotate { State::LosesAnswer } else { State::Works });
    assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Store(_))));
    fixture.store_is(|_| State::Works);
    let new = fixture.knox.rotate(&auth).await.unwrap();
    assert_eq!(fixture.record(&old).await.unwrap().previous.unwrap().digest(), &old.session.digest);
    assert!(fixture.is_valid(&new).await && fixture.is_valid(&old).await);
    fixture.set(10);
    assert!(fixture.is_valid(&new).await && !fixture.is_valid(&old).await);
}

/// Reading the record and asking for the user take their time, which is not the client's.
#[tokio::test]
async fn the_grace_begins_when_the_rotation_is_stored() {
    let fixture = Fixture::new();
    let clock = fixture.clock.clone();
    let slow = subject_check_fn(move |_session| {
        clock.advance(seconds(8));
        std::future::ready(Ok(SubjectStatus::Active))
    });
    let knox = fixture.server(SigningKey::hs256(KEY).unwrap()).subject_check(slow).build().unwrap();
    let old = fixture.login("alice").await;
    let auth = knox.authenticate(old.token.expose()).await.unwrap();
    let new = knox.rotate(&auth).await.unwrap();
    assert_eq!(new.session.previous.unwrap().valid_until(), at(START + 8 + 8 + 10));
}

/// A key with a longer name makes longer tokens.
#[tokio::test]
async fn a_token_without_room_is_not_rotated_to() {
    let fixture = Fixture::new();
    let old = fixture.login("alice").await;
    let auth = fixture.authenticate(&old).await;
    let record = fixture.record(&old).await;
    let bytes = old.token.expose().len();
    let outcome = fixture.knox.rotate_within(&auth, bytes - 1).await;
    assert!(matches!(outcome, Err(IssueError::TooLarge { .. })), "{outcome:?}");
    assert_eq!(fixture.record(&old).await, record);
    assert!(fixture.knox.rotate_within(&auth, bytes).await.is_ok());
}

/// Two tabs share a token. Each rotates, in its own time, and stays logged in.
#[tokio::test]
async fn two_tabs_that_rotate_stay_logged_in() {
    let fixture = Fixture::new();
    let shared = fixture.login("alice").await;
    let first = fixture.rotate(&shared).await;
    assert!(fixture.is_valid(&shared).await, "requests of the second tab that are under way");
    fixture.set(5);
    let second = fixture.rotate(&shared).await;
    fixture.set(3600);
    assert!(fixture.is_valid(&first).await && fixture.is_valid(&second).await);
    let (first, second) = (fixture.rotate(&first).await, fixture.rotate(&second).await);
    assert_eq!(secret(&first), secret(&second));
    fixture.set(7200);
    assert!(fixture.is_valid(&first).await && fixture.is_valid(&second).await);
    assert_eq!(fixture.knox.sessions(&subject("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_old_token_is_valid_in_the_grace_and_reused_after_it() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()));
    let old = fixture.knox.issue(full_session()).await.unwrap();
    let other = fixture.login("alice").await;
    let new = fixture.rotate(&old).await;
    fixture.clock.set(at(START + 10) - Duration::from_micros(1));
    let auth = fixture.authenticate(&old).await;
    assert_eq!(auth.session(), &new.session);
    assert_eq!(auth.claims::<serde_json::Value>().unwrap()["role"], "editor");
    assert!(auth.has_scope("read"));
    audit.take();

    fixture.set(10);
    assert!(fixture.is_valid(&new).await);
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Reused);
    assert_eq!(
        audit.take(),
        ["reused alice", "revoked alice 1 reused, 1 ids, spared: false", "rejected reused alice"],
        "whoever has the new token may be the thief"
    );
    assert_eq!(fixture.record(&old).await, None);
    for token in [&old, &new] {
        assert_eq!(fixture.rejection(token.token.expose()).await, Rejection::Revoked);
    }
    assert!(fixture.is_valid(&other).await, "another session of the same user");
}

#[tokio::test]
async fn reuse_may_be_rejected_and_no_more() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()).on_reuse(ReuseAction::Reject));
    let old = fixture.login("alice").await;
    let new = fixture.rotate(&old).await;
    fixture.set(10);
    audit.take();
    for _ in 0..2 {
        assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Reused);
        assert_eq!(audit.take(), ["reused alice", "rejected reused alice"]);
    }
    assert!(fixture.is_valid(&new).await);
}

/// Whether the session has ended cannot be told then, so the answer is neither yes nor no.
#[tokio::test]
async fn reuse_is_undecided_if_the_session_cannot_be_revoked() {
    let fixture = Fixture::new();
    let old = fixture.login("alice").await;
    fixture.rotate(&old).await;
    fixture.set(10);
    fixture.store_is(|operation| if operation == Operation::Remove { State::Fails } else { State::Works });
    let outcome = fixture.knox.authenticate(old.token.expose()).await;
    assert!(matches!(outcome, Err(AuthenticateError::Store(_))), "{outcome:?}");
    fixture.store_is(|_| State::Works);
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Reused);
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Revoked);
}

/// A connection that was authenticated before the rotation presents nothing. It ends, and the session goes on.
#[tokio::test]
async fn a_recheck_or_a_late_rotation_after_the_grace_is_no_reuse() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()));
    let old = fixture.login("alice").await;
    let auth = fixture.authenticate(&old).await;
    let new = fixture.knox.rotate(&auth).await.unwrap();
    fixture.set(9);
    assert!(fixture.knox.recheck(&auth).await.is_ok());
    fixture.set(10);
    audit.take();
    let outcome = fixture.knox.recheck(&auth).await;
    assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Revoked))), "{outcome:?}");
    assert_revoked(fixture.knox.rotate(&auth).await);
    assert_eq!(audit.take(), ["rejected revoked alice"]);
    assert!(fixture.is_valid(&new).await);
}

#[tokio::test]
async fn the_grace_can_be_set_or_be_zero() {
    for grace in [0, 1, 3600] {
        let fixture = Fixture::with(|builder| builder.rotation_grace(seconds(grace)).on_reuse(ReuseAction::Reject));
        let old = fixture.login("alice").await;
        let auth = fixture.authenticate(&old).await;
        let new = fixture.knox.rotate(&auth).await.unwrap();
        let end = at(START) + seconds(grace);
        if grace > 0 {
            fixture.clock.set(end - Duration::from_micros(1));
            assert!(fixture.is_valid(&old).await && fixture.is_valid(&new).await);
            assert_eq!(secret(&fixture.rotate(&old).await), secret(&new));
        }
        fixture.clock.set(end);
        assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Reused);
        assert_revoked(fixture.knox.rotate(&auth).await);
        assert!(fixture.is_valid(&new).await);
    }
    // Longer than time goes on.
    let fixture = Fixture::with(|builder| builder.rotation_grace(Duration::MAX));
    let old = fixture.login("alice").await;
    let record = fixture.rotate(&old).await.session;
    assert_eq!(SessionRecord::from_json(&record.to_json().unwrap()).unwrap(), record);
    fixture.set(35_999);
    assert!(fixture.is_valid(&old).await);
}

/// With no grace, only one of parallel rotations gets a token, as nobody else may have the new secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_grace_one_of_32_parallel_rotations_wins() {
    let fixture = Fixture::with(|builder| builder.rotation_grace(Duration::ZERO));
    let old = fixture.login("alice").await;
    let auth = fixture.authenticate(&old).await;
    let rotations: Vec<_> = (0..32)
        .map(|_| {
            let (knox, auth) = (fixture.knox.clone(), auth.clone());
            tokio::spawn(async move { knox.rotate(&auth).await })
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        match rotation.await.unwrap() {
            Ok(issued) => winners.push(issued),
            outcome => assert_revoked(outcome),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(fixture.is_valid(&winners[0]).await);
}

/// Two rotations in the grace of the first: a record knows one secret before the present one.
#[tokio::test]
async fn rotating_twice_makes_the_first_token_invalid_at_once() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()));
    let first = fixture.login("alice").await;
    let auth = fixture.authenticate(&first).await;
    let second = fixture.rotate(&first).await;
    fixture.set(1);
    let third = fixture.rotate(&second).await;
    audit.take();
    assert_eq!(fixture.rejection(first.token.expose()).await, Rejection::Revoked);
    assert_revoked(fixture.knox.rotate(&auth).await);
    assert_eq!(audit.take(), ["rejected revoked alice"], "it may be a client that is slow, so the session goes on");
    assert!(fixture.is_valid(&second).await && fixture.is_valid(&third).await);
    fixture.set(11);
    assert_eq!(fixture.rejection(first.token.expose()).await, Rejection::Revoked);
    assert!(fixture.is_valid(&third).await);
}

/// The clock of another server, or one that was set back.
#[tokio::test]
async fn a_clock_that_goes_back_ends_no_session_by_a_rotation() {
    let fixture = Fixture::with(|builder| builder.leeway(seconds(60)));
    fixture.set(30);
    let old = fixture.login("alice").await;
    let new = fixture.rotate(&old).await;
    fixture.set(0);
    assert!(fixture.is_valid(&new).await && fixture.is_valid(&old).await);
    let next = fixture.rotate(&new).await;
    assert_eq!(next.session.last_used_at, Some(at(START + 30)), "a use is not forgotten");
    assert!(fixture.is_valid(&next).await && fixture.is_valid(&new).await && !fixture.is_valid(&old).await);
}

#[tokio::test]
async fn rotation_counts_as_use_and_needs_an_active_session() {
    let lifetime = expires_after(1000).or_idle_after(seconds(300)).unwrap();
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime).touch_interval(Duration::MAX));
    let mut issued = fixture.login("alice").await;
    for second in [200, 400, 600, 800] {
        fixture.set(second);
        issued = fixture.rotate(&issued).await;
        assert_eq!(issued.session.last_used_at, Some(at(START + second)));
    }
    assert_eq!(issued.session.expires_at, Some(at(START + 1000)));
    let auth = fixture.authenticate(&issued).await;
    fixture.set(1000);
    let outcome = fixture.knox.rotate(&auth).await;
    assert!(matches!(outcome, Err(IssueError::Rejected(Rejection::Expired))), "{outcome:?}");

    let unused = fixture.login("alice").await;
    let auth = fixture.authenticate(&unused).await;
    fixture.set(1300);
    assert_revoked(fixture.knox.rotate(&auth).await);
    let revoked = fixture.login("alice").await;
    let auth = fixture.authenticate(&revoked).await;
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_revoked(fixture.knox.rotate(&auth).await);
}

/// A retry with the old token does not prolong the session: only its own new token does.
#[tokio::test]
async fn a_retry_in_the_grace_is_no_use() {
    let lifetime = Lifetime::idle_after(seconds(40)).unwrap();
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime).rotation_grace(seconds(3600)));
    let old = fixture.login("alice").await;
    let auth = fixture.authenticate(&old).await;
    fixture.knox.rotate(&auth).await.unwrap();
    fixture.set(30);
    assert_eq!(fixture.knox.rotate(&auth).await.unwrap().session.expires_at, Some(at(START + 40)));
    fixture.set(40);
    assert_revoked(fixture.knox.rotate(&auth).await);
}

#[tokio::test]
async fn revoking_knows_no_grace_and_names_the_same_session_before_and_after_a_rotation() {
    let fixture = Fixture::new();
    let old = fixture.login("alice").await;
    let old_auth = fixture.authenticate(&old).await;
    let new = fixture.knox.rotate(&old_auth).await.unwrap();
    let new_auth = fixture.authenticate(&new).await;
    assert_eq!(old_auth.session_ref(), new_auth.session_ref());
    assert!(
        fixture.knox.revoke(&old_auth.session_ref()).await.unwrap().is_revoked(),
        "by what was known before the rotation"
    );
    for token in [&old, &new] {
        assert_eq!(fixture.rejection(token.token.expose()).await, Rejection::Revoked);
    }
    assert!(!fixture.knox.revoke(&new_auth.session_ref()).await.unwrap().is_revoked());

    let (mine, others) = (fixture.login("alice").await, fixture.login("alice").await);
    let mine_before = fixture.authenticate(&mine).await;
    let mine_after = fixture.rotate(&mine).await;
    let others_after = fixture.rotate(&others).await;
    assert_eq!(fixture.knox.revoke_others(&mine_before).await.unwrap(), 1);
    for token in [&others, &others_after] {
        assert_eq!(fixture.rejection(token.token.expose()).await, Rejection::Revoked);
    }
    assert!(fixture.is_valid(&mine).await && fixture.is_valid(&mine_after).await);
    assert_eq!(fixture.knox.revoke_all(&subject("alice")).await.unwrap(), 1);
    for token in [&mine, &mine_after] {
        assert_eq!(fixture.rejection(token.token.expose()).await, Rejection::Revoked);
    }
    assert_revoked(fixture.knox.rotate(&mine_before).await);
}

/// A key that was stolen and retired must not come back by a rotation.
#[tokio::test]
async fn a_token_whose_key_was_retired_is_not_rotated() {
    let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap().with_key_id("old").unwrap());
    let fixture = Fixture::new();
    let knox = fixture.server(ring.clone()).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    let auth = knox.authenticate(issued.token.expose()).await.unwrap();
    ring.stage(SigningKey::hs256([1; 32]).unwrap().with_key_id("new").unwrap()).unwrap();
    ring.promote("new").unwrap();
    let new = knox.rotate(&auth).await.unwrap();
    assert_eq!(crate::fixture::header(&new)["kid"], "new", "in the time between, it is signed with the new key");
    ring.retire("old").unwrap();
    let outcome = knox.rotate(&auth).await;
    assert!(matches!(outcome, Err(IssueError::Rejected(Rejection::UnknownKey))), "{outcome:?}");
    assert_eq!(rejection(&knox, issued.token.expose()).await, Rejection::UnknownKey);
    assert!(knox.authenticate(new.token.expose()).await.is_ok());
}

#[tokio::test]
async fn an_inactive_subject_gets_no_new_token() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    fixture.users.are(SubjectStatus::Inactive);
    let outcome = fixture.knox.rotate(&auth).await;
    assert!(matches!(outcome, Err(IssueError::Rejected(Rejection::SubjectInactive))), "{outcome:?}");
    fixture.users.are(SubjectStatus::Active);
    assert_eq!(fixture.record(&issued).await.unwrap().previous, None, "nothing has changed");
}

/// What a thief of the database makes of a record gives no token, and what it changes there is not signed.
#[tokio::test]
async fn what_the_store_was_changed_to_is_not_signed_into_a_new_token() {
    let fixture = Fixture::new();
    let issued = fixture.knox.issue(full_session()).await.unwrap();
    let auth = fixture.authenticate(&issued).await;
    let changes: [fn(&mut SessionRecord); 3] = [
        |record| record.scope = Some("admin".to_owned()),
        |record| record.absolute_expires_at = None,
        |record| record.claims = None,
    ];
    for change in changes {
        let record = fixture.record(&issued).await.unwrap();
        let mut changed = record.clone();
        change(&mut changed);
        replace(&fixture, changed).await;
        assert_revoked(fixture.knox.rotate(&auth).await);
        replace(&fixture, record).await;
    }
    assert!(fixture.knox.rotate(&auth).await.is_ok());
}

async fn replace(fixture: &Fixture, record: SessionRecord) {
    let store = fixture.store.inner();
    assert!(store.remove(&record.session_ref()).await.unwrap());
    let inserted = store.insert(record, None, at(START)).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted { evicted: vec![] });
}

#[tokio::test]
async fn rejects_a_rotation_that_would_grant_more_than_the_login() {
    let fixture = Fixture::new();
    let changes: [fn(&mut SessionRecord); 4] = [
        |record| record.scope = Some("read admin".to_owned()),
        |record| record.scope = None,
        |record| record.absolute_expires_at = Some(at(START + 1_000_000)),
        |record| record.absolute_expires_at = None,
    ];
    for change in changes {
        let issued = fixture.knox.issue(NewSession::new(subject("alice")).scopes(["read"]).unwrap()).await.unwrap();
        let auth = fixture.authenticate(&issued).await;
        fixture.tamper(&issued, change).await;
        assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Rejected(Rejection::Revoked))));
    }
}

/// Two servers whose clocks differ by less than the leeway: the token is no longer valid on the one that is ahead, and
/// nobody has stolen it.
#[tokio::test]
async fn a_token_after_its_grace_is_no_reuse_within_the_leeway() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.leeway(seconds(30)).observer(audit.observer()));
    let old = fixture.login("alice").await;
    let new = fixture.rotate(&old).await;
    audit.take();
    for second in [10, 39] {
        fixture.set(second);
        assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Revoked, "{second}");
        assert!(fixture.is_valid(&new).await);
    }
    fixture.set(40);
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Reused);
    assert!(!fixture.is_valid(&new).await);
}

/// Whoever writes into the database does not get a token of its key that lives longer.
#[tokio::test]
async fn a_rotation_does_not_prolong_what_the_token_says() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let issued = fixture.login("alice").await;
    fixture.tamper(&issued, |record| (record.absolute_expires_at, record.expires_at) = (None, None)).await;
    let rotated = fixture.rotate(&issued).await;
    assert_eq!(claims(&rotated)["exp"], claims(&issued)["exp"]);
    assert_eq!(rotated.session.expires_at, issued.session.expires_at, "what the client is told");
}
