//! What is wrong with a key, a key ring or a key set.

use std::{fmt, sync::Arc};

use jwt_simple::JWTError;

use crate::{
    error::{BoxError, UnknownName, readable_debug},
    keys::Algorithm,
};

/// Why a key cannot be read, made or written.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An algorithm that is not one of [`Algorithm::ALL`].
    #[error("unsupported algorithm; `Algorithm::ALL` lists those supported")]
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
    #[error("this PEM is encrypted; decrypt it first, with `openssl pkey -in key.pem -out plain.pem`")]
    Encrypted,
    /// A key of OpenSSH.
    #[error("this is a key for SSH; make one for tokens, for example with `openssl genpkey -algorithm ed25519`")]
    OpenSsh,
    /// A certificate where a public key is needed.
    #[error("this is a certificate; take the public key out of it with `openssl x509 -in cert.pem -noout -pubkey`")]
    Certificate,
    /// A key of a kind that is not supported, such as another curve.
    #[error("this is a key for {kind}, which is not supported; make one for an algorithm of `Algorithm::ALL`")]
    UnsupportedKind {
        /// What the key is for.
        kind: &'static str,
    },
    /// A text that is not PEM or not a JWK.
    #[error("this {encoding} cannot be read: {problem}")]
    Syntax {
        /// How the key is written, or should be.
        encoding: &'static str,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// Not a key at all, or a broken one.
    #[error("not a valid {algorithm} key in {encoding} format; it is broken, or of another kind")]
    Malformed {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
        /// How the key should have been written.
        encoding: &'static str,
    },
    /// Keys of this algorithm are not read or written in this form.
    #[error("{algorithm} keys have no {encoding} format; use a JWK")]
    Unsupported {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
        /// The form.
        encoding: &'static str,
    },
    /// A key or certificate in PEM, DER or JWK where the secret of HMAC is needed ([RFC 8725
    /// §2.1](https://www.rfc-editor.org/rfc/rfc8725#section-2.1)).
    #[error("this has a PEM, JWK or other key in it and is not an HMAC secret; load it with `from_pem` or `from_jwk`")]
    NotASecret,
    /// An HMAC key where a public key is needed: it has no public form.
    #[error("an HMAC key is secret and has no public form")]
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
}

impl From<UnknownName> for KeyError {
    /// The name was that of an algorithm.
    fn from(_: UnknownName) -> Self {
        Self::UnknownAlgorithm
    }
}

impl KeyError {
    pub(crate) fn malformed(algorithm: Algorithm, encoding: &'static str) -> Self {
        Self::Malformed { algorithm, encoding }
    }
}

/// Why a [`KeyRing`](crate::KeyRing) cannot be changed as asked. It is then as it was.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The ring has, or had, another key with the same id.
    #[error("duplicate key id `{key_id}` (ids of retired keys stay reserved)")]
    DuplicateKeyId {
        /// The id that two keys share.
        key_id: String,
    },
    /// One key under two algorithms ([RFC 8725 §3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    #[error("the key `{key_id}` is there already for another algorithm; each algorithm needs a key of its own")]
    TwoAlgorithms {
        /// The id of the key that is there already.
        key_id: String,
    },
    /// The ring has no key with that id.
    #[error("there is no key with the id `{key_id}`")]
    UnknownKeyId {
        /// The id that no key has.
        key_id: String,
    },
    /// The key is retired, or has no private part.
    #[error(
        "the key `{key_id}` cannot sign: it is retired, or has no private part; if it comes from `ring.json`, set its `state` to `verifying`"
    )]
    CannotSign {
        /// The id of the key.
        key_id: String,
    },
    /// A retired key cannot be added again, under any id.
    #[error("the key `{key_id}` was retired, and this is that key; make a new one")]
    Retired {
        /// The id under which the key was retired.
        key_id: String,
    },
    /// The key that signs cannot be retired.
    #[error("the key `{key_id}` signs; promote another one before you retire it, or replace it if it was stolen")]
    IsSigning {
        /// The id of the key.
        key_id: String,
    },
}

