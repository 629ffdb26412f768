//! Putting a [`Knox`] together.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    error::ConfigError,
    keys::KeyRing,
    knox::{
        Inner, Knox,
        admin::KnoxAdmin,
        cache::{Cache, TokenCache},
        recent_touches::RecentTouches,
        settings::{ReuseAction, Settings},
    },
    lifetime::Lifetime,
    observer::Observer,
    random::fill_from_os,
    store::{TokenStore, limit::SessionLimit},
    subject_check::SubjectCheck,
    timer::{TimeLimit, Timer},
    token::{format::TokenFormat, jwt::JwtCodec, profile::TokenProfile},
};

/// The settings of a [`Knox`]. [`Knox::builder`] starts one; only keys and a store are required.
#[must_use]
pub struct KnoxBuilder {
    keys: KeyRing,
    profile: Result<TokenProfile, ConfigError>,
    store: Option<Arc<dyn TokenStore>>,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
    time_limit: Result<TimeLimit, ConfigError>,
    cache: Cache,
    settings: Settings,
}

impl Knox {
    /// Starts a handle that signs with `keys`: a [`SigningKey`](crate::SigningKey), or a [`KeyRing`] of several.
    pub fn builder(keys: impl Into<KeyRing>) -> KnoxBuilder {
        KnoxBuilder {
            keys: keys.into(),
            profile: Ok(TokenProfile::new()),
            store: None,
            observer: None,
            clock: Arc::new(SystemClock),
            time_limit: Ok(TimeLimit::default()),
            cache: Cache::default(),
            settings: Settings {
                subject_check: None,
                lifetime: Lifetime::default(),
                limit: None,
                touch_interval: Duration::from_secs(15 * 60),
                rotation_grace: Duration::from_secs(10),
                reuse: ReuseAction::default(),
                recheck_interval: Duration::from_secs(30),
                fill_random: fill_from_os,
            },
        }
    }
}

impl KnoxBuilder {
    /// Where sessions are kept. Required.
    pub fn store(self, store: impl TokenStore) -> Self {
        Self { store: Some(Arc::new(store)), ..self }
    }

    /// What the tokens have in common: issuer, audience, leeway, format. Replaces what was set by
    /// [`issuer`](Self::issuer), [`audience`](Self::audience), [`leeway`](Self::leeway) and
    /// [`token_format`](Self::token_format) before. Default: [`TokenProfile::new`].
    pub fn profile(self, profile: TokenProfile) -> Self {
        Self { profile: Ok(profile), ..self }
    }

