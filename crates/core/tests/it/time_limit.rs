//! How long the store and the application may take to answer.

use std::{
    error::Error,
    future::{Future, Ready, pending, ready},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jwt_knox::*;

use crate::{
    fixture::{Fixture, KEY, START, State, at, seconds, subject},
    waiting::done,
};

/// A timer by which any time passes at once.
fn at_once(_: Duration) -> Ready<()> {
    ready(())
}

fn assert_timed_out<T>(call: impl Future<Output = Result<T, StoreError>>, limit: &str) {
    assert_is_timeout(&done(call).err().unwrap(), limit);
}

fn assert_not_issued(call: impl Future<Output = Result<Issued, IssueError>>, limit: &str) {
    match done(call) {
        Err(IssueError::Store(error)) => assert_is_timeout(&error, limit),
        other => panic!("{other:?}"),
    }
}

fn assert_undecided(call: impl Future<Output = Result<Authenticated, AuthenticateError>>, limit: &str) {
    match done(call) {
        Err(AuthenticateError::Store(error)) => assert_is_timeout(&error, limit),
        other => panic!("{other:?}"),
    }
}

fn assert_is_timeout(error: &StoreError, limit: &str) {
    assert_eq!(error.source().unwrap().to_string(), format!("timed out after {limit}"));
}

#[tokio::test]
async fn a_store_that_hangs_is_an_error_of_every_call() {
    let fixture = Fixture::with(|builder| builder.timer(at_once));
    let issued = fixture.login("alice").await;
    let auth = fixture.authenticate(&issued).await;
    let (knox, admin, alice) = (&fixture.knox, fixture.knox.admin(), auth.subject());
    assert_eq!(knox.time_limit().limit(), seconds(5));

    fixture.store_is(|_| State::Hangs);
    assert_undecided(knox.authenticate(issued.token.expose()), "5s");
    assert_undecided(knox.recheck(&auth), "5s");
    assert_not_issued(knox.issue(alice.clone()), "5s");
    assert_not_issued(knox.rotate(&auth), "5s");
    assert_timed_out(knox.revoke(&auth.session_ref()), "5s");
    assert_timed_out(knox.revoke_others(&auth), "5s");
    assert_timed_out(knox.revoke_all(alice), "5s");
    assert_timed_out(knox.sessions(alice), "5s");
    assert_timed_out(knox.purge_expired(), "5s");
    assert_timed_out(admin.revoke(&auth.session_ref()), "5s");
    assert_timed_out(admin.revoke_all(alice), "5s");
    assert_timed_out(admin.sessions(alice), "5s");
    assert_timed_out(admin.purge_expired(), "5s");
    fixture.store_is(|operation| if operation == Operation::Rotate { State::Hangs } else { State::Works });
    assert_not_issued(knox.rotate(&auth), "5s");

    // A use that cannot be recorded in time does not make the token invalid.
    fixture.store_is(|operation| if operation == Operation::Touch { State::Hangs } else { State::Works });
    fixture.set(3600);
    assert_eq!(done(fixture.authenticate(&issued)).session().last_used_at, Some(at(START)));
    assert_eq!(fixture.calls(Operation::Touch), 2);
}

#[tokio::test]
async fn a_subject_check_that_hangs_is_neither_yes_nor_no() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let check = subject_check_fn(|_| pending());
    let knox = fixture.server(SigningKey::hs256(KEY).unwrap()).subject_check(check).timer(at_once).build().unwrap();
    assert_undecided(knox.authenticate(issued.token.expose()), "5s");
    assert_not_issued(knox.issue(subject("alice")), "5s");
    let auth = fixture.authenticate(&issued).await;
    assert_undecided(knox.recheck(&auth), "5s");
    assert_not_issued(knox.rotate(&auth), "5s");
    assert!(fixture.is_valid(&issued).await, "nothing has changed");
}

#[tokio::test]
async fn the_limit_and_the_timer_are_set_in_any_order() {
    for limit_first in [true, false] {
        let asked = Arc::new(AtomicU64::new(0));
        let log = asked.clone();
        let timer = move |limit: Duration| {
            log.store(limit.as_secs(), SeqCst);
            ready(())
        };
        let fixture = Fixture::with(|builder| match limit_first {
            true => builder.time_limit(seconds(7)).timer(timer),
            false => builder.timer(timer).time_limit(seconds(7)),
        });
        fixture.store_is(|_| State::Hangs);
        assert_not_issued(fixture.knox.issue(1), "7s");
        assert_eq!(asked.load(SeqCst), 7);
        assert_eq!(fixture.knox.time_limit().limit(), seconds(7));
    }
}

#[tokio::test]
async fn an_admin_has_a_time_limit() {
    let fixture = Fixture::new();
    fixture.store_is(|_| State::Hangs);
    let limit = TimeLimit::new(seconds(7)).unwrap().with_timer(at_once);
    let admin = KnoxAdmin::new(fixture.store.clone()).time_limit(limit);
    assert_timed_out(admin.sessions(&subject("alice")), "7s");
    assert_timed_out(admin.purge_expired(), "7s");
}

#[tokio::test]
async fn a_time_limit_around_a_store_limits_every_call() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let rotated = fixture.knox.rotate(&fixture.authenticate(&issued).await).await.unwrap();
    let (record, previous) = (issued.session, rotated.session.previous.unwrap());
    let rotation = Rotation::new(rotated.session.digest, previous, at(START));
    fixture.store_is(|_| State::Hangs);
    let limit = TimeLimit::new(seconds(7)).unwrap().with_timer(at_once);
    let store = WrappedStore::new(fixture.store.clone(), limit);
    let (session, now) = (record.session_ref(), at(0));
    assert_timed_out(store.insert(record.clone(), None, now), "7s");
    assert_timed_out(store.find(&session), "7s");
    assert_timed_out(store.list(&session.subject, now), "7s");
    assert_timed_out(store.touch(&session, now, None), "7s");
    assert_timed_out(store.rotate(&session, &rotation), "7s");
    assert_timed_out(store.remove(&session), "7s");
    assert_timed_out(store.remove_all(&session.subject, None, now), "7s");
    assert_timed_out(store.remove_expired(now, NonZeroU32::MIN), "7s");
    fixture.store_is(|_| State::Works);
    assert!(store.find(&session).await.unwrap().is_some());
}
