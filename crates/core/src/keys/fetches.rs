//! What is known of an issuer's keys, and when to fetch them. Nothing here waits.

use std::{future::Future, mem, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    error::{ConfigError, StoreError},
    keys::{VerifyingKey, collection::select, verifying::is_key_id},
};

/// A fetch that is under way.
pub(super) type Fetching = Pin<Box<dyn Future<Output = Result<Fetched, StoreError>> + Send>>;

/// What a fetch gives.
pub(super) struct Fetched {
    pub(super) keys: Vec<VerifyingKey>,
    pub(super) max_age: Option<Duration>,
}

/// The age limits of fetched keys.
#[derive(Debug)]
pub(super) struct Ages {
    pub(super) cooldown: Duration,
    pub(super) default_max_age: Duration,
    pub(super) stale_if_error: Duration,
}

impl Ages {
    const COOLDOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
    const LONGEST_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (min, max) = Self::COOLDOWN;
        if (min..=max).contains(&self.cooldown) { Ok(()) } else { Err(ConfigError::Cooldown) }
    }

    fn max_age(&self, fetched: Option<Duration>) -> Duration {
        fetched.unwrap_or(self.default_max_age).min(Self::LONGEST_MAX_AGE).max(self.cooldown)
    }
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(30),
            default_max_age: Duration::from_secs(5 * 60),
            stale_if_error: Duration::from_secs(24 * 3600),
        }
    }
}

/// The keys that were fetched, and the fetch that is under way.
#[derive(Default)]
pub(super) struct Fetches {
    present: Option<Present>,
    fetch: Fetch,
    /// When the last fetch began.
    began_at: Option<Timestamp>,
    /// Of the last fetch that ended.
    failure: Option<Failure>,
    /// How many fetches have ended.
    round: u64,
}

struct Present {
    keys: Vec<VerifyingKey>,
    /// When the fetch began: what was published later may not be among them.
    as_of: Timestamp,
    max_age: Duration,
}

#[derive(Default)]
enum Fetch {
    #[default]
    None,
    /// Somebody polls it.
    Driven,
    /// Nobody does: the caller that did has gone away.
    Abandoned(Fetching),
}

struct Failure {
    /// How many fetches have failed in a row.
    count: u32,
    at: Timestamp,
    error: Arc<StoreError>,
}

/// What a caller has to do.
pub(super) enum Turn {
    /// Nothing: the keys are there, or cannot be had now.
    GoOn,
    /// To wait for the fetch that somebody else drives.
    Wait,
    /// To drive this fetch.
    Drive(Fetching),
}

/// What a token needs to have fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// Newer keys, now or later.
    Refresh,
    /// Its key, which may be a new one.
    Key,
    /// Any keys.
    Keys,
}

impl Fetches {
    /// Whose turn it is, for a token with that `kid`. `fetching` makes a fetch.
    pub(super) fn turn(
        &mut self,
        ages: &Ages,
        key_id: Option<&str>,
        now: Timestamp,
        fetching: impl FnOnce() -> Fetching,
    ) -> Turn {
        match (self.need(ages, key_id, now), &self.fetch) {
            (Need::Nothing, _) | (Need::Refresh, Fetch::Driven) => Turn::GoOn,
            (need, Fetch::None) if !self.may_begin(ages, need, now) => Turn::GoOn,
            _ => self.join(ages, now, fetching),
        }
    }

    /// Joins the fetch that is under way, or begins one.
    pub(super) fn join(&mut self, ages: &Ages, now: Timestamp, fetching: impl FnOnce() -> Fetching) -> Turn {
        match &self.fetch {
            // Its connection has most likely been given up, and there may be another fetch by now.
            Fetch::Abandoned(_) if !self.is_cool(ages, now) => self.take_over(),
            _ => self.renew(now, fetching),
        }
    }

    /// Joins the fetch that somebody drives, or begins one.
    pub(super) fn renew(&mut self, now: Timestamp, fetching: impl FnOnce() -> Fetching) -> Turn {
        match self.take_over() {
            Turn::Drive(old) => {
                let new = self.begin(now, fetching);
                // What the application does when it is dropped, is done without the lock.
                Turn::Drive(Box::pin(async move {
                    drop(old);
                    new.await
                }))
            }
            Turn::GoOn => Turn::Drive(self.begin(now, fetching)),
            Turn::Wait => Turn::Wait,
        }
    }

    fn begin(&mut self, now: Timestamp, fetching: impl FnOnce() -> Fetching) -> Fetching {
        self.fetch = Fetch::Driven;
        self.began_at = Some(now);
        fetching()
    }

    /// Takes over the fetch that is under way, if nobody drives it.
    pub(super) fn take_over(&mut self) -> Turn {
        let (fetch, turn) = match mem::take(&mut self.fetch) {
            Fetch::None => (Fetch::None, Turn::GoOn),
            Fetch::Driven => (Fetch::Driven, Turn::Wait),
            Fetch::Abandoned(fetching) => (Fetch::Driven, Turn::Drive(fetching)),
        };
        self.fetch = fetch;
        turn
    }

    /// Leaves a fetch to the next.
    pub(super) fn abandon(&mut self, fetching: Fetching) {
        self.fetch = Fetch::Abandoned(fetching);
    }

