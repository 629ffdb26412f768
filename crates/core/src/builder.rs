//! Putting a [`Knox`] together.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    digest::HashAlgorithm,
    error::ConfigError,
    jwt::Jwt,
    keys::KeyRing,
    knox::{Inner, Knox},
    policy::{Lifetime, TokenLimit},
    secret::{FillRandom, Secret, fill_from_os},
    store::TokenStore,
    subject_check::SubjectCheck,
};

/// The settings of a [`Knox`]. [`Knox::builder`] starts one; only keys and a store are needed.
#[derive(Debug)]
#[must_use]
pub struct KnoxBuilder {
    keys: KeyRing,
    store: Option<Arc<dyn TokenStore>>,
    subject_check: Option<Arc<dyn SubjectCheck>>,
    clock: Arc<dyn Clock>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: Duration,
    lifetime: Lifetime,
    limit: Option<TokenLimit>,
    touch_interval: Duration,
    hash_algorithm: HashAlgorithm,
    secret_bytes: usize,
    secret_prefix: String,
    max_token_bytes: usize,
    fill_random: FillRandom,
}

impl KnoxBuilder {
    const MAX_LEEWAY: Duration = Duration::from_secs(600);
    const MAX_PREFIX_BYTES: usize = 32;
    const MIN_TOKEN_BYTES: usize = 1024;

    pub(crate) fn new(keys: KeyRing) -> Self {
        Self {
            keys,
            store: None,
            subject_check: None,
            clock: Arc::new(SystemClock),
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
            lifetime: Lifetime::default(),
            limit: None,
            touch_interval: Duration::from_secs(60),
            hash_algorithm: HashAlgorithm::default(),
            secret_bytes: 32,
            secret_prefix: String::new(),
            max_token_bytes: 8 * 1024,
            fill_random: fill_from_os,
        }
    }

    /// Where logins are kept. Needed.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Asks the application about a subject on each authentication and each login. Default: no question is asked.
    pub fn subject_check(mut self, check: impl SubjectCheck) -> Self {
        self.subject_check = Some(Arc::new(check));
        self
    }

    /// Writes `iss` into tokens and accepts only those that have it. Default: none, and tokens with an `iss` are refused.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Writes `aud` into tokens and accepts only those that name it. Default: none, and tokens with an `aud` are refused.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// How far clocks of servers may be apart, at most 10 minutes. It is given once, to token and record alike. Default: 0.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long a login lives. Default: 10 hours, used or not.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How many live logins a subject may have. Default: any number.
    pub fn limit(mut self, limit: TokenLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How often the use of a login is written down, at most. Default: every 60 seconds.
    ///
    /// A login with an idle timeout is written down at least four times in that timeout, so that it does not end in use.
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = interval;
        self
    }

    /// The hash of new secrets. Logins under another one stay good. Default: SHA-256.
    pub fn hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash_algorithm = algorithm;
        self
    }

    /// How many random bytes a secret has, 16 to 128. Default: 32.
    pub fn secret_bytes(mut self, bytes: usize) -> Self {
        self.secret_bytes = bytes;
        self
    }

    /// A text in front of each secret, so that scanners of leaked secrets can tell whose it is. At most 32 letters, digits and
    /// the characters `-`, `_` and `.`. Default: none.
    pub fn secret_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.secret_prefix = prefix.into();
        self
    }

    /// The longest JWT that is issued or read, in bytes. At least 1024. Default: 8192.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    #[cfg(test)]
    pub(crate) fn fill_random(mut self, fill: FillRandom) -> Self {
        self.fill_random = fill;
        self
    }

    /// Checks the settings and makes the handle.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting is wrong and what to do about it.
    pub fn build(self) -> Result<Knox, ConfigError> {
        self.lifetime.check()?;
        if let Some(limit) = self.limit {
            limit.check()?;
        }
        if self.leeway > Self::MAX_LEEWAY {
            return Err(ConfigError::LeewayTooLong);
        }
        if !Secret::BYTES.contains(&self.secret_bytes) {
            return Err(ConfigError::SecretBytes);
        }
        let prefix_is_plain =
            self.secret_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if self.secret_prefix.len() > Self::MAX_PREFIX_BYTES || !prefix_is_plain {
            return Err(ConfigError::SecretPrefix);
        }
        if [&self.issuer, &self.audience].into_iter().flatten().any(String::is_empty) {
            return Err(ConfigError::EmptyName);
        }
        if self.max_token_bytes < Self::MIN_TOKEN_BYTES {
            return Err(ConfigError::TokenBytes);
        }
        Ok(Knox::new(Inner {
            jwt: Jwt {
                keys: self.keys,
                issuer: self.issuer,
                audience: self.audience,
                leeway: self.leeway,
                max_bytes: self.max_token_bytes,
            },
            store: self.store.ok_or(ConfigError::NoStore)?,
            subject_check: self.subject_check,
            clock: self.clock,
            lifetime: self.lifetime,
            limit: self.limit,
            touch_interval: self.touch_interval,
            hash_algorithm: self.hash_algorithm,
            secret_bytes: self.secret_bytes,
            secret_prefix: self.secret_prefix,
            fill_random: self.fill_random,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SigningKey, memory::MemoryStore};

    fn builder() -> KnoxBuilder {
        Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new())
    }

    #[test]
    fn bad_settings_are_refused_when_it_is_built() {
        assert!(builder().build().is_ok());
        let without_store = Knox::builder(SigningKey::hs256([7; 32]).unwrap());
        assert_eq!(without_store.build().err(), Some(ConfigError::NoStore));
        let cases = [
            (builder().lifetime(Lifetime::absolute(Duration::ZERO)), ConfigError::LifetimeTooShort),
            (builder().limit(TokenLimit::evict_oldest(0)), ConfigError::LimitIsZero),
            (builder().leeway(Duration::from_secs(601)), ConfigError::LeewayTooLong),
            (builder().secret_bytes(15), ConfigError::SecretBytes),
            (builder().secret_bytes(129), ConfigError::SecretBytes),
            (builder().secret_prefix("a b"), ConfigError::SecretPrefix),
            (builder().secret_prefix("x".repeat(33)), ConfigError::SecretPrefix),
            (builder().issuer(""), ConfigError::EmptyName),
            (builder().audience(""), ConfigError::EmptyName),
            (builder().max_token_bytes(1023), ConfigError::TokenBytes),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build().err(), Some(error));
        }
    }
}
