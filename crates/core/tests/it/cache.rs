//! What is remembered of tokens changes no answer, but for what may be late by `max_age`.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
};

use jwt_knox::*;
use serde_json::json;

use crate::{
    fixture::{Fixture, KEY, START, State, at, expires_after, rejection, seconds, subject, with_claims},
    waiting::poll_once,
};

#[tokio::test]
async fn a_revocation_is_seen_at_once() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    for _ in 0..3 {
        assert!(fixture.is_valid(&issued).await);
    }
    // By another server, of which this one is told nothing.
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).build().unwrap();
    assert!(other.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
}

#[tokio::test]
async fn the_store_the_subject_and_the_clock_are_asked_each_time() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let issued = fixture.login("alice").await;
    for _ in 0..3 {
        assert!(fixture.is_valid(&issued).await);
    }
    assert_eq!(fixture.calls(Operation::Find), 3);
    fixture.users.are(SubjectStatus::Inactive);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::SubjectInactive);
    fixture.users.are(SubjectStatus::Active);
    fixture.set(100);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Expired);
    fixture.set(0);
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn exp_and_nbf_of_the_token_count_each_time() {
    let fixture = Fixture::with_lifetime(Lifetime::never());
    let issued = fixture.login("alice").await;
    let token = with_claims(&issued, json!({"exp": START + 50, "nbf": START + 10}));
    for (second, reason) in
        [(9, Some(Rejection::NotYetValid)), (10, None), (49, None), (50, Some(Rejection::Expired)), (20, None)]
    {
        fixture.set(second);
        match reason {
            Some(reason) => assert_eq!(fixture.rejection(&token).await, reason, "{second}"),
            None => assert!(fixture.knox.authenticate(&token).await.is_ok(), "{second}"),
        }
    }
}

#[tokio::test]
async fn a_retired_key_is_seen_at_once() {
    let fixture = Fixture::new();
    let old = SigningKey::hs256(KEY).unwrap();
    let ring = KeyRing::new(old.clone());
    let knox = fixture.server(ring.clone()).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
    let new = SigningKey::generate(Algorithm::Es256).unwrap();
    let id = new.key_id().to_owned();
    ring.stage(new).unwrap();
    ring.promote(&id).unwrap();
    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
    ring.retire(old.key_id()).unwrap();
    assert_eq!(rejection(&knox, issued.token.expose()).await, Rejection::UnknownKey);
}

/// A token that names no key can only be of the one key of a ring.
#[tokio::test]
async fn a_second_key_is_seen_by_a_token_that_names_none() {
    let fixture = Fixture::new();
    let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap());
    let knox = fixture.server(ring.clone()).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    let nameless = with_claims(&issued, json!({}));
    assert!(knox.authenticate(&nameless).await.is_ok());
    ring.stage(SigningKey::generate(Algorithm::Hs256).unwrap()).unwrap();
    assert_eq!(rejection(&knox, &nameless).await, Rejection::UnknownKey);
    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
}

/// Other bits are another token, wherever they differ.
#[tokio::test]
async fn only_the_very_same_token_is_remembered() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let token = issued.token.expose().to_owned();
    assert!(fixture.is_valid(&issued).await);
    for index in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(fixture.knox.authenticate(&changed).await.is_err(), "{index}");
        // Also the second time: what is rejected is not remembered as anything.
        assert!(fixture.knox.authenticate(&changed).await.is_err(), "{index}");
    }
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn it_can_be_off_and_small() {
    for size in [Cache::off(), Cache::new(1)] {
        let fixture = Fixture::with(|builder| builder.cache(size));
        let logins = [fixture.login("alice").await, fixture.login("bob").await, fixture.login("carol").await];
        for _ in 0..3 {
            for issued in &logins {
                assert!(fixture.is_valid(issued).await);
            }
        }
        assert!(fixture.knox.revoke(&logins[0].session.session_ref()).await.unwrap().is_revoked());
        assert_eq!(fixture.rejection(logins[0].token.expose()).await, Rejection::Revoked);
    }
}

/// A server that remembers for ten seconds what the store has said.
fn lax() -> Fixture {
    Fixture::with(|builder| builder.cache(Cache::default().max_age(seconds(10))))
}

