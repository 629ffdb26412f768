//! Reading keys, and saying what is wrong with those that cannot be read.

use std::{env, fs, path::Path};

use jwt_simple::{Error, JWTError};
use zeroize::Zeroizing;

use crate::keys::{
    Algorithm,
    backend::{self, ParsedKey, PrivateKey, PublicKey, ReadPrivate, ReadPublic},
    der,
    error::KeyError,
    pem, roca, symmetric,
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
    pub(super) fn detect(algorithm: Algorithm, contents: &'a Contents) -> Self {
        let bytes: &[u8] = &contents.0;
        match std::str::from_utf8(bytes) {
            Ok(text) if pem::is_in(text) => Self::Pem(text),
            Ok(text) if is_jwk(text) => Self::Jwk(text),
            _ if !algorithm.is_symmetric() => Self::Der(bytes),
            // An editor ends a text with a line break, which is not part of the key.
            Ok(text) => Self::Bytes(text.strip_suffix('\n').map_or(text, |key| key.trim_end_matches('\r')).as_bytes()),
            Err(_) => Self::Bytes(bytes),
        }
    }

    fn encoding(self) -> &'static str {
        match self {
            Self::Pem(_) => "PEM",
            Self::Der(_) => "DER",
            Self::Jwk(_) => "JWK",
            Self::Bytes(_) => "raw",
        }
    }

    /// Reads the key; `None` if keys of the algorithm are not written so.
    fn read_private(self, algorithm: Algorithm) -> Result<Option<ReadPrivate>, KeyError> {
        Ok(match self {
            Self::Pem(pem) => return EncodedKey::Der(&pem::private(pem)?).read_private(algorithm),
            Self::Der(der) => match der::PrivateKey::read(der) {
                Some(key) => {
                    let read = backend::private_from_der(algorithm, &key.pkcs8);
                    read.map(|read| read.and_then(|read| with_its_public_key(read, key.public_key)))
                }
                None => backend::private_from_der(algorithm, der),
            },
            Self::Jwk(jwk) => backend::private_from_jwk(algorithm, jwk_in(jwk)?),
            Self::Bytes(bytes) => backend::private_from_bytes(algorithm, bytes),
        })
    }

    /// Reads the key; `None` if keys of the algorithm are not written so.
    fn read_public(self, algorithm: Algorithm) -> Result<Option<ReadPublic>, KeyError> {
        Ok(match self {
            Self::Pem(pem) => return EncodedKey::Der(&pem::public(pem)?).read_public(algorithm),
            Self::Der(der) => backend::public_from_der(algorithm, der),
            Self::Jwk(jwk) => backend::public_from_jwk(algorithm, jwk_in(jwk)?),
            Self::Bytes(bytes) => backend::public_from_bytes(algorithm, bytes),
        })
    }

    /// The secret of HMAC, and its `kid`.
    fn secret(self, algorithm: Algorithm) -> Result<(Zeroizing<Vec<u8>>, Option<String>), KeyError> {
        match self {
            Self::Bytes(bytes) => Ok((Zeroizing::new(bytes.to_vec()), None)),
            Self::Jwk(jwk) => symmetric::from_jwk(algorithm, jwk_in(jwk)?),
            Self::Pem(_) | Self::Der(_) => Err(KeyError::Unsupported { algorithm, encoding: self.encoding() }),
        }
    }

    fn is_private(self, algorithm: Algorithm) -> bool {
        matches!(self.read_private(algorithm), Ok(Some(Ok(_))))
            || algorithm.is_symmetric() && self.secret(algorithm).is_ok()
    }

    fn is_public(self, algorithm: Algorithm) -> bool {
        matches!(self.read_public(algorithm), Ok(Some(Ok(_))))
    }

    /// The algorithms of other keys that this might be, of which raw bytes tell nothing.
    fn other_algorithms(self, than: Algorithm) -> impl Iterator<Item = Algorithm> {
        let tells = !matches!(self, Self::Bytes(_));
        Algorithm::ALL.iter().copied().filter(move |other| tells && *other != than)
    }
}

