//! What is secret: the random part of a token, and the token that carries it.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

use crate::{error::BoxError, random::FillRandom};

/// How the random bytes of a secret are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretEncoding {
    Base64Url,
    Hex,
}

/// The random string that makes a session its own: it travels as the JWT's `jti` and is never stored, only its digest is.
///
/// Wiped from memory when dropped.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// How many random bytes a secret may have: at least 128 bits, at most what keeps a JWT small.
    pub(crate) const BYTES: std::ops::RangeInclusive<usize> = 16..=128;

    /// The longest secret that is read from a token, in bytes.
    pub(crate) const MAX_READ_BYTES: usize = 512;

    /// Mints a secret of `bytes` random bytes, written in that encoding behind `prefix`.
    pub(crate) fn mint(
        prefix: &str,
        bytes: usize,
        encoding: SecretEncoding,
        fill: FillRandom,
    ) -> Result<Self, BoxError> {
        let mut random = Zeroizing::new(vec![0; bytes]);
        fill(&mut random)?;
        let encoded = Zeroizing::new(match encoding {
            SecretEncoding::Base64Url => Base64UrlUnpadded::encode_string(&random),
            SecretEncoding::Hex => base16ct::lower::encode_string(&random),
        });
        Ok(Self(Zeroizing::new(format!("{prefix}{}", *encoded))))
    }

    /// Takes the secret that a token carries; `None` if it is empty or over-long.
    pub(crate) fn from_token(mut text: String) -> Option<Self> {
        if text.is_empty() || text.len() > Self::MAX_READ_BYTES {
            text.zeroize();
            return None;
        }
        Some(Self(Zeroizing::new(text)))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::ExportedKey,
        random::{broken_source, fill_from_os},
        token::jwt::Token,
    };
    use SecretEncoding::{Base64Url, Hex};

    #[test]
    fn mints_base64url_of_the_length_asked_for() {
        let secret = Secret::mint("", 32, Base64Url, fill_from_os).unwrap();
        assert_eq!(secret.expose().len(), 43);
        assert_eq!(Base64UrlUnpadded::decode_vec(secret.expose()).unwrap().len(), 32);
        let prefixed = Secret::mint("acme_", 16, Base64Url, fill_from_os).unwrap();
        assert_eq!(prefixed.expose().len(), 5 + 22);
        assert!(prefixed.expose().starts_with("acme_"));
        let hexadecimal = Secret::mint("", 32, Hex, fill_from_os).unwrap();
        assert_eq!(hexadecimal.expose().len(), 64);
        assert!(hexadecimal.expose().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }

    #[test]
    fn mints_a_different_secret_each_time() {
        let secrets: std::collections::HashSet<String> =
            (0..1000).map(|_| Secret::mint("", 16, Base64Url, fill_from_os).unwrap().expose().to_owned()).collect();
        assert_eq!(secrets.len(), 1000);
    }

    #[test]
    fn a_random_source_that_fails_is_an_error() {
        let error = Secret::mint("", 32, Base64Url, broken_source).unwrap_err();
        assert_eq!(error.to_string(), "no entropy");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::mint("", 32, Base64Url, fill_from_os).unwrap()), "Secret(redacted)");
        assert_eq!(format!("{:?}", Token::new("a.b.c".into())), "Token(redacted)");
        assert_eq!(format!("{:?}", ExportedKey::new("pem".to_owned().into())), "ExportedKey(redacted)");
    }

    #[test]
    fn rejects_an_empty_or_over_long_secret() {
        assert!(Secret::from_token(String::new()).is_none());
        assert!(Secret::from_token("x".repeat(513)).is_none());
        assert!(Secret::from_token("x".repeat(512)).is_some());
    }
}
