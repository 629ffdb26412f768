//! Tokens that say whatever a test wants, signed with the right key.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_simple::prelude::{HS256Key, MACLike};
use serde_json::Value;

use crate::world::KEY;

/// The header of an honest token without a `kid`.
pub const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token with that header and payload, byte for byte, and a good HS256 signature.
pub fn token(header: &str, payload: &str) -> String {
    let signed = unsigned(header, payload);
    let tag = HS256Key::from_bytes(&KEY).authentication_tag(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&tag))
}

/// The first two segments of such a token.
pub fn unsigned(header: &str, payload: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}", encode(header), encode(payload))
}

/// The header of a token, unchecked.
pub fn header(token: &str) -> Value {
    segment(token, 0)
}

/// The claims of a token, unchecked.
pub fn claims(token: &str) -> Value {
    segment(token, 1)
}

fn segment(token: &str, index: usize) -> Value {
    let json = Base64UrlUnpadded::decode_vec(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// An honest token with some claims changed; `null` removes one.
pub fn with_claims(honest: &str, changes: &Value) -> String {
    let mut claims = claims(honest);
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    token(HEADER, &claims.to_string())
}
