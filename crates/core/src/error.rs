//! Everything that can go wrong, kept apart by who has to act: the client, the operator or the developer.

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a client is refused.
///
/// Meant for the server's own logs and metrics. A client is told less: whether its token was never issued, was revoked
/// or belongs to a deleted user is nothing it should learn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No credential was presented.
    #[error("no credential was presented")]
    Missing,
    /// What was presented is no JWT of ours, or no JWT at all.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The token names a key that is not in the key ring, or names none where the ring has several.
    #[error("the token names no key of the key ring")]
    UnknownKey,
    /// The token's `alg` is not that of the key ([RFC 8725 §3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    #[error("the token's algorithm is not that of the key")]
    AlgorithmMismatch,
    /// The signature is not that of the key.
    #[error("the signature does not verify")]
    InvalidSignature,
    /// The token or its record is past its deadline.
    #[error("the token has expired")]
    Expired,
    /// The token's `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token's `iss` is not the one expected, or is there although none is.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// The token's `aud` does not name this service.
    #[error("the token is for another audience")]
    WrongAudience,
    /// The store has no such record, or one with another digest or scope: logged out, evicted, forged or never issued.
    #[error("the token has been revoked or was never issued")]
    Revoked,
    /// The application's [`SubjectCheck`](crate::SubjectCheck) calls the subject inactive.
    #[error("the subject is inactive")]
    SubjectInactive,
    /// The application's [`SubjectCheck`](crate::SubjectCheck) does not know the subject.
    #[error("the subject is unknown")]
    SubjectUnknown,
    /// The token is good but lacks a scope ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    #[error("the token lacks the scope `{scope}`")]
    InsufficientScope {
        /// The scope that is needed.
        scope: String,
    },
}

impl AuthError {
    /// A short, fixed name of the reason, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::InvalidSignature => "invalid_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Revoked => "revoked",
            Self::SubjectInactive => "subject_inactive",
            Self::SubjectUnknown => "subject_unknown",
            Self::InsufficientScope { .. } => "insufficient_scope",
        }
    }
}

/// The store, or a check that reads from one, could not decide: never a refusal, never a success.
#[derive(Debug, thiserror::Error)]
#[error("the {store} store could not answer")]
pub struct StoreError {
    store: &'static str,
    source: BoxError,
}

impl StoreError {
    /// Says that the store called `store` failed because of `source`.
    #[must_use]
    pub fn new(store: &'static str, source: impl Into<BoxError>) -> Self {
        Self { store, source: source.into() }
    }
}

/// Why [`Knox::authenticate`](crate::Knox::authenticate) gave no [`Authenticated`](crate::Authenticated).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// The client is refused.
    #[error(transparent)]
    Refused(#[from] AuthError),
    /// The server could not decide.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The subject has as many live logins as the limit allows, and the limit denies more.
    #[error("the subject has {max} live logins, which is the limit")]
    LimitReached {
        /// How many live logins a subject may have.
        max: u32,
    },
    /// The subject is inactive or unknown, or the token to be rotated is no longer good.
    #[error(transparent)]
    Refused(#[from] AuthError),
    /// The server could not decide.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A claim of this token has a name that the token format gives another meaning.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The lifetime asked for this token is not one.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The JWT would be longer than this server accepts. Put less into the custom claims.
    #[error("the token would have {bytes} bytes, more than the {max} that are accepted; use fewer or shorter claims")]
    TooLarge {
        /// The length of the JWT, in bytes.
        bytes: usize,
        /// The longest JWT that is accepted, in bytes.
        max: usize,
    },
    /// The signing library failed.
    #[error("the token could not be signed")]
    Signing(#[source] BoxError),
}

impl From<AuthenticateError> for IssueError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Refused(error) => Self::Refused(error),
            AuthenticateError::Store(error) => Self::Store(error),
        }
    }
}

/// Why custom claims cannot be written into a token, or read from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// The value is no JSON object once serialized.
    #[error("custom claims must be a struct or a map with text keys")]
    NotAnObject,
    /// The name is one that the library itself writes.
    #[error("the claim `{name}` is written by the library and cannot be a custom claim")]
    Reserved {
        /// The name of the claim.
        name: String,
    },
    /// A scope has a character other than printable ASCII, or a quote or backslash.
    #[error("`{scope}` is not a scope: use printable ASCII without spaces, quotes and backslashes")]
    InvalidScope {
        /// The text that is no scope.
        scope: String,
    },
    /// The value does not serialize, or the token's claims are not of the type asked for.
    #[error("the claims do not fit the type")]
    Mismatch(#[source] BoxError),
}

/// Why [`KnoxBuilder::build`](crate::KnoxBuilder::build) refuses a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No store was given.
    #[error("no token store was given; call `.store(…)`, for example with `MemoryStore::new()`")]
    NoStore,
    /// A limit of no logins at all.
    #[error("a limit of 0 would let nobody log in; use 1 or more, or no limit")]
    LimitIsZero,
    /// A lifetime under a second, or an idle timeout under two.
    #[error("a lifetime must be at least 1 second, and an idle timeout at least 2")]
    LifetimeTooShort,
    /// A lifetime of more than about 100 years.
    #[error("a lifetime of more than 100 years is not one; use `Lifetime::never()`")]
    LifetimeTooLong,
    /// A leeway of more than 10 minutes.
    #[error("a leeway of more than 10 minutes keeps ended logins alive; set the servers' clocks instead")]
    LeewayTooLong,
    /// Too few or too many random bytes for a secret.
    #[error("a secret has 16 to 128 random bytes")]
    SecretBytes,
    /// A prefix of secrets that is over-long or has characters other than letters, digits, `-`, `_` and `.`.
    #[error("a secret's prefix is at most 32 letters, digits and the characters - _ .")]
    SecretPrefix,
    /// An issuer or audience that is the empty text.
    #[error("an issuer or audience must not be empty")]
    EmptyName,
    /// Two claims of the same name, an empty one, or that of a claim whose meaning is fixed.
    #[error(
        "the claims for subject, secret and scope need three different names, none of iss, aud, exp, nbf, iat, jti_alg, nonce"
    )]
    ClaimNames,
    /// A hash of hexadecimal secrets, and secrets that are not.
    #[error("`HashAlgorithm::Sha512OfHex` needs `TokenFormat::drf_jwt_knox_4()` and no prefix of the secret")]
    HexSecrets,
    /// A size limit under what the library's own tokens need.
    #[error("tokens of this library need at least 1024 bytes")]
    TokenBytes,
}

/// The random source of the operating system failed, so no secret could be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed; no token was issued")]
pub struct RandomError {
    pub(crate) source: BoxError,
}

#[cfg(test)]
impl RandomError {
    /// A random source that always fails.
    pub(crate) fn broken_source(_: &mut [u8]) -> Result<(), Self> {
        Err(Self { source: "no entropy".into() })
    }
}
