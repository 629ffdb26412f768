//! The keys of a server that signs, and how one takes the place of another.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    keys::{
        Algorithm, SigningKey, VerifyingKey,
        collection::{Identity, VerifyingKeys, check_joins, select},
        error::KeyRingError,
        jwks,
        set::KeySet,
    },
    named::named,
};

/// The keys of a server that signs: one signs, all that are not retired verify, each under its `kid`.
///
/// A clone is the same ring: what is done to one is seen by all, also by the [`Knox`](crate::Knox) that has it, while
/// requests go on. So the signing key is replaced without logging anybody out:
///
/// 1. [`stage`](Self::stage) the new key. It verifies and is published in the [`jwks`](Self::jwks), and does not sign
///    yet.
/// 2. When all servers have it, and those who keep the JWKS have fetched it anew, [`promote`](Self::promote) it. The
///    old key goes on verifying.
/// 3. When the last token of the old key has expired, [`retire`](Self::retire) that.
///
/// # Examples
///
/// ```
/// use jwt_knox::{KeyRing, KeyState, SigningKey};
///
/// let ring = KeyRing::new(SigningKey::hs256("last year's key, of 32 bytes or more")?.with_key_id("2025")?);
/// ring.stage(SigningKey::hs256("this year's key, of 32 bytes or more")?.with_key_id("2026")?)?;
/// ring.promote("2026")?;
/// ring.retire("2025")?;
///
/// let states: Vec<KeyState> = ring.keys().iter().map(|key| key.state).collect();
/// assert_eq!(states, [KeyState::Retired, KeyState::Signing]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Vec<Entry>>>);

struct Entry {
    state: KeyState,
    verifying: VerifyingKey,
    /// What may sign. A key that was given for verifying only has none, and a retired one has been wiped.
    signing: Option<SigningKey>,
}

impl KeyRing {
    /// A ring of one key, which signs and verifies.
    #[must_use]
    pub fn new(signing: SigningKey) -> Self {
        Self(Arc::new(RwLock::new(vec![Entry::new(KeyState::Signing, signing)])))
    }

    /// Adds a key that verifies and is published, and may be [promoted](Self::promote) to sign later.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::DuplicateKeyId`] if the ring has, or had, a key of that id; [`KeyRingError::TwoAlgorithms`] if it has,
    /// or had, the same key for another algorithm.
    pub fn stage(&self, key: SigningKey) -> Result<(), KeyRingError> {
        self.add(Entry::new(KeyState::Staged, key))
    }

    /// Adds a key that verifies only: that of another server, or one that signed before this ring was made.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::DuplicateKeyId`] if the ring has, or had, a key of that id; [`KeyRingError::TwoAlgorithms`] if it has,
    /// or had, the same key for another algorithm.
    pub fn add_verifying(&self, key: VerifyingKey) -> Result<(), KeyRingError> {
        self.add(Entry { state: KeyState::Verifying, verifying: key, signing: None })
    }

    fn add(&self, new: Entry) -> Result<(), KeyRingError> {
        self.change(|entries| {
            let identities: Vec<Identity> = entries.iter().map(|entry| Identity::from(&entry.verifying)).collect();
            check_joins(&Identity::from(&new.verifying), identities.iter())?;
            new.report();
            entries.push(new);
            Ok(())
        })
    }

    /// Lets that key sign from now on, and the one that signed until now verify only.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::UnknownKeyId`] if there is no such key, [`KeyRingError::CannotSign`] if it is retired or was given for
    /// verifying only. The ring is then as it was.
    pub fn promote(&self, key_id: &str) -> Result<(), KeyRingError> {
        self.change(|entries| {
            if find(entries, key_id)?.signing.is_none() {
                return Err(KeyRingError::CannotSign { key_id: key_id.to_owned() });
            }
            for entry in entries {
                if entry.key_id() == key_id {
                    entry.transition_to(KeyState::Signing);
                } else if entry.state == KeyState::Signing {
                    entry.transition_to(KeyState::Verifying);
                }
            }
            Ok(())
        })
    }

