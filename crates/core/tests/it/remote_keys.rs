//! Verifying by the keys of an issuer, which are fetched when they are needed.

use std::{
    future::{Future, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use jwt_knox::*;
use tokio::sync::watch;

use crate::{
    fixture::{START, at, seconds},
    log::warnings_of,
    waiting::{done, key, poll, time_limit, verdict},
};

const COOLDOWN: u64 = 30;
const DAY: u64 = 24 * 3600;

/// A server that issues tokens and publishes its keys, and what becomes of those who fetch them.
struct Issuer {
    ring: KeyRing,
    knox: Knox,
    fetches: AtomicU64,
    reply: Mutex<Reply>,
    /// Whether a fetch has to wait.
    is_held: watch::Sender<bool>,
}

#[derive(Clone)]
enum Reply {
    Keys,
    KeysFor(Duration),
    Text(String),
    Down,
    Panics,
}

impl Issuer {
    fn new(clock: ManualClock) -> Arc<Self> {
        let ring = KeyRing::new(key("old"));
        let knox = Knox::builder(ring.clone()).store(MemoryStore::new()).clock(clock);
        // Tokens outlive what the tests wait for.
        let knox = knox.lifetime(Lifetime::expires_after(seconds(10 * DAY)).unwrap()).build().unwrap();
        let (fetches, reply, is_held) = (AtomicU64::new(0), Mutex::new(Reply::Keys), watch::Sender::new(false));
        Arc::new(Self { ring, knox, fetches, reply, is_held })
    }

    fn token(&self) -> String {
        done(self.knox.issue(1)).unwrap().token.expose().to_owned()
    }

    fn promote(&self, id: &str) {
        self.ring.stage(key(id)).unwrap();
        self.ring.promote(id).unwrap();
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(SeqCst)
    }

    fn replies(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Lets fetches wait, or go on.
    fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }
}

#[async_trait]
impl JwksSource for Issuer {
    async fn fetch(&self) -> Result<FetchedJwks, StoreError> {
        self.fetches.fetch_add(1, SeqCst);
        let jwks = self.ring.jwks();
        self.is_held.subscribe().wait_for(|is_held| !is_held).await.unwrap();
        let reply = self.reply.lock().unwrap().clone();
        match reply {
            Reply::Keys => Ok(FetchedJwks::new(jwks)),
            Reply::KeysFor(max_age) => Ok(FetchedJwks::new(jwks).max_age(max_age)),
            Reply::Text(text) => Ok(FetchedJwks::new(text)),
            Reply::Down => Err(StoreError::new("connection refused")),
            Reply::Panics => panic!("the source of a test panics"),
        }
    }
}

/// An issuer, and a service that fetches its keys.
struct World {
    issuer: Arc<Issuer>,
    keys: RemoteKeySet,
    verifier: Verifier,
    clock: ManualClock,
    /// Whether all time limits are over.
    is_over: watch::Sender<bool>,
}

impl World {
    /// The service has no key yet.
    fn new() -> Self {
        let clock = ManualClock::new(at(START));
        let issuer = Issuer::new(clock.clone());
        let (limit, is_over) = time_limit();
        let keys = RemoteKeySet::builder(issuer.clone()).time_limit(limit).clock(clock.clone()).build().unwrap();
        let verifier = Verifier::remote(keys.clone(), TokenProfile::new()).clock(clock.clone());
        Self { issuer, keys, verifier, clock, is_over }
    }

    /// The service has fetched the keys.
    fn with_keys() -> Self {
        let world = Self::new();
        assert_eq!(world.says(&world.issuer.token()), "valid");
        assert_eq!(world.issuer.fetches(), 1);
        world
    }

    /// What the service says of a token, if it says it at once.
    fn says(&self, token: &str) -> &'static str {
        verdict(&done(self.verifier.authenticate(token)))
    }

    /// In which of these seconds the service fetches, while it says that of a token.
    fn fetches_in(&self, from: i64, seconds: i64, says: &str) -> Vec<i64> {
        let token = self.issuer.token();
        let mut fetched_in = Vec::new();
        for second in 0..seconds {
            self.clock.set(at(START + from + second));
            let before = self.issuer.fetches();
            assert_eq!(self.says(&token), says);
            if self.issuer.fetches() > before {
                fetched_in.push(second);
            }
        }
        fetched_in
    }

    fn authenticate<'a>(&'a self, token: &'a str) -> Pin<Box<impl Future<Output = &'static str> + 'a>> {
        Box::pin(async move { verdict(&self.verifier.authenticate(token).await) })
    }
}

