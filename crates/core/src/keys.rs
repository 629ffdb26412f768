//! The keys that sign and verify, and the ring that holds them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_simple::{
    Error as LibraryError,
    prelude::{HS256Key, HS384Key, HS512Key, JWTClaims, MACLike, NoCustomClaims, UnixTimeStamp, VerificationOptions},
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::KeyError;

/// A key that signs tokens, and verifies them.
///
/// The key fixes the algorithm; the `alg` of a token is only ever compared with it ([RFC 8725 §3.1]). The key's id goes
/// into the `kid` of each token; unless given, it is the key's thumbprint ([RFC 7638]).
///
/// `Debug` shows the algorithm and the id, and the key is wiped from memory when the last copy is dropped.
///
/// [RFC 8725 §3.1]: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
/// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638
///
/// # Examples
///
/// ```
/// use jwt_knox::SigningKey;
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?.with_key_id("2026-11")?;
/// assert_eq!(key.algorithm(), "HS256");
/// assert_eq!(key.key_id(), "2026-11");
///
/// let error = SigningKey::hs256("too short").unwrap_err();
/// assert!(error.to_string().contains("at least 32 bytes"));
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    key_id: Arc<str>,
    inner: Arc<Inner>,
}

/// One variant for each algorithm of RFC 7518 §3.2 that is offered.
enum Inner {
    Hs256(HS256Key),
    Hs384(HS384Key),
    Hs512(HS512Key),
}

impl SigningKey {
    /// HMAC with SHA-256. `key` needs at least 32 bytes ([RFC 7518 §3.2]), from a random generator.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 32 bytes.
    pub fn hs256(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let bytes = long_enough("HS256", key.as_ref(), 32)?;
        Ok(Self::new(bytes, Inner::Hs256(HS256Key::from_bytes(bytes))))
    }

    /// HMAC with SHA-384. `key` needs at least 48 bytes ([RFC 7518 §3.2]), from a random generator.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 48 bytes.
    pub fn hs384(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let bytes = long_enough("HS384", key.as_ref(), 48)?;
        Ok(Self::new(bytes, Inner::Hs384(HS384Key::from_bytes(bytes))))
    }

    /// HMAC with SHA-512. `key` needs at least 64 bytes ([RFC 7518 §3.2]), from a random generator.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 64 bytes.
    pub fn hs512(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let bytes = long_enough("HS512", key.as_ref(), 64)?;
        Ok(Self::new(bytes, Inner::Hs512(HS512Key::from_bytes(bytes))))
    }

    fn new(bytes: &[u8], inner: Inner) -> Self {
        let key_id = symmetric_thumbprint(bytes);
        Self { inner: Arc::new(inner.with_key_id(&key_id)), key_id: key_id.into() }
    }

    /// Names the key: the `kid` of its tokens, 1 to 128 printable ASCII characters without spaces.
    ///
    /// Tokens that the key has signed under another name are refused from then on. To rename a key in use, put it into the
    /// [`KeyRing`] under both names.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidKeyId`] if the name is not of that form.
    pub fn with_key_id(self, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let key_id = key_id.into();
        if !is_key_id(&key_id) {
            return Err(KeyError::InvalidKeyId);
        }
        Ok(Self { inner: Arc::new(self.inner.with_key_id(&key_id)), key_id: key_id.into() })
    }

    /// The key's id, which its tokens carry as `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key's algorithm, which its tokens carry as `alg`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &*self.inner {
            Inner::Hs256(_) => HS256Key::jwt_alg_name(),
            Inner::Hs384(_) => HS384Key::jwt_alg_name(),
            Inner::Hs512(_) => HS512Key::jwt_alg_name(),
        }
    }

    /// Signs `claims` as a JWT in compact form.
    pub(crate) fn sign(&self, claims: Map<String, Value>) -> Result<String, LibraryError> {
        // The library's own fields stay empty: all claims are ours, so that times are exact and names can change.
        let claims = JWTClaims {
            issued_at: None,
            expires_at: None,
            invalid_before: None,
            issuer: None,
            subject: None,
            audiences: None,
            jwt_id: None,
            nonce: None,
            custom: claims,
        };
        match &*self.inner {
            Inner::Hs256(key) => key.authenticate(claims),
            Inner::Hs384(key) => key.authenticate(claims),
            Inner::Hs512(key) => key.authenticate(claims),
        }
    }

    /// Checks the signature, `alg`, `crit` and `typ` of `token`, and none of its claims.
    pub(crate) fn verify_signature(&self, token: &str, max_bytes: usize) -> Result<(), LibraryError> {
        // The claims are judged in `jwt`, by one clock and one leeway. These options keep the library from judging them:
        // at the epoch, without tolerance and with the future accepted, nothing is early or late.
        let options = VerificationOptions {
            accept_future: true,
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            time_tolerance: None,
            max_token_length: Some(max_bytes),
            ..Default::default()
        };
        match &*self.inner {
            Inner::Hs256(key) => key.verify_token::<NoCustomClaims>(token, Some(options)).map(drop),
            Inner::Hs384(key) => key.verify_token::<NoCustomClaims>(token, Some(options)).map(drop),
            Inner::Hs512(key) => key.verify_token::<NoCustomClaims>(token, Some(options)).map(drop),
        }
    }
}

impl Inner {
    fn with_key_id(&self, key_id: &str) -> Self {
        match self {
            Self::Hs256(key) => Self::Hs256(key.clone().with_key_id(key_id)),
            Self::Hs384(key) => Self::Hs384(key.clone().with_key_id(key_id)),
            Self::Hs512(key) => Self::Hs512(key.clone().with_key_id(key_id)),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {}, redacted)", self.algorithm(), self.key_id)
    }
}

