//! The keys that sign and verify, and where they are held.

mod algorithm;
mod backend;
mod collection;
mod der;
mod error;
mod examples;
mod jwks;
mod pem;
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
pub(crate) use collection::VerifyingKeys;
pub use error::{KeyError, KeyRingError, KeySetError, SkippedKey};
pub use ring::{KeyInfo, KeyRing, KeyState};
pub use set::KeySet;
pub use signing::{ExportedKey, SigningKey};
pub use verifying::VerifyingKey;