/// A token of somebody else, which names that key.
fn forged(key_id: &str, clock: &ManualClock) -> String {
    let forger = Knox::builder(key(key_id)).store(MemoryStore::new()).clock(clock.clone()).build().unwrap();
    done(forger.issue(1)).unwrap().token.expose().to_owned()
}

#[test]
fn an_empty_set_cannot_tell_until_a_fetch_has_succeeded() {
    let world = World::new();
    assert_eq!(world.issuer.fetches(), 0);
    world.issuer.replies(Reply::Down);
    let token = world.issuer.token();
    for token in [&token, &forged("forged", &world.clock)] {
        assert_eq!(world.says(token), "cannot tell");
    }
    // Where no key matters, there is no doubt.
    assert_eq!(world.says("a.b.c"), "malformed");
    assert_eq!(world.issuer.fetches(), 1);
    let error = done(world.verifier.authenticate(&token)).unwrap_err();
    let expected = "the keys of the issuer could not be fetched: connection refused";
    assert_eq!(format!("{error:?}"), expected);

    world.issuer.replies(Reply::Keys);
    world.clock.advance(seconds(1));
    assert_eq!(world.says(&token), "valid");
    assert_eq!((world.issuer.fetches(), world.keys.key_ids()), (2, vec!["old".to_owned()]));
    assert_eq!(world.says(&forged("old", &world.clock)), "invalid_signature");
    assert!(world.verifier.verify(&token).is_ok());
}

#[test]
fn a_malformed_token_makes_no_fetch() {
    let world = World::new();
    for token in ["", "a.b.c", "a.b", &"a".repeat(10_000)] {
        assert_eq!(world.says(token), "malformed");
    }
    assert_eq!(world.issuer.fetches(), 0);
}

#[test]
fn a_hundred_requests_in_parallel_make_one_fetch() {
    for world in [World::new(), World::with_keys()] {
        let before = world.issuer.fetches();
        world.clock.advance(seconds(COOLDOWN));
        world.issuer.promote("new");
        world.issuer.hold(true);
        let tokens: Vec<String> = (0..99).map(|n| forged(&format!("forged-{n}"), &world.clock)).collect();
        let honest = world.issuer.token();
        let mut requests: Vec<_> = tokens.iter().chain([&honest]).map(|token| world.authenticate(token)).collect();
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        assert_eq!(world.issuer.fetches(), before + 1);

        world.issuer.hold(false);
        let verdicts: Vec<_> = requests.iter_mut().map(poll).collect();
        assert_eq!(verdicts[..99], [Poll::Ready("unknown_key"); 99]);
        assert_eq!(verdicts[99], Poll::Ready("valid"));
        assert_eq!(world.issuer.fetches(), before + 1);
    }
}

#[test]
fn forged_key_ids_make_no_fetch_within_the_cooldown() {
    let world = World::with_keys();
    for second in 0..COOLDOWN {
        assert_eq!(world.says(&forged(&format!("forged-{second}"), &world.clock)), "unknown_key");
        world.clock.advance(seconds(1));
    }
    assert_eq!(world.issuer.fetches(), 1);
    for n in 0..10 {
        assert_eq!(world.says(&forged(&format!("forged-{n}"), &world.clock)), "unknown_key");
    }
    assert_eq!(world.issuer.fetches(), 2);
}

#[test]
fn forged_key_ids_whose_senders_hang_up_make_no_fetch_within_the_cooldown() {
    let world = World::with_keys();
    world.clock.advance(seconds(COOLDOWN));
    world.issuer.hold(true);
    for n in 0..COOLDOWN {
        let token = forged(&format!("forged-{n}"), &world.clock);
        assert!(poll(&mut world.authenticate(&token)).is_pending());
        world.clock.advance(seconds(1));
    }
    assert_eq!(world.issuer.fetches(), 2);
}

