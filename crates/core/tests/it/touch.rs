//! Recording use: soon, seldom, and never at the expense of a request.

use std::{
    future::{pending, ready},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use jwt_knox::*;
use tokio::sync::{Barrier, Notify};

use crate::{
    fixture::{Audit, Fixture, KEY, START, State, at, seconds, subject},
    waiting::poll_once,
};

/// How long a request waits for the record of its use.
const LIMIT: Duration = Duration::from_millis(250);

fn touch_hangs(operation: Operation) -> State {
    if operation == Operation::Touch { State::Hangs } else { State::Works }
}

fn touch_fails(operation: Operation) -> State {
    if operation == Operation::Touch { State::Fails } else { State::Works }
}

#[tokio::test]
async fn the_first_use_shows_at_once() {
    let audit = Audit::default();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()));
    let issued = fixture.login("alice").await;
    assert_eq!(issued.session.last_used_at, None);
    audit.take();
    fixture.set(1);
    assert_eq!(fixture.authenticate(&issued).await.session().last_used_at, Some(at(START + 1)));
    let sessions = fixture.knox.sessions(&subject("alice")).await.unwrap();
    assert_eq!(sessions[0].last_used_at, Some(at(START + 1)));
    assert_eq!(audit.take(), ["touched alice"]);
    fixture.set(60);
    assert_eq!(fixture.authenticate(&issued).await.session().last_used_at, Some(at(START + 1)));
    fixture.set(61);
    assert_eq!(fixture.authenticate(&issued).await.session().last_used_at, Some(at(START + 61)));
    assert_eq!(audit.take(), ["touched alice"]);
    // Also a use before the clock was set back counts as the first.
    let new = fixture.login("alice").await;
    fixture.set(61);
    assert_eq!(fixture.authenticate(&new).await.session().last_used_at, Some(at(START + 61)));
}

/// A clock on which no two requests are at the same time.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        at(START) + Duration::from_micros(self.0.fetch_add(1, SeqCst) as u64)
    }
}

/// All of them have read the record before the first one writes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_parallel_requests_one_records_the_use() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let all_have_read = Arc::new(Barrier::new(50));
    let check = subject_check_fn(move |_| {
        let all_have_read = all_have_read.clone();
        async move {
            all_have_read.wait().await;
            Ok(SubjectStatus::Active)
        }
    });
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap())
        .store(fixture.store.clone())
        .subject_check(check)
        .clock(Ticking(AtomicI64::new(0)))
        .build()
        .unwrap();
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (knox, token) = (knox.clone(), issued.token.expose().to_owned());
            tokio::spawn(async move { knox.authenticate(&token).await })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap().is_ok());
    }
    assert_eq!(fixture.calls(Operation::Touch), 1);
    assert_eq!(fixture.calls(Operation::Find), 50);
}

#[tokio::test]
async fn a_request_waits_250_milliseconds_for_the_record_of_its_use_and_the_next_one_not_at_all() {
    let slept = Arc::new(Mutex::new(Vec::new()));
    let log = slept.clone();
    let fixture = Fixture::with(|builder| {
        builder.timer(move |duration| {
            log.lock().unwrap().push(duration);
            ready(())
        })
    });
    let (alices, bobs) = (fixture.login("alice").await, fixture.login("bob").await);
    fixture.store_is(touch_hangs);
    for second in [0, 1, 30, 59] {
        fixture.set(second);
        assert_eq!(fixture.authenticate(&alices).await.session().last_used_at, None);
        assert_eq!(*slept.lock().unwrap(), [LIMIT], "none tries again before the next interval");
    }
    assert!(fixture.is_valid(&bobs).await, "another session is tried");
    assert_eq!(fixture.calls(Operation::Touch), 2);
    fixture.set(60);
    assert!(fixture.is_valid(&alices).await);
    assert_eq!(fixture.calls(Operation::Touch), 3);
    fixture.set(120);
    fixture.store_is(|_| State::Works);
    assert_eq!(fixture.authenticate(&alices).await.session().last_used_at, Some(at(START + 120)));
    assert_eq!(*slept.lock().unwrap(), [LIMIT; 3]);
}

