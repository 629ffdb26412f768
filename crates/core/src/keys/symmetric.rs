//! Keys of HMAC, which the signing library takes as bytes only.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keys::{Algorithm, error::KeyError};

/// The shortest key: as long as the hash (RFC 7518 §3.2). Other algorithms than HMAC have none.
pub(super) fn min_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Hs256 => Some(32),
        Algorithm::Hs384 => Some(48),
        Algorithm::Hs512 => Some(64),
        _ => None,
    }
}

/// The JWK thumbprint (RFC 7638 §3.2: the members `k` and `kty`, in this order).
///
/// A thumbprint lets a weak key be guessed offline (RFC 7638 §7), but so does any token that the key has signed.
pub(super) fn thumbprint(key: &[u8]) -> String {
    let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(key));
    // In parts, since a text that grows leaves copies of the key behind.
    let hash =
        Sha256::new().chain_update(r#"{"k":""#).chain_update(encoded.as_bytes()).chain_update(r#"","kty":"oct"}"#);
    Base64UrlUnpadded::encode_string(&hash.finalize())
}

/// The key as a JWK (RFC 7518 §6.4).
pub(super) fn to_jwk(algorithm: Algorithm, key: &[u8], key_id: Option<&str>) -> Zeroizing<String> {
    #[derive(Serialize)]
    struct Jwk<'a> {
        kty: &'a str,
        k: &'a str,
        alg: &'a str,
        r#use: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        kid: Option<&'a str>,
    }
    let k = Zeroizing::new(Base64UrlUnpadded::encode_string(key));
    let jwk = Jwk { kty: "oct", k: &k, alg: algorithm.as_str(), r#use: "sig", kid: key_id };
    // With room for all of it, since a text that grows leaves copies of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(k.len() + 6 * key_id.map_or(0, str::len) + 100));
    // A struct of texts always serializes, and as UTF-8.
    let _ = serde_json::to_writer(&mut *text, &jwk);
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).unwrap_or_default())
}

/// The bytes of a key in a JWK, and its `kid`.
pub(super) fn from_jwk(algorithm: Algorithm, jwk: &str) -> Result<(Zeroizing<Vec<u8>>, Option<String>), KeyError> {
    #[derive(Deserialize)]
    struct Jwk<'a> {
        kty: &'a str,
        // Borrowed: what has escapes is no base64url.
        k: &'a str,
        alg: Option<String>,
        r#use: Option<String>,
        key_ops: Option<Vec<String>>,
        kid: Option<String>,
    }
    let malformed = || KeyError::malformed(algorithm, "a JWK");
    let jwk: Jwk<'_> = serde_json::from_str(jwk).map_err(|_| malformed())?;
    let may_sign = jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "sign"));
    let is_for_signatures = jwk.r#use.is_none_or(|r#use| r#use == "sig") && may_sign;
    let is_for_algorithm = jwk.alg.is_none_or(|alg| alg == algorithm.as_str());
    if jwk.kty != "oct" || !is_for_signatures || !is_for_algorithm {
        return Err(malformed());
    }
    let key = Base64UrlUnpadded::decode_vec(jwk.k).map_err(|_| malformed())?;
    Ok((Zeroizing::new(key), jwk.kid))
}
