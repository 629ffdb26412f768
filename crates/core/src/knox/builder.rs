//! Putting a [`Knox`] together.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock},
    error::ConfigError,
    keys::{KeyRing, Keys},
    knox::{Inner, Knox},
    lifetime::Lifetime,
    observer::Observer,
    random::{FillRandom, fill_from_os},
    store::{TokenStore, limit::TokenLimit},
    subject::SubjectCheck,
    token::{
        digest::HashAlgorithm,
        format::TokenFormat,
        jwt::Jwt,
        secret::{Secret, SecretEncoding},
    },
};

/// The settings of a [`Knox`]. [`Knox::builder`] starts one; only keys and a store are needed.
#[derive(Debug)]
#[must_use]
pub struct KnoxBuilder {
    keys: KeyRing,
    jwt: Jwt,
    store: Option<Arc<dyn TokenStore>>,
    subject_check: Option<Arc<dyn SubjectCheck>>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
    lifetime: Lifetime,
    limit: Option<TokenLimit>,
    touch_interval: Duration,
    hash_algorithm: Option<HashAlgorithm>,
    secret_bytes: usize,
    secret_prefix: String,
    fill_random: FillRandom,
}

impl KnoxBuilder {
    const MAX_PREFIX_BYTES: usize = 32;

    pub(crate) fn new(keys: KeyRing) -> Self {
        Self {
            jwt: Jwt::new(Keys::Ring(keys.clone())),
            keys,
            store: None,
            subject_check: None,
            clock: Arc::new(SystemClock),
            observer: None,
            lifetime: Lifetime::default(),
            limit: None,
            touch_interval: Duration::from_secs(60),
            hash_algorithm: None,
            secret_bytes: 32,
            secret_prefix: String::new(),
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

    /// Tells the application what happens to logins. Default: nobody is told.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Writes `iss` into tokens and accepts only those that have it. Default: none, and tokens with an `iss` are
    /// refused.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.jwt.issuer = Some(issuer.into());
        self
    }

    /// Writes `aud` into tokens and accepts only those that name it. Default: none, and tokens with an `aud` are
    /// refused.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.jwt.audience = Some(audience.into());
        self
    }

    /// How far clocks of servers may be apart, at most 10 minutes. It is given once, to token and record alike.
    /// Default: 0.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.jwt.leeway = leeway;
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
    /// A login with an idle timeout is written down at least four times in that timeout, so that it does not end in
    /// use.
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = interval;
        self
    }

    /// What tokens look like: the names of their claims, and how the secret is written. Tokens of another format are
    /// refused. Default: [`TokenFormat::default`].
    pub fn token_format(mut self, format: TokenFormat) -> Self {
        self.jwt.format = format;
        self
    }

    /// The hash of new secrets. Logins under another one stay good. Default: that of the token format, SHA-256 unless
    /// set.
    pub fn hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash_algorithm = Some(algorithm);
        self
    }

    /// How many random bytes a secret has, 16 to 128. Default: 32.
    pub fn secret_bytes(mut self, bytes: usize) -> Self {
        self.secret_bytes = bytes;
        self
    }

    /// A text in front of each secret, so that scanners of leaked secrets can tell whose it is. At most 32 letters,
    /// digits and the characters `-`, `_` and `.`. Default: none.
    pub fn secret_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.secret_prefix = prefix.into();
        self
    }

    /// The longest JWT that is issued or read, in bytes. At least 1024. Default: 8192.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.jwt.max_bytes = bytes;
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
        self.jwt.check()?;
        if !Secret::BYTES.contains(&self.secret_bytes) {
            return Err(ConfigError::SecretBytes);
        }
        let prefix_is_plain =
            self.secret_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if self.secret_prefix.len() > Self::MAX_PREFIX_BYTES || !prefix_is_plain {
            return Err(ConfigError::SecretPrefix);
        }
        let hash_algorithm = self.hash_algorithm.unwrap_or(self.jwt.format.implied_hash);
        let is_hex = self.jwt.format.secret_encoding == SecretEncoding::Hex && self.secret_prefix.is_empty();
        if hash_algorithm == HashAlgorithm::Sha512OfHex && !is_hex {
            return Err(ConfigError::HexSecrets);
        }
        Ok(Knox::new(Inner {
            keys: self.keys,
            jwt: self.jwt,
            store: self.store.ok_or(ConfigError::NoStore)?,
            subject_check: self.subject_check,
            observer: self.observer,
            clock: self.clock,
            lifetime: self.lifetime,
            limit: self.limit,
            touch_interval: self.touch_interval,
            hash_algorithm,
            secret_bytes: self.secret_bytes,
            secret_prefix: self.secret_prefix,
            fill_random: self.fill_random,
        }))
    }
}

impl Knox {
    /// Starts a handle that signs with `keys`: a [`SigningKey`](crate::SigningKey), or a [`KeyRing`] of several.
    pub fn builder(keys: impl Into<KeyRing>) -> KnoxBuilder {
        KnoxBuilder::new(keys.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SigningKey, store::memory::MemoryStore};

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
            (builder().token_format(TokenFormat::default().secret_claim("exp")), ConfigError::ClaimNames),
            (builder().hash_algorithm(HashAlgorithm::Sha512OfHex), ConfigError::HexSecrets),
            (builder().token_format(TokenFormat::drf_jwt_knox_4()).secret_prefix("x"), ConfigError::HexSecrets),
        ];
        for (builder, error) in cases {
            assert_eq!(builder.build().err(), Some(error));
        }
    }
}
