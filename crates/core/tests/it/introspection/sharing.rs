//! Requests that ask about one token at the same time.

use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use jwt_knox::*;

use crate::{
    fixture::{START, at, seconds},
    waiting::{poll, verdict},
};

use super::{Issuer, Reply, World, profile};

#[test]
fn a_thousand_requests_with_one_token_ask_once() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut requests: Vec<_> = (0..1000).map(|_| world.authenticate(&token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    // The one that asks is among those that go away.
    drop(requests.drain(..500));
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.issuer.hold(false);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("valid"));
    }
    assert_eq!(world.asked(), 1);
}

/// The question that is under way began before they came, so its answer may be older than their requests.
#[test]
fn without_a_max_age_parallel_requests_share_the_next_question() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    assert!(poll(&mut first).is_pending());
    world.issuer.log_out(&token);
    let mut others: Vec<_> = (0..100).map(|_| world.authenticate(&token)).collect();
    for request in &mut others {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 1);
    world.issuer.hold(false);
    assert_eq!(poll(&mut first), Poll::Ready("valid"));
    for request in &mut others {
        assert_eq!(poll(request), Poll::Ready("inactive"));
    }
    assert_eq!(world.asked(), 2);
}

/// With a `max_age`, a question that takes longer than that is too old as well.
#[test]
fn a_question_that_takes_long_is_not_joined() {
    let world = World::new(2);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    assert!(poll(&mut first).is_pending());
    world.clock.advance(seconds(1));
    let mut second = world.authenticate(&token);
    assert!(poll(&mut second).is_pending());
    world.issuer.log_out(&token);
    world.clock.advance(seconds(1));
    let mut third = world.authenticate(&token);
    assert!(poll(&mut third).is_pending());
    world.issuer.hold(false);
    assert_eq!((poll(&mut first), poll(&mut second)), (Poll::Ready("valid"), Poll::Ready("valid")));
    assert_eq!((poll(&mut third), world.asked()), (Poll::Ready("inactive"), 2));
    assert_eq!(world.says(&token), "inactive");
}

#[test]
fn a_caller_that_goes_away_leaves_the_question_to_the_next() {
    for max_age in [0, 5] {
        let world = World::new(max_age);
        let token = world.issuer.token();
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..3).map(|_| world.authenticate(&token)).collect();
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        drop(requests.remove(0));
        let asked = if max_age == 0 { 2 } else { 1 };
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        assert_eq!(world.asked(), asked);
        world.issuer.hold(false);
        for request in &mut requests {
            assert_eq!(poll(request), Poll::Ready("valid"));
        }
        assert_eq!(world.asked(), asked);

        // If all go away, the question goes with them.
        world.clock.advance(seconds(5));
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..3).map(|_| world.authenticate(&token)).collect();
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        drop(requests);
        world.issuer.hold(false);
        world.issuer.log_out(&token);
        assert_eq!((world.says(&token), world.asked()), ("inactive", asked + 2));
    }
}

/// One that waits, and goes away, must not let the next one past the one that is under way.
#[test]
fn a_question_that_nobody_waits_for_keeps_the_order() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    let mut second = world.authenticate(&token);
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    drop(second);
    let mut third = world.authenticate(&token);
    assert!(poll(&mut third).is_pending());
    assert_eq!(world.asked(), 1);
    world.issuer.hold(false);
    assert_eq!((poll(&mut first), world.asked()), (Poll::Ready("valid"), 1));
    assert_eq!((poll(&mut third), world.asked()), (Poll::Ready("valid"), 2));
}

/// It has been sent, and one who waits for the question before it has not been polled yet.
#[test]
fn a_question_that_nobody_waits_for_keeps_nobody_waiting() {
    let world = World::new(2);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let (mut first, mut waiting) = (world.authenticate(&token), world.authenticate(&token));
    assert!(poll(&mut first).is_pending() && poll(&mut waiting).is_pending());
    world.clock.advance(seconds(2));
    let mut second = world.authenticate(&token);
    assert!(poll(&mut second).is_pending());
    world.issuer.hold(false);
    assert_eq!(poll(&mut first), Poll::Ready("valid"));
    world.issuer.hold(true);
    assert!(poll(&mut second).is_pending());
    assert_eq!(world.asked(), 2);
    drop(second);
    world.issuer.hold(false);
    world.clock.advance(seconds(2));
    let mut third = world.authenticate(&token);
    assert_eq!((poll(&mut third), poll(&mut waiting)), (Poll::Ready("valid"), Poll::Ready("valid")));
    assert_eq!(world.asked(), 3);
}

