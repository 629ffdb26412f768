//! How long sessions and tokens live, against a model: random lifetimes, random histories with rotations, and a clock
//! that jumps both ways.
//!
//! The model counts in microseconds since 1970. It says for each step what must come of it. Beside it stand rules that
//! need no model, such as: no token is accepted at its absolute expiry.

mod session;
mod world;

use std::time::Duration;

use jwt_knox::*;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};

use world::World;

const SECOND: i64 = 1_000_000;

/// Where the clock starts: late enough in a second that rounding down shows.
const START: i64 = 1_800_000_000 * SECOND + 700_000;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn sessions_live_as_long_as_the_model_says(
        settings in settings(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(async move {
            let mut world = World::new(settings);
            for step in steps {
                world.take(step).await?;
                world.check_store().await?;
            }
            Ok(())
        })?;
    }

    /// Two servers share the store. Their clocks differ by the leeway, which is a quarter of the idle timeout or less.
    #[test]
    fn a_session_in_use_does_not_expire_before_its_absolute_expiry(
        idle in 2_000..100_000_u64,
        absolute in prop::option::of(1_000..400_000_u64),
        touch_interval in 0..100_000_u64,
        skew in 0..=1_000_u32,
        uses in prop::collection::vec((0..=1_000_u32, any::<bool>(), prop::bool::weighted(0.1)), 1..60),
    ) {
        run(async move {
            let pause = Duration::from_secs(idle / 1000) / 4;
            // Expiries are rounded down to a second, which short timeouts feel.
            let skew = pause.min(pause * 2 - Duration::from_secs(1)) * skew / 1000;
            let settings = Settings {
                lifetime: lifetime_of(absolute.map(Duration::from_millis), Some(Duration::from_millis(idle))),
                leeway: skew,
                touch_interval: Duration::from_millis(touch_interval),
                rotation_grace: Duration::from_secs(10),
                reuse: ReuseAction::RevokeSession,
                limit: None,
            };
            let store = MemoryStore::new();
            let clocks = [at(START), at(START) + skew].map(ManualClock::new);
            let servers = clocks.each_ref().map(|clock| settings.knox(&store, clock));

            let mut issued = servers[0].issue(alice()).await.unwrap();
            for (permille, second, rotates) in uses {
                clocks.iter().for_each(|clock| clock.advance(pause * permille / 1000));
                let (server, now) = (&servers[usize::from(second)], clocks[usize::from(second)].now());
                if issued.session.absolute_expires_at.is_some_and(|expiry| expiry <= now) {
                    break;
                }
                let auth = server.authenticate(issued.token.expose()).await;
                prop_assert!(auth.is_ok(), "{auth:?} at {now}");
                if rotates {
                    let auth = auth.unwrap();
                    issued = server.rotate(&auth).await.unwrap();
                    prop_assert_eq!(issued.session.id, auth.session_id());
                    prop_assert!(server.recheck(&auth).await.is_ok());
                }
            }
            Ok(())
        })?;
    }
}

