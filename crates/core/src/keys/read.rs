//! Reading keys, and saying what is wrong with those that cannot be read.

use std::{env, fs, path::Path};

use jwt_simple::{Error, JWTError};
use zeroize::Zeroizing;

use crate::keys::{
    Algorithm,
    backend::{self, ParsedKey, PrivateKey, PublicKey, ReadPrivate, ReadPublic},
    error::KeyError,
    roca, symmetric,
};

/// A key as it was handed in.
#[derive(Clone, Copy)]
pub(super) enum EncodedKey<'a> {
    Pem(&'a str),
    Der(&'a [u8]),
    Jwk(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> EncodedKey<'a> {
    /// Finds out how the contents of a file or variable are written.
    pub(super) fn detect(algorithm: Algorithm, contents: &'a [u8]) -> Self {
        let start = contents.trim_ascii_start();
        let text = std::str::from_utf8(contents);
        match text {
            Ok(text) if start.starts_with(b"-----BEGIN ") => Self::Pem(text),
            Ok(text) if start.starts_with(b"{") => Self::Jwk(text),
            // An editor ends a text with a line break, which is not part of the key.
            Ok(text) => Self::Bytes(text.strip_suffix('\n').map_or(text, |key| key.trim_end_matches('\r')).as_bytes()),
            Err(_) if algorithm.is_symmetric() => Self::Bytes(contents),
            Err(_) => Self::Der(contents),
        }
    }

    fn encoding(self) -> &'static str {
        match self {
            Self::Pem(_) => "PEM",
            Self::Der(_) => "DER",
            Self::Jwk(_) => "a JWK",
            Self::Bytes(_) => "the raw bytes",
        }
    }

    fn read_private(self, algorithm: Algorithm) -> Option<ReadPrivate> {
        match self {
            Self::Pem(pem) => backend::private_from_pem(algorithm, pem),
            Self::Der(der) => backend::private_from_der(algorithm, der),
            Self::Jwk(jwk) => backend::private_from_jwk(algorithm, jwk),
            Self::Bytes(bytes) => backend::private_from_bytes(algorithm, bytes),
        }
    }

    fn read_public(self, algorithm: Algorithm) -> Option<ReadPublic> {
        match self {
            Self::Pem(pem) => backend::public_from_pem(algorithm, pem),
            Self::Der(der) => backend::public_from_der(algorithm, der),
            Self::Jwk(jwk) => backend::public_from_jwk(algorithm, jwk),
            Self::Bytes(bytes) => backend::public_from_bytes(algorithm, bytes),
        }
    }

    fn symmetric(self, algorithm: Algorithm) -> Result<ParsedKey<dyn PrivateKey>, KeyError> {
        match self {
            Self::Bytes(bytes) => symmetric_key(algorithm, bytes, None),
            Self::Jwk(jwk) => {
                let (bytes, key_id) = symmetric::from_jwk(algorithm, jwk)?;
                symmetric_key(algorithm, &bytes, key_id)
            }
            Self::Pem(_) | Self::Der(_) => Err(KeyError::Unsupported { algorithm, encoding: self.encoding() }),
        }
    }

    /// The algorithms of other keys that this might be, of which raw bytes tell nothing.
    fn other_algorithms(self, than: Algorithm) -> impl Iterator<Item = Algorithm> {
        let tells = !matches!(self, Self::Bytes(_));
        Algorithm::ALL.iter().copied().filter(move |other| tells && *other != than)
    }
}

pub(super) fn private(algorithm: Algorithm, source: EncodedKey<'_>) -> Result<ParsedKey<dyn PrivateKey>, KeyError> {
    if algorithm.is_symmetric() {
        return source.symmetric(algorithm).map_err(|error| explain_private(algorithm, source, error));
    }
    match source.read_private(algorithm) {
        Some(Ok(read)) => roca::check(&*read.key.public()).map(|()| read),
        Some(Err(error)) => Err(explain_private(algorithm, source, of_backend(algorithm, source, &error))),
        None => Err(KeyError::Unsupported { algorithm, encoding: source.encoding() }),
    }
}

pub(super) fn public(algorithm: Algorithm, source: EncodedKey<'_>) -> Result<ParsedKey<dyn PublicKey>, KeyError> {
    if algorithm.is_symmetric() {
        let ParsedKey { key, key_id } = private(algorithm, source)?;
        return Ok(ParsedKey { key: key.public(), key_id });
    }
    match source.read_public(algorithm) {
        Some(Ok(read)) => roca::check(&*read.key).map(|()| read),
        Some(Err(error)) => Err(explain_public(algorithm, source, of_backend(algorithm, source, &error))),
        None => Err(KeyError::Unsupported { algorithm, encoding: source.encoding() }),
    }
}

/// The contents of a file with a key.
pub(super) fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { name: path.display().to_string(), source };
    fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

/// The contents of an environment variable with a key.
pub(super) fn variable(name: &str) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |error| {
        let kind = match error {
            env::VarError::NotPresent => std::io::ErrorKind::NotFound,
            env::VarError::NotUnicode(_) => std::io::ErrorKind::InvalidData,
        };
        KeyError::Unreadable { name: name.to_owned(), source: kind.into() }
    };
    env::var(name).map(Zeroizing::new).map_err(unreadable)
}

