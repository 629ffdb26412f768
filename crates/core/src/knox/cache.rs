//! The cache of verified tokens.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use quick_cache::Weighter;
use sha2::{Digest as _, Sha256};

use crate::{
    clock::AskedAt,
    store::record::SessionRecord,
    subject_check::SubjectUser,
    sync::{Mutex, MutexGuard},
    token::jwt::Verified,
};

/// How much a handle remembers of the tokens that were presented lately, and for how long; see
/// [`KnoxBuilder::cache`](crate::KnoxBuilder::cache).
///
/// By default it is only what never changes about a token: that its signature is valid, and what it says. Whether its
/// key has been retired, whether it has expired and whether its session goes on is asked each time, so a revocation is
/// seen at once. With [`max_age`](Self::max_age) it is also what the store and the
/// [`SubjectCheck`](crate::SubjectCheck) have answered, for so long.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::Cache;
///
/// let small = Cache::new(1_000);
/// let lax = Cache::default().max_age(Duration::from_secs(2));
/// # let _ = (small, lax);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Cache {
    entries: u32,
    max_age: Duration,
}

impl Cache {
    /// How many bytes of memory there are for one token on average.
    const BYTES_PER_ENTRY: u64 = 4096;

    /// Remembers at most `entries` tokens, and takes 4 KiB of memory for each of them at most. A token that takes more
    /// counts as several.
    pub const fn new(entries: u32) -> Self {
        Self { entries, max_age: Duration::ZERO }
    }

    /// Remembers nothing: the signature is checked each time.
    pub const fn off() -> Self {
        Self::new(0)
    }

    /// Remembers also what the store and the [`SubjectCheck`](crate::SubjectCheck) have answered, for `max_age`.
    /// Default: zero, they are asked each time.
    ///
    /// What is ended or rotated through this handle, a clone of it or its [`KnoxAdmin`](crate::KnoxAdmin) is seen at
    /// once all the same. **What another process ends is seen after `max_age` at the latest**, and so is what the check
    /// would say of a user whose row has changed, unless [`Knox::forget`](crate::Knox::forget) is called. Where the
    /// store announces its changes, [`Knox::follow`](crate::Knox::follow) makes that milliseconds. Nothing is rejected
    /// by what is remembered: the store is asked first.
    ///
    /// The records and users of these answers take memory beside the 4 KiB for each token: a record takes a few hundred
    /// bytes and its attributes, 16 KiB at most, and a user what the application hands on.
    pub const fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }
}

impl Default for Cache {
    /// 10,000 tokens, which is 40 MiB at most.
    fn default() -> Self {
        Self::new(10_000)
    }
}

/// SHA-256 of a whole token.
type TokenHash = [u8; 32];

/// The tokens that were verified lately.
pub(super) struct TokenCache {
    /// `None`: nothing is remembered.
    entries: Option<quick_cache::sync::Cache<TokenHash, Arc<CachedToken>, Weight>>,
    max_age: Duration,
}

/// What is remembered of a token.
#[derive(Debug)]
pub(super) struct CachedToken {
    pub(super) verified: Arc<Verified>,
    answer: Mutex<Option<StoreAnswer>>,
}

/// What the store and the application have said of a session.
#[derive(Debug, Clone)]
pub(super) struct StoreAnswer {
    pub(super) record: Arc<SessionRecord>,
    pub(super) user: Option<SubjectUser>,
    /// `None`: it is not to be remembered.
    pub(super) asked: Option<Asked>,
}

/// When the store and the application were asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: AskedAt,
    /// The epoch of the subject before that.
    pub(super) epoch: u64,
}

impl TokenCache {
    pub(super) fn new(settings: Cache) -> Self {
        let weight = u64::from(settings.entries) * Cache::BYTES_PER_ENTRY;
        let entries = settings.entries as usize;
        let entries = (entries > 0).then(|| quick_cache::sync::Cache::with_weighter(entries, weight, Weight));
        Self { entries, max_age: settings.max_age }
    }

