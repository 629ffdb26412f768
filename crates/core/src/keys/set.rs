//! The keys of a service that verifies only.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::keys::{
    Algorithm, VerifyingKey,
    collection::{VerifyingKeys, check_joins, select},
    error::{KeySetError, SkippedKey},
    jwks,
};

/// The keys of a service that verifies and does not sign: one key, or what a JWK Set holds.
///
/// A clone is the same set, also the one that a [`Verifier`](crate::Verifier) has. A
/// [`RemoteKeySet`](crate::RemoteKeySet) fetches its keys itself.
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
pub struct KeySet(Arc<Shared>);

struct Shared {
    /// The algorithm of RSA keys that do not name theirs.
    rsa: Option<Algorithm>,
    read: RwLock<jwks::Read>,
}

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    ///
    /// [`KeySetError::NoKey`] if there is none, [`KeySetError::DuplicateKeyId`] if two have the same id,
    /// [`KeySetError::TwoAlgorithms`] if two are the same key for different algorithms.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeySetError> {
        let keys: Vec<VerifyingKey> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey { skipped: Vec::new() });
        }
        for (index, key) in keys.iter().enumerate() {
            check_joins(key.identity(), keys[..index].iter().map(VerifyingKey::identity))?;
        }
        Ok(Self::from_distinct(keys))
    }

    /// The public keys of a JWK Set ([RFC 7517 §5]).
    ///
    /// The algorithm of a key is its `alg` or, without one, that of its curve. A key without a `kid` gets its
    /// thumbprint for one. Keys that cannot be used are skipped, and the others used: those for encryption, of unknown
    /// kinds, too small, broken, private, symmetric, or with an id that another key has. [`skipped`](Self::skipped)
    /// lists them, and they are logged: those for other purposes at the level `debug`, the rest at `warn`.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    ///
    /// # Errors
    ///
    /// [`KeySetError::NotAKeySet`] if that is no JWK Set, or one of more than 256 KiB; [`KeySetError::NoKey`] if no key
    /// of it can be used.
    pub fn from_jwks(jwks: &str) -> Result<Self, KeySetError> {
        Self::read(jwks, None)
    }

    /// As [`from_jwks`](Self::from_jwks), for JWK Sets in which RSA keys have no `alg`: these are keys for `algorithm`,
    /// here and in later updates. Without that they are skipped, since the key alone does not say which.
    ///
    /// # Errors
    ///
    /// As for [`from_jwks`](Self::from_jwks).
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Algorithm, KeySet};
    ///
    /// # let jwks = jwt_knox::KeyRing::new(jwt_knox::SigningKey::generate(Algorithm::EdDsa)?).jwks();
    /// let keys = KeySet::from_jwks_with_rsa(&jwks, Algorithm::Rs256)?;
    /// for skipped in keys.skipped() {
    ///     println!("{skipped}"); // key 1 (`2025`): an RSA key must have 2048 to 4096 bits
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_jwks_with_rsa(jwks: &str, algorithm: Algorithm) -> Result<Self, KeySetError> {
        Self::read(jwks, Some(algorithm))
    }

    fn read(jwks: &str, rsa: Option<Algorithm>) -> Result<Self, KeySetError> {
        let read = jwks::read(jwks, rsa)?;
        Ok(Self(Arc::new(Shared { rsa, read: RwLock::new(read) })))
    }

    /// Puts the keys of a JWK Set that was fetched anew in the place of all present ones.
    ///
    /// # Errors
    ///
    /// As for [`from_jwks`](Self::from_jwks). The present keys then stay.
    pub fn update_from_jwks(&self, jwks: &str) -> Result<(), KeySetError> {
        let read = jwks::read(jwks, self.0.rsa)?;
        *self.0.read.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// The keys of the JWK Set that was read last which are not used, and why.
    #[must_use]
    pub fn skipped(&self) -> Vec<SkippedKey> {
        self.with(|read| read.skipped.clone())
    }

    /// The ids of the keys.
    #[must_use]
    pub fn key_ids(&self) -> Vec<String> {
        self.with(|read| read.keys.iter().map(|key| key.key_id().to_owned()).collect())
    }

    /// A set of keys of which no two have one id.
    pub(super) fn from_distinct(keys: Vec<VerifyingKey>) -> Self {
        let read = jwks::Read { keys, skipped: Vec::new() };
        Self(Arc::new(Shared { rsa: None, read: RwLock::new(read) }))
    }

    fn with<T>(&self, read: impl FnOnce(&jwks::Read) -> T) -> T {
        read(&self.0.read.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl VerifyingKeys for KeySet {
    fn with_key(&self, key_id: Option<&str>, then: &mut dyn FnMut(&VerifyingKey)) {
        self.with(|read| {
            select(read.keys.iter(), key_id).map(then);
        });
    }
}

impl From<VerifyingKey> for KeySet {
    fn from(key: VerifyingKey) -> Self {
        Self::from_distinct(vec![key])
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySet").field(&self.key_ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyRing, SigningKey};

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

    fn reasons(keys: &KeySet) -> Vec<String> {
        keys.skipped().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_that_cannot_be_used_is_skipped_and_reported_and_the_rest_is_used() {
        let (valid, last) = (jwk(Algorithm::Es256, "a"), jwk(Algorithm::EdDsa, "z"));
        let es256 = jwk(Algorithm::Es256, "b");
        let rsa = |n: &str, alg: &str| format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB","kid":"b"{alg}}}"#);
        let x5c = format!(r#"{{"x5c":["{}"],{}"#, "A".repeat(8192), &es256[1..]);
        let (private, secret) = (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::hs256([1; 32]).unwrap());
        let (private, secret) = (private.with_key_id("b").unwrap().to_jwk(), secret.with_key_id("b").unwrap().to_jwk());
        let y = &es256[es256.find(r#""y":"#).unwrap()..];
        let y = &y[..y[5..].find('"').unwrap() + 7];
        for (unusable, reason) in [
            (
                rsa(&format!("{}w", "x".repeat(170)), r#","alg":"RS256""#),
                "(`b`): an RSA key must have 2048 to 4096 bits",
            ),
            (rsa(&format!("{}w", "x".repeat(341)), ""), "(`b`): an RSA key without `alg` does not say what it is for"),
            (es256.replace(y, ""), "(`b`): not a valid ES256 key"),
            (es256.replace("\"x\":\"", "\"x\":\"A"), "(`b`): not a valid ES256 key"),
            (es256.replace("\"b\"", "\"b b\""), ": a key id is 1 to 128 printable ASCII"),
            (es256.replace("\"b\"", "\"\""), ": a key id is 1 to 128 printable ASCII"),
            (es256.replace("\"b\"", "7"), ": "),
            (x5c, "(`b`): this JWK cannot be read: it is longer than 8192 bytes"),
            (es256.replace("ES256", "ES384"), "(`b`): not a valid ES384 key"),
            (es256.replace("ES256", "HS256"), "(`b`): an HMAC key is secret"),
            (es256.replace("ES256", "none"), "(`b`): unsupported algorithm"),
            (es256.replace("ES256", "PS256"), "(`b`): unsupported algorithm"),
            (es256.replace("\"EC\"", "\"new\"").replace(r#""alg":"ES256","#, ""), "(`b`): unsupported algorithm"),
            (es256.replace("P-256", "P-521").replace(r#""alg":"ES256","#, ""), "(`b`): unsupported algorithm"),
            (es256.replace("\"sig\"", "\"enc\""), "(`b`): this key is not for signatures"),
            (es256.replace(r#""use":"sig""#, r#""key_ops":["deriveKey"]"#), "(`b`): this key is not for signatures"),
            (private.expose().to_owned(), "(`b`): this is a private key"),
            (secret.expose().to_owned(), "(`b`): an HMAC key is secret"),
            (jwk(Algorithm::EdDsa, "a"), "(`a`): duplicate key id `a`"),
            (valid.clone(), "(`a`): duplicate key id `a`"),
            ("1".to_owned(), ": this JWK cannot be read: it must be an object"),
            ("[]".to_owned(), ": this JWK cannot be read: it must be an object"),
            (r#"{"kid":"b"}"#.to_owned(), "(`b`): this JWK cannot be read: it must be an object that names its `kty`"),
            (r#"{"kty":"EC","kty":"EC"}"#.to_owned(), ": this JWK cannot be read"),
        ] {
            let keys = set(&[&valid, &unusable, &last]).unwrap();
            assert_eq!(keys.key_ids(), ["a", "z"], "{unusable}");
            assert!(keys.verifying(Some("a")).is_some() && keys.verifying(Some("b")).is_none());
            let [found] = &reasons(&keys)[..] else { panic!("{unusable}") };
            assert!(found.starts_with("key 1") && found.contains(reason), "{unusable}: {found}");
            // With no other key, that is the answer.
            if !reason.contains("duplicate") {
                let error = set(&[&unusable]).unwrap_err();
                let KeySetError::NoKey { skipped } = &error else { panic!("{error}") };
                assert!(skipped[0].position == 0 && error.to_string().contains(reason), "{error}");
            }
        }
        assert!(set(&[&valid, &last]).unwrap().skipped().is_empty());
        let many = set(&["1"; 1000]).unwrap_err().to_string();
        assert!(many.contains("key 4: ") && many.ends_with("; and 995 more"), "{many}");
    }

    #[test]
    fn rsa_keys_without_alg_are_for_the_algorithm_that_is_set() {
        let full = jwk(Algorithm::Rs512, "a");
        let bare = full.replace(r#""alg":"RS512","#, "");
        assert!(bare.len() < full.len());
        let jwks = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        assert!(matches!(set(&[&bare]), Err(KeySetError::NoKey { .. })));
        let keys = KeySet::from_jwks_with_rsa(&jwks(&[&bare]), Algorithm::Rs512).unwrap();
        assert_eq!(keys.verifying(Some("a")).unwrap().algorithm(), Algorithm::Rs512);
        // It holds for updates, and says nothing about keys that name their algorithm.
        let es256 = jwk(Algorithm::Es256, "b");
        keys.update_from_jwks(&jwks(&[&es256, &bare])).unwrap();
        assert_eq!(keys.key_ids(), ["b", "a"]);
        let keys = KeySet::from_jwks_with_rsa(&jwks(&[&full]), Algorithm::Rs256).unwrap();
        assert_eq!(keys.verifying(Some("a")).unwrap().algorithm(), Algorithm::Rs512);
        // The same key is there for the one algorithm only (RFC 8725 §3.1).
        let again = bare.replace(r#""a""#, r#""c""#);
        let keys = KeySet::from_jwks_with_rsa(&jwks(&[&full, &again]), Algorithm::Rs256).unwrap();
        assert_eq!(keys.key_ids(), ["a"]);
        assert!(reasons(&keys)[0].contains("(`c`): the key `a` is there for two algorithms"), "{:?}", reasons(&keys));
        // An algorithm that RSA keys do not have makes no key of another kind of them.
        let error = KeySet::from_jwks_with_rsa(&jwks(&[&bare]), Algorithm::EdDsa).unwrap_err().to_string();
        assert!(error.contains("not for EdDSA"), "{error}");
        assert!(KeySet::from_jwks_with_rsa(&jwks(&[&bare]), Algorithm::Hs256).is_err());
    }

    #[test]
    fn what_is_no_jwk_set_is_rejected_as_a_whole() {
        assert!(matches!(set(&[]), Err(KeySetError::NoKey { .. })));
        for text in ["", "[]", "{}", "null", r#"{"keys":{}}"#, &"[".repeat(100_000), r#"[[{"keys":[]}]]"#] {
            assert!(matches!(KeySet::from_jwks(text), Err(KeySetError::NotAKeySet)), "{text:.20}");
        }
        let long = format!(r#"{{"keys":[{}],"x":"{}"}}"#, jwk(Algorithm::Es256, "a"), "x".repeat(256 * 1024));
        assert!(matches!(KeySet::from_jwks(&long), Err(KeySetError::NotAKeySet)));
        let marked = format!("\u{feff}\r\n {{\"keys\":[{}]}}\n", jwk(Algorithm::Es256, "a"));
        assert_eq!(KeySet::from_jwks(&marked).unwrap().key_ids(), ["a"]);
        let twice = SigningKey::generate(Algorithm::Es256).unwrap().verifying_key();
        assert!(matches!(KeySet::new([twice.clone(), twice]), Err(KeySetError::DuplicateKeyId { .. })));
        assert!(matches!(KeySet::new([]), Err(KeySetError::NoKey { .. })));
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