    /// See [`TokenProfile::issuer`].
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        Self { profile: self.profile.and_then(|profile| profile.issuer(issuer)), ..self }
    }

    /// See [`TokenProfile::audience`].
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self { profile: self.profile.and_then(|profile| profile.audience(audience)), ..self }
    }

    /// See [`TokenProfile::leeway`].
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { profile: self.profile.and_then(|profile| profile.leeway(leeway)), ..self }
    }

    /// See [`TokenProfile::format`].
    pub fn token_format(self, format: TokenFormat) -> Self {
        Self { profile: self.profile.map(|profile| profile.format(format)), ..self }
    }

    /// Asks the application about a session and its subject on each authentication and each login. Default: no question
    /// is asked.
    pub fn subject_check(mut self, check: impl SubjectCheck) -> Self {
        self.settings.subject_check = Some(Arc::new(check));
        self
    }

    /// Where session events go. Default: nowhere.
    pub fn observer(self, observer: impl Observer) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// How long a session lives. Default: 10 hours, used or not.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// How many active sessions a subject may have. Default: any number.
    pub fn limit(mut self, limit: SessionLimit) -> Self {
        self.settings.limit = Some(limit);
        self
    }

    /// How often the use of a session is recorded, at most; the first use is recorded at once. Default: every 15
    /// minutes.
    ///
    /// The use of a session with an idle timeout is recorded at least four times in that timeout, so that it does not
    /// expire in use.
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.settings.touch_interval = interval;
        self
    }

    /// How long a token stays valid after it was rotated away, so that requests under way and a second tab are not
    /// logged out. Zero: not at all. Default: 10 seconds.
    ///
    /// A client that is told that the store could not answer, and rotates again with the old token, has to do so in
    /// this time. So where the store may hang, let the grace be longer than the [time limit](Self::time_limit) and what
    /// the client waits, which over HTTP is 5 seconds: 15 seconds, say.
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.settings.rotation_grace = grace;
        self
    }

    /// What happens when a token is presented that was rotated away longer ago than the grace. Default: the session is
    /// revoked.
    pub fn on_reuse(mut self, action: ReuseAction) -> Self {
        self.settings.reuse = action;
        self
    }

    /// How often [`Knox::ended`] asks the store whether a session goes on that no call of this process has ended.
    /// Default: every 30 seconds.
    ///
    /// [`Knox::ended`]: crate::Knox::ended
    pub fn recheck_interval(mut self, interval: Duration) -> Self {
        self.settings.recheck_interval = interval;
        self
    }

    /// What is remembered of verified tokens, so that a signature is checked once and not on each request. The store is
    /// asked each time all the same, so a revocation is seen at once, unless a [`max_age`](Cache::max_age) is set.
    /// Default: 10,000 tokens, which is 40 MiB at most.
    pub fn cache(self, cache: Cache) -> Self {
        Self { cache, ..self }
    }

    /// How long a call of the store or of the [`SubjectCheck`] may take. One that takes longer is an error: *cannot
    /// tell*, and neither yes nor no. Default: 5 seconds.
    pub fn time_limit(self, limit: Duration) -> Self {
        let time_limit = self.time_limit.and_then(|before| before.with_limit(limit));
        Self { time_limit, ..self }
    }

    /// What to wait by, such as `tokio::time::sleep`. Default: [`SystemTimer`](crate::SystemTimer), which works on any
    /// runtime.
    pub fn timer(self, timer: impl Timer) -> Self {
        Self { time_limit: self.time_limit.map(|limit| limit.with_timer(timer)), ..self }
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    #[cfg(test)]
    pub(super) fn fill_random(mut self, fill: crate::random::FillRandom) -> Self {
        self.settings.fill_random = fill;
        self
    }

    /// Makes the handle.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting is wrong and what to do about it.
    pub fn build(self) -> Result<Knox, ConfigError> {
        let profile = self.profile?;
        let admin = KnoxAdmin::with_store(self.store.ok_or(ConfigError::NoStore)?)
            .with_observer(self.observer)
            .with_clock(self.clock)
            .leeway(profile.leeway)?
            .time_limit(self.time_limit?);
        let jwt = JwtCodec::stateful(profile);
        let (recent_touches, tokens) = (RecentTouches::default(), TokenCache::new(self.cache));
        Ok(Knox(Arc::new(Inner { keys: self.keys, jwt, admin, settings: self.settings, recent_touches, tokens })))
    }
}

impl fmt::Debug for KnoxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnoxBuilder")
            .field("keys", &self.keys)
            .field("profile", &self.profile)
            .field("lifetime", &self.settings.lifetime)
            .field("limit", &self.settings.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SigningKey, store::memory::MemoryStore};

    #[test]
    fn rejects_invalid_settings_when_it_is_built() {
        let no_store = || Knox::builder(SigningKey::hs256([7; 32]).unwrap());
        let builder = || no_store().store(MemoryStore::new());
        assert!(builder().build().is_ok());
        assert_eq!(no_store().build().err(), Some(ConfigError::NoStore));
        let cases = [
            (builder().leeway(Duration::from_secs(601)), ConfigError::LeewayTooLong),
            (builder().issuer(""), ConfigError::EmptyName),
            (builder().audience("").audience("api"), ConfigError::EmptyName),
            (builder().time_limit(Duration::ZERO), ConfigError::TimeLimitIsZero),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build().err(), Some(error));
        }
    }
}
