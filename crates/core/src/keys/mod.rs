//! The keys that sign and verify, and where they are held.

mod algorithm;
mod backend;
mod collection;
mod der;
mod entry;
mod error;
mod fetches;
mod folder;
mod identity;
mod jwks;
mod known_keys;
mod pem;
mod read;
mod remote;
mod ring;
mod roca;
mod set;
mod signing;
mod source;
mod symmetric;
mod verifying;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub(crate) use collection::VerifyingKeys;
pub use entry::{KeyInfo, KeyState};
pub(crate) use error::SignatureError;
pub use error::{KeyError, KeyFolderError, KeyRingError, KeySetError, SkippedKey};
pub(crate) use identity::Identity;
pub use remote::{RemoteKeySet, RemoteKeySetBuilder};
pub use ring::KeyRing;
pub use set::KeySet;
pub use signing::{ExportedKey, SigningKey};
pub use source::{FetchedJwks, JwksSource, jwks_source_fn};
pub use verifying::VerifyingKey;
