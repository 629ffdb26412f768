//! What holds for keys that are held together, in a ring or in a set.

use std::fmt;

use async_trait::async_trait;

use crate::{
    error::StoreError,
    keys::{
        VerifyingKey,
        error::{KeyRingError, KeySetError},
        identity::Identity,
    },
};

/// Something that has keys to verify with.
#[async_trait]
pub(crate) trait VerifyingKeys: fmt::Debug + Send + Sync {
    /// Calls `then` with the key for a token with that `kid`, if there is one. A token without one can only mean the
    /// one key of a collection of one.
    fn with_key(&self, key_id: Option<&str>, then: &mut dyn FnMut(&VerifyingKey));

    /// That key.
    fn verifying(&self, key_id: Option<&str>) -> Option<VerifyingKey> {
        let mut found = None;
        self.with_key(key_id, &mut |key| found = Some(key.clone()));
        found
    }

    /// Whether that key is the one of that identity. Each request asks, so nothing is copied.
    fn has(&self, key_id: Option<&str>, identity: &Identity) -> bool {
        let mut has = false;
        self.with_key(key_id, &mut |key| has = key.identity().is_same_key(identity));
        has
    }

    /// The same, once the keys are there: some have to be fetched. An error says that they cannot be told.
    async fn fetch_verifying(&self, key_id: Option<&str>) -> Result<Option<VerifyingKey>, StoreError> {
        Ok(self.verifying(key_id))
    }
}

/// The key with that id or, without an id, the only one.
pub(super) fn select<'a>(
    mut keys: impl Iterator<Item = &'a VerifyingKey>,
    key_id: Option<&str>,
) -> Option<&'a VerifyingKey> {
    match key_id {
        Some(key_id) => keys.find(|key| key.key_id() == key_id),
        None => keys.next().filter(|_| keys.next().is_none()),
    }
}

/// Why a key cannot join others.
pub(super) enum Conflict {
    DuplicateKeyId(String),
    TwoAlgorithms(String),
}

/// Checks that no two keys have one id, and no key is there for two algorithms (RFC 8725 §3.1).
pub(super) fn check_joins<'a>(
    new: &Identity,
    others: impl Iterator<Item = &'a Identity> + Clone,
) -> Result<(), Conflict> {
    if others.clone().any(|key| key.key_id == new.key_id) {
        return Err(Conflict::DuplicateKeyId(new.key_id.to_string()));
    }
    let is_twin = |key: &&Identity| key.thumbprint == new.thumbprint && key.algorithm != new.algorithm;
    match others.clone().find(is_twin) {
        Some(twin) => Err(Conflict::TwoAlgorithms(twin.key_id.to_string())),
        None => Ok(()),
    }
}

impl From<Conflict> for KeyRingError {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::DuplicateKeyId(key_id) => Self::DuplicateKeyId { key_id },
            Conflict::TwoAlgorithms(key_id) => Self::TwoAlgorithms { key_id },
        }
    }
}

impl From<Conflict> for KeySetError {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::DuplicateKeyId(key_id) => Self::DuplicateKeyId { key_id },
            Conflict::TwoAlgorithms(key_id) => Self::TwoAlgorithms { key_id },
        }
    }
}