    /// Rejects all tokens of that key from now on, and takes it out of the [`jwks`](Self::jwks). There is no way back,
    /// and its id cannot be given again.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::UnknownKeyId`] if there is no such key, [`KeyRingError::IsSigning`] if it is the one that signs: promote
    /// another one first.
    pub fn retire(&self, key_id: &str) -> Result<(), KeyRingError> {
        self.change(|entries| {
            let entry = find(entries, key_id)?;
            if entry.state == KeyState::Signing {
                return Err(KeyRingError::IsSigning { key_id: key_id.to_owned() });
            }
            entry.signing = None;
            entry.transition_to(KeyState::Retired);
            Ok(())
        })
    }

    /// All keys of the ring with their states, in the order in which they were added.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.read(|entries| {
            let info = |entry: &Entry| KeyInfo {
                key_id: entry.key_id().to_owned(),
                algorithm: entry.verifying.algorithm(),
                state: entry.state,
            };
            entries.iter().map(info).collect()
        })
    }

    /// The public keys as a JWK Set ([RFC 7517 §5]): all but those of HMAC and the retired ones.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    #[must_use]
    pub fn jwks(&self) -> String {
        self.read(|entries| jwks::write(entries.iter().filter(|entry| entry.verifies()).map(|entry| &entry.verifying)))
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> Option<SigningKey> {
        self.read(|entries| {
            entries.iter().find(|entry| entry.state == KeyState::Signing).and_then(|entry| entry.signing.clone())
        })
    }

    /// The keys that verify now, for a [`Verifier`](crate::Verifier). It does not see later changes of the ring;
    /// [`Knox::verifier`](crate::Knox::verifier) does.
    #[must_use]
    pub fn to_key_set(&self) -> KeySet {
        let verifying = |entry: &Entry| entry.verifies().then(|| entry.verifying.clone());
        KeySet::of_distinct(self.read(|entries| entries.iter().filter_map(verifying).collect()))
    }

    fn read<T>(&self, read: impl FnOnce(&[Entry]) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn find<'a>(entries: &'a mut [Entry], key_id: &str) -> Result<&'a mut Entry, KeyRingError> {
    let unknown = || KeyRingError::UnknownKeyId { key_id: key_id.to_owned() };
    entries.iter_mut().find(|entry| entry.key_id() == key_id).ok_or_else(unknown)
}

impl Entry {
    fn new(state: KeyState, key: SigningKey) -> Self {
        Self { state, verifying: key.verifying_key(), signing: Some(key) }
    }

    fn key_id(&self) -> &str {
        self.verifying.key_id()
    }

    fn verifies(&self) -> bool {
        self.state != KeyState::Retired
    }

    fn transition_to(&mut self, state: KeyState) {
        if self.state != state {
            self.state = state;
            self.report();
        }
    }

    fn report(&self) {
        tracing::info!(key_id = self.key_id(), algorithm = %self.verifying.algorithm(), state = %self.state, "signing keys changed");
    }
}

impl VerifyingKeys for KeyRing {
    fn verifying(&self, key_id: Option<&str>) -> Option<VerifyingKey> {
        self.read(|entries| {
            select(entries.iter().filter(|entry| entry.verifies()).map(|entry| &entry.verifying), key_id)
        })
    }
}

impl From<SigningKey> for KeyRing {
    fn from(key: SigningKey) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.keys()).finish()
    }
}

/// A key of a [`KeyRing`], as far as it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The `kid` of its tokens.
    pub key_id: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it does.
    pub state: KeyState,
}

/// What a key of a [`KeyRing`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// It verifies and is published, and may be promoted.
    Staged,
    /// It signs, verifies and is published. One key of a ring does.
    Signing,
    /// It verifies and is published. Most often it has signed before.
    Verifying,
    /// It does nothing any more: its tokens are rejected, and it is not published.
    Retired,
}

