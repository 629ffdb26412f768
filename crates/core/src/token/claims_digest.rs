//! What a record vouches for of the claims of its token.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::error::readable_debug;

/// SHA-256 of the claims that an application has put into a token, whatever the order of their names.
///
/// The store keeps it, so that a stolen signing key is not enough to change the claims of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimsDigest([u8; 32]);

impl ClaimsDigest {
    /// The length of its text, in bytes: lower-case hexadecimal digits.
    pub const TEXT_BYTES: usize = 64;

    pub(crate) fn new<'a>(claims: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Self {
        let mut hash = Sha256::new();
        feed_members(&mut hash, claims.into_iter().collect());
        Self(hash.finalize().into())
    }
}

/// Each value begins with its kind, and what has a length begins with that, so that no two values read alike.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update("n"),
        Value::Bool(true) => hash.update("t"),
        Value::Bool(false) => hash.update("f"),
        Value::Number(number) => feed_string(hash, "#", &number.to_string()),
        Value::String(string) => feed_string(hash, "s", string),
        Value::Array(values) => {
            hash.update(format!("[{}:", values.len()));
            values.iter().for_each(|value| feed(hash, value));
        }
        Value::Object(members) => feed_members(hash, members_of(members)),
    }
}

fn feed_members(hash: &mut Sha256, mut members: Vec<(&String, &Value)>) {
    members.sort_unstable_by_key(|(name, _)| *name);
    hash.update(format!("{{{}:", members.len()));
    for (name, value) in members {
        feed_string(hash, "s", name);
        feed(hash, value);
    }
}

fn feed_string(hash: &mut Sha256, kind: &str, string: &str) {
    hash.update(format!("{kind}{}:", string.len()));
    hash.update(string);
}

fn members_of(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    members.iter().collect()
}

impl fmt::Display for ClaimsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for ClaimsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimsDigest(…)")
    }
}

impl FromStr for ClaimsDigest {
    type Err = ClaimsDigestError;

    fn from_str(text: &str) -> Result<Self, ClaimsDigestError> {
        let mut bytes = [0; 32];
        if text.len() != Self::TEXT_BYTES {
            return Err(ClaimsDigestError);
        }
        base16ct::lower::decode(text, &mut bytes).map_err(|_| ClaimsDigestError)?;
        Ok(Self(bytes))
    }
}

/// The string is not a [`ClaimsDigest`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest of claims is 64 lower-case hexadecimal digits")]
pub struct ClaimsDigestError;

readable_debug!(ClaimsDigestError);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(value: &Value) -> ClaimsDigest {
        ClaimsDigest::new(value.as_object().unwrap())
    }

    #[test]
    fn the_order_of_names_does_not_matter_and_all_else_does() {
        let ordered: Value = serde_json::from_str(r#"{"a":{"x":1,"y":[1,2]},"b":null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":null,"a":{"y":[1,2],"x":1}}"#).unwrap();
        assert_eq!(digest(&ordered), digest(&other));
        let values = [
            json!({}),
            json!({"a": null}),
            json!({"a": 1}),
            json!({"a": 1.0}),
            json!({"a": "1"}),
            json!({"a": [1]}),
            json!({"a": [[1]]}),
            json!({"a": [1, 2]}),
            json!({"a": [12]}),
            json!({"a": {}}),
            json!({"a": []}),
            json!({"a": true}),
            json!({"a": "true"}),
            json!({"a": "b", "c": "d"}),
            json!({"a": "bs1:cs1:d"}),
        ];
        for (index, one) in values.iter().enumerate() {
            for other in &values[..index] {
                assert_ne!(digest(one), digest(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_text_comes_back() {
        let digest = digest(&json!({"a": 1}));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("ab".parse::<ClaimsDigest>(), Err(ClaimsDigestError));
    }
}
