#![doc = include_str!("../README.md")]

mod clock;
mod error;
mod keys;
mod knox;
mod lifetime;
mod observer;
mod random;
mod store;
mod subject;
mod token;
mod verifier;

#[cfg(test)]
mod tests;

/// The attribute that implementations of [`TokenStore`] and [`SubjectCheck`] carry, so that one needs no dependency for
/// it.
pub use async_trait::async_trait;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{AuthError, AuthenticateError, ClaimsError, ConfigError, IssueError, RandomError, StoreError};
pub use keys::{Algorithm, ExportedKey, KeyError, KeyInfo, KeyRing, KeySet, KeyState, SigningKey, VerifyingKey};
pub use knox::{
    Knox,
    authenticate::Authenticated,
    builder::KnoxBuilder,
    issue::{Issued, NewToken},
};
pub use lifetime::Lifetime;
pub use observer::{Event, Observer, RevocationCause};
pub use store::{
    InsertOutcome, TokenStore,
    limit::{TokenLimit, WhenFull},
    memory::MemoryStore,
    record::TokenRecord,
    timeout::TimeoutStore,
};
pub use subject::{Subject, SubjectCheck, SubjectError, SubjectStatus};
pub use token::{
    digest::{DigestError, HashAlgorithm, TokenDigest},
    format::TokenFormat,
    id::{TokenId, TokenIdError, TokenKey},
    jwt::Token,
};
pub use verifier::{MaybeRevoked, Verifier, VerifierBuilder};