/// On several threads, in whatever order they get.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_come_and_go_keep_nobody_waiting() {
    for max_age in [0, 5] {
        let clock = ManualClock::new(at(START));
        let issuer = Issuer::new(profile(), clock.clone());
        let endpoint = introspection_endpoint_fn({
            let issuer = issuer.clone();
            move |request| {
                let issuer = issuer.clone();
                async move {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    issuer.introspect(request).await
                }
            }
        });
        let introspector =
            Introspector::builder(endpoint).max_age(seconds(max_age)).max_concurrent_requests(NonZeroUsize::MIN);
        let introspector = introspector.time_limit(TimeLimit::new(seconds(300)).unwrap()).build();
        let verifier = Verifier::introspecting(introspector, profile()).clock(clock);
        let tokens: Vec<String> = (0..3).map(|_| issuer.token()).collect();
        let mut requests = Vec::new();
        for number in 0..3000 {
            let (verifier, token) = (verifier.clone(), tokens[number % 3].clone());
            requests.push(tokio::spawn(async move { verdict(&verifier.authenticate(&token).await) }));
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
            if number % 2 == 1 {
                requests.swap_remove(number / 4).abort();
            }
        }
        for request in requests {
            assert_eq!(request.await.unwrap(), "valid");
        }
        assert!((3..3000).contains(&issuer.asked()), "{}", issuer.asked());
    }
}

#[test]
fn an_issuer_that_hangs_cannot_tell() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut requests: Vec<_> = (0..10).map(|_| world.authenticate(&token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.is_over.send_replace(true);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("cannot tell"));
    }
    assert_eq!(world.asked(), 1);
    drop(requests);
    assert_eq!((world.says(&token), world.asked()), ("cannot tell", 2));
    world.issuer.hold(false);
    assert_eq!((world.says(&token), world.asked()), ("valid", 3));
    // What was active a moment ago is known, and nothing else is.
    world.issuer.replies(Reply::Down);
    assert_eq!((world.says(&token), world.says(&world.issuer.token())), ("valid", "cannot tell"));
    world.clock.advance(seconds(5));
    assert_eq!(world.says(&token), "cannot tell");
}

#[test]
fn so_many_questions_are_under_way_and_no_more() {
    let world = World::with(|builder| builder.max_concurrent_requests(NonZeroUsize::new(2).unwrap()));
    let tokens: Vec<String> = (0..4).map(|_| world.issuer.token()).collect();
    world.issuer.hold(true);
    let mut requests: Vec<_> = tokens.iter().map(|token| world.authenticate(token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 2);
    // One that goes away makes room.
    drop(requests.remove(0));
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 3);
    world.issuer.hold(false);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("valid"));
    }
    assert_eq!(world.asked(), 4);
    // Nor is there room for ever while the issuer hangs.
    world.issuer.hold(true);
    let mut requests: Vec<_> = tokens.iter().map(|token| world.authenticate(token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.is_over.send_replace(true);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("cannot tell"));
    }
    world.issuer.hold(false);
    assert_eq!(world.says(&tokens[0]), "valid");
}

/// Whether a future was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A runtime polls only what is woken.
#[test]
fn requests_that_end_together_let_as_many_others_go() {
    let world = World::with(|builder| builder.max_concurrent_requests(NonZeroUsize::new(2).unwrap()));
    let tokens: Vec<String> = (0..4).map(|_| world.issuer.token()).collect();
    let mut requests: Vec<_> =
        tokens.iter().map(|token| (world.authenticate(token), Arc::new(Woken(AtomicBool::new(true))))).collect();
    let mut poll_woken = || {
        let mut valid = 0;
        while let Some((request, woken)) = requests.iter_mut().find(|(_, woken)| woken.0.swap(false, SeqCst)) {
            let waker = Waker::from(woken.clone());
            if request.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready("valid") {
                valid += 1;
                // Both that were asked about end before another one is polled.
                if valid == 2 {
                    world.issuer.hold(true);
                }
            }
        }
        valid
    };
    world.issuer.hold(true);
    assert_eq!((poll_woken(), world.asked()), (0, 2));
    world.issuer.hold(false);
    assert_eq!((poll_woken(), world.asked()), (2, 4));
    world.issuer.hold(false);
    assert_eq!((poll_woken(), world.asked()), (2, 4));
}