pub(super) fn private(algorithm: Algorithm, source: EncodedKey<'_>) -> Result<ParsedKey<dyn PrivateKey>, KeyError> {
    if algorithm.is_symmetric() {
        let (bytes, key_id) = source.secret(algorithm).map_err(|error| explain_private(algorithm, source, error))?;
        symmetric::check(algorithm, &bytes)?;
        let key = backend::symmetric(algorithm, &bytes).ok_or(KeyError::UnknownAlgorithm)?;
        symmetric::warn_of_mistakes(algorithm, &bytes);
        return Ok(ParsedKey { key, key_id });
    }
    match source.read_private(algorithm)? {
        Some(Ok(read)) => roca::check(&*read.key.public()).map(|()| read),
        Some(Err(error)) => Err(explain_private(algorithm, source, from_backend(algorithm, source, &error))),
        None => Err(KeyError::Unsupported { algorithm, encoding: source.encoding() }),
    }
}

pub(super) fn public(algorithm: Algorithm, source: EncodedKey<'_>) -> Result<ParsedKey<dyn PublicKey>, KeyError> {
    if algorithm.is_symmetric() {
        let ParsedKey { key, key_id } = private(algorithm, source)?;
        return Ok(ParsedKey { key: key.public(), key_id });
    }
    match source.read_public(algorithm)? {
        Some(Ok(read)) => roca::check(&*read.key).map(|()| read),
        Some(Err(error)) => Err(explain_public(algorithm, source, from_backend(algorithm, source, &error))),
        None => Err(KeyError::Unsupported { algorithm, encoding: source.encoding() }),
    }
}

/// What a file or variable with a key holds, as UTF-8 if it is a text.
pub(super) struct Contents(Zeroizing<Vec<u8>>);

impl Contents {
    pub(super) fn from_file(algorithm: Algorithm, path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable { name: path.display().to_string(), source };
        Ok(Self::new(algorithm, &Zeroizing::new(fs::read(path).map_err(unreadable)?)))
    }

    pub(super) fn from_env(algorithm: Algorithm, name: &str) -> Result<Self, KeyError> {
        let unreadable = |error| {
            let kind = match error {
                env::VarError::NotPresent => std::io::ErrorKind::NotFound,
                env::VarError::NotUnicode(_) => std::io::ErrorKind::InvalidData,
            };
            KeyError::Unreadable { name: name.to_owned(), source: kind.into() }
        };
        let value = env::var(name).map(Zeroizing::new).map_err(unreadable)?;
        Ok(Self::new(algorithm, value.as_bytes()))
    }

    /// Takes off what editors and shells put around a key.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
        if let Some(text) = ascii_of_utf16(bytes) {
            return Self::new(algorithm, &text);
        }
        // In bytes that are no text, it is part of the key.
        let is_text = |rest: &&[u8]| std::str::from_utf8(rest).is_ok();
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).filter(is_text).unwrap_or(bytes);
        // A variable of one line often has the base64 of a file. (A secret of HMAC is the text itself.)
        match symmetric::key_in_base64(bytes) {
            Some(decoded) if !algorithm.is_symmetric() => Self(decoded),
            _ => Self(Zeroizing::new(bytes.to_vec())),
        }
    }
}

/// A text that Windows wrote as UTF-16, if it begins with a byte order mark and has nothing but ASCII.
fn ascii_of_utf16(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (mark, text) = bytes.split_at_checked(2)?;
    let position = match mark {
        b"\xff\xfe" => 0,
        b"\xfe\xff" => 1,
        _ => return None,
    };
    let is_ascii = |unit: &[u8]| unit.len() == 2 && unit[1 - position] == 0 && unit[position].is_ascii();
    text.chunks(2).all(is_ascii).then(|| Zeroizing::new(text.chunks(2).map(|unit| unit[position]).collect()))
}

