//! The keys of an issuer, fetched when they are needed.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use event_listener::Event;

use crate::{
    clock::{Clock, SystemClock},
    error::{ConfigError, StoreError},
    keys::{
        Algorithm, VerifyingKey,
        collection::{VerifyingKeys, select},
        fetches::{Ages, Fetched, Fetches, Fetching, Turn, Unavailable},
        jwks,
        source::JwksSource,
    },
    timer::TimeLimit,
};

/// The keys that an issuer publishes, which are fetched when a token needs them, and fetched anew as they change. A
/// clone is the same set.
///
/// - It begins empty. A token cannot be verified until a fetch has succeeded, and that is not the token's fault: the
///   answer is [`AuthenticateError::Store`](crate::AuthenticateError::Store), over HTTP a 503.
/// - A token whose `kid` is unknown makes it fetch, at most once in the [cooldown](RemoteKeySetBuilder::cooldown), so
///   that forged tokens do no harm. A key that the issuer begins to sign with is thus known at once. A `kid` that is
///   still unknown is rejected.
/// - When the keys are no longer fresh, the next request fetches, and those beside it go on with the old keys. The new
///   keys replace all old ones, so a key that the issuer has removed is gone.
/// - There is never more than one fetch. Those who need it wait for it, each no longer than the
///   [time limit](RemoteKeySetBuilder::time_limit). A caller that goes away leaves it to the next.
/// - A fetch that fails, or gives no key that can be used, changes nothing. The next one waits for a second, then for
///   two, up to a minute, or up to 5 seconds while there are no keys that count. In the meantime the old keys count,
///   for [a day](RemoteKeySetBuilder::stale_if_error) after they were fresh, and an unknown `kid` cannot be told.
///
/// No task has to be spawned, and no async runtime is needed. A JWK Set is read as by
/// [`KeySet::from_jwks`](crate::KeySet::from_jwks): keys that cannot be used are skipped.
///
/// # Examples
///
/// ```
/// use jwt_knox::{FetchedJwks, RemoteKeySet, TokenProfile, Verifier, jwks_source_fn};
/// # use jwt_knox::{Algorithm, KeyRing, Knox, MemoryStore, SigningKey, Subject};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256)?);
/// # let knox = Knox::builder(ring.clone()).issuer("https://auth.example.com").audience("api").store(MemoryStore::new()).build()?;
/// # let issued = knox.issue(Subject::new("user-42")?).await?;
/// # let jwt = issued.token.expose();
/// // In production: a request to `https://auth.example.com/.well-known/jwks.json`.
/// let source = jwks_source_fn(move || {
///     let jwks = ring.jwks();
///     async { Ok(FetchedJwks::new(jwks)) }
/// });
/// let keys = RemoteKeySet::builder(source).build()?;
///
/// let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("api")?;
/// let verifier = Verifier::remote(keys, profile);
/// let token = verifier.authenticate(jwt).await?;
/// assert_eq!(*token.subject(), "user-42");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemoteKeySet(Arc<Shared>);

struct Shared {
    source: Arc<dyn JwksSource>,
    rsa: Option<Algorithm>,
    ages: Ages,
    limit: TimeLimit,
    clock: Arc<dyn Clock>,
    fetches: Mutex<Fetches>,
    /// Notified when a fetch ends, and when nobody drives it any more.
    changed: Event,
}

impl RemoteKeySet {
    /// Starts a set of the keys that `source` fetches.
    pub fn builder(source: impl JwksSource) -> RemoteKeySetBuilder {
        RemoteKeySetBuilder(Shared {
            source: Arc::new(source),
            rsa: None,
            ages: Ages::default(),
            limit: TimeLimit::default(),
            clock: Arc::new(SystemClock),
            fetches: Mutex::default(),
            changed: Event::new(),
        })
    }

    /// Fetches the keys now, whatever the cooldown says: for a service that is not to start without keys, and for an
    /// operator who has replaced a stolen key. The fetch begins after this call, so its keys are those that are
    /// published now. One that is under way is waited for, as long as the time limit at most.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that fails. The present keys then stay.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let (turn, round) = self.0.renew();
        let is_older = matches!(turn, Turn::Wait);
        self.0.wait(turn, round).await?;
        if is_older {
            let (turn, round) = self.0.renew();
            self.0.wait(turn, round).await?;
        }
        self.0.lock().outcome()
    }

    /// The ids of the keys that were fetched last.
    #[must_use]
    pub fn key_ids(&self) -> Vec<String> {
        self.0.lock().keys().iter().map(|key| key.key_id().to_owned()).collect()
    }
}

#[async_trait]
impl VerifyingKeys for RemoteKeySet {
    fn with_key(&self, key_id: Option<&str>, then: &mut dyn FnMut(&VerifyingKey)) {
        let now = self.0.clock.now();
        self.0.lock().usable(&self.0.ages, now).and_then(|keys| select(keys.iter(), key_id)).map(then);
    }

    async fn fetch_verifying(&self, key_id: Option<&str>) -> Result<Option<VerifyingKey>, StoreError> {
        let shared = &*self.0;
        let (turn, round) = {
            let now = shared.clock.now();
            let mut fetches = shared.lock();
            let turn = fetches.turn(&shared.ages, key_id, now, || shared.fetching());
            if matches!(turn, Turn::GoOn) {
                return fetches.answer(&shared.ages, key_id, now);
            }
            (turn, fetches.round())
        };
        let waited = shared.wait(turn, round).await;
        let now = shared.clock.now();
        let answer = shared.lock().answer(&shared.ages, key_id, now)?;
        match waited {
            // The fetch is still under way, and what it brings is not known.
            Err(timeout) if answer.is_none() => Err(timeout),
            _ => Ok(answer),
        }
    }
}

