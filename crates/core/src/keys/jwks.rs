//! Writing and reading a JWK Set (RFC 7517 §5).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::keys::{
    Algorithm, VerifyingKey,
    collection::check_joins,
    error::{KeyError, KeySetError, SkippedKey},
    verifying::is_key_id,
};

/// The largest JWK Set that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The public keys among `keys`, as a JWK Set.
pub(super) fn write<'a>(keys: impl Iterator<Item = &'a VerifyingKey>) -> String {
    let keys: Vec<String> = keys.filter_map(|key| key.to_jwk().ok()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The keys of a JWK Set that can be used, and the others.
#[derive(Default)]
pub(super) struct Read {
    pub(super) keys: Vec<VerifyingKey>,
    pub(super) skipped: Vec<SkippedKey>,
}

/// Reads a JWK Set. `rsa` is the algorithm of RSA keys that do not name theirs.
pub(super) fn read(jwks: &str, rsa: Option<Algorithm>) -> Result<Read, KeySetError> {
    #[derive(Deserialize)]
    struct Jwks<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    let jwks = jwks.trim_start_matches('\u{feff}');
    if jwks.len() > MAX_BYTES || !jwks.trim_start().starts_with('{') {
        return Err(KeySetError::NotAKeySet);
    }
    let jwks: Jwks<'_> = serde_json::from_str(jwks).map_err(|_| KeySetError::NotAKeySet)?;
    let mut read = Read::default();
    for (position, jwk) in jwks.keys.iter().enumerate() {
        let joins = |key: VerifyingKey| {
            check_joins(key.identity(), read.keys.iter().map(VerifyingKey::identity))?;
            Ok(key)
        };
        match read_key(jwk.get(), rsa).and_then(joins) {
            Ok(key) => read.keys.push(key),
            Err(reason) => {
                let skipped = SkippedKey { position, key_id: key_id(jwk.get()), reason: Arc::new(reason) };
                report(&skipped);
                read.skipped.push(skipped);
            }
        }
    }
    if read.keys.is_empty() { Err(KeySetError::NoKey { skipped: read.skipped }) } else { Ok(read) }
}

fn report(SkippedKey { position, key_id, reason }: &SkippedKey) {
    // Keys for other purposes are usual.
    if matches!(**reason, KeySetError::NotForSignatures | KeySetError::Key(KeyError::UnknownAlgorithm)) {
        tracing::debug!(position, key_id, %reason, "a key of a JWK Set is skipped");
    } else {
        tracing::warn!(position, key_id, %reason, "a key of a JWK Set is skipped");
    }
}

/// The `kid` of a JWK that cannot be used otherwise, if it can be shown.
fn key_id(jwk: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Jwk {
        kid: String,
    }
    serde_json::from_str(jwk).ok().map(|Jwk { kid }| kid).filter(|key_id| is_key_id(key_id))
}

fn read_key(jwk: &str, rsa: Option<Algorithm>) -> Result<VerifyingKey, KeySetError> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: Option<String>,
        alg: Option<String>,
        r#use: Option<String>,
        key_ops: Option<Vec<String>>,
    }
    let malformed = |_| KeyError::Syntax {
        encoding: "JWK",
        problem: "it must be an object that names its `kty`, with each member once and of the right type",
    };
    let Jwk { kty, crv, alg, r#use, key_ops } = serde_json::from_str(jwk).map_err(malformed)?;
    let may_verify = key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if r#use.is_some_and(|r#use| r#use != "sig") || !may_verify {
        return Err(KeySetError::NotForSignatures);
    }
    let algorithm = match alg {
        // A secret does not belong into a public document, and beside public keys it invites confusion.
        _ if kty == "oct" => return Err(KeyError::Symmetric.into()),
        Some(alg) => alg.parse().map_err(KeyError::from)?,
        None if kty == "RSA" => rsa.ok_or(KeySetError::RsaWithoutAlgorithm)?,
        None => Algorithm::for_jwk(&kty, crv.as_deref()).ok_or(KeyError::UnknownAlgorithm)?,
    };
    if algorithm.is_symmetric() {
        return Err(KeyError::Symmetric.into());
    }
    Ok(VerifyingKey::from_jwk(algorithm, jwk)?)
}
