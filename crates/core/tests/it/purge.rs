//! Deleting expired sessions.

use std::{
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use jwt_knox::*;

use crate::fixture::{Fixture, KEY, START, State, at, expires_after, subject};

const HOUR: Duration = Duration::from_secs(3600);

/// A timer that counts the pauses of an hour. `pause` is given the number of the pause, and says whether it ends at
/// once or never. Other times never pass, so that no call of the store takes too long.
fn timer(pause: impl Fn(u64) -> bool + Send + Sync + 'static) -> (Arc<AtomicU64>, impl Timer) {
    let pauses = Arc::new(AtomicU64::new(0));
    let count = pauses.clone();
    let sleep = move |duration| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let ends = duration == HOUR && pause(count.fetch_add(1, SeqCst) + 1);
        if ends { Box::pin(ready(())) } else { Box::pin(pending()) }
    };
    (pauses, sleep)
}

/// Lets `task` run until `is_done` says so, and drops it then.
async fn run_until(task: impl Future<Output = ()>, is_done: impl Fn() -> bool) {
    let mut task = pin!(task);
    poll_fn(|context| {
        assert!(task.as_mut().poll(context).is_pending(), "it has no end");
        if is_done() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// 2500 sessions that have expired.
async fn with_expired_sessions(settings: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Fixture {
    let fixture = Fixture::with(|builder| settings(builder.lifetime(expires_after(100))));
    for number in 0..2500 {
        fixture.login(&format!("user-{number}")).await;
    }
    fixture.set(100);
    fixture
}

#[tokio::test]
async fn purging_deletes_expired_sessions_and_nothing_else() {
    let fixture = with_expired_sessions(|builder| builder).await;
    fixture.set(50);
    let active = fixture.login("alice").await;
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 0);
    fixture.set(100);
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 2500);
    assert_eq!(fixture.calls(Operation::RemoveExpired), 1 + 3, "in batches of 1000");
    assert!(fixture.is_valid(&active).await);
}

#[tokio::test]
async fn purging_begins_at_once_and_goes_on_after_a_failure() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let alice = fixture.login("alice").await.session.session_ref();
    fixture.set(100);
    let bob = fixture.login("bob").await.session.session_ref();
    let (store, clock) = (fixture.store.clone(), fixture.clock.clone());
    let (pauses, timer) = timer(move |pause| {
        let purges = store.interceptor().calls(Operation::RemoveExpired);
        assert_eq!(purges, pause, "it purges once between two pauses, and before the first");
        clock.set(at(START + 100 * (pause as i64 + 1)));
        store.interceptor().set(if pause == 1 { |_| State::Fails } else { |_| State::Works });
        pause < 3
    });
    let purger = fixture.server(SigningKey::hs256(KEY).unwrap()).timer(timer).build().unwrap();
    run_until(purger.purge_every(HOUR), || pauses.load(SeqCst) == 3).await;
    assert_eq!(fixture.calls(Operation::RemoveExpired), 3);
    let store = fixture.store.inner();
    assert_eq!(store.find(&alice).await.unwrap(), None, "the first purge is at once");
    assert_eq!(store.find(&bob).await.unwrap(), None, "the purge after the failed one makes up for it");
}

#[tokio::test]
async fn purging_can_stop_in_a_batch_and_the_next_purge_deletes_the_rest() {
    let (pauses, timer) = timer(|_| panic!("the purge was to stop before its end"));
    let fixture = with_expired_sessions(|builder| builder.timer(timer)).await;
    let purge = fixture.knox.purge_every(HOUR);
    run_until(purge, || fixture.calls(Operation::RemoveExpired) == 2).await;
    assert_eq!(pauses.load(SeqCst), 0);
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 1500, "one batch of 1000 was deleted, and whole");
}

#[tokio::test]
async fn purging_stops_in_a_pause() {
    let (pauses, timer) = timer(|_| false);
    let fixture = Fixture::with(|builder| builder.timer(timer));
    run_until(fixture.knox.purge_every(HOUR), || pauses.load(SeqCst) == 1).await;
    assert_eq!(fixture.calls(Operation::RemoveExpired), 1);

    // A future that is never polled purges nothing.
    drop(fixture.knox.purge_every(HOUR));
    assert_eq!(fixture.calls(Operation::RemoveExpired), 1);
}

/// On one thread, with a store that never waits, other tasks get their turn in each pause, and can abort the purge.
#[tokio::test(flavor = "current_thread")]
async fn purging_lets_others_have_their_turn() {
    let (pauses, timer) = timer(|_| false);
    let store = MemoryStore::new();
    for number in 0..2500_u32 {
        let digest = format!("sha256:{number:064x}").parse().unwrap();
        let mut record = SessionRecord::new(Subject::from(number), digest, at(0));
        record.expires_at = Some(at(1));
        let _ = store.insert(record, None, at(0)).await.unwrap();
    }
    let purge = {
        // The task needs no handle that stays.
        let knox = Knox::builder(SigningKey::hs256(KEY).unwrap()).store(store).timer(timer).build().unwrap();
        tokio::spawn(knox.purge_every(HOUR))
    };
    let is_done = pauses.clone();
    let other = tokio::spawn(async move {
        let mut turns = 0;
        while is_done.load(SeqCst) == 0 {
            turns += 1;
            // Not Tokio's own, which waits until there is nothing else to do.
            let mut has_yielded = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut has_yielded, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        turns
    });
    let turns = other.await.unwrap();
    assert!(turns >= 3, "there are three batches, and another task had {turns} turns");
    purge.abort();
    assert!(purge.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn an_admin_purges_too() {
    let (pauses, timer) = timer(|_| false);
    let fixture = Fixture::with_lifetime(expires_after(100));
    let alice = fixture.login("alice").await.session.session_ref();
    fixture.set(100);
    let limit = TimeLimit::default().with_timer(timer);
    let admin = KnoxAdmin::new(fixture.store.clone()).clock(fixture.clock.clone()).time_limit(limit);
    run_until(admin.purge_every(HOUR), || pauses.load(SeqCst) == 1).await;
    assert_eq!(fixture.store.inner().find(&alice).await.unwrap(), None);
    fixture.knox.issue(subject("bob")).await.unwrap();
    fixture.set(200);
    assert_eq!(admin.purge_expired().await.unwrap(), 1);
}