#[test]
fn the_first_token_of_a_new_key_makes_it_known_and_a_removed_key_is_gone() {
    let world = World::with_keys();
    let of_old_key = world.issuer.token();
    world.clock.advance(seconds(COOLDOWN));
    world.issuer.promote("new");
    assert_eq!(world.says(&world.issuer.token()), "valid");
    assert_eq!(world.says(&of_old_key), "valid");
    assert_eq!(world.issuer.fetches(), 2);

    world.issuer.ring.retire("old").unwrap();
    world.clock.advance(seconds(COOLDOWN));
    assert_eq!(world.says(&of_old_key), "valid");
    assert_eq!(world.says(&forged("forged", &world.clock)), "unknown_key");
    assert_eq!(world.says(&of_old_key), "unknown_key");
    assert_eq!((world.issuer.fetches(), world.keys.key_ids()), (3, vec!["new".to_owned()]));
}

#[test]
fn what_no_fetch_can_help_makes_none() {
    let world = World::with_keys();
    world.issuer.ring.stage(key("new")).unwrap();
    world.clock.advance(seconds(COOLDOWN));
    let id = "x".repeat(129);
    let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{id}"}}"#);
    for header in [r#"{"alg":"EdDSA","typ":"JWT"}"#, &header] {
        let token = crate::fixture::forge(header, "{}");
        assert_ne!(world.says(&token), "valid");
    }
    assert_eq!(world.issuer.fetches(), 1);
}

#[test]
fn stale_keys_are_fetched_by_one_request_while_the_others_go_on() {
    let world = World::with_keys();
    let token = world.issuer.token();
    world.clock.advance(seconds(299));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 1));

    world.clock.advance(seconds(1));
    world.issuer.promote("new");
    world.issuer.ring.retire("old").unwrap();
    world.issuer.hold(true);
    let mut driver = world.authenticate(&token);
    assert!(poll(&mut driver).is_pending());
    for _ in 0..10 {
        assert_eq!(world.says(&token), "valid");
    }
    world.issuer.hold(false);
    assert_eq!(poll(&mut driver), Poll::Ready("unknown_key"));
    assert_eq!(world.says(&token), "unknown_key");
    assert_eq!(world.says(&world.issuer.token()), "valid");
    assert_eq!(world.issuer.fetches(), 2);
}

#[test]
fn how_long_keys_are_fresh_has_bounds() {
    for (max_age, fresh_for) in [(0, COOLDOWN), (29, COOLDOWN), (100, 100), (10 * DAY, DAY), (u64::MAX, DAY)] {
        let world = World::new();
        world.issuer.replies(Reply::KeysFor(seconds(max_age)));
        let token = world.issuer.token();
        for (second, fetches) in [(0, 1), (fresh_for - 1, 1), (fresh_for, 2)] {
            world.clock.set(at(START));
            world.clock.advance(seconds(second));
            assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", fetches), "{max_age} {second}");
        }
    }
}

