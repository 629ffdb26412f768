//! What a token looks like: the names of its claims, and how its secret is made, written and hashed.

use std::borrow::Cow;

use crate::{
    error::ConfigError,
    token::{
        digest::HashAlgorithm,
        secret::{Secret, SecretEncoding, SecretForm},
    },
};

/// What a token looks like: the names of the claims that are the library's own, and how the secret is made, written and
/// hashed.
///
/// The names of the registered claims `iss`, `aud`, `exp`, `nbf` and `iat` cannot be changed.
///
/// # Examples
///
/// ```
/// use jwt_knox::{ClaimNames, TokenFormat};
///
/// let names = ClaimNames { subject: "uid".into(), secret: "sec".into(), ..ClaimNames::default() };
/// let format = TokenFormat::default().claim_names(names)?.secret_prefix("acme_")?;
/// # Ok::<(), jwt_knox::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenFormat {
    names: ClaimNames,
    secret: SecretForm,
    /// Whether tokens say which session they belong to, in `sid`.
    has_session_id: bool,
    /// The hash of new secrets.
    hash: HashAlgorithm,
    /// The hash that a token means which names none.
    implied_hash: HashAlgorithm,
}

/// The names of the claims that are the library's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The claim that says who the session is for. Default: `sub`.
    pub subject: Cow<'static, str>,
    /// The claim that carries the secret. Default: `jti`.
    pub secret: Cow<'static, str>,
    /// The claim that lists scopes. Default: `scope`.
    pub scope: Cow<'static, str>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { subject: "sub".into(), secret: "jti".into(), scope: "scope".into() }
    }
}

impl ClaimNames {
    fn all(&self) -> [&str; 3] {
        [&self.subject, &self.secret, &self.scope]
    }
}

/// The claims that an application cannot set: the library writes them, or the signing library reads them (`nonce`).
/// `jti_alg` is private to this one: the hash of the secret, where that is not the one implied.
const RESERVED: [&str; 11] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "jti_alg", "nonce", "scope", "sid"];

/// Claims of a fixed meaning, whose names none of the library's own may take.
const FIXED: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "jti_alg", "nonce", "sid"];

impl TokenFormat {
    /// The longest prefix of a secret, in bytes.
    const MAX_PREFIX_BYTES: usize = 32;

    /// Tokens and digests as drf-jwt-knox has them beside django-rest-knox 5: the subject in `username`, a hexadecimal
    /// secret in `jti`, hashed with SHA-512.
    ///
    /// With it, a server of this library and one of drf-jwt-knox accept each other's tokens, if they share the key
    /// (HS256), the issuer, the audience and the table of sessions. A subject is then a user name: a user who changes
    /// it is logged out.
    pub fn drf_jwt_knox() -> Self {
        Self {
            names: ClaimNames { subject: "username".into(), ..ClaimNames::default() },
            secret: SecretForm { encoding: SecretEncoding::Hex, ..Self::default().secret },
            has_session_id: true,
            hash: HashAlgorithm::Sha512,
            implied_hash: HashAlgorithm::Sha512,
        }
    }

    /// As [`drf_jwt_knox`](Self::drf_jwt_knox), with the digests of django-rest-knox 4, which hashes the bytes that the
    /// hexadecimal secret stands for.
    pub fn drf_jwt_knox_4() -> Self {
        Self { hash: HashAlgorithm::Sha512OfHex, implied_hash: HashAlgorithm::Sha512OfHex, ..Self::drf_jwt_knox() }
    }

    /// The names of the claims. Tokens with other names are rejected.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ClaimNames`] if two are the same, one is empty, or one is that of a claim whose meaning is fixed.
    pub fn claim_names(self, names: ClaimNames) -> Result<Self, ConfigError> {
        let [subject, secret, scope] = names.all();
        let is_free = |name: &str| !name.is_empty() && !FIXED.contains(&name);
        let are_free = [subject, secret, scope].into_iter().all(is_free);
        if !are_free || subject == secret || subject == scope || secret == scope {
            return Err(ConfigError::ClaimNames);
        }
        Ok(Self { names, ..self })
    }

    /// The hash of new secrets. Sessions under another one stay valid. Default: SHA-256.
    ///
    /// # Errors
    ///
    /// [`ConfigError::HexSecrets`] if the hash needs hexadecimal secrets and these are not.
    pub fn hash(self, hash: HashAlgorithm) -> Result<Self, ConfigError> {
        Self { hash, ..self }.checked_hash()
    }

    /// How many random bytes a secret has, 16 to 128. Default: 32.
    ///
    /// # Errors
    ///
    /// [`ConfigError::SecretBytes`] if it is fewer or more.
    pub fn secret_bytes(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if !Secret::BYTES.contains(&bytes) {
            return Err(ConfigError::SecretBytes);
        }
        self.secret.bytes = bytes;
        Ok(self)
    }

