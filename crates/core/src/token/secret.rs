//! The secret of a token: how it is generated and written.

use std::{borrow::Cow, fmt};

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

use crate::{error::BoxError, random::FillRandom};

/// How the random bytes of a secret are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretEncoding {
    Base64Url,
    Hex,
}

/// How secrets are made and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretForm {
    /// How many random bytes there are.
    pub(crate) bytes: usize,
    /// What each secret begins with.
    pub(crate) prefix: Cow<'static, str>,
    pub(crate) encoding: SecretEncoding,
}

/// The random string that makes a session its own: it travels as the JWT's `jti` and is never stored, only its digest
/// is.
///
/// Wiped from memory when dropped.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// How many random bytes a secret may have: at least 128 bits, at most what keeps a JWT small.
    pub(crate) const BYTES: std::ops::RangeInclusive<usize> = 16..=128;

    /// The longest secret that is read from a token, in bytes.
    pub(crate) const MAX_READ_BYTES: usize = 512;

    /// Mints a secret of that form.
    pub(crate) fn mint(form: &SecretForm, fill: FillRandom) -> Result<Self, BoxError> {
        let mut random = Zeroizing::new(vec![0; form.bytes]);
        fill(&mut random)?;
        Ok(Self::from_bytes(&random, form))
    }

    /// The secret of these bytes.
    pub(crate) fn from_bytes(bytes: &[u8], form: &SecretForm) -> Self {
        let encoded = Zeroizing::new(match form.encoding {
            SecretEncoding::Base64Url => Base64UrlUnpadded::encode_string(bytes),
            SecretEncoding::Hex => base16ct::lower::encode_string(bytes),
        });
        Self(Zeroizing::new(format!("{}{}", form.prefix, *encoded)))
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

    fn mint(prefix: &'static str, bytes: usize, encoding: SecretEncoding) -> Secret {
        Secret::mint(&SecretForm { bytes, prefix: prefix.into(), encoding }, fill_from_os).unwrap()
    }

    #[test]
    fn mints_the_length_and_encoding_asked_for() {
        let secret = mint("", 32, SecretEncoding::Base64Url);
        assert_eq!(secret.expose().len(), 43);
        assert_eq!(Base64UrlUnpadded::decode_vec(secret.expose()).unwrap().len(), 32);
        let prefixed = mint("acme_", 16, SecretEncoding::Base64Url);
        assert_eq!(prefixed.expose().len(), 5 + 22);
        assert!(prefixed.expose().starts_with("acme_"));
        let hexadecimal = mint("", 32, SecretEncoding::Hex);
        assert_eq!(hexadecimal.expose().len(), 64);
        assert!(hexadecimal.expose().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }

    #[test]
    fn mints_a_different_secret_each_time() {
        let secrets: std::collections::HashSet<String> =
            (0..1000).map(|_| mint("", 16, SecretEncoding::Base64Url).expose().to_owned()).collect();
        assert_eq!(secrets.len(), 1000);
    }

    #[test]
    fn a_random_source_that_fails_is_an_error() {
        let form = SecretForm { bytes: 32, prefix: "".into(), encoding: SecretEncoding::Base64Url };
        assert_eq!(Secret::mint(&form, broken_source).unwrap_err().to_string(), "no entropy");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", mint("", 32, SecretEncoding::Base64Url)), "Secret(redacted)");
        assert_eq!(format!("{:?}", Token::new("a.b.c".into())), "Token(redacted)");
        assert_eq!(format!("{:?}", ExportedKey::new("pem".to_owned().into())), "ExportedKey(redacted)");
    }

    #[test]
    fn an_empty_or_over_long_string_is_no_secret() {
        assert!(Secret::from_token(String::new()).is_none());
        assert!(Secret::from_token("x".repeat(513)).is_none());
        assert!(Secret::from_token("x".repeat(512)).is_some());
    }
}