fn run(test: impl Future<Output = TestCaseResult>) -> TestCaseResult {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

#[derive(Debug, Clone)]
struct Settings {
    lifetime: Lifetime,
    leeway: Duration,
    touch_interval: Duration,
    rotation_grace: Duration,
    reuse: ReuseAction,
    limit: Option<SessionLimit>,
}

impl Settings {
    fn knox(&self, store: &MemoryStore, clock: &ManualClock) -> Knox {
        let mut builder = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .store(store.clone())
            .clock(clock.clone())
            .lifetime(self.lifetime)
            .leeway(self.leeway)
            .touch_interval(self.touch_interval)
            .rotation_grace(self.rotation_grace)
            .on_reuse(self.reuse);
        if let Some(limit) = self.limit {
            builder = builder.limit(limit);
        }
        builder.build().unwrap()
    }
}

/// What can happen. An [`Index`] chooses among the tokens that were ever issued.
#[derive(Debug, Clone)]
enum Step {
    Wait(Duration),
    GoBack(Duration),
    /// Sets the clock to the expiry of a session, its leeway included, give or take a microsecond.
    GoToExpiry(Index, i64),
    /// Sets the clock to the end of the grace of a session's last rotation, give or take a microsecond.
    GoToEndOfGrace(Index, i64),
    /// A login that began so long ago.
    Issue(Option<Lifetime>, Duration),
    Use(Index),
    /// A use, and a rotation with what it gave.
    Rotate(Index),
    /// A rotation with what an earlier use gave.
    RotateLate(Index),
    Revoke(Index),
    RevokeOthers(Index),
    RevokeAll,
    Purge,
}

fn settings() -> impl Strategy<Value = Settings> {
    let leeway = prop_oneof![Just(0), 1..3_000_u64];
    let touch_interval = prop_oneof![Just(0), Just(60_000), 1..20_000_u64];
    let limit = prop_oneof![
        2 => Just(None),
        1 => (1..4_u32).prop_map(|max| Some(SessionLimit::deny(max).unwrap())),
        1 => (1..4_u32).prop_map(|max| Some(SessionLimit::evict_oldest(max).unwrap())),
    ];
    let grace = prop_oneof![Just(0), Just(10_000), 1..20_000_u64];
    let reuse = prop_oneof![Just(ReuseAction::RevokeSession), Just(ReuseAction::Reject)];
    (lifetime(), millis(leeway), millis(touch_interval), millis(grace), reuse, limit).prop_map(
        |(lifetime, leeway, touch_interval, rotation_grace, reuse, limit)| Settings {
            lifetime,
            leeway,
            touch_interval,
            rotation_grace,
            reuse,
            limit,
        },
    )
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    let (absolute, idle) = (millis(1_000..60_000_u64), millis(2_000..20_000_u64));
    (prop::option::weighted(0.7, absolute), prop::option::weighted(0.7, idle))
        .prop_map(|(absolute, idle)| lifetime_of(absolute, idle))
}

fn lifetime_of(absolute: Option<Duration>, idle: Option<Duration>) -> Lifetime {
    let lifetime = absolute.map_or(Ok(Lifetime::never()), Lifetime::expires_after).unwrap();
    idle.map_or(Ok(lifetime), |idle| lifetime.or_idle_after(idle)).unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    let any_token = any::<Index>;
    let began = prop_oneof![3 => Just(Duration::ZERO), 1 => millis(0..10_000_u64)];
    prop_oneof![
        6 => millis(0..8_000_u64).prop_map(Step::Wait),
        1 => millis(0..80_000_u64).prop_map(Step::Wait),
        2 => millis(0..20_000_u64).prop_map(Step::GoBack),
        3 => (any_token(), -1..=1_i64).prop_map(|(token, micros)| Step::GoToExpiry(token, micros)),
        2 => (any_token(), -1..=1_i64).prop_map(|(token, micros)| Step::GoToEndOfGrace(token, micros)),
        4 => (prop::option::of(lifetime()), began).prop_map(|(lifetime, ago)| Step::Issue(lifetime, ago)),
        12 => any_token().prop_map(Step::Use),
        5 => any_token().prop_map(Step::Rotate),
        2 => any_token().prop_map(Step::RotateLate),
        1 => any_token().prop_map(Step::Revoke),
        1 => any_token().prop_map(Step::RevokeOthers),
        1 => Just(Step::RevokeAll),
        1 => Just(Step::Purge),
    ]
}

fn millis(strategy: impl Strategy<Value = u64>) -> impl Strategy<Value = Duration> {
    strategy.prop_map(Duration::from_millis)
}

fn alice() -> Subject {
    Subject::new("alice").unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap()
}

fn micros(duration: Duration) -> i64 {
    duration.as_micros().try_into().unwrap()
}

fn whole_second(micros: i64) -> i64 {
    micros - micros.rem_euclid(SECOND)
}