#[test]
fn a_caller_that_goes_away_leaves_the_fetch_to_those_who_wait() {
    let world = World::new();
    world.issuer.hold(true);
    let token = world.issuer.token();
    let mut requests: Vec<_> = (0..10).map(|_| world.authenticate(&token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    // One after the other drives it and goes away.
    for _ in 0..9 {
        drop(requests.remove(0));
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
    }
    world.issuer.hold(false);
    assert_eq!(poll(&mut requests[0]), Poll::Ready("valid"));
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_are_woken_when_the_caller_that_fetches_goes_away() {
    for _ in 0..50 {
        let world = World::new();
        world.issuer.hold(true);
        let token = world.issuer.token();
        let mut tasks: Vec<_> = (0..8)
            .map(|_| {
                let (verifier, token) = (world.verifier.clone(), token.clone());
                tokio::spawn(async move { verdict(&verifier.authenticate(&token).await) })
            })
            .collect();
        while world.issuer.fetches() == 0 {
            tokio::task::yield_now().await;
        }
        // Among them the one that drives, most often.
        for task in tasks.drain(..4) {
            task.abort();
            drop(task.await);
        }
        world.issuer.hold(false);
        for task in tasks {
            let verdict = tokio::time::timeout(seconds(20), task).await;
            assert_eq!(verdict.expect("nobody has woken it").unwrap(), "valid");
        }
        assert_eq!(world.issuer.fetches(), 1);
    }
}

#[test]
fn a_fetch_that_nobody_waits_for_is_continued_by_the_next_and_later_begun_anew() {
    for (pause, fetches) in [(COOLDOWN - 1, 1), (COOLDOWN, 2)] {
        let world = World::new();
        world.issuer.hold(true);
        let token = world.issuer.token();
        assert!(poll(&mut world.authenticate(&token)).is_pending());
        world.clock.advance(seconds(pause));
        world.issuer.hold(false);
        assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", fetches));
    }
}

#[test]
fn a_fetch_that_hangs_ends_with_the_time_limit() {
    let world = World::with_keys();
    let token = world.issuer.token();
    let unknown = forged("forged", &world.clock);
    world.clock.advance(seconds(COOLDOWN));
    world.issuer.hold(true);
    let [mut driver, mut waiter] = [world.authenticate(&unknown), world.authenticate(&unknown)];
    assert!(poll(&mut driver).is_pending() && poll(&mut waiter).is_pending());
    world.is_over.send_replace(true);
    // The one that waits does not depend on the one that drives.
    assert_eq!(poll(&mut waiter), Poll::Ready("cannot tell"));
    assert_eq!(world.says(&token), "valid");
    assert_eq!(poll(&mut driver), Poll::Ready("cannot tell"));
    assert_eq!(world.says(&token), "valid");

    // Nor do good keys depend on a fetch.
    world.clock.advance(seconds(300));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 3));
    world.issuer.hold(false);
    world.clock.advance(seconds(COOLDOWN));
    assert_eq!((world.says(&unknown), world.issuer.fetches()), ("unknown_key", 4));

    let world = World::new();
    world.issuer.hold(true);
    world.is_over.send_replace(true);
    let error = done(world.keys.refresh()).unwrap_err();
    assert_eq!(format!("{error:?}"), "the keys of the issuer could not be fetched: timed out after 5s");
}

#[test]
fn an_unknown_key_cannot_be_told_while_keys_cannot_be_fetched() {
    let world = World::with_keys();
    world.clock.advance(seconds(COOLDOWN));
    world.issuer.promote("new");
    let (of_new_key, unknown) = (world.issuer.token(), forged("forged", &world.clock));
    world.issuer.replies(Reply::Down);
    for _ in 0..COOLDOWN {
        assert_eq!((world.says(&of_new_key), world.says(&unknown)), ("cannot tell", "cannot tell"));
        world.clock.advance(seconds(1));
    }
    assert_eq!(world.issuer.fetches(), 2);
    world.issuer.replies(Reply::Keys);
    assert_eq!((world.says(&of_new_key), world.says(&unknown)), ("valid", "unknown_key"));
    assert_eq!(world.issuer.fetches(), 3);
}

#[test]
fn pauses_grow_while_fetches_fail() {
    let world = World::with_keys();
    let token = world.issuer.token();
    world.issuer.replies(Reply::Down);
    assert_eq!(world.fetches_in(300, 300, "valid"), [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);

    // A success ends them.
    world.issuer.replies(Reply::Keys);
    world.clock.set(at(START + 603));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 12));
    world.issuer.replies(Reply::Down);
    world.clock.advance(seconds(300));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 13));
    world.clock.advance(seconds(1));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 14));
}

/// A service that has started before its issuer answers soon after that has.
#[test]
fn pauses_stay_short_while_there_are_no_keys() {
    let world = World::new();
    let token = world.issuer.token();
    world.issuer.replies(Reply::Down);
    assert_eq!(world.fetches_in(0, 30, "cannot tell"), [0, 1, 3, 7, 12, 17, 22, 27]);
    world.issuer.replies(Reply::Keys);
    world.clock.set(at(START + 32));
    assert_eq!(world.says(&token), "valid");

    // Keys that are too old are none.
    world.issuer.replies(Reply::Down);
    let over = 32 + 300 + i64::try_from(DAY).unwrap();
    assert_eq!(world.fetches_in(over, 20, "cannot tell"), [0, 1, 3, 7, 12, 17]);
}

