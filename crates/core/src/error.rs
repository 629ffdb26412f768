//! What can go wrong, kept apart by who has to act: the client, the operator or the developer.

use std::{error::Error, fmt, time::Duration};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why a token is rejected.
///
/// Meant for the server's own logs and metrics. A client is told less: whether its token was never issued, was revoked
/// or belongs to a deleted user is nothing it should learn.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The token is not a JWT, or not one of ours.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The token's `kid` is not in the key ring, or it has none and the ring has several keys.
    #[error("the token's `kid` is not in the key ring")]
    UnknownKey,
    /// The token's `alg` is not that of the key ([RFC 8725 §3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    #[error("the token's algorithm is not that of the key")]
    AlgorithmMismatch,
    /// The signature is not that of the key.
    #[error("the signature is invalid")]
    InvalidSignature,
    /// The token or its session has expired.
    #[error("the token has expired")]
    Expired,
    /// The token's `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token's `iss` is not the one expected, or is there although none is.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// The token's `aud` does not list this service.
    #[error("the token is for another audience")]
    WrongAudience,
    /// The store has no such record, or one with another digest or scope: logged out, evicted, forged or never issued.
    #[error("the token was revoked or never issued")]
    Revoked,
    /// The token was rotated away longer ago than the grace: two parties have it, and one of them should not.
    #[error("the token was replaced by a rotation and is used again")]
    Reused,
    /// The issuer was asked, and the token is inactive: forged, expired, revoked, or of an inactive subject. The issuer
    /// does not say which ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)).
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// The issuer would have to be asked, and [`Verifier::verify`](crate::Verifier::verify) does not wait for an
    /// answer.
    #[error("the issuer has to be asked: call `Verifier::authenticate`")]
    NotIntrospected,
    /// The application's [`SubjectCheck`](crate::SubjectCheck) calls the subject inactive.
    #[error("the subject is inactive")]
    SubjectInactive,
    /// The application's [`SubjectCheck`](crate::SubjectCheck) does not know the subject.
    #[error("the subject is unknown")]
    SubjectUnknown,
}

impl Rejection {
    /// A short, fixed name of the reason, for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::InvalidSignature => "invalid_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Revoked => "revoked",
            Self::Reused => "reused",
            Self::Inactive => "inactive",
            Self::NotIntrospected => "not_introspected",
            Self::SubjectInactive => "subject_inactive",
            Self::SubjectUnknown => "subject_unknown",
        }
    }
}

/// The token is valid but lacks a scope ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token lacks the scope `{scope}`")]
#[non_exhaustive]
pub struct MissingScope {
    /// The scope that is needed.
    pub scope: String,
}

/// The token is valid, but its login is too long ago for what is asked ([RFC 9470 §3]).
///
/// [RFC 9470 §3]: https://www.rfc-editor.org/rfc/rfc9470#section-3
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the login is older than {max_age:?}")]
#[non_exhaustive]
pub struct LoginTooOld {
    /// How old it may be.
    pub max_age: Duration,
}

/// A store, a check that reads from one, the source of an issuer's keys, or the issuer itself could not tell: neither
/// yes nor no.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Unanswered);

#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("the {}store could not answer", name.map(|name| format!("{name} ")).unwrap_or_default())]
    Store { name: Option<&'static str>, source: BoxError },
    /// In its own words, which are not about a store.
    #[error(transparent)]
    Issuer(BoxError),
}

impl StoreError {
    /// The store failed because of `source`.
    #[must_use]
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(Unanswered::Store { name: None, source: source.into() })
    }

    /// Adds which store it was, such as `Redis` or `users`, for the message.
    #[must_use]
    pub fn in_store(self, name: &'static str) -> Self {
        match self.0 {
            Unanswered::Store { source, .. } => Self(Unanswered::Store { name: Some(name), source }),
            Unanswered::Issuer(_) => self,
        }
    }

    /// The issuer was asked, and could not tell.
    pub(crate) fn from_issuer(error: impl Into<BoxError>) -> Self {
        Self(Unanswered::Issuer(error.into()))
    }

    /// The same, if it came out of a call that asks no store, such as that of a source of keys.
    pub(crate) fn without_store(self) -> Self {
        match self.0 {
            Unanswered::Store { name: None, source } => Self(Unanswered::Issuer(source)),
            named => Self(named),
        }
    }
}

/// Why [`Knox::authenticate`](crate::Knox::authenticate) gave no [`Authenticated`](crate::Authenticated), or
/// [`Verifier::authenticate`](crate::Verifier::authenticate) no [`StatelessToken`](crate::StatelessToken).
///
/// Exhaustive on purpose: yes, no and *cannot tell* are all there is.
#[derive(thiserror::Error)]
pub enum AuthenticateError {
    /// No: the token is rejected.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The server cannot tell.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no token was issued.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The subject has as many active sessions as the limit allows, and the limit denies more.
    #[error("the subject has {max} active sessions, the maximum")]
    LimitReached {
        /// How many active sessions a subject may have.
        max: u32,
    },
    /// The subject is inactive or unknown, or the token to be rotated is no longer valid.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The server cannot tell.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no random bytes.
    #[error("the operating system's random source failed; no token was issued")]
    Random(#[source] BoxError),
    /// All sessions of the subject were revoked after this login began, as when its password was changed.
    #[error("all sessions of the subject were revoked after this login began")]
    Superseded,
    /// A claim has a name to which the token format gives another meaning.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The JWT would be longer than it may be. Put less into the custom claims.
    #[error("the token would have {bytes} bytes, more than the {max} that it may have; use fewer or shorter claims")]
    TooLarge {
        /// The length of the JWT, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// The signing library failed.
    #[error("the token could not be signed")]
    Signing(#[source] BoxError),
}

impl From<AuthenticateError> for IssueError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Rejected(reason) => Self::Rejected(reason),
            AuthenticateError::Store(error) => Self::Store(error),
        }
    }
}