    /// What each secret begins with, so that scanners of leaked secrets can tell where it is from. At most 32 letters,
    /// digits and the characters `-`, `_` and `.`. Default: nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError::SecretPrefix`] if it is longer or has other characters, [`ConfigError::HexSecrets`] if the hash
    /// needs hexadecimal secrets.
    pub fn secret_prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let prefix = prefix.into();
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if prefix.len() > Self::MAX_PREFIX_BYTES || !is_plain {
            return Err(ConfigError::SecretPrefix);
        }
        self.secret.prefix = prefix;
        self.checked_hash()
    }

    /// Leaves `sid` out, for a store on a table of another library, which keeps the digest and no session id. The id of
    /// a session then follows from the present secret: it changes at a rotation, which knows no grace. With a store
    /// that keeps ids, such as those of this library, a rotation would lose the session.
    pub fn without_session_id(self) -> Self {
        Self { has_session_id: false, ..self }
    }

    /// A hash of hexadecimal secrets goes with nothing else.
    fn checked_hash(self) -> Result<Self, ConfigError> {
        let is_hex = self.secret.encoding == SecretEncoding::Hex && self.secret.prefix.is_empty();
        if self.hash == HashAlgorithm::Sha512OfHex && !is_hex { Err(ConfigError::HexSecrets) } else { Ok(self) }
    }

    pub(crate) fn names(&self) -> &ClaimNames {
        &self.names
    }

    pub(crate) fn secret_form(&self) -> &SecretForm {
        &self.secret
    }

    pub(crate) fn has_session_id(&self) -> bool {
        self.has_session_id
    }

    pub(crate) fn new_hash(&self) -> HashAlgorithm {
        self.hash
    }

    pub(crate) fn implied_hash(&self) -> HashAlgorithm {
        self.implied_hash
    }

    /// Whether a claim of that name is the library's own in other formats, and means nothing in this one.
    pub(crate) fn is_unused(&self, name: &str) -> bool {
        match name {
            "nonce" => true,
            "sid" => !self.has_session_id,
            "sub" | "jti" | "scope" => !self.names.all().contains(&name),
            _ => false,
        }
    }

    /// Whether an application may not put a claim of that name into a token of this format.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        is_always_reserved(name) || self.names.all().contains(&name)
    }
}

impl Default for TokenFormat {
    fn default() -> Self {
        Self {
            names: ClaimNames::default(),
            secret: SecretForm { bytes: 32, prefix: "".into(), encoding: SecretEncoding::Base64Url },
            has_session_id: true,
            hash: HashAlgorithm::default(),
            implied_hash: HashAlgorithm::default(),
        }
    }
}

/// Whether the name is taken in tokens of every format.
pub(crate) fn is_always_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(subject: &'static str, secret: &'static str, scope: &'static str) -> Result<TokenFormat, ConfigError> {
        let names = ClaimNames { subject: subject.into(), secret: secret.into(), scope: scope.into() };
        TokenFormat::default().claim_names(names)
    }

    #[test]
    fn the_names_of_claims_are_free_and_different() {
        assert!(named("uid", "sub", "jti").is_ok());
        for [subject, secret, scope] in [
            ["", "jti", "scope"],
            ["exp", "jti", "scope"],
            ["sub", "nonce", "scope"],
            ["jti", "jti", "scope"],
            ["sub", "jti", "sub"],
            ["sub", "a", "a"],
        ] {
            assert_eq!(named(subject, secret, scope), Err(ConfigError::ClaimNames), "{subject} {secret} {scope}");
        }
    }

    #[test]
    fn rejects_invalid_secrets() {
        let format = TokenFormat::default;
        assert_eq!(format().secret_bytes(15), Err(ConfigError::SecretBytes));
        assert_eq!(format().secret_bytes(129), Err(ConfigError::SecretBytes));
        assert_eq!(format().secret_prefix("a b"), Err(ConfigError::SecretPrefix));
        assert_eq!(format().secret_prefix("x".repeat(33)), Err(ConfigError::SecretPrefix));
        assert_eq!(format().hash(HashAlgorithm::Sha512OfHex), Err(ConfigError::HexSecrets));
        assert_eq!(TokenFormat::drf_jwt_knox_4().secret_prefix("x"), Err(ConfigError::HexSecrets));
        assert!(TokenFormat::drf_jwt_knox().secret_prefix("x").is_ok());
    }

    #[test]
    fn the_usual_names_stay_reserved_under_another_format() {
        let format = TokenFormat::drf_jwt_knox();
        assert!(format.is_reserved("username") && format.is_reserved("sub") && format.is_reserved("jti_alg"));
        assert!(!format.is_reserved("role") && !TokenFormat::default().is_reserved("username"));
    }
}