    /// What is known of `token`. If it is nothing, `verify` finds it out; only what it calls verified is remembered.
    pub(super) fn get_or_verify<E>(
        &self,
        token: &[u8],
        verify: impl FnOnce() -> Result<Verified, E>,
    ) -> Result<Arc<CachedToken>, E> {
        let entry = |verified| Arc::new(CachedToken { verified: Arc::new(verified), answer: Mutex::new(None) });
        let Some(entries) = &self.entries else { return verify().map(entry) };
        // All of the token, so nothing that differs in one bit is taken for it.
        let key = Sha256::digest(token).into();
        if let Some(entry) = entries.get(&key) {
            return Ok(entry);
        }
        let entry = entry(verify()?);
        entries.insert(key, Arc::clone(&entry));
        Ok(entry)
    }

    /// What was answered about the session of a token, if that is not too long ago at `now` and nothing has changed
    /// since.
    pub(super) fn answer(&self, entry: &CachedToken, now: &Asked) -> Option<StoreAnswer> {
        let mut answer = entry.lock();
        let asked = answer.as_ref()?.asked?;
        if asked.at.is_within(self.max_age, &now.at) {
            return if asked.epoch == now.epoch { answer.clone() } else { None };
        }
        // What is too old once stays so, even if the clock is set.
        let too_old = answer.take();
        // The application's user is dropped without the lock.
        drop(answer);
        drop(too_old);
        None
    }

    /// Whether answers about sessions are remembered at all.
    pub(super) fn remembers_answers(&self) -> bool {
        self.entries.is_some() && !self.max_age.is_zero()
    }

    /// How many tokens are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, quick_cache::sync::Cache::len)
    }
}

impl CachedToken {
    /// Remembers what was answered about the session of the token, if it is to be remembered.
    pub(super) fn remember(&self, answer: &StoreAnswer) {
        if answer.asked.is_some() {
            let before = self.lock().replace(answer.clone());
            // The application's user, without the lock.
            drop(before);
        }
    }

    /// Forgets what was answered.
    pub(super) fn forget(&self) {
        let before = self.lock().take();
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Option<StoreAnswer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

/// How much memory an entry takes, in bytes, give or take.
#[derive(Clone)]
struct Weight;

impl Weighter<TokenHash, Arc<CachedToken>> for Weight {
    fn weight(&self, _: &TokenHash, entry: &Arc<CachedToken>) -> u64 {
        entry.verified.bytes().max(Cache::BYTES_PER_ENTRY)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        error::Rejection,
        keys::{KeyRing, SigningKey},
        token::{jwt::JwtCodec, profile::TokenProfile},
    };

    fn token(secret: usize, more: &str) -> String {
        let key = SigningKey::hs256([7; 32]).unwrap();
        let claims = json!({"sub": "alice", "jti": secret.to_string(), "more": more});
        key.sign(claims.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn it_is_bounded_in_entries_and_in_bytes() {
        let ring = KeyRing::from(SigningKey::hs256([7; 32]).unwrap());
        let jwt = JwtCodec::stateful(TokenProfile::new());
        for (more, limit) in [("", 1000), (&*"x".repeat(5000), 750)] {
            let tokens = TokenCache::new(Cache::new(1000));
            for number in 0..3000 {
                let token = token(number, more);
                tokens.get_or_verify(token.as_bytes(), || jwt.verify(&ring, &token, Timestamp::UNIX_EPOCH)).unwrap();
            }
            assert!((limit / 2..=limit).contains(&tokens.len()), "{}", tokens.len());
        }
    }

    #[test]
    fn what_does_not_verify_is_not_remembered() {
        let tokens = TokenCache::new(Cache::default());
        for _ in 0..2 {
            let outcome = tokens.get_or_verify(b"a.b.c", || Err(Rejection::InvalidSignature));
            assert_eq!(outcome.unwrap_err(), Rejection::InvalidSignature);
        }
        assert_eq!(tokens.len(), 0);
    }
}