#[test]
fn old_keys_count_for_a_day_while_the_issuer_is_down() {
    let world = World::with_keys();
    let token = world.issuer.token();
    world.issuer.replies(Reply::Down);
    world.clock.advance(seconds(300 + DAY - 1));
    assert_eq!(world.says(&token), "valid");
    world.clock.advance(seconds(1));
    assert_eq!(world.says(&token), "cannot tell");
    assert_eq!(world.verifier.verify(&token).unwrap_err(), Rejection::UnknownKey);
    world.issuer.replies(Reply::Keys);
    world.clock.advance(seconds(60));
    assert_eq!(world.says(&token), "valid");

    // Nor do they count longer if nobody has asked for them.
    world.clock.advance(seconds(300 + DAY));
    world.issuer.hold(true);
    assert!(poll(&mut world.authenticate(&token)).is_pending());
}

#[test]
fn a_set_without_a_usable_key_is_a_failed_fetch() {
    let private = key("private").to_jwk();
    let secret = SigningKey::hs256([7; 32]).unwrap();
    let secret = secret.to_jwk();
    let bad = [
        Reply::Down,
        Reply::Panics,
        Reply::Text("<html>".into()),
        Reply::Text(String::new()),
        Reply::Text(r#"{"keys":[]}"#.into()),
        Reply::Text(r#"{"keys":[{"kty":"new","kid":"old"}]}"#.into()),
        Reply::Text(format!(r#"{{"keys":[{}]}}"#, private.expose())),
        Reply::Text(format!(r#"{{"keys":[{}]}}"#, secret.expose())),
        Reply::Text(" ".repeat(300 * 1024)),
    ];
    for reply in bad {
        let world = World::with_keys();
        let token = world.issuer.token();
        world.clock.advance(seconds(300));
        world.issuer.replies(reply.clone());
        let warnings = warnings_of(|| assert_eq!(world.says(&token), "valid"));
        assert!(warnings.contains("the keys of the issuer could not be fetched"), "{warnings}");
        assert_eq!(world.issuer.fetches(), 2);
        assert_eq!(world.says(&token), "valid");
        // It is tried again.
        world.issuer.replies(Reply::Keys);
        world.clock.advance(seconds(1));
        assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 3));

        let world = World::new();
        world.issuer.replies(reply);
        assert_eq!(world.says(&world.issuer.token()), "cannot tell");
    }
}

#[test]
fn a_private_key_beside_public_ones_is_not_used() {
    let world = World::new();
    let published = world.issuer.ring.jwks();
    let (leaked, published) = (key("leaked"), published.trim_end_matches("]}"));
    world.issuer.replies(Reply::Text(format!("{published},{}]}}", leaked.to_jwk().expose())));
    assert_eq!(world.says(&world.issuer.token()), "valid");
    assert_eq!(world.keys.key_ids(), ["old"]);
}

#[test]
fn a_refresh_fetches_at_once_and_says_whether_it_could() {
    let world = World::new();
    world.issuer.replies(Reply::Down);
    assert!(done(world.keys.refresh()).is_err());
    world.issuer.replies(Reply::Keys);
    done(world.keys.refresh()).unwrap();
    let token = world.issuer.token();
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 2));

    world.issuer.promote("new");
    world.issuer.ring.retire("old").unwrap();
    done(world.keys.refresh()).unwrap();
    assert_eq!((world.says(&token), world.issuer.fetches()), ("unknown_key", 3));

    world.issuer.hold(true);
    let [mut one, mut other] = [Box::pin(world.keys.refresh()), Box::pin(world.keys.refresh())];
    assert!(poll(&mut one).is_pending() && poll(&mut other).is_pending());
    drop(one);
    world.issuer.hold(false);
    assert!(matches!(poll(&mut other), Poll::Ready(Ok(()))));
    assert_eq!(world.issuer.fetches(), 5, "the one of the other began before it");
}

/// What a fetch brings that began before may have the key that was stolen, and anyone can begin one.
#[test]
fn a_refresh_is_a_fetch_that_begins_after_it() {
    for is_abandoned in [false, true] {
        let world = World::with_keys();
        let stolen = world.issuer.token();
        world.clock.advance(seconds(COOLDOWN));
        world.issuer.hold(true);
        let unknown = forged("forged", &world.clock);
        let mut thief = world.authenticate(&unknown);
        assert!(poll(&mut thief).is_pending());
        let thief = (!is_abandoned).then_some(thief);

        world.issuer.promote("new");
        world.issuer.ring.retire("old").unwrap();
        let mut refresh = Box::pin(world.keys.refresh());
        assert!(poll(&mut refresh).is_pending());
        world.issuer.hold(false);
        if let Some(mut thief) = thief {
            assert_eq!(poll(&mut thief), Poll::Ready("unknown_key"));
        }
        assert!(matches!(poll(&mut refresh), Poll::Ready(Ok(()))));
        assert_eq!((world.says(&stolen), world.issuer.fetches()), ("unknown_key", 3));
    }
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_from_being_fetched() {
    let world = World::new();
    world.clock.set(at(START + 1_000_000));
    done(world.keys.refresh()).unwrap();
    world.clock.set(at(START));
    let token = world.issuer.token();
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 2));
    assert_eq!((world.says(&token), world.issuer.fetches()), ("valid", 2));
}

#[test]
fn settings_count() {
    let source = || jwks_source_fn(|| ready(Err(StoreError::new("down"))));
    for (cooldown, is_valid) in [(0, false), (1, true), (3600, true), (3601, false)] {
        let outcome = RemoteKeySet::builder(source()).cooldown(seconds(cooldown)).build();
        assert_eq!(outcome.err(), (!is_valid).then_some(ConfigError::Cooldown), "{cooldown}");
    }

    let pem = include_str!("../../../../tests/vectors/keys/rsa2048.pub.pem");
    let jwk = VerifyingKey::from_pem(Algorithm::Rs256, pem).unwrap().with_key_id("rsa").unwrap().to_jwk().unwrap();
    let jwks = format!(r#"{{"keys":[{}]}}"#, jwk.replace(r#""alg":"RS256","#, ""));
    let source = jwks_source_fn(move || ready(Ok(FetchedJwks::new(jwks.clone()))));
    let source = Arc::new(source);
    assert!(done(RemoteKeySet::builder(source.clone()).build().unwrap().refresh()).is_err());
    let keys = RemoteKeySet::builder(source).rsa(Algorithm::Rs256).build().unwrap();
    done(keys.refresh()).unwrap();
    assert_eq!(keys.key_ids(), ["rsa"]);

    let clock = ManualClock::new(at(START));
    let issuer = Issuer::new(clock.clone());
    let builder = RemoteKeySet::builder(issuer.clone()).clock(clock.clone()).cooldown(seconds(5));
    let keys = builder.default_max_age(seconds(20)).stale_if_error(seconds(10)).build().unwrap();
    let verifier = Verifier::remote(keys, TokenProfile::new()).clock(clock.clone());
    let says = |token: &str| verdict(&done(verifier.authenticate(token)));
    let (token, unknown) = (issuer.token(), forged("forged", &clock));
    assert_eq!(says(&token), "valid");
    for (second, token, expected, fetches) in [
        (4, &unknown, "unknown_key", 1),
        (5, &unknown, "unknown_key", 2),
        (24, &token, "valid", 2),
        (25, &token, "valid", 3),
    ] {
        clock.set(at(START + second));
        assert_eq!((says(token), issuer.fetches()), (expected, fetches), "{second}");
    }
    issuer.replies(Reply::Down);
    // In the end the clock was set back: so far that nobody knows how long ago the fetch was, or not.
    for (second, expected) in [(54, "valid"), (55, "cannot tell"), (-5, "cannot tell"), (-4, "valid")] {
        clock.set(at(START + second));
        assert_eq!(says(&token), expected, "{second}");
    }
}
