//! The hash of a secret, and the session id that follows from it.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    error::readable_debug,
    named::named,
    token::{id::SessionId, secret::Secret},
};

/// The hash that turns a secret into what the store keeps.
///
/// Each digest names its algorithm, and so does each token, so sessions of both kinds can coexist: changing the
/// algorithm logs nobody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-512 of the bytes that a hexadecimal secret stands for, as django-rest-knox 4 keeps it. Only for tokens of
    /// [`TokenFormat::drf_jwt_knox_4`](crate::TokenFormat::drf_jwt_knox_4).
    Sha512OfHex,
}

named! { HashAlgorithm {
    Sha256 = "sha256",
    Sha512 = "sha512",
    Sha512OfHex = "sha512-of-hex",
} }

impl HashAlgorithm {
    /// The length of a digest, in bytes.
    fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 | Self::Sha512OfHex => 64,
        }
    }

    /// Hashes `secret`; `None` if this algorithm wants it to be hexadecimal, and it is not.
    pub(crate) fn digest(self, secret: &Secret) -> Option<TokenDigest> {
        let text = secret.expose().as_bytes();
        Some(match self {
            Self::Sha256 => TokenDigest::new(self, &Sha256::digest(text)),
            Self::Sha512 => TokenDigest::new(self, &Sha512::digest(text)),
            Self::Sha512OfHex => {
                let decoded = Zeroizing::new(base16ct::mixed::decode_vec(text).ok()?);
                TokenDigest::new(self, &Sha512::digest(&*decoded))
            }
        })
    }
}

/// The hash of a secret, as the store keeps it: the name of the hash, a colon, and lower-case hex, as in
/// `sha256:ba78…`.
///
/// [`Display`](fmt::Display) gives that text and [`FromStr`] reads it. Equality takes the same time wherever two
/// digests differ. `Debug` shows the public part only.
///
/// # Examples
///
/// ```
/// use jwt_knox::TokenDigest;
///
/// let stored = format!("sha256:{}", "ab".repeat(32));
/// let digest: TokenDigest = stored.parse()?;
/// assert_eq!(digest.to_string(), stored);
/// assert_eq!(digest.session_id().as_str(), "ab".repeat(16));
/// # Ok::<(), jwt_knox::DigestError>(())
/// ```
#[derive(Clone)]
pub struct TokenDigest {
    algorithm: HashAlgorithm,
    /// The digest, and zeros behind it: inline, since a digest is copied for each request.
    bytes: [u8; Self::MAX_BYTES],
}

impl TokenDigest {
    const MAX_BYTES: usize = 64;

    /// Of `bytes` as many as there is room for, and the algorithm needs no more.
    fn new(algorithm: HashAlgorithm, bytes: &[u8]) -> Self {
        let mut padded = [0; Self::MAX_BYTES];
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self { algorithm, bytes: padded }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.bytes()]
    }

    /// The longest text of a digest, in bytes.
    pub const MAX_TEXT_BYTES: usize = "sha512-of-hex:".len() + 128;

    /// The hash that made this digest.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The id of a session that begins with this digest: its first 16 bytes. A rotated session keeps its id, so take
    /// [`SessionRecord::id`](crate::SessionRecord::id) for that of a stored session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        let mut id = [0; SessionId::BYTES];
        id.copy_from_slice(&self.bytes[..SessionId::BYTES]);
        SessionId::from_bytes(id)
    }
}

/// All bytes, as numbers of eight.
fn words(bytes: &[u8; TokenDigest::MAX_BYTES]) -> impl Iterator<Item = u64> {
    const { assert!(TokenDigest::MAX_BYTES.is_multiple_of(8), "no bytes are left over") };
    bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word))
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        // Eight bytes at a time, to the end, whatever they are.
        let (left, right) = (words(&self.bytes), words(&other.bytes));
        let difference = left.zip(right).fold(0, |difference, (left, right)| difference | (left ^ right));
        self.algorithm == other.algorithm && bool::from(difference.ct_eq(&0))
    }
}

impl Eq for TokenDigest {}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, base16ct::lower::encode_string(self.bytes()))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({}:{}…)", self.algorithm, self.session_id())
    }
}

impl FromStr for TokenDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or(DigestError)?;
        let algorithm = name.parse::<HashAlgorithm>().map_err(|_| DigestError)?;
        let bytes = base16ct::lower::decode_vec(hex).map_err(|_| DigestError)?;
        if bytes.len() != algorithm.bytes() {
            return Err(DigestError);
        }
        Ok(Self::new(algorithm, &bytes))
    }
}

/// The string is not a [`TokenDigest`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token digest is `sha256:` and 64, or `sha512:` or `sha512-of-hex:` and 128, lower-case hexadecimal digits")]
pub struct DigestError;

readable_debug!(DigestError);

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(algorithm: HashAlgorithm, secret: &str) -> TokenDigest {
        algorithm.digest(&Secret::from_token(secret.to_owned()).unwrap()).unwrap()
    }

    /// The one-block examples of FIPS 180-4 that NIST publishes: the message is `abc`.
    #[test]
    fn digests_are_sha_2_of_the_string() {
        assert_eq!(
            digest(HashAlgorithm::Sha256, "abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest(HashAlgorithm::Sha512, "abc").to_string(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn the_digest_of_hexadecimal_is_that_of_its_bytes() {
        for secret in ["616263", "616263".to_uppercase().as_str()] {
            let (_, of_text) = digest(HashAlgorithm::Sha512, "abc").to_string().split_once(':').map(owned).unwrap();
            let of_hex = digest(HashAlgorithm::Sha512OfHex, secret).to_string();
            assert_eq!(of_hex, format!("sha512-of-hex:{of_text}"));
        }
        for secret in ["61626", "61626g", "é"] {
            let secret = Secret::from_token(secret.to_owned()).unwrap();
            assert_eq!(HashAlgorithm::Sha512OfHex.digest(&secret), None);
        }
    }

    fn owned((a, b): (&str, &str)) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn the_session_id_is_the_first_16_bytes() {
        let digest = digest(HashAlgorithm::Sha256, "abc");
        assert_eq!(digest.session_id().as_str(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(digest.session_id().as_str().parse(), Ok(digest.session_id()));
    }

    #[test]
    fn a_digest_is_written_and_read_as_a_string() {
        for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha512, HashAlgorithm::Sha512OfHex] {
            let digest = digest(algorithm, "616263");
            assert!(digest.to_string().len() <= TokenDigest::MAX_TEXT_BYTES);
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
    }

    #[test]
    fn digests_differ_by_any_bit_and_by_algorithm() {
        let one = digest(HashAlgorithm::Sha256, "abc");
        assert_ne!(one, digest(HashAlgorithm::Sha256, "abd"));
        assert_ne!(one, digest(HashAlgorithm::Sha512, "abc"));
    }

    #[test]
    fn rejects_what_is_not_a_digest() {
        let hex = "a".repeat(64);
        for text in [
            "",
            "sha256",
            "sha256:",
            &hex,
            &format!("md5:{hex}"),
            &format!("sha512:{hex}"),
            &format!("SHA256:{hex}"),
            &format!("sha256:{}", "A".repeat(64)),
            &format!("sha256:{hex}a"),
        ] {
            assert_eq!(text.parse::<TokenDigest>(), Err(DigestError), "{text}");
        }
    }

    #[test]
    fn debug_of_a_digest_shows_no_more_than_the_session_id() {
        let digest = digest(HashAlgorithm::Sha256, "abc");
        assert_eq!(format!("{digest:?}"), "TokenDigest(sha256:ba7816bf8f01cfea414140de5dae2223…)");
    }
}
