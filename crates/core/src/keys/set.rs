//! The keys of a service that verifies only.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::keys::{
    VerifyingKey,
    collection::{VerifyingKeys, check_joins, select},
    error::KeySetError,
    jwks,
};

/// The keys of a service that verifies and does not sign: one key, or what a JWK Set holds.
///
/// A clone is the same set, also the one that a [`Verifier`](crate::Verifier) has.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, KeyRing, KeySet, SigningKey};
///
/// # let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256)?);
/// // What the server that signs publishes at `/.well-known/jwks.json`.
/// let jwks: String = ring.jwks();
///
/// let keys = KeySet::from_jwks(&jwks)?;
/// // Now and then, and when a token names an unknown key:
/// keys.update_from_jwks(&jwks)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeySet(Arc<RwLock<Vec<VerifyingKey>>>);

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeySetError::NoKey`] if there is none, [`KeySetError::DuplicateKeyId`] if two have the same id,
    /// [`KeySetError::TwoAlgorithms`] if two are the same key for different algorithms.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeySetError> {
        Ok(Self::of_distinct(checked(keys.into_iter().collect())?))
    }

    /// The public keys of a JWK Set ([RFC 7517 §5]).
    ///
    /// Keys for encryption and of kinds that are not known here are passed over. The algorithm of a key is its `alg`
    /// or, without one, that of its curve; an RSA key must have an `alg`. A key without a `kid` gets its thumbprint for
    /// one.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    ///
    /// # Errors
    ///
    /// [`KeySetError`] if that is no JWK Set, if a key for signatures in it is broken, private, symmetric or has an id
    /// twice, or if there is none.
    pub fn from_jwks(jwks: &str) -> Result<Self, KeySetError> {
        Self::new(jwks::read(jwks)?)
    }

    /// Puts the keys of a JWK Set that was fetched anew in the place of all present ones.
    ///
    /// # Errors
    ///
    /// As for [`from_jwks`](Self::from_jwks). The present keys then stay.
    pub fn update_from_jwks(&self, jwks: &str) -> Result<(), KeySetError> {
        let keys = checked(jwks::read(jwks)?)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// The ids of the keys.
    #[must_use]
    pub fn key_ids(&self) -> Vec<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|key| key.key_id().to_owned()).collect()
    }

    /// A set of keys of which no two have one id.
    pub(super) fn of_distinct(keys: Vec<VerifyingKey>) -> Self {
        Self(Arc::new(RwLock::new(keys)))
    }
}

impl VerifyingKeys for KeySet {
    fn verifying(&self, key_id: Option<&str>) -> Option<VerifyingKey> {
        select(self.0.read().unwrap_or_else(PoisonError::into_inner).iter(), key_id)
    }
}

impl From<VerifyingKey> for KeySet {
    fn from(key: VerifyingKey) -> Self {
        Self::of_distinct(vec![key])
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySet").field(&self.key_ids()).finish()
    }
}

fn checked(keys: Vec<VerifyingKey>) -> Result<Vec<VerifyingKey>, KeySetError> {
    if keys.is_empty() {
        return Err(KeySetError::NoKey);
    }
    for (index, key) in keys.iter().enumerate() {
        check_joins(key, keys[..index].iter())?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Algorithm, KeyError, KeyRing, SigningKey};

    fn jwk(algorithm: Algorithm, key_id: &str) -> String {
        SigningKey::generate(algorithm).unwrap().with_key_id(key_id).unwrap().verifying_key().to_jwk().unwrap()
    }

    fn set(keys: &[&str]) -> Result<KeySet, KeySetError> {
        KeySet::from_jwks(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    #[test]
    fn keys_are_found_by_their_ids_and_unknown_kinds_are_passed_over() {
        let (es256, ed25519) = (jwk(Algorithm::Es256, "a"), jwk(Algorithm::EdDsa, "b"));
        let encryption = es256.replace(r#""use":"sig""#, r#""use":"enc""#);
        let wrapping = es256.replace(r#""use":"sig""#, r#""key_ops":["deriveKey"]"#);
        let keys = set(&[
            &es256,
            &ed25519,
            &encryption,
            &wrapping,
            r#"{"kty":"EC","crv":"P-521","x":"","y":""}"#,
            r#"{"kty":"EC","crv":"secp256k1","alg":"ES256K","x":"","y":""}"#,
            r#"{"kty":"new","kid":"c"}"#,
        ])
        .unwrap();
        assert_eq!(keys.key_ids(), ["a", "b"]);
        assert_eq!(keys.verifying(Some("b")).unwrap().algorithm(), Algorithm::EdDsa);
        assert!(keys.verifying(Some("c")).is_none() && keys.verifying(None).is_none());
    }

    #[test]
    fn the_curve_names_the_algorithm_and_the_thumbprint_the_key() {
        let key = SigningKey::generate(Algorithm::Es384).unwrap().verifying_key();
        let full = key.to_jwk().unwrap();
        let bare = full.replace(r#","alg":"ES384""#, "").replace(&format!(r#","kid":"{}""#, key.key_id()), "");
        assert!(bare.len() + 40 < full.len(), "{bare}");
        let found = set(&[&bare]).unwrap().verifying(None).unwrap();
        assert_eq!((found.key_id(), found.algorithm()), (key.key_id(), Algorithm::Es384));
    }

    #[test]
    fn rejects_the_whole_set_if_one_key_cannot_be_trusted() {
        let valid = jwk(Algorithm::Es256, "a");
        let signing = SigningKey::generate(Algorithm::Es256).unwrap();
        let private = signing.to_jwk();
        let secret = SigningKey::hs256([1; 32]).unwrap().to_jwk();
        let no_alg = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        assert!(matches!(set(&[&valid, private.expose()]), Err(KeySetError::Key(KeyError::NotPublic))));
        assert!(matches!(set(&[&valid, secret.expose()]), Err(KeySetError::Key(KeyError::Symmetric))));
        assert!(matches!(set(&[&valid, &jwk(Algorithm::EdDsa, "a")]), Err(KeySetError::DuplicateKeyId { .. })));
        assert!(matches!(set(&[&valid, no_alg]), Err(KeySetError::RsaWithoutAlgorithm)));
        assert!(matches!(
            set(&[&valid.replace("\"x\":\"", "\"x\":\"A")]),
            Err(KeySetError::Key(KeyError::Malformed { .. }))
        ));
        assert!(matches!(
            set(&[&jwk(Algorithm::EdDsa, "a").replace("\"a\"", "\"a b\"")]),
            Err(KeySetError::Key(KeyError::InvalidKeyId))
        ));
        assert!(matches!(set(&[]), Err(KeySetError::NoKey)));
        for text in
            ["", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, &"[".repeat(100_000), r#"[[{"keys":[]}]]"#]
        {
            assert!(matches!(KeySet::from_jwks(text), Err(KeySetError::NotAKeySet)), "{text:.20}");
        }
    }

    #[test]
    fn an_invalid_update_changes_nothing() {
        let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("a").unwrap());
        let keys = KeySet::from_jwks(&ring.jwks()).unwrap();
        assert!(keys.update_from_jwks("{}").is_err());
        assert!(keys.update_from_jwks(r#"{"keys":[]}"#).is_err());
        assert_eq!(keys.key_ids(), ["a"]);
        ring.stage(SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id("b").unwrap()).unwrap();
        keys.clone().update_from_jwks(&ring.jwks()).unwrap();
        assert_eq!(keys.key_ids(), ["a", "b"]);
    }
}
