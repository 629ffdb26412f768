//! Writing and reading a JWK Set (RFC 7517 §5).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::keys::{
    Algorithm, VerifyingKey,
    error::{KeyError, KeySetError},
};

/// The largest JWK Set that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The public keys among `keys`, as a JWK Set.
pub(super) fn write<'a>(keys: impl Iterator<Item = &'a VerifyingKey>) -> String {
    let keys: Vec<String> = keys.filter_map(|key| key.to_jwk().ok()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub(super) fn read(jwks: &str) -> Result<Vec<VerifyingKey>, KeySetError> {
    #[derive(Deserialize)]
    struct Jwks<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    if jwks.len() > MAX_BYTES || !jwks.trim_start().starts_with('{') {
        return Err(KeySetError::NotAKeySet);
    }
    let jwks: Jwks<'_> = serde_json::from_str(jwks).map_err(|_| KeySetError::NotAKeySet)?;
    jwks.keys.iter().filter_map(|jwk| read_key(jwk.get()).transpose()).collect()
}

/// The key of a JWK; `None` if it is not for us.
fn read_key(jwk: &str) -> Result<Option<VerifyingKey>, KeySetError> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: Option<String>,
        alg: Option<String>,
        r#use: Option<String>,
        key_ops: Option<Vec<String>>,
    }
    let Jwk { kty, crv, alg, r#use, key_ops } = serde_json::from_str(jwk).map_err(|_| KeySetError::NotAKeySet)?;
    let may_verify = key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if r#use.is_some_and(|r#use| r#use != "sig") || !may_verify {
        return Ok(None);
    }
    let algorithm = match (kty.as_str(), crv.as_deref(), alg) {
        // A secret does not belong into a public document, and beside public keys it invites confusion.
        ("oct", ..) => return Err(KeyError::Symmetric.into()),
        (.., Some(alg)) => alg.parse().ok(),
        ("EC", Some("P-256"), None) => Some(Algorithm::Es256),
        ("EC", Some("P-384"), None) => Some(Algorithm::Es384),
        ("OKP", Some("Ed25519"), None) => Some(Algorithm::EdDsa),
        ("RSA", ..) => return Err(KeySetError::RsaWithoutAlgorithm),
        _ => None,
    };
    Ok(algorithm.map(|algorithm| VerifyingKey::from_jwk(algorithm, jwk)).transpose()?)
}
