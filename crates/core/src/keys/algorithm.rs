//! The algorithms that sign.

use std::{fmt, str::FromStr};

use crate::{error::UnknownName, named::serde_as_str};

/// An algorithm of signatures, as a JWT names it in `alg` ([RFC 7518 §3.1], [RFC 8037 §3.1], [RFC 9964]).
///
/// [RFC 7518 §3.1]: https://www.rfc-editor.org/rfc/rfc7518#section-3.1
/// [RFC 8037 §3.1]: https://www.rfc-editor.org/rfc/rfc8037#section-3.1
/// [RFC 9964]: https://www.rfc-editor.org/rfc/rfc9964
///
/// # Examples
///
/// ```
/// use jwt_knox::Algorithm;
///
/// let algorithm: Algorithm = "ES256".parse()?;
/// assert_eq!(algorithm, Algorithm::Es256);
/// assert_eq!(algorithm.as_str(), "ES256");
/// assert!(!algorithm.is_symmetric());
/// # Ok::<(), jwt_knox::UnknownName>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// ECDSA on the curve P-256, with SHA-256.
    Es256,
    /// ECDSA on the curve P-384, with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    Rs256,
    /// RSA with PKCS #1 v1.5 padding and SHA-384.
    Rs384,
    /// RSA with PKCS #1 v1.5 padding and SHA-512.
    Rs512,
    /// ML-DSA-44. Its tokens are about 3 kB long.
    MlDsa44,
    /// ML-DSA-65. Its tokens are about 5 kB long.
    MlDsa65,
    /// ML-DSA-87. Its tokens are about 6 kB long.
    MlDsa87,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    const NAMES: &'static [&'static str] = &[
        "HS256",
        "HS384",
        "HS512",
        "ES256",
        "ES384",
        "EdDSA",
        "RS256",
        "RS384",
        "RS512",
        "ML-DSA-44",
        "ML-DSA-65",
        "ML-DSA-87",
    ];

    /// The name that the JWT's `alg` carries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// The algorithm of the JWKs of that `kty` and `crv`, if there is only one.
    pub(super) fn for_jwk(kty: &str, crv: Option<&str>) -> Option<Self> {
        match (kty, crv) {
            ("EC", Some("P-256")) => Some(Self::Es256),
            ("EC", Some("P-384")) => Some(Self::Es384),
            ("OKP", Some("Ed25519")) => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// Whether a token may name it so in `alg`. Ed25519 has two names (RFC 8037 §3.1, RFC 9864 §2.2).
    pub(crate) fn is_named(self, alg: &str) -> bool {
        alg == self.as_str() || (self == Self::EdDsa && alg == "Ed25519")
    }

    /// Whether the key that verifies is the key that signs: so for HMAC. Such a key is never published.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownName;

    /// Reads the name that [`as_str`](Self::as_str) gives, and `Ed25519`, the newer name of `EdDSA` on that curve (RFC
    /// 9864).
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        let found = Self::ALL.iter().find(|algorithm| algorithm.as_str() == name);
        found.copied().ok_or(UnknownName { expected: Self::NAMES })
    }
}

serde_as_str!(Algorithm);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_exactly() {
        assert_eq!(Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>(), Algorithm::NAMES);
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse::<Algorithm>().unwrap(), *algorithm);
        }
        assert_eq!("Ed25519".parse::<Algorithm>().unwrap(), Algorithm::EdDsa);
        for name in ["none", "hs256", "HS256 ", "", "PS256", "ES512"] {
            assert!(name.parse::<Algorithm>().is_err(), "{name}");
        }
    }
}
