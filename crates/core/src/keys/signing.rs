//! The key that signs.

use std::{fmt, path::Path, sync::Arc};

use jwt_simple::prelude::JWTClaims;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    error::BoxError,
    keys::{
        Algorithm, VerifyingKey,
        backend::{self, ParsedKey, PrivateKey},
        error::KeyError,
        read::{self, Contents, EncodedKey},
        symmetric,
    },
    random::fill_from_os,
};

/// A key that signs tokens, and verifies them.
///
/// The key fixes the algorithm; the `alg` of a token is only ever compared with it ([RFC 8725 §3.1]). The key's id goes
/// into the `kid` of each token; unless given, or found in a JWK, it is the key's thumbprint ([RFC 7638]).
///
/// A service that only verifies should have the [`VerifyingKey`] and not this one.
///
/// `Debug` shows the algorithm and the id. HMAC, elliptic and RSA keys are wiped from memory when the last copy is
/// dropped; of ML-DSA keys, the signing library leaves a part.
///
/// [RFC 8725 §3.1]: https://www.rfc-editor.org/rfc/rfc8725#section-3.1
/// [RFC 7638]: https://www.rfc-editor.org/rfc/rfc7638
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, SigningKey};
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?.with_key_id("2026-11")?;
/// assert_eq!(key.algorithm(), Algorithm::Hs256);
/// assert_eq!(key.key_id(), "2026-11");
///
/// let error = SigningKey::hs256("too short").unwrap_err();
/// assert!(error.to_string().contains("at least 32 bytes"));
///
/// // A key pair: this server signs, and whoever has the public key can verify.
/// let key = SigningKey::generate(Algorithm::Es256)?;
/// let public_key: String = key.verifying_key().to_pem()?;
/// # Ok::<(), jwt_knox::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    private: Arc<dyn PrivateKey>,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// HMAC with SHA-256. `key` needs at least 32 bytes ([RFC 7518 §3.2]), from a random generator. Each byte counts, a
    /// line break at the end included; [`from_env`](Self::from_env) and [`from_file`](Self::from_file) take that off.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 32 bytes; [`KeyError::NotASecret`] if it has a PEM, a JWK or another key in it.
    pub fn hs256(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_bytes(Algorithm::Hs256, key)
    }

    /// HMAC with SHA-384. `key` needs at least 48 bytes ([RFC 7518 §3.2]), from a random generator.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 48 bytes; [`KeyError::NotASecret`] if it has a PEM, a JWK or another key in it.
    pub fn hs384(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_bytes(Algorithm::Hs384, key)
    }

    /// HMAC with SHA-512. `key` needs at least 64 bytes ([RFC 7518 §3.2]), from a random generator.
    ///
    /// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under 64 bytes; [`KeyError::NotASecret`] if it has a PEM, a JWK or another key in it.
    pub fn hs512(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_bytes(Algorithm::Hs512, key)
    }

    /// A new random key. RSA keys have 3072 bits, and take seconds to make.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`] if the random source fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        if let Some(min) = symmetric::min_bytes(algorithm) {
            let mut bytes = Zeroizing::new(vec![0; min]);
            fill_from_os(&mut bytes).map_err(KeyError::Generation)?;
            return Self::from_bytes(algorithm, &*bytes);
        }
        let key = backend::generate(algorithm).ok_or(KeyError::UnknownAlgorithm)?;
        Self::new(ParsedKey { key: key.map_err(|error| KeyError::Generation(error.into()))?, key_id: None })
    }

    /// Reads a private key in PEM: PKCS #8 (`BEGIN PRIVATE KEY`), PKCS #1 for RSA (`BEGIN RSA PRIVATE KEY`), or SEC 1
    /// for ECDSA (`BEGIN EC PRIVATE KEY`).
    ///
    /// Text in front, a byte order mark, lines of any length and line breaks that are missing or written as `\n` do no
    /// harm.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. HMAC and ML-DSA keys are not written in PEM.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        Self::new(read::private(algorithm, EncodedKey::Pem(pem))?)
    }

    /// Reads a private key in DER: PKCS #8, also with its public key attached (RFC 5958), PKCS #1 or SEC 1.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. HMAC and ML-DSA keys are not written in DER.
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        Self::new(read::private(algorithm, EncodedKey::Der(der))?)
    }

    /// Reads a private JWK ([RFC 7517]): `kty` of `oct`, `EC`, `OKP`, `RSA` or `AKP`. Its `kid`, if it has one, is the
    /// key's id.
    ///
    /// [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong, such as an `alg` or a curve of another algorithm, or a `use` other than `sig`.
    pub fn from_jwk(algorithm: Algorithm, jwk: &str) -> Result<Self, KeyError> {
        Self::new(read::private(algorithm, EncodedKey::Jwk(jwk))?)
    }

    /// Takes the raw bytes of a key: the secret of HMAC, the private scalar of ES256 (32 bytes) and ES384 (48), the
    /// seed and the public key of Ed25519 (64), the seed of ML-DSA (32).
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong. RSA keys have no such form.
    pub fn from_bytes(algorithm: Algorithm, bytes: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::new(read::private(algorithm, EncodedKey::Bytes(bytes.as_ref()))?)
    }

    /// Reads a key from a file: PEM, a JWK or DER, or raw bytes for HMAC. A line break at the end of a text and a byte
    /// order mark are not part of it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`] if there is no such file; otherwise what is wrong with the key.
    pub fn from_file(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let contents = Contents::from_file(algorithm, path.as_ref())?;
        Self::new(read::private(algorithm, EncodedKey::detect(algorithm, &contents))?)
    }

    /// Reads a key from an environment variable: PEM, a JWK or the base64 of a file with one, or the text itself for
    /// HMAC.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unreadable`] if there is no such variable; otherwise what is wrong with the key.
    pub fn from_env(algorithm: Algorithm, variable: &str) -> Result<Self, KeyError> {
        let contents = Contents::from_env(algorithm, variable)?;
        Self::new(read::private(algorithm, EncodedKey::detect(algorithm, &contents))?)
    }

    fn new(parsed: ParsedKey<dyn PrivateKey>) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::new(ParsedKey { key: parsed.key.public(), key_id: parsed.key_id })?;
        Self::named(&*parsed.key, verifying)
    }

    /// The key under the name that `verifying` has.
    fn named(private: &dyn PrivateKey, verifying: VerifyingKey) -> Result<Self, KeyError> {
        let private = private.named(verifying.key_id()).map_err(|_| KeyError::malformed(private.algorithm(), "raw"))?;
        Ok(Self { private, verifying })
    }

    /// Names the key: the `kid` of its tokens, 1 to 128 printable ASCII characters without spaces.
    ///
    /// Tokens that the key has signed under another name are rejected from then on. To rename a key in use, put it into
    /// the [`KeyRing`](crate::KeyRing) under both names.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidKeyId`] if the name is not of that form.
    pub fn with_key_id(self, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let verifying = self.verifying.clone().with_key_id(key_id)?;
        Self::named(&*self.private, verifying)
    }

    /// The key's id, which its tokens carry as `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.verifying.key_id()
    }

    /// The key's algorithm, which its tokens carry as `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.private.algorithm()
    }

    /// The key that verifies what this one has signed: the public key or, for HMAC, this key itself.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    /// The private key as a JWK, with its id.
    #[must_use]
    pub fn to_jwk(&self) -> ExportedKey {
        ExportedKey::new(self.private.to_jwk())
    }

    /// The private key in PEM, as PKCS #8. The id is not part of it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] for HMAC and ML-DSA keys; export a JWK.
    pub fn to_pem(&self) -> Result<ExportedKey, KeyError> {
        let unsupported = KeyError::Unsupported { algorithm: self.algorithm(), encoding: "PEM" };
        match self.private.to_pem() {
            Ok(Some(pem)) => Ok(ExportedKey::new(pem)),
            Ok(None) | Err(_) => Err(unsupported),
        }
    }

    /// Tells whether the private key has been dropped.
    #[cfg(test)]
    pub(super) fn watch(&self) -> std::sync::Weak<dyn PrivateKey> {
        Arc::downgrade(&self.private)
    }

    /// Signs `claims` as a JWT in compact form.
    pub(crate) fn sign(&self, claims: Map<String, Value>) -> Result<String, BoxError> {
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
        self.private.sign(claims).map_err(Into::into)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {}, redacted)", self.algorithm(), self.key_id())
    }
}

/// A private key as text, made by [`SigningKey::to_jwk`](crate::SigningKey::to_jwk) or
/// [`to_pem`](crate::SigningKey::to_pem). Whoever has it can sign.
///
/// It has no `Display`, its `Debug` is redacted, and it is wiped from memory when dropped.
pub struct ExportedKey(Zeroizing<String>);

impl ExportedKey {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The key as text. Keep it where only the server that signs can read it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExportedKey(redacted)")
    }
}
