//! Everything that can go wrong, kept apart by who has to act: the client, the operator or the developer.

use crate::{keys::Algorithm, secret::RandomError};

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

/// Why a key, a key ring or a key set is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A name that is none of [`Algorithm`]'s.
    #[error("there is no such algorithm here; see `Algorithm::ALL`")]
    UnknownAlgorithm,
    /// An HMAC key shorter than its hash ([RFC 7518 §3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
    #[error("a key for {algorithm} needs at least {min} bytes, this one has {bytes}; make one with a random generator")]
    TooShort {
        /// The algorithm.
        algorithm: Algorithm,
        /// The length of the key, in bytes.
        bytes: usize,
        /// The shortest length that is accepted, in bytes.
        min: usize,
    },
    /// An RSA key that is too short ([RFC 7518 §3.3](https://www.rfc-editor.org/rfc/rfc7518#section-3.3)) or too long.
    #[error("an RSA key must have 2048 to 4096 bits")]
    RsaSize,
    /// An RSA key made by a generator that is known to be broken (CVE-2017-15361).
    #[error("this RSA key was made by a broken generator (ROCA, CVE-2017-15361) and can be guessed; make another one")]
    Roca,
    /// A key of another kind, of another curve, or one whose JWK names another algorithm.
    #[error("this is a key for {found}, not for {expected}")]
    WrongAlgorithm {
        /// The algorithm that was asked for.
        expected: Algorithm,
        /// The algorithm that the key is for.
        found: Algorithm,
    },
    /// A public key where a private one is needed.
    #[error("this is a public key, which cannot sign; the private key is needed here")]
    NotPrivate,
    /// A private key where a public one is enough.
    #[error("this is a private key; give a service that only verifies the public key")]
    NotPublic,
    /// An encrypted PEM.
    #[error("this PEM is encrypted; decrypt it first, for example with `openssl pkcs8`")]
    Encrypted,
    /// A PEM of the older form of SEC 1.
    #[error("this PEM is of an older form; convert it with `openssl pkcs8 -topk8 -nocrypt -in key.pem`")]
    Sec1,
    /// Not a key at all, or a broken one.
    #[error("this is not {encoding} of a key for {algorithm}, or the key is broken")]
    Malformed {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
        /// How the key should have been written.
        encoding: &'static str,
    },
    /// Keys of this algorithm are not read or written in this form.
    #[error("keys for {algorithm} are not written as {encoding}; use a JWK")]
    Unsupported {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
        /// The form.
        encoding: &'static str,
    },
    /// The text of a PEM or a JWK as the secret of HMAC ([RFC 8725
    /// §2.1](https://www.rfc-editor.org/rfc/rfc8725#section-2.1)).
    #[error("this is the text of a PEM or JWK, which may be public, and no secret for HMAC; read it as what it is")]
    NotASecret,
    /// One key under two algorithms ([RFC 8725 §3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    #[error("the key `{key_id}` is there already for another algorithm; each algorithm needs a key of its own")]
    TwoAlgorithms {
        /// The id of the key that is there already.
        key_id: String,
    },
    /// An HMAC key where a public key is needed: it has no public form.
    #[error("a key of HMAC is secret and has no public form")]
    Symmetric,
    /// The file or environment variable with the key cannot be read.
    #[error("the key in `{name}` cannot be read")]
    Unreadable {
        /// The path of the file, or the name of the variable.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
    /// No key could be generated.
    #[error("no key could be generated")]
    Generation(#[source] BoxError),
    /// A `kid` that is empty, over-long or not printable ASCII.
    #[error("a key id is 1 to 128 printable ASCII characters without spaces")]
    InvalidKeyId,
    /// Two keys of one ring or set have the same `kid`.
    #[error("two keys have the id `{key_id}`; a key that is retired keeps its id too")]
    DuplicateKeyId {
        /// The id that two keys share.
        key_id: String,
    },
    /// The ring has no key of that `kid`.
    #[error("there is no key with the id `{key_id}`")]
    UnknownKeyId {
        /// The id that no key has.
        key_id: String,
    },
    /// The key is retired, or was given for verifying only.
    #[error("the key `{key_id}` cannot sign: it is retired, or was given for verifying only")]
    CannotSign {
        /// The id of the key.
        key_id: String,
    },
    /// The key that signs cannot be retired.
    #[error("the key `{key_id}` signs; promote another one before you retire it")]
    IsSigning {
        /// The id of the key.
        key_id: String,
    },
    /// A text that is no JWK Set.
    #[error("this is not a JWK Set: an object with a list `keys` of JWKs")]
    NotAKeySet,
    /// An RSA key in a JWK Set that does not say what it is for.
    #[error("an RSA key in a JWK Set must have an `alg`: the key alone does not say which")]
    RsaWithoutAlgorithm,
    /// A key set without a key for signatures of an algorithm that is known here.
    #[error("there is no key for signatures that could be used")]
    NoKey,
}

impl KeyError {
    pub(crate) fn malformed(algorithm: Algorithm, encoding: &'static str) -> Self {
        Self::Malformed { algorithm, encoding }
    }
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
