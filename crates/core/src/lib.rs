#![doc = include_str!("../README.md")]

mod authenticated;
mod builder;
mod clock;
mod digest;
mod error;
mod jwt;
mod keys;
mod knox;
mod memory;
mod new_token;
mod observer;
mod policy;
mod purge;
mod record;
mod scopes;
mod secret;
mod store;
mod subject;
mod subject_check;
mod timeout;
mod token_format;
mod verifier;

#[cfg(test)]
mod tests;

/// The attribute that implementations of [`TokenStore`] and [`SubjectCheck`] carry, so that one needs no dependency for
/// it.
pub use async_trait::async_trait;

pub use authenticated::Authenticated;
pub use builder::KnoxBuilder;
pub use clock::{Clock, ManualClock, SystemClock};
pub use digest::{DigestError, HashAlgorithm, TokenDigest, TokenId, TokenIdError};
pub use error::{AuthError, AuthenticateError, ClaimsError, ConfigError, IssueError, KeyError, StoreError};
pub use keys::{Algorithm, KeyInfo, KeyRing, KeySet, KeyState, SigningKey, VerifyingKey};
pub use knox::Knox;
pub use memory::MemoryStore;
pub use new_token::{Issued, NewToken};
pub use observer::{Event, Observer, RevocationCause};
pub use policy::{Lifetime, TokenLimit, WhenFull};
pub use record::{TokenKey, TokenRecord};
pub use secret::{ExportedKey, RandomError, Token};
pub use store::{InsertOutcome, TokenStore};
pub use subject::{Subject, SubjectError};
pub use subject_check::{SubjectCheck, SubjectStatus};
pub use timeout::TimeoutStore;
pub use token_format::TokenFormat;
pub use verifier::{MaybeRevoked, Verifier, VerifierBuilder};
