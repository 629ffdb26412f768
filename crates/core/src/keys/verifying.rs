//! The key that verifies.

use std::{fmt, path::Path, sync::Arc};

use jwt_simple::prelude::{UnixTimeStamp, VerificationOptions};
use zeroize::Zeroizing;

use crate::keys::{
    Algorithm,
    backend::{ParsedKey, PublicKey},
    error::{KeyError, SignatureError},
    identity::Identity,
    read::{self, Contents, EncodedKey},
};

/// A key that verifies tokens and signs none: a public key. Of HMAC it is the secret itself, which can sign as well.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, SigningKey, VerifyingKey};
///
/// let signing = SigningKey::generate(Algorithm::EdDsa)?;
/// let jwk: String = signing.verifying_key().to_jwk()?;
///
/// let verifying = VerifyingKey::from_jwk(Algorithm::EdDsa, &jwk)?;
/// assert_eq!(verifying.key_id(), signing.key_id());
///
/// let error = VerifyingKey::from_jwk(Algorithm::Es256, &jwk).unwrap_err();
/// assert_eq!(error.to_string(), "this is a key for EdDSA, not for ES256");
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    identity: Identity,
    public: Arc<dyn PublicKey>,
}

impl VerifyingKey {
    /// Reads a public key in PEM: SPKI (`BEGIN PUBLIC KEY`), or PKCS #1 for RSA (`BEGIN RSA PUBLIC KEY`).
    /// Text in front and other line breaks do no harm, as in [`SigningKey::from_pem`](crate::SigningKey::from_pem).
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. HMAC and ML-DSA keys are not written in PEM.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        Self::new(read::public(algorithm, EncodedKey::Pem(pem))?)
    }

    /// Reads a public key in DER: SPKI, or PKCS #1 for RSA.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. HMAC and ML-DSA keys are not written in DER.
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        Self::new(read::public(algorithm, EncodedKey::Der(der))?)
    }

    /// Reads a public JWK ([RFC 7517]), or one of kind `oct` for HMAC. Its `kid`, if it has one, is the key's id.
    ///
    /// [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. A private JWK is rejected: a service that verifies should not have it.
    pub fn from_jwk(algorithm: Algorithm, jwk: &str) -> Result<Self, KeyError> {
        Self::new(read::public(algorithm, EncodedKey::Jwk(jwk))?)
    }

    /// Takes the raw bytes of a key: the secret of HMAC, a point in SEC 1 form (ES256, ES384), the public key of
    /// Ed25519 (32 bytes) or ML-DSA.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. RSA keys have no such form.
    pub fn from_bytes(algorithm: Algorithm, bytes: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(read::public(algorithm, EncodedKey::Bytes(bytes.as_ref()))?)
    }

    /// Reads a key from a file: PEM, a JWK or DER, or raw bytes for HMAC. A line break at the end of a text and a byte
    /// order mark are not part of it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`] if there is no such file; otherwise what is wrong with the key.
    pub fn from_file(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let contents = Contents::from_file(algorithm, path.as_ref())?;
        Self::new(read::public(algorithm, EncodedKey::detect(algorithm, &contents))?)
    }

    /// Reads a key from an environment variable: PEM, a JWK or the base64 of a file with one, or the text itself for
    /// HMAC.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`] if there is no such variable; otherwise what is wrong with the key.
    pub fn from_env(algorithm: Algorithm, variable: &str) -> Result<Self, KeyError> {
        let contents = Contents::from_env(algorithm, variable)?;
        Self::new(read::public(algorithm, EncodedKey::detect(algorithm, &contents))?)
    }

    pub(super) fn new(parsed: ParsedKey<dyn PublicKey>) -> Result<Self, KeyError> {
        let thumbprint: Arc<str> = parsed.key.thumbprint().into();
        let key_id = parsed.key_id.unwrap_or_else(|| thumbprint.to_string());
        let identity = Identity { key_id: "".into(), algorithm: parsed.key.algorithm(), thumbprint };
        Self { identity, public: parsed.key }.with_key_id(key_id)
    }

    /// Names the key: it verifies tokens with that `kid`, 1 to 128 printable ASCII characters without spaces.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidKeyId`] if the name is not of that form.
    pub fn with_key_id(self, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let key_id = key_id.into();
        if !is_key_id(&key_id) {
            return Err(KeyError::InvalidKeyId);
        }
        Ok(Self { identity: Identity { key_id: key_id.into(), ..self.identity }, ..self })
    }

    /// The key's id: it verifies tokens that carry it as `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.identity.key_id
    }

    /// What tells it from other keys.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key's algorithm, which tokens must carry as `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.identity.algorithm
    }

    /// The public key as a JWK, with its id, its `alg` and `use` of `sig`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Symmetric`] for HMAC keys, which have no public form.
    pub fn to_jwk(&self) -> Result<String, KeyError> {
        self.public.to_jwk(self.key_id()).ok_or(KeyError::Symmetric)
    }

    /// The key as a JWK, also that of HMAC, which is secret.
    pub(super) fn to_any_jwk(&self) -> Option<Zeroizing<String>> {
        let secret = || self.public.to_secret_jwk(self.key_id());
        self.public.to_jwk(self.key_id()).map(Zeroizing::new).or_else(secret)
    }

    /// The public key in PEM, as SPKI. The id is not part of it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Symmetric`] for HMAC keys, which have no public form. [`KeyError::Unsupported`] for ML-DSA keys;
    /// export a JWK.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let algorithm = self.algorithm();
        if algorithm.is_symmetric() {
            return Err(KeyError::Symmetric);
        }
        match self.public.to_pem() {
            Ok(Some(pem)) => Ok(pem),
            Ok(None) | Err(_) => Err(KeyError::Unsupported { algorithm, encoding: "PEM" }),
        }
    }

    /// Tells whether the key has been dropped.
    #[cfg(test)]
    pub(super) fn watch(&self) -> std::sync::Weak<dyn PublicKey> {
        Arc::downgrade(&self.public)
    }

    /// Checks the signature of `token`, whose header has been judged, and none of its claims.
    pub(crate) fn verify_signature(&self, token: &str, max_bytes: usize) -> Result<(), SignatureError> {
        // The claims are judged in `jwt`, by one clock and one leeway. These options keep the library from judging
        // them: at the epoch, without tolerance and with the future accepted, nothing is early or late.
        let options = VerificationOptions {
            accept_future: true,
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            time_tolerance: None,
            max_token_length: Some(max_bytes),
            ..Default::default()
        };
        self.public.verify(token, options)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm(), self.key_id())
    }
}

/// 1 to 128 printable ASCII characters without spaces.
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
