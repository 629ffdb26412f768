//! Keys of HMAC, which the signing library takes as bytes only.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::keys::{
    Algorithm, der,
    error::{KeyError, SignatureError},
    known_keys, pem,
};

/// The shortest key: as long as the hash (RFC 7518 §3.2). Other algorithms than HMAC have none.
pub(super) fn min_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Hs256 => Some(32),
        Algorithm::Hs384 => Some(48),
        Algorithm::Hs512 => Some(64),
        _ => None,
    }
}

/// Rejects what is too short to be a secret, or is none.
pub(super) fn check(algorithm: Algorithm, bytes: &[u8]) -> Result<(), KeyError> {
    let min = min_bytes(algorithm).unwrap_or_default();
    if bytes.len() < min {
        return Err(KeyError::TooShort { algorithm, bytes: bytes.len(), min });
    }
    // Whoever takes the text of a public key for the secret of HMAC lets everybody sign (RFC 8725 §2.1).
    if is_another_key(bytes) || key_in_base64(bytes).is_some() {
        return Err(KeyError::NotASecret);
    }
    Ok(())
}

/// Whether there is a key or a certificate in it, in PEM, JWK, DER or the form of SSH, whatever stands in front.
fn is_another_key(bytes: &[u8]) -> bool {
    const MARKS: [&[u8]; 5] = [b"-BEGIN ", b"- BEGIN ", b"ssh-ed25519 AAAA", b"ssh-rsa AAAA", b"ecdsa-sha2-nistp"];
    // UTF-16 has a zero beside each character of ASCII.
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(bytes.iter().copied().filter(|&byte| byte != 0).collect());
    let has = |mark: &&[u8]| text.windows(mark.len()).any(|part| part == *mark);
    der::is_key(bytes) || MARKS.iter().any(has) || has_kty(&text)
}

/// Whether the text names the member that each JWK has, perhaps in quotes that were escaped.
fn has_kty(text: &[u8]) -> bool {
    let is_quote = |byte: Option<&u8>| matches!(byte, Some(b'"' | b'\''));
    let is_name = |start: usize| {
        let behind = &text[start + 3..];
        is_quote(text[..start].last()) && is_quote(behind.iter().find(|&&byte| byte != b'\\'))
    };
    (0..text.len().saturating_sub(3)).any(|start| text[start..].starts_with(b"kty") && is_name(start))
}

/// The key that is encoded in the text as base64, if there is one.
pub(super) fn key_in_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    base64.extend(text.chars().filter(|&character| !pem::is_blank(character)).map(|character| match character {
        '-' => '+',
        '_' => '/',
        other => other,
    }));
    pem::decode_base64(&base64).filter(|decoded| is_another_key(decoded))
}

/// Logs what is allowed and yet most likely a mistake, without the key.
pub(super) fn warn_of_mistakes(algorithm: Algorithm, key: &[u8]) {
    if known_keys::contains(key) {
        tracing::warn!(%algorithm, "the signing key is a published example; anyone can sign tokens with it");
    }
    let is_text = || std::str::from_utf8(key).is_ok_and(|text| !text.trim_end().contains(char::is_control));
    if matches!(key.last(), Some(b'\n' | b'\r')) && is_text() {
        tracing::warn!(%algorithm, "the signing key ends in a line break, which counts as a part of it");
    }
}

/// Whether the signature of a JWT is that of `key` (RFC 7515 §5.2), compared in constant time.
///
/// By the MAC of RustCrypto and not by that of the signing library, which is several times slower and decodes header
/// and claims once more.
pub(super) fn verify<M: Mac + KeyInit>(key: &[u8], token: &str) -> Result<(), SignatureError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(SignatureError::Malformed)?;
    let signature = Base64UrlUnpadded::decode_vec(signature).map_err(|_| SignatureError::Malformed)?;
    let mac = M::new_from_slice(key).map_err(|_| SignatureError::Invalid)?;
    mac.chain_update(signed).verify_slice(&signature).map_err(|_| SignatureError::Invalid)
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
    let malformed = || KeyError::malformed(algorithm, "JWK");
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