/// Why claims or scopes cannot be written into a token, or read from one.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// The value is not a JSON object once serialized.
    #[error("custom claims must be a struct or a map with string keys")]
    NotAnObject,
    /// The name is one that the library itself writes.
    #[error("the claim `{name}` is written by the library and cannot be a custom claim")]
    Reserved {
        /// The name of the claim.
        name: String,
    },
    /// A scope is empty or has a character other than printable ASCII, or a space, quote or backslash.
    #[error("`{scope}` is not a scope: use printable ASCII without spaces, quotes and backslashes")]
    InvalidScope {
        /// The string that is not a scope.
        scope: String,
    },
    /// An audience that is the empty string.
    #[error("an audience must not be empty")]
    EmptyAudience,
    /// An attribute whose name or value is too long, or attributes that are too long together.
    #[error("attributes are limited to 255 bytes a name, 4096 bytes a value and 16 KiB together")]
    AttributeTooLong,
    /// Custom claims that cannot be written as JSON.
    #[error("custom claims must serialize to JSON")]
    NotSerializable(#[source] BoxError),
    /// The claims of a token are not of the type asked for.
    #[error("the claims do not fit the type")]
    Mismatch(#[source] BoxError),
}

/// Why a setting is rejected, when it is made or by [`KnoxBuilder::build`](crate::KnoxBuilder::build).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No store was given.
    #[error("no token store was given; call `.store(…)`, for example with `MemoryStore::new()`")]
    NoStore,
    /// A limit of no sessions at all.
    #[error("a limit of 0 would let nobody log in; use 1 or more, or no limit")]
    LimitIsZero,
    /// A lifetime under a second, or an idle timeout under two.
    #[error("a lifetime must be at least 1 second, and an idle timeout at least 2")]
    LifetimeTooShort,
    /// A lifetime of more than about 100 years.
    #[error("lifetimes are limited to 100 years; for no limit use `Lifetime::never()`")]
    LifetimeTooLong,
    /// A leeway of more than 10 minutes.
    #[error("leeway must not exceed 10 minutes; synchronize the servers' clocks")]
    LeewayTooLong,
    /// A time limit of nothing.
    #[error("a time limit must be longer than 0")]
    TimeLimitIsZero,
    /// A cooldown of a remote key set under a second or over an hour.
    #[error("the cooldown of a remote key set must be between 1 second and 1 hour")]
    Cooldown,
    /// Too few or too many random bytes for a secret.
    #[error("a secret has 16 to 128 random bytes")]
    SecretBytes,
    /// A prefix of secrets that is over-long or has characters other than letters, digits, `-`, `_` and `.`.
    #[error("the prefix of a secret is at most 32 letters, digits and the characters - _ .")]
    SecretPrefix,
    /// An issuer or audience that is the empty string.
    #[error("an issuer or audience must not be empty")]
    EmptyName,
    /// Two claims of the same name, an empty one, or that of a claim whose meaning is fixed.
    #[error(
        "the claims for subject, secret and scope need three different names, none of iss, aud, exp, nbf, iat, jti_alg, nonce, sid"
    )]
    ClaimNames,
    /// A hash of hexadecimal secrets, and secrets that are not.
    #[error("this hash needs hexadecimal secrets without a prefix; use `TokenFormat::drf_jwt_knox_4()` as it is")]
    HexSecrets,
    /// A size limit under what the library's own tokens need.
    #[error("tokens of this library need at least 1024 bytes")]
    TokenBytes,
}

/// A string is not one of the fixed names of a value.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown name; expected one of {}", expected.join(", "))]
#[non_exhaustive]
pub struct UnknownName {
    /// The names there are.
    pub expected: &'static [&'static str],
}

/// Writes an error with its sources, one after the other.
pub(crate) fn write_with_sources(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}

/// Gives errors a `Debug` that reads as their `Display`, with the sources behind it: what `main() -> Result<…>` prints.
macro_rules! readable_debug {
    ($($error:ty),+ $(,)?) => {
        $(
            impl std::fmt::Debug for $error {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    crate::error::write_with_sources(self, f)
                }
            }
        )+
    };
}

pub(crate) use readable_debug;

readable_debug! {
    Rejection, MissingScope, LoginTooOld, StoreError, AuthenticateError, IssueError, ClaimsError, ConfigError, UnknownName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_main_prints_is_the_message_and_its_sources() {
        let error = StoreError::new(ConfigError::NoStore).in_store("users");
        let expected = "the users store could not answer: no token store was given; call `.store(…)`, for example with \
                        `MemoryStore::new()`";
        assert_eq!(format!("{error:?}"), expected);
        // A transparent error names its cause once.
        assert_eq!(format!("{:?}", AuthenticateError::from(error)), expected);
        assert_eq!(format!("{:?}", StoreError::new("down")), "the store could not answer: down");
    }
}
