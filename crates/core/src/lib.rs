#![doc = include_str!("../README.md")]

mod clock;
mod error;
mod introspection;
mod keys;
mod knox;
mod lifetime;
mod named;
mod observer;
mod random;
mod store;
mod subject;
mod subject_check;
mod sync;
mod timer;
mod token;
mod verifier;

/// The attribute that implementations of [`TokenStore`] and [`SubjectCheck`] carry, so that one needs no dependency for
/// it.
pub use async_trait::async_trait;
/// A point in time, to the nanosecond and in UTC: that of the crate `jiff`.
pub use jiff::Timestamp;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{
    AuthenticateError, ClaimsError, ConfigError, IssueError, LoginTooOld, MissingScope, Rejection, StoreError,
    UnknownName,
};
pub use introspection::{
    Introspector, IntrospectorBuilder,
    endpoint::{IntrospectionEndpoint, IntrospectionRequest, IntrospectionResponse, introspection_endpoint_fn},
};
pub use keys::{
    Algorithm, ExportedKey, FetchedJwks, JwksSource, KeyError, KeyFolderError, KeyInfo, KeyRing, KeyRingError, KeySet,
    KeySetError, KeyState, RemoteKeySet, RemoteKeySetBuilder, SigningKey, SkippedKey, VerifyingKey, jwks_source_fn,
};
pub use knox::{
    Knox,
    admin::KnoxAdmin,
    authenticate::Authenticated,
    builder::KnoxBuilder,
    cache::Cache,
    issue::{Issued, NewSession},
    revocation::Revocation,
    settings::ReuseAction,
};
pub use lifetime::Lifetime;
pub use observer::{Event, LoginRejectionCause, Observer, RevocationCause, observer_fn};
pub use store::{
    InsertOutcome, MAX_LISTED, TokenStore,
    feed::{Change, ChangeFeed},
    limit::{LimitAction, LimitReached, SessionLimit},
    memory::MemoryStore,
    record::{Rotation, SessionInfo, SessionRecord},
    wrapped::{Interceptor, Operation, WrappedStore},
};
pub use subject::{Subject, SubjectError};
pub use subject_check::{SubjectCheck, SubjectStatus, SubjectUser, subject_check_fn};
pub use timer::{SystemTimer, TimeLimit, Timer};
pub use token::{
    claims_digest::{ClaimsDigest, ClaimsDigestError},
    digest::{DigestError, HashAlgorithm, TokenDigest},
    format::{ClaimNames, TokenFormat},
    id::{SessionId, SessionIdError, SessionRef},
    jwt::Token,
    profile::TokenProfile,
    rotation::{PreviousSecret, PreviousSecretError},
    scope::is_scope,
};
pub use verifier::{StatelessToken, Verifier};