    /// Keeps what a fetch gave.
    pub(super) fn end(&mut self, ages: &Ages, outcome: Result<Fetched, StoreError>, now: Timestamp) {
        self.fetch = Fetch::None;
        self.round += 1;
        match outcome {
            Ok(Fetched { keys, max_age }) => {
                tracing::debug!(?keys, "the keys of the issuer were fetched");
                let as_of = self.began_at.unwrap_or(now);
                self.present = Some(Present { keys, as_of, max_age: ages.max_age(max_age) });
                self.failure = None;
            }
            Err(error) => {
                let error = error.without_store();
                let count = self.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(
                    error = cause,
                    count,
                    "the keys of the issuer could not be fetched; those that are there stay"
                );
                self.failure = Some(Failure { count, at: now, error: Arc::new(error) });
            }
        }
    }

    /// The key for a token with that `kid`, as far as is known now.
    pub(super) fn answer(
        &self,
        ages: &Ages,
        key_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<VerifyingKey>, StoreError> {
        let Some(keys) = self.usable(ages, now) else { return Err(self.unavailable()) };
        match select(keys.iter(), key_id) {
            // It may be one of those that could not be fetched.
            None if self.failure.is_some() && may_be_new(key_id) => Err(self.unavailable()),
            key => Ok(key.cloned()),
        }
    }

    /// How the last fetch ended.
    pub(super) fn outcome(&self) -> Result<(), StoreError> {
        if self.failure.is_some() { Err(self.unavailable()) } else { Ok(()) }
    }

    /// How many fetches have ended.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The keys that were fetched last, however long ago.
    pub(super) fn keys(&self) -> &[VerifyingKey] {
        self.present.as_ref().map_or(&[], |present| &present.keys)
    }

    /// The keys that may be used.
    pub(super) fn usable(&self, ages: &Ages, now: Timestamp) -> Option<&[VerifyingKey]> {
        let is_usable = |present: &&Present| {
            let usable_for = present.max_age.saturating_add(ages.stale_if_error);
            // Nor if the clock was set back so far that nobody can tell how old they are.
            !is_over(present.as_of, usable_for, now) && !is_over(now, usable_for, present.as_of)
        };
        self.present.as_ref().filter(is_usable).map(|present| &*present.keys)
    }

    fn need(&self, ages: &Ages, key_id: Option<&str>, now: Timestamp) -> Need {
        let Some(keys) = self.usable(ages, now) else { return Need::Keys };
        let is_stale = |present: &Present| has_passed(present.as_of, present.max_age, now);
        if select(keys.iter(), key_id).is_none() && may_be_new(key_id) {
            Need::Key
        } else if self.present.as_ref().is_some_and(is_stale) {
            Need::Refresh
        } else {
            Need::Nothing
        }
    }

    /// Whether a fetch may begin.
    fn may_begin(&self, ages: &Ages, need: Need, now: Timestamp) -> bool {
        let pause = |failure: &Failure| match need {
            // Nobody can be told anything until there are keys, as when the service starts before its issuer.
            Need::Keys => failure.pause().min(Failure::LONGEST_PAUSE_WITHOUT_KEYS),
            _ => failure.pause(),
        };
        let may_retry = self.failure.as_ref().is_none_or(|failure| has_passed(failure.at, pause(failure), now));
        may_retry && (need != Need::Key || self.is_cool(ages, now))
    }

    fn is_cool(&self, ages: &Ages, now: Timestamp) -> bool {
        self.began_at.is_none_or(|began_at| has_passed(began_at, ages.cooldown, now))
    }

    fn unavailable(&self) -> StoreError {
        Unavailable::because(self.failure.as_ref().map(|failure| Arc::clone(&failure.error)))
    }
}

impl Failure {
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);
    /// What a client is told to wait for over HTTP.
    const LONGEST_PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(5);

    /// How long to wait until the next fetch.
    fn pause(&self) -> Duration {
        let doubled = 2u32.saturating_pow(self.count.saturating_sub(1));
        Self::FIRST_PAUSE.saturating_mul(doubled).min(Self::LONGEST_PAUSE)
    }
}

/// Whether a fetch may bring a key with that id. One of another form nobody has, and without an id there is no telling.
fn may_be_new(key_id: Option<&str>) -> bool {
    key_id.is_some_and(is_key_id)
}

fn is_over(since: Timestamp, duration: Duration, now: Timestamp) -> bool {
    since.checked_add(duration).is_ok_and(|end| now >= end)
}

/// As [`is_over`], and also true if the clock was set back: what it showed before says nothing.
fn has_passed(since: Timestamp, duration: Duration, now: Timestamp) -> bool {
    now < since || is_over(since, duration, now)
}

/// The keys cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("the keys of the issuer could not be fetched")]
pub(super) struct Unavailable {
    source: Option<Arc<StoreError>>,
}

impl Unavailable {
    fn because(source: Option<Arc<StoreError>>) -> StoreError {
        StoreError::from_issuer(Self { source })
    }

    /// The wait for a fetch has taken too long.
    pub(super) fn timed_out(timeout: StoreError) -> StoreError {
        Self::because(Some(Arc::new(timeout.without_store())))
    }
}