/// The keys that are accepted: one signs, all verify, each under its `kid`.
///
/// To change the signing key without logging anybody out, sign with the new one and keep the old one in the ring until its
/// last token has expired.
///
/// # Examples
///
/// ```
/// use jwt_knox::{KeyRing, SigningKey};
///
/// let old = SigningKey::hs256("last year's key, of 32 bytes or more")?;
/// let new = SigningKey::hs256("this year's key, of 32 bytes or more")?;
/// let ring = KeyRing::new(new).and_verify_with(old)?;
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyRing {
    signing: SigningKey,
    verifying: BTreeMap<Arc<str>, SigningKey>,
}

impl KeyRing {
    /// A ring of one key, which signs and verifies.
    #[must_use]
    pub fn new(signing: SigningKey) -> Self {
        let verifying = BTreeMap::from([(signing.key_id.clone(), signing.clone())]);
        Self { signing, verifying }
    }

    /// Adds a key that verifies only.
    ///
    /// # Errors
    ///
    /// [`KeyError::DuplicateKeyId`] if the ring has a key of that id.
    pub fn and_verify_with(mut self, key: SigningKey) -> Result<Self, KeyError> {
        if self.verifying.contains_key(&key.key_id) {
            return Err(KeyError::DuplicateKeyId { key_id: key.key_id.to_string() });
        }
        self.verifying.insert(key.key_id.clone(), key);
        Ok(self)
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key for a token with that `kid`. A token without one can only mean the one key of a ring of one.
    pub(crate) fn verifying(&self, key_id: Option<&str>) -> Option<&SigningKey> {
        match key_id {
            Some(key_id) => self.verifying.get(key_id),
            None if self.verifying.len() == 1 => Some(&self.signing),
            None => None,
        }
    }
}

impl From<SigningKey> for KeyRing {
    fn from(key: SigningKey) -> Self {
        Self::new(key)
    }
}

fn long_enough<'a>(algorithm: &'static str, key: &'a [u8], min: usize) -> Result<&'a [u8], KeyError> {
    if key.len() < min {
        return Err(KeyError::TooShort { algorithm, bytes: key.len(), min });
    }
    Ok(key)
}

/// The JWK thumbprint of a symmetric key (RFC 7638 §3.2: the members `k` and `kty`, in this order).
///
/// A thumbprint lets a weak key be guessed offline (RFC 7638 §7), but so does any token that the key has signed.
fn symmetric_thumbprint(key: &[u8]) -> String {
    let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(key));
    let jwk = Zeroizing::new(format!(r#"{{"k":"{}","kty":"oct"}}"#, *encoded));
    Base64UrlUnpadded::encode_string(&Sha256::digest(jwk.as_bytes()))
}

fn is_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shorter_than_its_hash_is_refused() {
        let too_short = |algorithm, bytes, min| Some(KeyError::TooShort { algorithm, bytes, min });
        assert_eq!(SigningKey::hs256([1; 31]).err(), too_short("HS256", 31, 32));
        assert_eq!(SigningKey::hs384([1; 47]).err(), too_short("HS384", 47, 48));
        assert_eq!(SigningKey::hs512([1; 63]).err(), too_short("HS512", 63, 64));
        assert_eq!(SigningKey::hs256([]).err(), too_short("HS256", 0, 32));
        assert!(SigningKey::hs256([1; 32]).is_ok());
        assert!(SigningKey::hs384([1; 48]).is_ok());
        assert!(SigningKey::hs512([1; 64]).is_ok());
    }

    #[test]
    fn the_key_id_is_the_thumbprint_unless_given() {
        // SHA-256 of {"k":"AQEB…","kty":"oct"}, worked out with another implementation.
        let key = SigningKey::hs256([1; 32]).unwrap();
        assert_eq!(key.key_id(), "qxCHshN8PwafMF-QBPVzXD3S4bHcXL78UW4f8SjvPZg");
        assert_eq!(key.key_id(), SigningKey::hs256([1; 32]).unwrap().key_id());
        assert_ne!(key.key_id(), SigningKey::hs256([2; 32]).unwrap().key_id());
        assert_eq!(key.with_key_id("k1").unwrap().key_id(), "k1");
    }

    #[test]
    fn key_ids_are_bounded_and_printable() {
        for key_id in ["", "a b", "é", "a\n", &"x".repeat(129)] {
            let key = SigningKey::hs256([1; 32]).unwrap();
            assert_eq!(key.with_key_id(key_id).err(), Some(KeyError::InvalidKeyId), "{key_id:?}");
        }
    }

    #[test]
    fn a_ring_has_one_key_for_each_id() {
        let key = |byte| SigningKey::hs256([byte; 32]).unwrap();
        let ring = KeyRing::new(key(1)).and_verify_with(key(2)).unwrap();
        assert_eq!(ring.verifying(Some(key(2).key_id())).unwrap().key_id(), key(2).key_id());
        assert!(ring.verifying(Some("other")).is_none());
        assert!(ring.verifying(None).is_none());
        assert!(KeyRing::new(key(1)).verifying(None).is_some());
        assert!(matches!(ring.and_verify_with(key(1)), Err(KeyError::DuplicateKeyId { .. })));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let ring = KeyRing::new(SigningKey::hs256([b'K'; 32]).unwrap().with_key_id("k1").unwrap());
        let debug = format!("{ring:?}");
        assert!(debug.contains("HS256 k1, redacted"));
        assert!(!debug.contains("KKKK") && !debug.contains("75, 75"));
    }
}
