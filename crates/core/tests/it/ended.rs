//! Connections that must not outlive their session.

use std::{
    future::{Future, pending, ready},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use jwt_knox::*;
use tokio::sync::Notify;

use crate::{
    fixture::{Fixture, KEY, State, seconds, subject},
    waiting::poll_once,
};

/// A timer that waits until the test says so, and tells for how long it was to wait.
#[derive(Clone, Default)]
struct Pauses {
    over: Arc<Notify>,
    asked: Arc<Mutex<Vec<Duration>>>,
}

impl Timer for Pauses {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.asked.lock().unwrap().push(duration);
        let over = Arc::clone(&self.over);
        Box::pin(async move { over.notified().await })
    }
}

fn reason(outcome: Poll<AuthenticateError>) -> Rejection {
    match outcome {
        Poll::Ready(AuthenticateError::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_this_process_ends_is_seen_at_once() {
    let fixture = Fixture::with(|builder| builder.limit(SessionLimit::evict_oldest(2).unwrap()).timer(|_| pending()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    fixture.set(1);
    let other = fixture.login("alice").await;
    let other_auth = fixture.authenticate(&other).await;

    // One's own end, and not that of another session.
    let mut ended = pin!(fixture.knox.ended(&auth));
    let mut other_ended = pin!(fixture.knox.ended(&other_auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    assert!(poll_once(other_ended.as_mut()).is_pending());
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_eq!(reason(poll_once(ended)), Rejection::Revoked);
    assert!(poll_once(other_ended.as_mut()).is_pending());

    // By the limit.
    fixture.set(2);
    fixture.login("alice").await;
    assert!(poll_once(other_ended.as_mut()).is_pending());
    let last = fixture.login("alice").await;
    assert_eq!(reason(poll_once(other_ended)), Rejection::Revoked);

    // By all of them, through the handle of an operator.
    let auth = fixture.authenticate(&last).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    fixture.knox.admin().revoke_all(&subject("alice")).await.unwrap();
    assert_eq!(reason(poll_once(ended)), Rejection::Revoked);
}

#[tokio::test]
async fn a_session_that_has_ended_before_is_seen_at_once() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_eq!(reason(poll_once(pin!(fixture.knox.ended(&auth)))), Rejection::Revoked);
}

#[tokio::test]
async fn what_another_process_ends_is_seen_after_the_interval() {
    let pauses = Pauses::default();
    let fixture = Fixture::with(|builder| builder.timer(pauses.clone()).recheck_interval(seconds(7)));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).build().unwrap();
    assert!(other.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert!(poll_once(ended.as_mut()).is_pending());
    pauses.over.notify_one();
    assert_eq!(reason(poll_once(ended)), Rejection::Revoked);
    assert_eq!(*pauses.asked.lock().unwrap(), [seconds(7)]);
}

#[tokio::test]
async fn expiry_and_the_user_are_seen() {
    let pauses = Pauses::default();
    let fixture =
        Fixture::with(|builder| builder.timer(pauses.clone()).lifetime(Lifetime::idle_after(seconds(20)).unwrap()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    assert_eq!(*pauses.asked.lock().unwrap(), [seconds(20)], "not longer than the session lives");
    fixture.set(15);
    assert!(fixture.is_valid(&issued).await, "the user does something");
    fixture.set(20);
    pauses.over.notify_one();
    assert!(poll_once(ended.as_mut()).is_pending());
    assert_eq!(pauses.asked.lock().unwrap().last(), Some(&seconds(15)));
    fixture.set(35);
    pauses.over.notify_one();
    assert_eq!(reason(poll_once(ended)), Rejection::Expired);

    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    fixture.users.are(SubjectStatus::Inactive);
    pauses.over.notify_one();
    assert_eq!(reason(poll_once(ended)), Rejection::SubjectInactive);
}

#[tokio::test]
async fn a_connection_outlives_a_rotation_and_its_grace() {
    let pauses = Pauses::default();
    let fixture = Fixture::with(|builder| builder.timer(pauses.clone()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    let rotated = fixture.rotate(&issued).await;
    fixture.set(100);
    let again = fixture.rotate(&rotated).await;
    pauses.over.notify_one();
    assert!(poll_once(ended.as_mut()).is_pending());
    let auth = fixture.authenticate(&again).await;
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_eq!(reason(poll_once(ended)), Rejection::Revoked);
}

#[tokio::test]
async fn a_retired_key_ends_what_it_has_signed() {
    let pauses = Pauses::default();
    let old = SigningKey::hs256(KEY).unwrap();
    let ring = KeyRing::new(old.clone());
    let fixture = Fixture::new();
    let knox = fixture.server(ring.clone()).timer(pauses.clone()).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    let auth = knox.authenticate(issued.token.expose()).await.unwrap();
    let mut ended = pin!(knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    let new = SigningKey::generate(Algorithm::Hs256).unwrap();
    let id = new.key_id().to_owned();
    ring.stage(new).unwrap();
    ring.promote(&id).unwrap();
    ring.retire(old.key_id()).unwrap();
    pauses.over.notify_one();
    assert_eq!(reason(poll_once(ended)), Rejection::UnknownKey);
}

#[tokio::test]
async fn a_store_that_is_down_ends_it_after_three_times() {
    let fixture = Fixture::with(|builder| builder.timer(|_| ready(())));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    fixture.store_is(|_| State::Fails);
    let before = fixture.calls(Operation::Find);
    let outcome = poll_once(pin!(fixture.knox.ended(&auth)));
    assert!(matches!(outcome, Poll::Ready(AuthenticateError::Store(_))), "{outcome:?}");
    assert_eq!(fixture.calls(Operation::Find) - before, 3);
}

/// One failure is a blip, also if there were others before the last answer.
#[tokio::test]
async fn a_store_that_is_back_in_time_ends_nothing() {
    let pauses = Pauses::default();
    let fixture = Fixture::with(|builder| builder.timer(pauses.clone()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    for _ in 0..3 {
        for _ in 0..2 {
            fixture.store_is(|_| State::Fails);
            pauses.over.notify_one();
            assert!(poll_once(ended.as_mut()).is_pending());
        }
        fixture.store_is(|_| State::Works);
        pauses.over.notify_one();
        assert!(poll_once(ended.as_mut()).is_pending());
    }
}

/// Being woken, as by a feed that breaks with the store, is no failure more.
#[tokio::test]
async fn a_store_has_time_to_come_back_however_often_somebody_is_woken() {
    let pauses = Pauses::default();
    let fixture = Fixture::with(|builder| builder.timer(pauses.clone()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    fixture.store_is(|_| State::Fails);
    assert!(poll_once(ended.as_mut()).is_pending());
    for _ in 0..5 {
        fixture.knox.revoke(&auth.session_ref()).await.unwrap_err();
        assert!(poll_once(ended.as_mut()).is_pending());
    }
    // Nor does it get more time.
    assert_eq!(*pauses.asked.lock().unwrap(), [seconds(5)]);
    for is_last in [false, true] {
        pauses.over.notify_one();
        assert_eq!(poll_once(ended.as_mut()).is_ready(), is_last);
    }
}

/// The store has ended the session, and nobody has heard of it.
#[tokio::test]
async fn an_end_whose_answer_is_lost_is_seen_at_once() {
    let fixture = Fixture::with(|builder| builder.timer(|_| pending()));
    let limit = SessionLimit::evict_oldest(1).unwrap();
    let limited = fixture.server(SigningKey::hs256(KEY).unwrap()).limit(limit).timer(|_| pending()).build().unwrap();
    let (knox, alice) = (&fixture.knox, subject("alice"));
    let login = async || {
        fixture.store_is(|_| State::Works);
        let issued = fixture.login("alice").await;
        fixture.authenticate(&issued).await
    };

    let auth = login().await;
    let session = auth.session_ref();
    let one = async { knox.revoke(&session).await.is_err() };
    assert_eq!(reason_after(one, &fixture, knox, &auth).await, Rejection::Revoked);
    let auth = login().await;
    let all = async { knox.revoke_all(&alice).await.is_err() };
    assert_eq!(reason_after(all, &fixture, knox, &auth).await, Rejection::Revoked);
    let auth = login().await;
    let evicted = async { limited.issue(alice.clone()).await.is_err() };
    assert_eq!(reason_after(evicted, &fixture, &limited, &auth).await, Rejection::Revoked);
}

/// What whoever waits sees at once after `end`, whose answer is lost.
async fn reason_after(
    end: impl Future<Output = bool>,
    fixture: &Fixture,
    knox: &Knox,
    auth: &Authenticated,
) -> Rejection {
    let mut ended = pin!(knox.ended(auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    fixture.store_is(|operation| match operation {
        Operation::Insert | Operation::Remove | Operation::RemoveAll => State::LosesAnswer,
        _ => State::Works,
    });
    assert!(end.await, "the answer is lost");
    reason(poll_once(ended))
}

/// Somebody with many connections may log in often.
#[tokio::test]
async fn a_login_that_ends_nothing_wakes_nobody() {
    let fixture = Fixture::with(|builder| builder.limit(SessionLimit::deny(2).unwrap()).timer(|_| pending()));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let mut ended = pin!(fixture.knox.ended(&auth));
    assert!(poll_once(ended.as_mut()).is_pending());
    fixture.login("alice").await;
    let denied = fixture.knox.issue(subject("alice")).await;
    assert!(matches!(denied, Err(IssueError::LimitReached { .. })), "{denied:?}");
    let before = fixture.calls(Operation::Find);
    assert!(poll_once(ended.as_mut()).is_pending());
    assert_eq!(fixture.calls(Operation::Find), before);
}