impl Shared {
    /// A fetch, which does nothing before it is polled. It does not hold this, which may come to hold it.
    fn fetching(&self) -> Fetching {
        let (source, limit, rsa) = (Arc::clone(&self.source), self.limit.clone(), self.rsa);
        Box::pin(async move {
            let fetched = limit.apply(source.fetch()).await?;
            let read = jwks::read(&fetched.jwks, rsa).map_err(StoreError::new)?;
            Ok(Fetched { keys: read.keys, max_age: fetched.max_age })
        })
    }

    /// Begins a fetch, unless somebody drives one.
    fn renew(&self) -> (Turn, u64) {
        let now = self.clock.now();
        let mut fetches = self.lock();
        (fetches.renew(now, || self.fetching()), fetches.round())
    }

    /// Drives the fetch, or waits until somebody else has, no longer than the time limit.
    async fn wait(&self, turn: Turn, round: u64) -> Result<(), StoreError> {
        let ended = async {
            let mut driver = self.driver(turn);
            loop {
                if let Some(driver) = driver {
                    driver.await;
                    return Ok(());
                }
                // Before looking, so that no change falls in between.
                let changed = self.changed.listen();
                let turn = {
                    let mut fetches = self.lock();
                    if fetches.round() != round {
                        return Ok(());
                    }
                    fetches.take_over()
                };
                driver = self.driver(turn);
                if driver.is_none() {
                    changed.await;
                }
            }
        };
        self.limit.apply(ended).await.map_err(Unavailable::timed_out)
    }

    fn driver(&self, turn: Turn) -> Option<Driver<'_>> {
        match turn {
            Turn::Drive(fetching) => Some(Driver { shared: self, fetching: Some(fetching) }),
            Turn::GoOn | Turn::Wait => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one who polls the fetch. Dropped before its end, it leaves the fetch as it is to the next.
struct Driver<'a> {
    shared: &'a Shared,
    fetching: Option<Fetching>,
}

impl Future for Driver<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(fetching) = &mut self.fetching else { return Poll::Ready(()) };
        // A fetch that has panicked must not be polled again, and would be by the next.
        let outcome = match catch_unwind(AssertUnwindSafe(|| fetching.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(_) => Err(StoreError::new("the source of the keys panicked")),
        };
        let now = self.shared.clock.now();
        let fetching = self.fetching.take();
        self.shared.lock().end(&self.shared.ages, outcome, now);
        self.shared.changed.notify(usize::MAX);
        // Last, in case a destructor panics: nobody waits for this caller any more.
        drop(fetching);
        Poll::Ready(())
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        if let Some(fetching) = self.fetching.take() {
            self.shared.lock().abandon(fetching);
            self.shared.changed.notify(usize::MAX);
        }
    }
}

impl fmt::Debug for RemoteKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeySet").field(&self.key_ids()).finish()
    }
}

/// The settings of a [`RemoteKeySet`]. [`RemoteKeySet::builder`] starts one; none is required.
#[must_use]
pub struct RemoteKeySetBuilder(Shared);

impl RemoteKeySetBuilder {
    /// How long after the beginning of a fetch no unknown `kid` makes it fetch again, from 1 second to 1 hour. Default:
    /// 30 seconds.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.0.ages.cooldown = cooldown;
        self
    }

    /// How long keys are fresh if their source does not say. Default: 5 minutes. This and what a source says is at
    /// least the cooldown and at most 24 hours. It is how long a key counts that the issuer has removed, if no unknown
    /// `kid` makes the set fetch.
    pub fn default_max_age(mut self, max_age: Duration) -> Self {
        self.0.ages.default_max_age = max_age;
        self
    }

    /// How long keys count after they were fresh, while they cannot be fetched again. Default: 24 hours. A key that was
    /// stolen, and removed by the issuer, counts for so long where somebody can keep the service from fetching.
    pub fn stale_if_error(mut self, stale_if_error: Duration) -> Self {
        self.0.ages.stale_if_error = stale_if_error;
        self
    }

    /// The algorithm of RSA keys without `alg`; see [`KeySet::from_jwks_with_rsa`](crate::KeySet::from_jwks_with_rsa).
    /// Default: they are skipped.
    pub fn rsa(mut self, algorithm: Algorithm) -> Self {
        self.0.rsa = Some(algorithm);
        self
    }

    /// How long a fetch may take, and a caller waits for one. Default: 5 seconds.
    pub fn time_limit(mut self, limit: TimeLimit) -> Self {
        self.0.limit = limit;
        self
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.0.clock = Arc::new(clock);
        self
    }

    /// Makes the set, which fetches nothing yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Cooldown`] if the cooldown is too short or too long.
    pub fn build(self) -> Result<RemoteKeySet, ConfigError> {
        self.0.ages.check()?;
        Ok(RemoteKeySet(Arc::new(self.0)))
    }
}

impl fmt::Debug for RemoteKeySetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeySetBuilder").field("ages", &self.0.ages).finish_non_exhaustive()
    }
}
