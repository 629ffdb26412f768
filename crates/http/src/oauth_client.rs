//! The services that may ask about tokens, and how they prove who they are.

use std::{error::Error, fmt};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use percent_encoding::percent_decode;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A service that may ask about tokens: its id, and the hash of its secret. See
/// [`KnoxHttpBuilder::oauth_clients`](crate::KnoxHttpBuilder::oauth_clients).
///
/// The hash is plain SHA-256, which is right for a secret of 256 random bits, as [`OAuthClientSecret::generate`] makes
/// it, and wrong for a password that a person has chosen: whoever reads the hash would guess that.
#[derive(Clone)]
pub struct OAuthClient {
    id: String,
    hash: [u8; 32],
}

impl OAuthClient {
    /// The client with that id, and with the secret of that hash: `sha256:` and 64 hexadecimal digits in lower case.
    ///
    /// # Errors
    ///
    /// [`OAuthClientError::Id`] unless the id is 1 to 255 bytes of printable ASCII, [`OAuthClientError::Hash`] if
    /// `hash` is malformed, or is the hash of an empty secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox_http::{OAuthClient, OAuthClientSecret};
    ///
    /// let secret = OAuthClientSecret::generate()?;
    /// let client = OAuthClient::new("orders", &secret.hash())?;
    /// # Ok::<(), jwt_knox_http::OAuthClientError>(())
    /// ```
    pub fn new(id: impl Into<String>, hash: &str) -> Result<Self, OAuthClientError> {
        let id = id.into();
        let is_printable = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if id.is_empty() || id.len() > Self::MAX_ID_BYTES || !is_printable {
            return Err(OAuthClientError::Id);
        }
        let hex = hash.strip_prefix(PREFIX).ok_or(OAuthClientError::Hash)?;
        let hash = base16ct::lower::decode_vec(hex).ok().and_then(|bytes| bytes.try_into().ok());
        let hash = hash.filter(|hash| *hash != sha256("")).ok_or(OAuthClientError::Hash)?;
        Ok(Self { id, hash })
    }

    const MAX_ID_BYTES: usize = 255;

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthClient").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What stands in front of the digits of a hash.
const PREFIX: &str = "sha256:";

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The secret of a [`OAuthClient`], which the service gets and the issuer does not keep. `Debug` is redacted, and it is
/// wiped from memory when dropped.
#[derive(Clone)]
pub struct OAuthClientSecret(Zeroizing<String>);

impl OAuthClientSecret {
    /// A new secret: 256 random bits in base64url, which has no character that HTTP Basic would need encoded.
    ///
    /// # Errors
    ///
    /// [`OAuthClientError::Random`] if the operating system has no random bytes.
    pub fn generate() -> Result<Self, OAuthClientError> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(|error| OAuthClientError::Random(error.into()))?;
        Ok(Self(Zeroizing::new(Base64UrlUnpadded::encode_string(&*random))))
    }

    /// The secret itself, for the settings of the service.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its hash, for the settings of the issuer: `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        format!("{PREFIX}{}", base16ct::lower::encode_string(&sha256(&self.0)))
    }
}

impl fmt::Debug for OAuthClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OAuthClientSecret(redacted)")
    }
}

/// Why there is no [`OAuthClient`], or no [`OAuthClientSecret`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthClientError {
    /// The id is empty, too long, or not printable ASCII.
    #[error("the id of a client is 1 to 255 bytes of printable ASCII")]
    Id,
    /// The hash is malformed, or that of an empty secret.
    #[error(
        "the hash of a client's secret is `sha256:` and 64 lower-case hexadecimal digits, and not of an empty secret"
    )]
    Hash,
    /// There are no random bytes.
    #[error("the random source of the operating system failed")]
    Random(#[source] Box<dyn Error + Send + Sync>),
}

/// All clients of an issuer.
pub(crate) struct OAuthClients(Vec<OAuthClient>);

impl OAuthClients {
    pub(crate) fn new(clients: impl IntoIterator<Item = OAuthClient>) -> Self {
        Self(clients.into_iter().collect())
    }

    /// Whether these are the id and the secret of one of the clients. It takes the same time for all of them, and for
    /// an id that is not there.
    pub(crate) fn authenticate(&self, presented: Option<&ClientCredentials>) -> bool {
        let Some(ClientCredentials { id, secret }) = presented else { return false };
        let hash = sha256(secret);
        let is_one = |client: &OAuthClient| client.id.as_bytes().ct_eq(id.as_bytes()) & client.hash.ct_eq(&hash);
        self.0.iter().fold(Choice::from(0), |found, client| found | is_one(client)).into()
    }
}