#[tokio::test]
async fn within_max_age_the_store_is_asked_once() {
    let fixture = lax();
    let issued = fixture.login("alice").await;
    for second in 0..10 {
        fixture.set(second);
        assert!(fixture.is_valid(&issued).await);
    }
    assert_eq!(fixture.calls(Operation::Find), 1);
    fixture.set(10);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.calls(Operation::Find), 2);
    // A clock that was set back does not prolong it.
    fixture.set(5);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(fixture.calls(Operation::Find), 3);
}

/// The clock was ahead, and comes to the same time again; or it is set back after `max_age`.
#[tokio::test]
async fn an_answer_that_was_too_old_once_does_not_count_again() {
    for (first, between) in [(600, 0), (600, 610)] {
        let fixture = lax();
        let issued = fixture.login("alice").await;
        fixture.set(first);
        assert!(fixture.is_valid(&issued).await);
        fixture.store_is(|_| State::Fails);
        assert!(fixture.is_valid(&issued).await, "remembered");
        fixture.set(between);
        assert!(!fixture.is_valid(&issued).await);
        fixture.set(first + 1);
        assert!(!fixture.is_valid(&issued).await, "{between}");
    }
}

#[tokio::test]
async fn what_this_process_ends_is_seen_at_once() {
    for way in ["revoke", "revoke_all", "admin", "revoke_others"] {
        let fixture = lax();
        let issued = fixture.login("alice").await;
        let auth = fixture.authenticate(&issued).await;
        assert!(fixture.is_valid(&issued).await);
        match way {
            "revoke" => assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked()),
            "revoke_all" => assert_eq!(fixture.knox.clone().revoke_all(auth.subject()).await.unwrap(), 1),
            "admin" => assert_eq!(fixture.knox.admin().clone().revoke_all(auth.subject()).await.unwrap(), 1),
            _ => {
                let other = fixture.login("alice").await;
                let other = fixture.authenticate(&other).await;
                assert_eq!(fixture.knox.revoke_others(&other).await.unwrap(), 1);
            }
        }
        assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked, "{way}");
    }
    // By the limit.
    let limit = SessionLimit::evict_oldest(1).unwrap();
    let fixture = Fixture::with(|builder| builder.limit(limit).cache(Cache::default().max_age(seconds(10))));
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    fixture.login("alice").await;
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
}

#[tokio::test]
async fn what_another_process_ends_is_seen_after_max_age() {
    let fixture = lax();
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).build().unwrap();
    assert!(other.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    fixture.set(9);
    assert!(fixture.is_valid(&issued).await, "it is not known yet");
    fixture.set(10);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
}

#[tokio::test]
async fn the_user_is_remembered_until_forgotten() {
    let fixture = lax();
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    fixture.users.are(SubjectStatus::Inactive);
    assert!(fixture.is_valid(&issued).await);
    fixture.knox.forget(&subject("alice"));
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::SubjectInactive);
}

/// What is remembered never rejects: another server may have put the expiry off, or rotated the token back into its
/// grace.
#[tokio::test]
async fn the_store_is_asked_before_anything_is_rejected() {
    let lifetime = Lifetime::idle_after(seconds(8)).unwrap();
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime).cache(Cache::default().max_age(seconds(100))));
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).lifetime(lifetime).build().unwrap();
    fixture.set(7);
    assert!(other.authenticate(issued.token.expose()).await.is_ok());
    fixture.set(14);
    assert!(fixture.is_valid(&issued).await, "it was used at another server");
    fixture.set(100);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Expired);
}

/// The expiry and the end of a grace are times, and come without anybody being asked.
#[tokio::test]
async fn times_count_within_max_age_too() {
    let fixture =
        Fixture::with(|builder| builder.rotation_grace(seconds(3)).cache(Cache::default().max_age(seconds(100))));
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    let rotated = fixture.rotate(&issued).await;
    assert!(fixture.is_valid(&issued).await, "in its grace");
    assert!(fixture.is_valid(&rotated).await);
    fixture.set(3);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Reused);
    assert_eq!(fixture.rejection(rotated.token.expose()).await, Rejection::Revoked, "its session was revoked");
}

