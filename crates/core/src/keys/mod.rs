//! The keys that sign and verify, and where they are held.

mod algorithm;
mod backend;
mod error;
mod jwks;
mod read;
mod ring;
mod roca;
mod set;
mod signing;
mod symmetric;
mod verifying;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use error::KeyError;
pub use ring::{KeyInfo, KeyRing, KeyState};
pub use set::KeySet;
pub use signing::{ExportedKey, SigningKey};
pub use verifying::VerifyingKey;

/// The keys to verify with: those of a server that signs as well, or of a service that does not.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    Ring(KeyRing),
    Set(KeySet),
}

impl Keys {
    /// The key for a token with that `kid`.
    pub(crate) fn verifying(&self, key_id: Option<&str>) -> Option<VerifyingKey> {
        // No key has a name that is not of this form, and nothing else is looked up.
        if key_id.is_some_and(|key_id| !is_key_id(key_id)) {
            return None;
        }
        match self {
            Self::Ring(ring) => ring.verifying(key_id),
            Self::Set(set) => set.verifying(key_id),
        }
    }
}

/// 1 to 128 printable ASCII characters without spaces.
fn is_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The key of that name or, without a name, the only one.
fn choose<'a>(mut keys: impl Iterator<Item = &'a VerifyingKey>, key_id: Option<&str>) -> Option<VerifyingKey> {
    match key_id {
        Some(key_id) => keys.find(|key| key.key_id() == key_id).cloned(),
        None => keys.next().filter(|_| keys.next().is_none()).cloned(),
    }
}