/// Why a [`KeyRing`](crate::KeyRing) cannot be loaded from a folder or saved into one.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KeyFolderError {
    /// There is no ring in the folder.
    #[error("there is no key ring in `{folder}`; make one with `KeyRing::new(key)`, and `save_new` it there")]
    Missing {
        /// The folder.
        folder: String,
    },
    /// There is a ring in the folder already, so no new one is put there.
    #[error("there is a key ring in `{folder}` already; `load` it to change it, or take another folder")]
    Present {
        /// The folder.
        folder: String,
    },
    /// A file or the folder cannot be read or written.
    #[error("`{path}` cannot be read or written")]
    Io {
        /// The file or folder.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not that of a ring.
    #[error("`{path}` is not a key ring: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key of the ring cannot be read.
    #[error("key {position} of `{path}` cannot be read")]
    Key {
        /// The file.
        path: String,
        /// The key's place in the list `keys`, counted from 0.
        position: usize,
        /// Why not.
        source: KeyError,
    },
    /// The keys conflict with each other, or with those of the ring that is reloaded.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
}

/// Why a [`KeySet`](crate::KeySet) cannot be made or read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The text is not a JWK Set.
    #[error("this is not a JWK Set: a JSON object with a list `keys` of JWKs, of 256 KiB at most")]
    NotAKeySet,
    /// An RSA key that does not say what it is for.
    #[error(
        "an RSA key without `alg` does not say what it is for; name the algorithm with `KeySet::from_jwks_with_rsa`"
    )]
    RsaWithoutAlgorithm,
    /// A key whose `use` or `key_ops` name something else than verifying signatures.
    #[error("this key is not for signatures, as its `use` or `key_ops` says")]
    NotForSignatures,
    /// There is no key for signatures of a supported algorithm.
    #[error("no key can be used{}", reasons(skipped))]
    NoKey {
        /// The keys that are there, and why each cannot be used.
        skipped: Vec<SkippedKey>,
    },
    /// Two keys have the same id.
    #[error("duplicate key id `{key_id}`")]
    DuplicateKeyId {
        /// The id that two keys share.
        key_id: String,
    },
    /// One key under two algorithms ([RFC 8725 §3.1](https://www.rfc-editor.org/rfc/rfc8725#section-3.1)).
    #[error("the key `{key_id}` is there for two algorithms; each algorithm needs a key of its own")]
    TwoAlgorithms {
        /// The id of the key.
        key_id: String,
    },
    /// A key of the set cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The reasons of the first few.
fn reasons(skipped: &[SkippedKey]) -> String {
    const SHOWN: usize = 5;
    let more = skipped.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    skipped.iter().take(SHOWN).map(|key| format!("; {key}")).chain([more]).collect()
}

/// A key of a JWK Set that is not used, while the others are ([RFC 7517
/// §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SkippedKey {
    /// Its place in the list `keys`, counted from 0.
    pub position: usize,
    /// Its `kid`, if it has one of 1 to 128 printable ASCII characters without spaces.
    pub key_id: Option<String>,
    /// Why it is not used.
    pub reason: Arc<KeySetError>,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position)?;
        if let Some(key_id) = &self.key_id {
            write!(f, " (`{key_id}`)")?;
        }
        write!(f, ": {}", self.reason)
    }
}

readable_debug!(KeyError, KeyRingError, KeyFolderError, KeySetError);

/// Why the signature of a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// It is not that of the key.
    Invalid,
    /// The header names another algorithm than that of the key.
    AlgorithmMismatch,
    /// The payload is not what the library takes for claims, which it reads after the signature.
    NotClaims,
    /// The token is not of the form of a signed JWT.
    Malformed,
}

impl From<jwt_simple::Error> for SignatureError {
    fn from(error: jwt_simple::Error) -> Self {
        match error.downcast_ref() {
            Some(JWTError::InvalidAuthenticationTag | JWTError::InvalidSignature) => Self::Invalid,
            Some(JWTError::AlgorithmMismatch) => Self::AlgorithmMismatch,
            None if error.is::<serde_json::Error>() => Self::NotClaims,
            _ => Self::Malformed,
        }
    }
}