fn is_jwk(text: &str) -> bool {
    text.trim_start_matches(pem::is_blank).starts_with('{')
}

/// The JWK without what editors put around it.
fn jwk_in(text: &str) -> Result<&str, KeyError> {
    let problem = |problem| Err(KeyError::Syntax { encoding: "JWK", problem });
    let jwk = text.trim_matches(pem::is_blank);
    if pem::is_in(jwk) && !jwk.starts_with('{') {
        problem("this is PEM; read it with `from_pem`")
    } else if !jwk.starts_with('{') {
        problem("it must be a JSON object and begin with `{`, with nothing in front of it")
    } else if serde_json::from_str::<JwkSet>(jwk).is_ok() {
        problem("this is a JWK Set; take one key out of its list `keys`")
    } else if jwk.len() > backend::MAX_JWK_BYTES {
        problem("it is longer than 8192 bytes; leave out `x5c`")
    } else {
        Ok(jwk)
    }
}

/// Something that has the list of a JWK Set.
#[derive(serde::Deserialize)]
struct JwkSet {
    #[serde(rename = "keys")]
    _keys: Vec<serde::de::IgnoredAny>,
}

/// Checks that a public key which is attached to a private one belongs to it.
fn with_its_public_key(
    read: ParsedKey<dyn PrivateKey>,
    attached: Option<&[u8]>,
) -> Result<ParsedKey<dyn PrivateKey>, Error> {
    let algorithm = read.key.algorithm();
    let belongs = |bytes| {
        let public =
            backend::public_from_bytes(algorithm, bytes).or_else(|| backend::public_from_der(algorithm, bytes));
        matches!(public, Some(Ok(public)) if public.key.thumbprint() == read.key.public().thumbprint())
    };
    if attached.is_none_or(belongs) { Ok(read) } else { Err(JWTError::InvalidKeyPair.into()) }
}

fn from_backend(algorithm: Algorithm, source: EncodedKey<'_>, error: &Error) -> KeyError {
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
    if let Some(found) = source.other_algorithms(algorithm).find(|other| source.is_private(*other)) {
        return KeyError::WrongAlgorithm { expected: algorithm, found };
    }
    if source.is_public(algorithm) || source.other_algorithms(algorithm).any(|other| source.is_public(other)) {
        return KeyError::NotPrivate;
    }
    explain_form(source, pem::private).unwrap_or(error)
}

fn explain_public(algorithm: Algorithm, source: EncodedKey<'_>, error: KeyError) -> KeyError {
    if !matches!(error, KeyError::Malformed { .. }) {
        return error;
    }
    if let Some(found) = source.other_algorithms(algorithm).find(|other| source.is_public(*other)) {
        return KeyError::WrongAlgorithm { expected: algorithm, found };
    }
    if source.is_private(algorithm) || source.other_algorithms(algorithm).any(|other| source.is_private(other)) {
        return KeyError::NotPublic;
    }
    explain_form(source, pem::public).unwrap_or(error)
}

/// Names a kind of key that is never read.
fn explain_form(
    source: EncodedKey<'_>,
    der_of_pem: fn(&str) -> Result<Zeroizing<Vec<u8>>, KeyError>,
) -> Option<KeyError> {
    match source {
        EncodedKey::Pem(pem) => match der_of_pem(pem) {
            Ok(der) => explain_form(EncodedKey::Der(&der), der_of_pem),
            Err(error) => Some(error),
        },
        EncodedKey::Der(der) if der.first() != Some(&0x30) => {
            Some(KeyError::Syntax { encoding: "key", problem: "it is neither PEM nor a JWK nor DER" })
        }
        EncodedKey::Der(der) => der::unsupported_kind(der).map(|kind| KeyError::UnsupportedKind { kind }),
        EncodedKey::Jwk(_) | EncodedKey::Bytes(_) => None,
    }
}