fn symmetric_key(
    algorithm: Algorithm,
    bytes: &[u8],
    key_id: Option<String>,
) -> Result<ParsedKey<dyn PrivateKey>, KeyError> {
    let min = symmetric::min_bytes(algorithm).unwrap_or_default();
    if bytes.len() < min {
        return Err(KeyError::TooShort { algorithm, bytes: bytes.len(), min });
    }
    // Whoever takes the text of a public key for the secret of HMAC lets everybody sign (RFC 8725 §2.1).
    let start = bytes.trim_ascii_start();
    let is_jwk = start.starts_with(b"{") && bytes.windows(5).any(|part| part == b"\"kty\"");
    if is_jwk || start.starts_with(b"-----BEGIN ") {
        return Err(KeyError::NotASecret);
    }
    let key = backend::symmetric(algorithm, bytes).ok_or(KeyError::UnknownAlgorithm)?;
    Ok(ParsedKey { key, key_id })
}

fn of_backend(algorithm: Algorithm, source: EncodedKey<'_>, error: &Error) -> KeyError {
    match error.downcast_ref() {
        Some(JWTError::WeakKey | JWTError::UnsupportedRSAModulus) => KeyError::RsaSize,
        _ => KeyError::malformed(algorithm, source.encoding()),
    }
}

/// Says more of a key that is none, where it can be told.
fn explain_private(algorithm: Algorithm, source: EncodedKey<'_>, error: KeyError) -> KeyError {
    if !matches!(error, KeyError::Malformed { .. } | KeyError::Unsupported { .. }) {
        return error;
    }
    if let Some(error) = explain_pem(source) {
        return error;
    }
    let is_private = |other: &Algorithm| {
        matches!(source.read_private(*other), Some(Ok(_))) || other.is_symmetric() && source.symmetric(*other).is_ok()
    };
    if let Some(found) = source.other_algorithms(algorithm).find(is_private) {
        return KeyError::WrongAlgorithm { expected: algorithm, found };
    }
    let is_public = |other: &Algorithm| matches!(source.read_public(*other), Some(Ok(_)));
    if is_public(&algorithm) || source.other_algorithms(algorithm).any(|other| is_public(&other)) {
        return KeyError::NotPrivate;
    }
    error
}

fn explain_public(algorithm: Algorithm, source: EncodedKey<'_>, error: KeyError) -> KeyError {
    if !matches!(error, KeyError::Malformed { .. }) {
        return error;
    }
    if let Some(error) = explain_pem(source) {
        return error;
    }
    let is_public = |other: &Algorithm| matches!(source.read_public(*other), Some(Ok(_)));
    if let Some(found) = source.other_algorithms(algorithm).find(is_public) {
        return KeyError::WrongAlgorithm { expected: algorithm, found };
    }
    let is_private = |other: &Algorithm| matches!(source.read_private(*other), Some(Ok(_)));
    if is_private(&algorithm) || source.other_algorithms(algorithm).any(|other| is_private(&other)) {
        return KeyError::NotPublic;
    }
    error
}

fn explain_pem(source: EncodedKey<'_>) -> Option<KeyError> {
    let EncodedKey::Pem(pem) = source else { return None };
    if pem.contains("ENCRYPTED") {
        return Some(KeyError::Encrypted);
    }
    pem.contains("-----BEGIN EC PRIVATE KEY-----").then_some(KeyError::Sec1)
}