/// An id and a secret that a service has sent.
pub(crate) struct ClientCredentials {
    id: String,
    secret: Zeroizing<String>,
}

impl ClientCredentials {
    /// What stands behind `Basic` (RFC 6749 §2.3.1): as in RFC 7617, with id and secret form-urlencoded before that.
    /// `None`: it cannot be read.
    pub(crate) fn from_basic(encoded: &[u8]) -> Option<Self> {
        const MAX_ENCODED_BYTES: usize = 4096;
        if encoded.len() > MAX_ENCODED_BYTES {
            return None;
        }
        let decoded = Zeroizing::new(Base64::decode_vec(std::str::from_utf8(encoded).ok()?).ok()?);
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Self { id: form_decoded(id)?, secret: Zeroizing::new(form_decoded(secret)?) })
    }
}

/// One name or value of a form (RFC 6749 Appendix B).
fn form_decoded(text: &str) -> Option<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(secret: &str) -> String {
        OAuthClientSecret(Zeroizing::new(secret.to_owned())).hash()
    }

    fn knows(clients: &OAuthClients, basic: &str) -> bool {
        let credentials = ClientCredentials::from_basic(Base64::encode_string(basic.as_bytes()).as_bytes());
        clients.authenticate(credentials.as_ref())
    }

    #[test]
    fn a_client_is_known_by_its_id_and_its_secret() {
        let clients = [("orders", "one"), ("orders", "two"), ("https://b.example/ +%", "a:b +%é")];
        let clients = OAuthClients::new(clients.map(|(id, secret)| OAuthClient::new(id, &hash(secret)).unwrap()));
        for basic in [
            "orders:one",
            "orders:two",
            "%6Frders:on%65",
            "https%3A%2F%2Fb.example%2F+%2B%25:a%3Ab%20%2B%25%C3%A9",
            "https%3a%2f%2fb.example/+%2B%25:a:b+%2B%25é",
        ] {
            assert!(knows(&clients, basic), "{basic}");
        }
        for basic in [
            "",
            ":",
            "orders",
            "orders:",
            ":one",
            "orders:One",
            "Orders:one",
            "orders:one ",
            "orders:%6ene%00",
            "nobody:one",
            "orders:one:",
            "https://b.example/ +%:a:b +%é",
            "orders:%ff",
            "orders:on%FF",
            "orders%00:one",
        ] {
            assert!(!knows(&clients, basic), "{basic}");
        }
        assert!(!OAuthClients::new([]).authenticate(ClientCredentials::from_basic(b"YTpi").as_ref()));
    }

    #[test]
    fn basic_that_cannot_be_read_is_nobody() {
        let long = Base64::encode_string(&[b'a'; 4096]);
        for encoded in ["", "YTpi=", "YT pi", "****", "YQ==", "/zo=", long.as_str()] {
            assert!(ClientCredentials::from_basic(encoded.as_bytes()).is_none(), "{encoded}");
        }
    }

    #[test]
    fn a_generated_secret_has_256_bits_and_the_hash_that_tools_make() {
        let (one, other) = (OAuthClientSecret::generate().unwrap(), OAuthClientSecret::generate().unwrap());
        assert_eq!(Base64UrlUnpadded::decode_vec(one.expose()).unwrap().len(), 32);
        assert_ne!(one.expose(), other.expose());
        let clients = OAuthClients::new([OAuthClient::new("a", &one.hash()).unwrap()]);
        assert!(knows(&clients, &format!("a:{}", one.expose())) && !knows(&clients, &format!("a:{}", other.expose())));
        // FIPS 180-4.
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc"), abc);
    }

    #[test]
    fn ids_and_hashes_are_checked() {
        let good = hash("x");
        for id in ["", "a\n", "é", "a\u{7f}", &"a".repeat(256)] {
            assert!(matches!(OAuthClient::new(id, &good), Err(OAuthClientError::Id)), "{id:?}");
        }
        for hash in ["", "x", &good[7..], &good.to_uppercase(), &good[..70], &format!("{good}0"), &hash("")] {
            assert!(matches!(OAuthClient::new("a", hash), Err(OAuthClientError::Hash)), "{hash:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = OAuthClientSecret::generate().unwrap();
        assert_eq!(format!("{secret:?}"), "OAuthClientSecret(redacted)");
        assert_eq!(format!("{:?}", OAuthClient::new("a", &secret.hash()).unwrap()), r#"OAuthClient { id: "a", .. }"#);
    }
}
