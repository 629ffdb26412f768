//! The previous secret, and how the next one is derived.

use std::{fmt, str::FromStr};

use hkdf::Hkdf;
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    error::{BoxError, readable_debug},
    random::FillRandom,
    token::{
        digest::TokenDigest,
        secret::{Secret, SecretForm},
    },
};

/// The random part that makes a new secret out of an old one.
///
/// The new secret is HKDF-SHA-256 of the old one with the nonce as salt ([RFC 5869]). So a client that rotates twice
/// with the old token gets the same new secret, and neither the store nor the token alone gives it away.
///
/// [RFC 5869]: https://www.rfc-editor.org/rfc/rfc5869
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RotationNonce([u8; Self::BYTES]);

impl RotationNonce {
    const BYTES: usize = 16;

    pub(crate) fn mint(fill: FillRandom) -> Result<Self, BoxError> {
        let mut bytes = [0; Self::BYTES];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The secret that follows `old`. `None` if the form asks for more bytes than there can be, which no form does.
    pub(crate) fn next_secret(&self, old: &Secret, form: &SecretForm) -> Option<Secret> {
        let mut bytes = Zeroizing::new(vec![0; form.bytes]);
        Hkdf::<Sha256>::new(Some(&self.0), old.expose().as_bytes()).expand(b"jwt-knox rotation", &mut bytes).ok()?;
        Some(Secret::from_bytes(&bytes, form))
    }
}

/// The secret that a session had before its last rotation, as the store keeps it.
///
/// [`Display`](fmt::Display) gives one line of printable ASCII, at most [`MAX_TEXT_BYTES`](Self::MAX_TEXT_BYTES) long,
/// and [`FromStr`] reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviousSecret(Box<Parts>);

impl PreviousSecret {
    /// The longest text, in bytes.
    pub const MAX_TEXT_BYTES: usize = TokenDigest::MAX_TEXT_BYTES + 1 + 2 * RotationNonce::BYTES + 1 + 20;

    pub(crate) fn new(digest: TokenDigest, nonce: RotationNonce, valid_until: Timestamp) -> Self {
        Self(Box::new(Parts { digest, nonce, valid_until }))
    }

    /// The digest of that secret.
    #[must_use]
    pub fn digest(&self) -> &TokenDigest {
        &self.0.digest
    }

    /// What the secret after it was made with.
    pub(crate) fn nonce(&self) -> &RotationNonce {
        &self.0.nonce
    }

    /// Until when a token with it is still valid, exclusive.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.0.valid_until
    }

    /// Whether `digest` is that of this secret, and the grace is not over.
    pub(crate) fn is_in_grace(&self, digest: &TokenDigest, now: Timestamp) -> bool {
        self.0.digest == *digest && now < self.0.valid_until
    }
}

impl fmt::Display for PreviousSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { digest, nonce, valid_until } = &*self.0;
        write!(f, "{digest} {} {}", base16ct::lower::encode_string(&nonce.0), valid_until.as_microsecond())
    }
}

impl fmt::Debug for PreviousSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviousSecret").field("valid_until", &self.0.valid_until).finish_non_exhaustive()
    }
}

impl FromStr for PreviousSecret {
    type Err = PreviousSecretError;

    fn from_str(text: &str) -> Result<Self, PreviousSecretError> {
        let mut parts = text.split(' ');
        let (Some(digest), Some(nonce), Some(until), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PreviousSecretError);
        };
        let mut bytes = [0; RotationNonce::BYTES];
        if nonce.len() != 2 * bytes.len() {
            return Err(PreviousSecretError);
        }
        base16ct::lower::decode(nonce, &mut bytes).map_err(|_| PreviousSecretError)?;
        let until: i64 = until.parse().map_err(|_| PreviousSecretError)?;
        let digest = digest.parse().map_err(|_| PreviousSecretError)?;
        let valid_until = Timestamp::from_microsecond(until).map_err(|_| PreviousSecretError)?;
        Ok(Self::new(digest, RotationNonce(bytes), valid_until))
    }
}

/// In a box, since most sessions have none, and each check moves a record.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    digest: TokenDigest,
    nonce: RotationNonce,
    valid_until: Timestamp,
}

/// The string is not a [`PreviousSecret`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a previous secret is a digest, a nonce of 32 hexadecimal digits and a time in microseconds")]
pub struct PreviousSecretError;

readable_debug!(PreviousSecretError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::whole_microseconds,
        random::fill_from_os,
        token::{digest::HashAlgorithm, format::TokenFormat},
    };

    #[test]
    fn the_next_secret_follows_from_the_old_one_and_the_nonce() {
        let format = TokenFormat::default();
        let form = format.secret_form();
        let secret = |text: &str| Secret::from_token(text.to_owned()).unwrap();
        let nonce = RotationNonce::mint(fill_from_os).unwrap();
        let next = nonce.next_secret(&secret("old"), form).unwrap();
        assert_eq!(next.expose().len(), 43);
        assert_eq!(nonce.next_secret(&secret("old"), form).unwrap().expose(), next.expose());
        assert_ne!(nonce.next_secret(&secret("other"), form).unwrap().expose(), next.expose());
        let another = RotationNonce::mint(fill_from_os).unwrap();
        assert_ne!(another.next_secret(&secret("old"), form).unwrap().expose(), next.expose());
    }

    #[test]
    fn the_text_comes_back_and_nothing_else_is_read() {
        for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha512OfHex] {
            let digest = algorithm.digest(&Secret::from_token("616263".to_owned()).unwrap()).unwrap();
            let nonce = RotationNonce::mint(fill_from_os).unwrap();
            let previous = PreviousSecret::new(digest, nonce, whole_microseconds(Timestamp::MAX));
            let text = previous.to_string();
            assert!(text.len() <= PreviousSecret::MAX_TEXT_BYTES, "{text}");
            assert_eq!(text.parse(), Ok(previous));
            assert_eq!(format!("{text} x").parse::<PreviousSecret>(), Err(PreviousSecretError));
            assert_eq!(text[1..].parse::<PreviousSecret>(), Err(PreviousSecretError));
        }
        assert_eq!("".parse::<PreviousSecret>(), Err(PreviousSecretError));
    }
}