#[tokio::test]
async fn a_shorter_time_limit_holds_for_the_record_of_use_too() {
    let slept = Arc::new(Mutex::new(Vec::new()));
    let log = slept.clone();
    let limit = Duration::from_millis(100);
    let fixture = Fixture::with(|builder| {
        builder.time_limit(limit).timer(move |duration| {
            log.lock().unwrap().push(duration);
            ready(())
        })
    });
    let issued = fixture.login("alice").await;
    fixture.store_is(touch_hangs);
    assert!(fixture.is_valid(&issued).await);
    assert_eq!(*slept.lock().unwrap(), [limit]);
}

/// The second request comes while the first one still waits.
#[tokio::test]
async fn a_request_does_not_wait_for_that_of_another() {
    let time_is_over = Arc::new(Notify::new());
    let timer = time_is_over.clone();
    let fixture = Fixture::with(|builder| {
        builder.timer(move |_| {
            let timer = timer.clone();
            async move { timer.notified().await }
        })
    });
    let issued = fixture.login("alice").await;
    fixture.store_is(touch_hangs);
    let mut first = pin!(fixture.knox.authenticate(issued.token.expose()));
    assert!(poll_once(first.as_mut()).is_pending());
    for _ in 0..3 {
        let second = poll_once(pin!(fixture.knox.authenticate(issued.token.expose())));
        assert!(matches!(second, Poll::Ready(Ok(_))), "{second:?}");
    }
    assert_eq!(fixture.calls(Operation::Touch), 1);
    time_is_over.notify_one();
    assert!(matches!(poll_once(first), Poll::Ready(Ok(_))));
}

/// The client hangs up while the store hangs.
#[tokio::test]
async fn a_request_that_is_dropped_makes_no_other_one_wait() {
    let fixture = Fixture::with(|builder| builder.timer(|_| pending()));
    let issued = fixture.login("alice").await;
    fixture.store_is(touch_hangs);
    assert!(poll_once(pin!(fixture.knox.authenticate(issued.token.expose()))).is_pending());
    assert!(matches!(poll_once(pin!(fixture.knox.authenticate(issued.token.expose()))), Poll::Ready(Ok(_))));
    fixture.store_is(|_| State::Works);
    fixture.set(60);
    assert_eq!(fixture.authenticate(&issued).await.session().last_used_at, Some(at(START + 60)));
}

#[tokio::test]
async fn a_store_that_cannot_write_is_asked_once_in_an_interval() {
    let fixture = Fixture::with(|builder| builder.lifetime(Lifetime::idle_after(seconds(100)).unwrap()));
    let issued = fixture.login("alice").await;
    fixture.store_is(touch_fails);
    // The interval is a quarter of the idle timeout.
    for second in 0..50 {
        fixture.set(second);
        assert!(fixture.is_valid(&issued).await);
    }
    assert_eq!(fixture.calls(Operation::Touch), 2);
    fixture.store_is(|_| State::Works);
    fixture.set(50);
    assert_eq!(fixture.authenticate(&issued).await.session().expires_at, Some(at(START + 150)));
    assert_eq!(fixture.calls(Operation::Touch), 3);
}

/// Each server has its own memory, and the record is what they share.
#[tokio::test]
async fn what_one_server_has_recorded_another_does_not_record_again() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let other = fixture.server(SigningKey::hs256(KEY).unwrap()).build().unwrap();
    for second in 0..120 {
        fixture.set(second);
        assert!(fixture.is_valid(&issued).await);
        assert!(other.authenticate(issued.token.expose()).await.is_ok());
    }
    assert_eq!(fixture.calls(Operation::Touch), 2, "at 0 and 60");
}
