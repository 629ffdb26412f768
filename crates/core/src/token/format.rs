//! What a token looks like: the names of its claims, and how its secret is written and hashed.

use std::borrow::Cow;

use crate::{
    error::ConfigError,
    token::{digest::HashAlgorithm, secret::SecretEncoding},
};

/// What a token looks like: the names of the claims that are the library's own, how the secret is written, and which
/// hash a token means that names none.
///
/// The names of the registered claims `iss`, `aud`, `exp`, `nbf` and `iat` cannot be changed.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey, TokenFormat};
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = Knox::builder(key)
///     .token_format(TokenFormat::default().subject_claim("uid").secret_claim("sid"))
///     .store(MemoryStore::new())
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenFormat {
    pub(crate) subject_claim: Cow<'static, str>,
    pub(crate) secret_claim: Cow<'static, str>,
    pub(crate) scope_claim: Cow<'static, str>,
    pub(crate) secret_encoding: SecretEncoding,
    pub(crate) implied_hash: HashAlgorithm,
}

/// The claims that an application cannot set: the library writes them, or the signing library reads them (`nonce`).
/// `jti_alg` is private to this one: the hash of the secret, where that is not the one implied.
const RESERVED: [&str; 10] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "jti_alg", "nonce", "scope"];

/// Claims of a fixed meaning, which none of the library's own may take the name of.
const FIXED: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "jti_alg", "nonce"];

impl TokenFormat {
    /// Tokens and digests as drf-jwt-knox has them beside django-rest-knox 5: the subject in `username`, a hexadecimal
    /// secret in `jti`, hashed with SHA-512.
    ///
    /// With it, a server of this library and one of drf-jwt-knox accept each other's tokens, if they share the key
    /// (HS256), the issuer, the audience and the table of logins. A subject is then a user name: whoever changes theirs
    /// is logged out.
    pub fn drf_jwt_knox() -> Self {
        Self {
            subject_claim: "username".into(),
            secret_encoding: SecretEncoding::Hex,
            implied_hash: HashAlgorithm::Sha512,
            ..Self::default()
        }
    }

    /// As [`drf_jwt_knox`](Self::drf_jwt_knox), with the digests of django-rest-knox 4, which hashes the bytes that the
    /// hexadecimal secret stands for.
    pub fn drf_jwt_knox_4() -> Self {
        Self { implied_hash: HashAlgorithm::Sha512OfHex, ..Self::drf_jwt_knox() }
    }

    /// The claim that says who the token is for. Default: `sub`.
    pub fn subject_claim(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { subject_claim: name.into(), ..self }
    }

    /// The claim that carries the secret. Default: `jti`.
    pub fn secret_claim(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { secret_claim: name.into(), ..self }
    }

    /// The claim that lists scopes. Default: `scope`.
    pub fn scope_claim(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { scope_claim: name.into(), ..self }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let [subject, secret, scope] = self.own_claims();
        let is_free = |name: &str| !name.is_empty() && !FIXED.contains(&name);
        let are_free = [subject, secret, scope].into_iter().all(is_free);
        if !are_free || subject == secret || subject == scope || secret == scope {
            return Err(ConfigError::ClaimNames);
        }
        Ok(())
    }

    /// Whether an application may put a claim of that name into a token of this format.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        is_always_reserved(name) || self.own_claims().contains(&name)
    }

    fn own_claims(&self) -> [&str; 3] {
        [&self.subject_claim, &self.secret_claim, &self.scope_claim]
    }
}

impl Default for TokenFormat {
    fn default() -> Self {
        Self {
            subject_claim: "sub".into(),
            secret_claim: "jti".into(),
            scope_claim: "scope".into(),
            secret_encoding: SecretEncoding::Base64Url,
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

    #[test]
    fn the_names_of_claims_are_free_and_different() {
        assert!(TokenFormat::default().check().is_ok());
        assert!(TokenFormat::drf_jwt_knox().check().is_ok());
        assert!(TokenFormat::default().subject_claim("uid").secret_claim("sub").scope_claim("jti").check().is_ok());
        for format in [
            TokenFormat::default().subject_claim(""),
            TokenFormat::default().subject_claim("exp"),
            TokenFormat::default().secret_claim("nonce"),
            TokenFormat::default().subject_claim("jti"),
            TokenFormat::default().scope_claim("sub"),
            TokenFormat::default().scope_claim("a").secret_claim("a"),
        ] {
            assert_eq!(format.check(), Err(ConfigError::ClaimNames), "{format:?}");
        }
    }

    #[test]
    fn the_usual_names_stay_reserved_under_another_format() {
        let format = TokenFormat::drf_jwt_knox();
        assert!(format.is_reserved("username") && format.is_reserved("sub") && format.is_reserved("jti_alg"));
        assert!(!format.is_reserved("role") && !TokenFormat::default().is_reserved("username"));
    }
}