/// A read that began before an ending and comes back after it must not be remembered past it.
#[tokio::test]
async fn a_read_that_an_ending_overtakes_is_not_used_again() {
    let fixture = lax();
    let issued = fixture.login("alice").await;
    // The find has read the record, and its answer is held back.
    let gate = Gate::default();
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap())
        .store(WrappedStore::new(fixture.store.inner().clone(), gate.clone()))
        .clock(fixture.clock.clone())
        .cache(Cache::default().max_age(seconds(10)))
        .build()
        .unwrap();
    gate.close();
    let mut slow = pin!(knox.authenticate(issued.token.expose()));
    assert!(poll_once(slow.as_mut()).is_pending());
    gate.open();
    assert!(knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    // It was decided before the ending was answered, so this one yes is right, and is the last.
    assert!(matches!(poll_once(slow), Poll::Ready(Ok(_))));
    assert_eq!(rejection(&knox, issued.token.expose()).await, Rejection::Revoked);
}

/// Holds back the answers of `find`, after the store has been read.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn close(&self) {
        self.0.store(true, SeqCst);
    }

    fn open(&self) {
        self.0.store(false, SeqCst);
    }
}

impl Interceptor for Gate {
    async fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let answer = call.await;
        if operation == Operation::Find && self.0.load(SeqCst) {
            tokio::task::yield_now().await;
        }
        answer
    }
}

/// What hears of an ending, as to close a connection, finds nothing remembered that says otherwise.
#[tokio::test]
async fn whoever_hears_of_an_ending_sees_it() {
    for end in ["revoke", "revoke_all", "rotate"] {
        let (issued, knox) = (Arc::<OnceLock<Issued>>::default(), Arc::<OnceLock<Knox>>::default());
        let seen = Arc::<Mutex<Vec<bool>>>::default();
        let observer = observer_fn({
            let (issued, knox, seen) = (issued.clone(), knox.clone(), seen.clone());
            move |event| {
                if matches!(event, Event::Revoked { .. } | Event::Rotated { .. }) {
                    let outcome =
                        poll_once(pin!(knox.get().unwrap().authenticate(issued.get().unwrap().token.expose())));
                    seen.lock()
                        .unwrap()
                        .push(matches!(outcome, Poll::Ready(Ok(auth)) if auth.session().previous.is_none()));
                }
            }
        });
        let fixture = Fixture::with(|builder| builder.observer(observer).cache(Cache::default().max_age(seconds(60))));
        let token = fixture.login("alice").await;
        let auth = fixture.authenticate(&token).await;
        issued.set(token).unwrap();
        knox.set(fixture.knox.clone()).unwrap();
        match end {
            "revoke" => assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked()),
            "revoke_all" => assert_eq!(fixture.knox.revoke_all(auth.subject()).await.unwrap(), 1),
            _ => drop(fixture.knox.rotate(&auth).await.unwrap()),
        }
        assert_eq!(*seen.lock().unwrap(), [false], "{end}");
    }
}

/// The store says so when it is told of a use.
#[tokio::test]
async fn an_ending_elsewhere_is_seen_when_a_use_is_recorded() {
    let settings =
        |builder: KnoxBuilder| builder.cache(Cache::default().max_age(seconds(3600))).touch_interval(seconds(60));
    let fixture = Fixture::with(settings);
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).build().unwrap();
    assert!(other.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    assert!(fixture.is_valid(&issued).await, "it is remembered");
    fixture.set(60);
    assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::Revoked);
    let poll = fixture.knox.authenticate_passively(issued.token.expose()).await;
    assert!(matches!(poll, Err(AuthenticateError::Rejected(Rejection::Revoked))), "{poll:?}");
}

/// A server whose clock is ahead has used a session: this one tries to record its own use once, and not each time.
#[tokio::test]
async fn a_later_use_elsewhere_is_found_out_once() {
    let settings =
        |builder: KnoxBuilder| builder.cache(Cache::default().max_age(seconds(3600))).touch_interval(seconds(60));
    let fixture = Fixture::with(settings);
    let issued = fixture.login("alice").await;
    assert!(fixture.is_valid(&issued).await);
    fixture.set(60);
    let ahead = ManualClock::new(at(START + 70));
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).clock(ahead).build().unwrap();
    assert!(other.authenticate(issued.token.expose()).await.is_ok());
    let touches = fixture.calls(Operation::Touch);
    for _ in 0..5 {
        assert!(fixture.is_valid(&issued).await);
    }
    assert_eq!(fixture.calls(Operation::Touch), touches + 1);
}
