//! The keys of a server that signs, and how one takes the place of another.

use std::{
    fmt,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use crate::keys::{
    SigningKey, VerifyingKey,
    collection::{VerifyingKeys, check_joins, select},
    entry::{Entry, KeyInfo, KeyState},
    error::{KeyFolderError, KeyRingError},
    folder,
    identity::Identity,
    jwks,
    set::KeySet,
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
/// A stolen key is [`replace`](Self::replace)d at once instead. [`save_new`](Self::save_new), [`load`](Self::load) and
/// [`save`](Self::save) keep a ring in a folder.
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

impl KeyRing {
    /// A ring of one key, which signs and verifies.
    #[must_use]
    pub fn new(signing: SigningKey) -> Self {
        Self(Arc::new(RwLock::new(vec![Entry::private(KeyState::Signing, signing)])))
    }

    /// Adds a key that verifies and is published, and may be [promoted](Self::promote) to sign later.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::DuplicateKeyId`] if the ring has, or had, a key of that id; [`KeyRingError::TwoAlgorithms`] if
    /// it has, or had, the same key for another algorithm; [`KeyRingError::Retired`] if it is a key that was retired.
    pub fn stage(&self, key: SigningKey) -> Result<(), KeyRingError> {
        self.add(Entry::private(KeyState::Staged, key))
    }

    /// Adds a key that verifies only: that of another server, or one that signed before this ring was made.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::DuplicateKeyId`] if the ring has, or had, a key of that id; [`KeyRingError::TwoAlgorithms`] if
    /// it has, or had, the same key for another algorithm; [`KeyRingError::Retired`] if it is a key that was retired.
    pub fn add_verifying(&self, key: VerifyingKey) -> Result<(), KeyRingError> {
        self.add(Entry::public(KeyState::Verifying, key))
    }

    fn add(&self, new: Entry) -> Result<(), KeyRingError> {
        self.change(|entries| {
            check_new(&new.identity, entries)?;
            new.report();
            entries.push(new);
            Ok(())
        })
    }

    /// Lets that key sign from now on, and the one that signed until now verify only.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::UnknownKeyId`] if there is no such key, [`KeyRingError::CannotSign`] if it is retired or was
    /// given for verifying only. The ring is then as it was.
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

    /// Replaces a stolen key now: `new` signs, and all tokens of the stolen key are rejected, in one step. No token is
    /// accepted or issued in between. The stolen key is retired under every id that it has here.
    ///
    /// Everybody whose token the stolen key has signed has to log in again. Their sessions are in the store until they
    /// expire, though no token opens them any more. Tokens of the other keys stay valid; retire those as well if they
    /// may have been stolen with it. Make `new` afresh: a key that was staged was in the same memory as the stolen one.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::UnknownKeyId`] if there is no key `stolen`; as for [`stage`](Self::stage) if `new` cannot join
    /// the ring. The ring is then as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Algorithm, KeyRing, KeyState, SigningKey};
    ///
    /// let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?.with_key_id("2026-01")?);
    /// ring.replace("2026-01", SigningKey::generate(Algorithm::EdDsa)?.with_key_id("2026-02")?)?;
    ///
    /// let states: Vec<KeyState> = ring.keys().iter().map(|key| key.state).collect();
    /// assert_eq!(states, [KeyState::Retired, KeyState::Signing]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace(&self, stolen: &str, new: SigningKey) -> Result<(), KeyRingError> {
        let new = Entry::private(KeyState::Signing, new);
        self.change(|entries| {
            let stolen = find(entries, stolen)?.identity.clone();
            if new.has_same_thumbprint(&stolen) {
                return Err(KeyRingError::Retired { key_id: stolen.key_id.to_string() });
            }
            check_new(&new.identity, entries)?;
            for entry in entries.iter_mut() {
                if entry.has_same_thumbprint(&stolen) {
                    entry.transition_to(KeyState::Retired);
                } else if entry.state == KeyState::Signing {
                    entry.transition_to(KeyState::Verifying);
                }
            }
            new.report();
            entries.push(new);
            Ok(())
        })
    }

    /// Rejects all tokens of that key from now on, and takes it out of the [`jwks`](Self::jwks). There is no way back,
    /// and its id cannot be given again. The ring keeps the key's id and thumbprint, and drops the key.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::UnknownKeyId`] if there is no such key, [`KeyRingError::IsSigning`] if it is the one that signs:
    /// promote another one first.
    pub fn retire(&self, key_id: &str) -> Result<(), KeyRingError> {
        self.change(|entries| {
            let entry = find(entries, key_id)?;
            if entry.state == KeyState::Signing {
                return Err(KeyRingError::IsSigning { key_id: key_id.to_owned() });
            }
            entry.transition_to(KeyState::Retired);
            Ok(())
        })
    }

    /// All keys of the ring with their states, in the order in which they were added.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.read(|entries| entries.iter().map(Entry::info).collect())
    }

    /// The public keys as a JWK Set ([RFC 7517 §5]): all but those of HMAC and the retired ones.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    #[must_use]
    pub fn jwks(&self) -> String {
        self.read(|entries| jwks::write(entries.iter().filter_map(|entry| entry.verifying.as_ref())))
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
        let keys = self.read(|entries| entries.iter().filter_map(|entry| entry.verifying.clone()).collect());
        KeySet::from_distinct(keys)
    }

    /// Reads the ring that [`save`](Self::save) has written into that folder.
    ///
    /// # Errors
    ///
    /// [`KeyFolderError`] says what is missing or wrong, and where.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, KeyFolderError> {
        let entries = folder::read(folder.as_ref())?;
        folder::warn_of_modes(folder.as_ref());
        Ok(Self(Arc::new(RwLock::new(entries))))
    }

    /// Writes the keys, private ones included, and their states into the file `ring.json` in that folder. So a ring
    /// outlasts a restart: a key that has signed is then still known as one that has, and may be promoted again.
    ///
    /// **A ring that is in the folder is replaced, and its keys are gone.** So `save` is for a ring that was
    /// [loaded](Self::load) from there; [`save_new`](Self::save_new) is for the first one.
    ///
    /// The folder is made if it is not there, for its owner only (mode 0700). The file is for its owner only (0600),
    /// and takes the place of the one before it in one step, so that nobody reads half of it. Of two programs that
    /// change the ring in a folder at once, the later one wins: let one do it at a time.
    ///
    /// The file is a JWK Set whose keys have one member more, `state`. A JWK of another tool can be added to it by
    /// hand; without a `state` it is staged. The list `retired` has the ids and thumbprints of the keys that are gone.
    ///
    /// # Errors
    ///
    /// [`KeyFolderError::Io`] if the folder or the file cannot be written. The file is then as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Algorithm, KeyRing, SigningKey};
    ///
    /// # let folder = std::env::temp_dir().join(format!("jwt-knox-doc-{}", std::process::id()));
    /// let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?.with_key_id("2026-01")?);
    /// ring.save_new(&folder)?;
    ///
    /// // In another program, or after a restart:
    /// let loaded = KeyRing::load(&folder)?;
    /// assert_eq!(loaded.keys(), ring.keys());
    ///
    /// // When the file has changed:
    /// ring.stage(SigningKey::generate(Algorithm::EdDsa)?.with_key_id("2026-07")?)?;
    /// ring.save(&folder)?;
    /// loaded.reload(&folder)?;
    /// assert_eq!(loaded.keys().len(), 2);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), KeyFolderError> {
        self.write(folder.as_ref(), folder::IfPresent::Replace)
    }

    /// Writes a new ring into a folder that has none, as [`save`](Self::save) does.
    ///
    /// Of two programs that do it at once, one succeeds. On a file system without hard links, a program that reads the
    /// ring meanwhile may find half of it, and one that crashes may leave that: delete `ring.json` then.
    ///
    /// # Errors
    ///
    /// [`KeyFolderError::Present`] if there is a ring in the folder, or anything else by the name `ring.json`. It stays
    /// as it is. [`KeyFolderError::Io`] if the folder or the file cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Algorithm, KeyFolderError, KeyRing, SigningKey};
    ///
    /// # let folder = std::env::temp_dir().join(format!("jwt-knox-doc-new-{}", std::process::id()));
    /// KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?).save_new(&folder)?;
    ///
    /// let second = KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?).save_new(&folder);
    /// assert!(matches!(second, Err(KeyFolderError::Present { .. })));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_new(&self, folder: impl AsRef<Path>) -> Result<(), KeyFolderError> {
        self.write(folder.as_ref(), folder::IfPresent::Fail)
    }

    fn write(&self, folder: &Path, if_present: folder::IfPresent) -> Result<(), KeyFolderError> {
        let text = self.read(folder::encode);
        folder::write(folder, &text, if_present)
    }

    /// Brings the ring to what the folder says, in one step and while requests go on. A key that is not there any more
    /// is retired.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load). [`KeyFolderError::Ring`] if the folder has a key that was retired here, or another
    /// key under an id that is known here. The ring is then as it was.
    pub fn reload(&self, folder: impl AsRef<Path>) -> Result<(), KeyFolderError> {
        let mut loaded = folder::read(folder.as_ref())?;
        self.change(|entries| {
            for new in &loaded {
                check_reloaded(new, entries)?;
            }
            for new in &loaded {
                let old = entries.iter().find(|old| old.key_id() == new.key_id());
                if old.is_none_or(|old| old.state != new.state) {
                    new.report();
                }
            }
            for mut old in entries.drain(..) {
                if !loaded.iter().any(|new| new.key_id() == old.key_id()) {
                    old.transition_to(KeyState::Retired);
                    loaded.push(old);
                }
            }
            *entries = loaded;
            Ok(())
        })
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

/// Checks that a key may join: it has an id of its own, and it is none that was retired.
fn check_new(new: &Identity, entries: &[Entry]) -> Result<(), KeyRingError> {
    check_joins(new, entries.iter().map(|entry| &entry.identity))?;
    check_not_retired(new, entries)
}

fn check_not_retired(new: &Identity, entries: &[Entry]) -> Result<(), KeyRingError> {
    match entries.iter().find(|entry| entry.is_retired() && entry.has_same_thumbprint(new)) {
        // A key may have a second id, and lose the first.
        Some(retired) if !entries.iter().any(|entry| !entry.is_retired() && entry.has_same_thumbprint(new)) => {
            Err(KeyRingError::Retired { key_id: retired.key_id().to_owned() })
        }
        _ => Ok(()),
    }
}

/// Checks that no key comes back that was retired, and no id changes its key.
fn check_reloaded(new: &Entry, entries: &[Entry]) -> Result<(), KeyRingError> {
    let key_id = new.key_id().to_owned();
    match entries.iter().find(|old| old.key_id() == new.key_id()) {
        Some(old) if !new.identity.is_same_key(&old.identity) => Err(KeyRingError::DuplicateKeyId { key_id }),
        Some(old) if old.is_retired() && !new.is_retired() => Err(KeyRingError::Retired { key_id }),
        None if !new.is_retired() => check_not_retired(&new.identity, entries),
        _ => Ok(()),
    }
}

impl VerifyingKeys for KeyRing {
    fn with_key(&self, key_id: Option<&str>, then: &mut dyn FnMut(&VerifyingKey)) {
        self.read(|entries| {
            select(entries.iter().filter_map(|entry| entry.verifying.as_ref()), key_id).map(then);
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Algorithm;

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
    fn a_stolen_key_is_replaced_in_one_step() {
        use KeyState::{Retired, Signing, Staged, Verifying};
        let ring = KeyRing::new(key(1, "a"));
        ring.stage(key(1, "a-again")).unwrap();
        ring.stage(key(2, "b")).unwrap();
        ring.replace("a", key(3, "c")).unwrap();
        let expected = [("a", Retired), ("a-again", Retired), ("b", Staged), ("c", Signing)];
        assert_eq!(states(&ring), expected.map(|(key_id, state)| (key_id.to_owned(), state)));
        assert_eq!(ring.signing().unwrap().key_id(), "c");
        assert!(ring.verifying(Some("a")).is_none() && ring.verifying(Some("a-again")).is_none());
        assert!(ring.verifying(Some("b")).is_some());
        // It need not be the one that signs.
        ring.replace("b", key(4, "d")).unwrap();
        let expected = [("a", Retired), ("a-again", Retired), ("b", Retired), ("c", Verifying), ("d", Signing)];
        assert_eq!(states(&ring), expected.map(|(key_id, state)| (key_id.to_owned(), state)));

        let before = states(&ring);
        assert!(matches!(ring.replace("x", key(5, "e")), Err(KeyRingError::UnknownKeyId { .. })));
        assert!(matches!(ring.replace("d", key(5, "c")), Err(KeyRingError::DuplicateKeyId { .. })));
        // Under another id, it is the stolen key still, now and later.
        assert!(matches!(ring.replace("d", key(4, "e")), Err(KeyRingError::Retired { .. })));
        assert!(matches!(ring.replace("d", key(1, "e")), Err(KeyRingError::Retired { .. })));
        assert!(matches!(ring.stage(key(1, "e")), Err(KeyRingError::Retired { key_id }) if key_id == "a"));
        assert!(matches!(ring.add_verifying(key(2, "e").verifying_key()), Err(KeyRingError::Retired { .. })));
        assert_eq!(states(&ring), before);
    }

    #[test]
    fn a_key_that_has_two_ids_may_lose_one() {
        let ring = KeyRing::new(key(1, "new"));
        ring.add_verifying(key(1, "old").verifying_key()).unwrap();
        ring.retire("old").unwrap();
        ring.add_verifying(key(1, "other").verifying_key()).unwrap();
        assert!(ring.verifying(Some("old")).is_none() && ring.verifying(Some("other")).is_some());
    }

    /// What is dropped is wiped, by the signing library: see `docs/security.md`.
    #[test]
    fn a_key_that_is_retired_is_dropped() {
        for &algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithm.as_str().starts_with("RS")) {
            let new = |key_id: &str| SigningKey::generate(algorithm).unwrap().with_key_id(key_id).unwrap();
            let folder = std::env::temp_dir().join(format!("jwt-knox-dropped-{algorithm}-{}", std::process::id()));
            let ring = KeyRing::new(new("a"));
            ring.stage(new("b")).unwrap();
            ring.stage(new("c")).unwrap();
            let watched: Vec<_> = ring.read(|entries| {
                let watch = |entry: &Entry| {
                    (entry.signing.as_ref().unwrap().watch(), entry.verifying.as_ref().unwrap().watch())
                };
                entries.iter().map(watch).collect()
            });
            let is_dropped = |index: usize| {
                let (private, public) = &watched[index];
                assert_eq!(private.upgrade().is_none(), public.upgrade().is_none(), "{algorithm}");
                private.upgrade().is_none()
            };
            assert!(!is_dropped(0) && !is_dropped(1) && !is_dropped(2), "{algorithm}");
            ring.retire("b").unwrap();
            assert!(!is_dropped(0) && is_dropped(1) && !is_dropped(2), "{algorithm}");
            ring.replace("a", new("d")).unwrap();
            assert!(is_dropped(0) && !is_dropped(2), "{algorithm}");
            // One that the folder has no more.
            KeyRing::new(new("e")).save(&folder).unwrap();
            ring.reload(&folder).unwrap();
            assert!(is_dropped(2), "{algorithm}");
            std::fs::remove_dir_all(folder).unwrap();
        }
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
