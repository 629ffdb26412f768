//! How long logins live, against a model: random lifetimes, random histories, and a clock that jumps both ways.
//!
//! The model counts in microseconds since 1970. It says for each step what must come of it. Beside it stand rules that
//! need no model, such as: no token is accepted at its deadline.

#![allow(clippy::unwrap_used)]

use std::{cmp::Reverse, sync::Arc, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jwt_knox::{
    AuthError, AuthenticateError, Authenticated, Clock, IssueError, Issued, Knox, Lifetime, ManualClock, MemoryStore,
    NewToken, SigningKey, Subject, Token, TokenLimit, TokenRecord, TokenStore, WhenFull,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};

const SECOND: i64 = 1_000_000;

/// Where the clock starts: late enough in a second that rounding down shows.
const START: i64 = 1_800_000_000 * SECOND + 700_000;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn logins_live_as_long_as_the_model_says(
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
    fn a_login_in_use_does_not_end_before_its_deadline(
        idle in 2_000..100_000_u64,
        absolute in prop::option::of(1_000..400_000_u64),
        touch_interval in 0..100_000_u64,
        skew in 0..=1_000_u32,
        uses in prop::collection::vec((0..=1_000_u32, any::<bool>(), prop::bool::weighted(0.1)), 1..60),
    ) {
        run(async move {
            let pause = Duration::from_secs(idle / 1000) / 4;
            // Deadlines are rounded down to a second, which short timeouts feel.
            let skew = pause.min(pause * 2 - Duration::from_secs(1)) * skew / 1000;
            let lifetime = absolute.map_or(Lifetime::never(), |absolute| Lifetime::absolute(Duration::from_millis(absolute)));
            let settings = Settings {
                lifetime: lifetime.with_idle(Duration::from_millis(idle)),
                leeway: skew,
                touch_interval: Duration::from_millis(touch_interval),
                limit: None,
            };
            let store = Arc::new(MemoryStore::new());
            let clocks = [at(START), at(START) + skew].map(|now| Arc::new(ManualClock::new(now)));
            let servers = clocks.each_ref().map(|clock| settings.knox(store.clone(), clock.clone()));

            let mut issued = servers[0].issue(alice()).await.unwrap();
            for (permille, second, rotates) in uses {
                clocks.iter().for_each(|clock| clock.advance(pause * permille / 1000));
                let (server, now) = (&servers[usize::from(second)], clocks[usize::from(second)].now());
                if issued.record.deadline.is_some_and(|deadline| deadline <= now) {
                    break;
                }
                let auth = server.authenticate(issued.token.expose()).await;
                prop_assert!(auth.is_ok(), "{auth:?} at {now}");
                if rotates {
                    issued = server.rotate(&auth.unwrap()).await.unwrap();
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
    limit: Option<TokenLimit>,
}

impl Settings {
    fn knox(&self, store: Arc<MemoryStore>, clock: Arc<ManualClock>) -> Knox {
        let mut builder = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
            .store(store)
            .clock(clock)
            .lifetime(self.lifetime)
            .leeway(self.leeway)
            .touch_interval(self.touch_interval);
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
    /// Sets the clock to the end of a login, its leeway included, give or take a microsecond.
    GoToEnd(Index, i64),
    Issue(Option<Lifetime>),
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
        1 => (1..4_u32).prop_map(|max| Some(TokenLimit::deny(max))),
        1 => (1..4_u32).prop_map(|max| Some(TokenLimit::evict_oldest(max))),
    ];
    (lifetime(), millis(leeway), millis(touch_interval), limit)
        .prop_map(|(lifetime, leeway, touch_interval, limit)| Settings { lifetime, leeway, touch_interval, limit })
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    let (absolute, idle) = (millis(1_000..60_000_u64), millis(2_000..20_000_u64));
    (prop::option::weighted(0.7, absolute), prop::option::weighted(0.7, idle)).prop_map(|(absolute, idle)| {
        let lifetime = absolute.map_or(Lifetime::never(), Lifetime::absolute);
        idle.map_or(lifetime, |idle| lifetime.with_idle(idle))
    })
}

fn step() -> impl Strategy<Value = Step> {
    let any_token = any::<Index>;
    prop_oneof![
        6 => millis(0..8_000_u64).prop_map(Step::Wait),
        1 => millis(0..80_000_u64).prop_map(Step::Wait),
        2 => millis(0..20_000_u64).prop_map(Step::GoBack),
        3 => (any_token(), -1..=1_i64).prop_map(|(token, micros)| Step::GoToEnd(token, micros)),
        4 => prop::option::of(lifetime()).prop_map(Step::Issue),
        12 => any_token().prop_map(Step::Use),
        3 => any_token().prop_map(Step::Rotate),
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

/// A login, as the model has it.
#[derive(Debug)]
struct Login {
    created: i64,
    deadline: Option<i64>,
    idle: Option<i64>,
    expires: Option<i64>,
    last_used: Option<i64>,
    /// The latest moment of use, written down or not.
    used: i64,
    /// Which of the tokens is the one of this login.
    token: usize,
    /// Revoked, evicted or purged.
    is_gone: bool,
}

impl Login {
    fn new(lifetime: Lifetime, created: i64, token: usize) -> Self {
        let mut login = Self {
            created,
            deadline: lifetime.absolute_lifetime().map(|lifetime| whole_second(created + micros(lifetime))),
            idle: lifetime.idle_timeout().map(|timeout| whole_second(micros(timeout))),
            expires: None,
            last_used: None,
            used: created,
            token,
            is_gone: false,
        };
        login.expires = login.end_if_used(created);
        login
    }

    fn is_over(&self, moment: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= moment)
    }

    fn end_if_used(&self, now: i64) -> Option<i64> {
        let idle_end = self.idle.map(|idle| whole_second(now + idle));
        [idle_end, self.deadline].into_iter().flatten().min()
    }

    /// Whether a use now is to be written down: not in the leeway, and not so soon after the last one that was.
    fn is_noted(&self, now: i64, touch_interval: Duration) -> bool {
        let throttle = self.idle.map_or(micros(touch_interval), |idle| micros(touch_interval).min(idle / 4));
        now >= self.last_used.unwrap_or(self.created) + throttle && !self.is_over(now)
    }

    fn note(&mut self, now: i64) {
        self.last_used = self.last_used.max(Some(now));
        if !self.is_over(now) {
            self.expires = self.expires.max(self.end_if_used(now));
        }
    }
}

/// A token that was once issued.
struct Presented {
    token: Token,
    record: TokenRecord,
    issued: i64,
    login: usize,
    /// What its last use gave.
    auth: Option<Authenticated>,
    /// When it was first called expired, unless the clock has gone back behind that.
    expired: Option<i64>,
}

struct World {
    settings: Settings,
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    knox: Knox,
    now: i64,
    logins: Vec<Login>,
    tokens: Vec<Presented>,
}

impl World {
    fn new(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(at(START)));
        let store = Arc::new(MemoryStore::new());
        let knox = settings.knox(store.clone(), clock.clone());
        Self { settings, clock, store, knox, now: START, logins: Vec::new(), tokens: Vec::new() }
    }

    async fn take(&mut self, step: Step) -> TestCaseResult {
        let among = |index: Index| index.index(self.tokens.len());
        match step {
            Step::Wait(by) => self.set_clock(self.now + micros(by)),
            Step::GoBack(by) => self.set_clock(self.now - micros(by)),
            Step::Issue(lifetime) => return self.issue(lifetime).await,
            Step::RevokeAll => return self.revoke_all().await,
            Step::Purge => return self.purge().await,
            _ if self.tokens.is_empty() => {}
            Step::GoToEnd(index, offset) => {
                let end = self.logins[self.tokens[among(index)].login].expires.unwrap_or(self.now);
                self.set_clock(end + micros(self.settings.leeway) + offset);
            }
            Step::Use(index) => return self.authenticate(among(index)).await,
            Step::Rotate(index) => {
                let token = among(index);
                self.authenticate(token).await?;
                return self.rotate(token).await;
            }
            Step::RotateLate(index) => return self.rotate(among(index)).await,
            Step::Revoke(index) => return self.revoke(among(index)).await,
            Step::RevokeOthers(index) => return self.revoke_others(among(index)).await,
        }
        Ok(())
    }

    fn set_clock(&mut self, now: i64) {
        self.now = now;
        self.clock.set(at(now));
        for token in &mut self.tokens {
            token.expired = token.expired.filter(|expired| *expired <= now);
        }
    }

    /// The moment beyond which a login must reach to count.
    fn since(&self) -> i64 {
        self.now - micros(self.settings.leeway)
    }

    /// The logins that count, the newest first.
    fn live(&self) -> Vec<usize> {
        let is_live = |login: &Login| !login.is_gone && !login.is_over(self.since());
        let mut live: Vec<usize> = (0..self.logins.len()).filter(|login| is_live(&self.logins[*login])).collect();
        live.sort_by_key(|login| {
            let login = &self.logins[*login];
            Reverse((login.created, self.tokens[login.token].record.id()))
        });
        live
    }

    /// Why the token must be refused; `None` if it must be accepted.
    fn refusal(&self, token: usize) -> Option<AuthError> {
        let presented = &self.tokens[token];
        let login = &self.logins[presented.login];
        if login.deadline.is_some_and(|deadline| deadline <= self.since()) {
            Some(AuthError::Expired)
        } else if whole_second(presented.issued) > self.now + micros(self.settings.leeway) {
            Some(AuthError::NotYetValid)
        } else if login.is_gone || login.token != token {
            Some(AuthError::Revoked)
        } else {
            login.is_over(self.since()).then_some(AuthError::Expired)
        }
    }

    async fn issue(&mut self, own: Option<Lifetime>) -> TestCaseResult {
        let live = self.live();
        let room = self.settings.limit.map_or(usize::MAX, |limit| limit.max() as usize);
        let denies = self.settings.limit.is_some_and(|limit| limit.when_full() == WhenFull::Deny);

        let new = NewToken::for_subject(alice());
        let new = own.map_or(new.clone(), |lifetime| new.lifetime(lifetime));
        match self.knox.issue_with(new).await {
            Ok(issued) => {
                prop_assert!(!denies || live.len() < room);
                live.iter().skip(room - 1).for_each(|evicted| self.logins[*evicted].is_gone = true);
                self.logins.push(Login::new(own.unwrap_or(self.settings.lifetime), self.now, self.tokens.len()));
                self.add_token(self.logins.len() - 1, issued)?;
            }
            Err(IssueError::LimitReached { .. }) => prop_assert!(denies && live.len() >= room),
            Err(error) => prop_assert!(false, "{error}"),
        }
        self.forget_what_the_store_has_dropped().await;
        Ok(())
    }

    /// A store may drop a login that is over whenever it wants to. A clock that goes back does not bring it back then.
    async fn forget_what_the_store_has_dropped(&mut self) {
        let since = self.since();
        for login in self.logins.iter_mut().filter(|login| login.is_over(since)) {
            login.is_gone |= self.store.find(&self.tokens[login.token].record.key()).await.unwrap().is_none();
        }
    }

    fn add_token(&mut self, login: usize, issued: Issued) -> TestCaseResult {
        self.logins[login].token = self.tokens.len();
        check_record(&issued.record, &self.logins[login])?;
        let claims = Base64UrlUnpadded::decode_vec(issued.token.expose().split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        prop_assert_eq!(claims["exp"].as_i64().map(|exp| exp * SECOND), self.logins[login].deadline);
        prop_assert_eq!(claims["iat"].as_i64(), Some(whole_second(self.now) / SECOND));
        let Issued { token, record, .. } = issued;
        self.tokens.push(Presented { token, record, issued: self.now, login, auth: None, expired: None });
        Ok(())
    }

    async fn authenticate(&mut self, token: usize) -> TestCaseResult {
        let (now, leeway) = (self.now, micros(self.settings.leeway));
        let expected = self.refusal(token);
        let presented = &mut self.tokens[token];
        let login = &mut self.logins[presented.login];
        match (self.knox.authenticate(presented.token.expose()).await, expected) {
            (Ok(auth), None) => {
                prop_assert!(login.deadline.is_none_or(|deadline| now < deadline + leeway));
                prop_assert!(login.idle.is_none_or(|idle| now < login.used + idle + leeway));
                prop_assert!(presented.expired.is_none(), "it had expired, and the clock has not gone back");
                login.used = login.used.max(now);
                if login.is_noted(now, self.settings.touch_interval) {
                    login.note(now);
                }
                check_record(auth.record(), login)?;
                presented.auth = Some(auth);
            }
            (Err(AuthenticateError::Refused(refusal)), Some(expected)) => {
                prop_assert_eq!(&refusal, &expected);
                if refusal == AuthError::Expired {
                    presented.expired.get_or_insert(now);
                }
            }
            (outcome, expected) => prop_assert!(false, "expected {expected:?}, got {outcome:?}"),
        }
        Ok(())
    }

    async fn rotate(&mut self, token: usize) -> TestCaseResult {
        let Some(auth) = self.tokens[token].auth.clone() else { return Ok(()) };
        let (now, since, index) = (self.now, self.since(), self.tokens[token].login);
        let login = &mut self.logins[index];
        let outcome = self.knox.rotate(&auth).await;
        if login.is_gone || login.token != token || login.is_over(since) {
            prop_assert!(matches!(outcome, Err(IssueError::Refused(AuthError::Revoked))), "{outcome:?}");
            return Ok(());
        }
        login.used = login.used.max(now);
        login.note(now);
        let issued = outcome.unwrap();
        check_order(&self.tokens[token].record, &issued.record)?;
        self.add_token(index, issued)
    }

    async fn revoke(&mut self, token: usize) -> TestCaseResult {
        let login = &mut self.logins[self.tokens[token].login];
        let is_there = !login.is_gone && login.token == token;
        prop_assert_eq!(self.knox.revoke(&self.tokens[token].record.key()).await.unwrap(), is_there);
        login.is_gone |= is_there;
        Ok(())
    }

    async fn revoke_others(&mut self, token: usize) -> TestCaseResult {
        let Some(auth) = self.tokens[token].auth.clone() else { return Ok(()) };
        let others = self.live().into_iter().filter(|login| self.logins[*login].token != token).count();
        prop_assert_eq!(self.knox.revoke_others(&auth).await.unwrap(), others as u64);
        self.logins.iter_mut().filter(|login| login.token != token).for_each(|login| login.is_gone = true);
        Ok(())
    }

    async fn revoke_all(&mut self) -> TestCaseResult {
        prop_assert_eq!(self.knox.revoke_all(&alice()).await.unwrap(), self.live().len() as u64);
        self.logins.iter_mut().for_each(|login| login.is_gone = true);
        Ok(())
    }

    async fn purge(&mut self) -> TestCaseResult {
        let since = self.since();
        let over = self.logins.iter_mut().filter(|login| !login.is_gone && login.is_over(since));
        let purged = over.map(|login| login.is_gone = true).count();
        prop_assert_eq!(self.knox.purge_expired().await.unwrap(), purged as u64);
        Ok(())
    }

    /// The list has the logins that the model calls live, as it calls those live that `authenticate` accepts.
    async fn check_store(&mut self) -> TestCaseResult {
        let listed = self.knox.tokens(&alice()).await.unwrap();
        let live = self.live();
        prop_assert_eq!(listed.len(), live.len());
        for (record, login) in listed.into_iter().zip(live) {
            let login = &self.logins[login];
            let before = &mut self.tokens[login.token].record;
            prop_assert_eq!(record.id(), before.id());
            check_record(&record, login)?;
            check_order(before, &record)?;
            *before = record;
        }
        Ok(())
    }
}

/// The record says what the model says.
fn check_record(record: &TokenRecord, login: &Login) -> TestCaseResult {
    prop_assert_eq!(record.created_at, at(login.created));
    prop_assert_eq!(record.deadline, login.deadline.map(at));
    prop_assert_eq!(record.expires_at, login.expires.map(at));
    prop_assert_eq!(record.last_used_at, login.last_used.map(at));
    prop_assert!(record.deadline.is_none_or(|deadline| record.expires_at.is_some_and(|end| end <= deadline)));
    Ok(())
}

/// No record goes back in time.
fn check_order(earlier: &TokenRecord, later: &TokenRecord) -> TestCaseResult {
    prop_assert!(earlier.last_used_at <= later.last_used_at, "{earlier:?} {later:?}");
    prop_assert!(earlier.expires_at <= later.expires_at, "{earlier:?} {later:?}");
    Ok(())
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