named! { KeyState {
    Staged = "staged",
    Signing = "signing",
    Verifying = "verifying",
    Retired = "retired",
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8, key_id: &str) -> SigningKey {
        SigningKey::hs256([byte; 32]).unwrap().with_key_id(key_id).unwrap()
    }

    fn states(ring: &KeyRing) -> Vec<(String, KeyState)> {
        ring.keys().into_iter().map(|key| (key.key_id, key.state)).collect()
    }

    #[test]
    fn a_key_goes_through_its_states() {
        use KeyState::{Retired, Signing, Staged, Verifying};
        let ring = KeyRing::new(key(1, "a"));
        ring.stage(key(2, "b")).unwrap();
        ring.add_verifying(key(3, "c").verifying_key()).unwrap();
        let states = |wanted: [KeyState; 3]| {
            assert_eq!(states(&ring), ["a", "b", "c"].map(str::to_owned).into_iter().zip(wanted).collect::<Vec<_>>());
        };
        states([Signing, Staged, Verifying]);
        assert_eq!(ring.signing().unwrap().key_id(), "a");
        ring.promote("b").unwrap();
        ring.promote("b").unwrap();
        states([Verifying, Signing, Verifying]);
        assert_eq!(ring.clone().signing().unwrap().key_id(), "b");
        // Back again, as when the new key makes trouble.
        ring.promote("a").unwrap();
        states([Signing, Verifying, Verifying]);
        ring.retire("b").unwrap();
        ring.retire("b").unwrap();
        states([Signing, Retired, Verifying]);
        assert!(ring.verifying(Some("b")).is_none() && ring.verifying(Some("c")).is_some());
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let ring = KeyRing::new(key(1, "a"));
        ring.stage(key(2, "b")).unwrap();
        ring.add_verifying(key(3, "c").verifying_key()).unwrap();
        ring.retire("b").unwrap();
        let before = states(&ring);
        assert!(matches!(ring.stage(key(4, "a")), Err(KeyRingError::DuplicateKeyId { .. })));
        assert!(matches!(ring.stage(key(4, "b")), Err(KeyRingError::DuplicateKeyId { .. })), "a retired name is taken");
        assert!(matches!(ring.add_verifying(key(4, "c").verifying_key()), Err(KeyRingError::DuplicateKeyId { .. })));
        let same_bytes = KeyRing::new(SigningKey::hs512([1; 64]).unwrap());
        let error = same_bytes.stage(SigningKey::hs256([1; 64]).unwrap().with_key_id("d").unwrap()).unwrap_err();
        assert!(matches!(error, KeyRingError::TwoAlgorithms { .. }), "{error}");
        assert!(
            same_bytes.stage(SigningKey::hs512([1; 64]).unwrap().with_key_id("d").unwrap()).is_ok(),
            "a second name"
        );
        for key_id in ["b", "c"] {
            assert!(matches!(ring.promote(key_id), Err(KeyRingError::CannotSign { .. })), "{key_id}");
        }
        assert!(matches!(ring.promote("x"), Err(KeyRingError::UnknownKeyId { .. })));
        assert!(matches!(ring.retire("x"), Err(KeyRingError::UnknownKeyId { .. })));
        assert!(matches!(ring.retire("a"), Err(KeyRingError::IsSigning { .. })));
        assert_eq!(states(&ring), before);
    }

    #[test]
    fn a_token_without_a_key_id_can_only_mean_the_one_key() {
        let ring = KeyRing::new(key(1, "a"));
        assert_eq!(ring.verifying(None).unwrap().key_id(), "a");
        assert!(ring.verifying(Some("other")).is_none());
        ring.stage(key(2, "b")).unwrap();
        assert!(ring.verifying(None).is_none());
        ring.retire("b").unwrap();
        assert_eq!(ring.verifying(None).unwrap().key_id(), "a");
    }

    #[test]
    fn symmetric_and_retired_keys_are_not_published() {
        let ring = KeyRing::new(key(1, "a"));
        assert_eq!(ring.jwks(), r#"{"keys":[]}"#);
        for key_id in ["b", "c"] {
            ring.stage(SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(key_id).unwrap()).unwrap();
        }
        ring.retire("c").unwrap();
        let jwks = ring.jwks();
        assert!(jwks.contains(r#""kid":"b""#) && !jwks.contains(r#""kid":"c""#), "{jwks}");
        assert!(!jwks.contains("oct") && !jwks.contains(r#""d""#), "{jwks}");
    }

    #[test]
    fn debug_does_not_show_the_keys() {
        let ring = KeyRing::new(key(b'K', "k1"));
        let debug = format!("{ring:?} {:?}", ring.signing());
        assert!(debug.contains("k1") && debug.contains("redacted"));
        assert!(!debug.contains("KKKK") && !debug.contains("75, 75"));
    }
}
