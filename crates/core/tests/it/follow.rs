//! What other processes end, and a store announces.

use std::{
    collections::VecDeque,
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::Poll,
};

use jwt_knox::*;

use crate::{
    fixture::{Fixture, KEY, rejection, seconds, subject},
    waiting::{poll, poll_once},
};

/// A feed that tells what the test says, and then nothing.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<VecDeque<Result<Change, StoreError>>>>);

impl Told {
    fn tell(&self, heard: Result<Change, StoreError>) {
        self.0.lock().unwrap().push_back(heard);
    }
}

#[async_trait]
impl ChangeFeed for Told {
    async fn next(&mut self) -> Result<Change, StoreError> {
        let heard = self.0.lock().unwrap().pop_front();
        match heard {
            Some(heard) => heard,
            // The test polls it again when there is more.
            None => {
                let mut is_first = true;
                poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
                self.next().await
            }
        }
    }
}

/// A server that remembers answers for long, and another that it knows nothing of.
struct Servers {
    fixture: Fixture,
    knox: Knox,
    other: Knox,
    told: Told,
}

impl Servers {
    fn new(timer: impl Timer) -> Self {
        let fixture = Fixture::new();
        let server = || fixture.server(SigningKey::hs256(KEY).unwrap());
        let knox = server().timer(timer).cache(Cache::default().max_age(seconds(1_000_000))).build().unwrap();
        let other = server().build().unwrap();
        Self { fixture, knox, other, told: Told::default() }
    }

    /// A session that is remembered.
    async fn login(&self, name: &str) -> Issued {
        let issued = self.knox.issue(subject(name)).await.unwrap();
        assert!(self.is_valid(&issued).await);
        issued
    }

    async fn is_valid(&self, issued: &Issued) -> bool {
        self.knox.authenticate(issued.token.expose()).await.is_ok()
    }

    async fn end_elsewhere(&self, issued: &Issued) {
        assert!(self.other.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
        assert!(self.is_valid(issued).await, "it is not heard of yet");
    }

    fn follow(&self) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(self.knox.follow(self.told.clone()))
    }
}

/// Lets a task hear of all that it was told.
fn hear(following: &mut Pin<Box<dyn Future<Output = ()>>>) {
    for _ in 0..8 {
        assert!(poll(following).is_pending());
    }
}

#[tokio::test]
async fn what_another_process_ends_is_seen_when_it_is_announced() {
    let servers = Servers::new(|_| pending());
    let (alice, bob) = (servers.login("alice").await, servers.login("bob").await);
    let mut following = servers.follow();
    hear(&mut following);
    servers.end_elsewhere(&alice).await;
    servers.end_elsewhere(&bob).await;
    servers.told.tell(Ok(Change::Subject(subject("alice"))));
    hear(&mut following);
    assert_eq!(rejection(&servers.knox, alice.token.expose()).await, Rejection::Revoked);
    assert!(servers.is_valid(&bob).await, "nothing was said of bob");
    servers.told.tell(Ok(Change::Any));
    hear(&mut following);
    assert_eq!(rejection(&servers.knox, bob.token.expose()).await, Rejection::Revoked);
}

#[tokio::test]
async fn connections_that_last_end_with_the_announcement() {
    let servers = Servers::new(|_| pending());
    let (alice, bob) = (servers.login("alice").await, servers.login("bob").await);
    let (alices, bobs) = (
        servers.knox.authenticate(alice.token.expose()).await.unwrap(),
        servers.knox.authenticate(bob.token.expose()).await.unwrap(),
    );
    let (mut alice_ended, mut bob_ended) = (pin!(servers.knox.ended(&alices)), pin!(servers.knox.ended(&bobs)));
    let mut following = servers.follow();
    assert!(poll_once(alice_ended.as_mut()).is_pending());
    assert!(poll_once(bob_ended.as_mut()).is_pending());
    servers.end_elsewhere(&alice).await;
    servers.end_elsewhere(&bob).await;
    assert!(poll_once(alice_ended.as_mut()).is_pending());
    servers.told.tell(Ok(Change::Subject(subject("alice"))));
    hear(&mut following);
    assert!(poll_once(alice_ended.as_mut()).is_ready());
    assert!(poll_once(bob_ended.as_mut()).is_pending());
    servers.told.tell(Ok(Change::Any));
    hear(&mut following);
    assert!(poll_once(bob_ended.as_mut()).is_ready());
}

/// What is announced while a feed is broken is lost. So what was remembered before is asked again, and the feed too.
#[tokio::test]
async fn a_feed_that_breaks_hides_nothing() {
    let pauses = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&pauses);
    let servers = Servers::new(move |pause| {
        asked.lock().unwrap().push(pause);
        async {}
    });
    let alice = servers.login("alice").await;
    let mut following = servers.follow();
    servers.end_elsewhere(&alice).await;
    for _ in 0..2 {
        servers.told.tell(Err(StoreError::new("the connection is lost")));
    }
    hear(&mut following);
    assert_eq!(rejection(&servers.knox, alice.token.expose()).await, Rejection::Revoked);
    assert_eq!(*pauses.lock().unwrap(), [seconds(1), seconds(1)], "it is asked again, and not in a hurry");

    // Remembered while it was broken, and ended before it listens again.
    let bob = servers.login("bob").await;
    servers.end_elsewhere(&bob).await;
    servers.told.tell(Ok(Change::Any));
    hear(&mut following);
    assert_eq!(rejection(&servers.knox, bob.token.expose()).await, Rejection::Revoked);
    drop(following);
    assert!(servers.fixture.is_valid(&servers.login("carol").await).await);
}

/// Otherwise `max_age` would be as good as a second for as long as the feed is down, and each connection would ask the
/// store each second.
#[tokio::test]
async fn a_feed_that_stays_broken_is_no_reason_to_ask_again_and_again() {
    let servers = Servers::new(|_| async {});
    let mut following = servers.follow();
    let lost = || Err(StoreError::new("the connection is lost"));
    servers.told.tell(lost());
    hear(&mut following);
    let alice = servers.login("alice").await;
    let asked = servers.fixture.calls(Operation::Find);
    for _ in 0..3 {
        servers.told.tell(lost());
        hear(&mut following);
        assert!(servers.is_valid(&alice).await);
    }
    assert_eq!(servers.fixture.calls(Operation::Find), asked);
    // A feed that is back need not say that something was missed.
    servers.end_elsewhere(&alice).await;
    servers.told.tell(Ok(Change::Subject(subject("bob"))));
    hear(&mut following);
    assert_eq!(rejection(&servers.knox, alice.token.expose()).await, Rejection::Revoked);
}
