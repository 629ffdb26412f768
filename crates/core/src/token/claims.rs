//! The claims of a token.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    error::{ClaimsError, Rejection},
    token::{
        claims_digest::ClaimsDigest,
        format::{TokenFormat, is_always_reserved},
    },
};

/// The claims of a verified token, without its secret.
#[derive(Clone, PartialEq)]
pub(crate) struct ClaimSet(pub(crate) Map<String, Value>);

impl ClaimSet {
    /// All claims but the secret, as the type that the application wants.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        serde_json::from_value(Value::Object(self.0.clone())).map_err(mismatch)
    }

    /// The claims that the application has put into a token of that format.
    pub(crate) fn custom(&self, format: &TokenFormat) -> CustomClaims {
        CustomClaims(
            self.0
                .iter()
                .filter(|(name, _)| !format.is_reserved(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// The digest of the claims that the application has put into a token of that format.
    pub(crate) fn custom_digest(&self, format: &TokenFormat) -> ClaimsDigest {
        ClaimsDigest::new(self.0.iter().filter(|(name, _)| !format.is_reserved(name)))
    }

    /// Drops the claims that `is_kept` does not want.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_kept(name));
    }

    /// How much memory the claims take, in bytes, give or take.
    pub(crate) fn bytes(&self) -> usize {
        /// A node of a tree has room for eleven members, and is half full at least unless it is the only one.
        const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 4 * size_of::<usize>();
        fn object(members: &Map<String, Value>) -> usize {
            let inner: usize = members.iter().map(|(name, value)| name.len() + of(value)).sum();
            members.len().div_ceil(6) * NODE + inner
        }
        /// Beyond the value itself.
        fn of(value: &Value) -> usize {
            match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
                Value::String(string) => string.len(),
                // It grows by doubling.
                Value::Array(values) => 2 * size_of_val(&**values) + values.iter().map(of).sum::<usize>(),
                Value::Object(members) => object(members),
            }
        }
        object(&self.0)
    }

    /// A NumericDate (RFC 7519 §2), which may have a fraction.
    pub(crate) fn numeric_date(&self, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let time = match value.as_i64() {
            Some(second) => Timestamp::from_second(second).ok(),
            // A float too large for an i64 becomes the largest one, which is no timestamp either.
            None => value.as_f64().and_then(|second| Timestamp::from_microsecond((second * 1e6) as i64).ok()),
        };
        time.map(Some).ok_or(Rejection::Malformed("`exp`, `nbf` or `iat` is not a NumericDate"))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&str>, Rejection> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string)),
            Some(_) => Err(not_a_string()),
        }
    }

    /// The audiences; `None` if there is no `aud`.
    pub(crate) fn audiences(&self) -> Result<Option<Vec<&str>>, Rejection> {
        match self.0.get("aud") {
            None => Ok(None),
            Some(Value::String(audience)) => Ok(Some(vec![audience])),
            Some(Value::Array(audiences)) => audiences
                .iter()
                .map(|audience| audience.as_str().ok_or_else(not_a_string))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(not_a_string()),
        }
    }
}

impl fmt::Debug for ClaimSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(crate) fn take_string(claims: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Rejection> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(string)) => Ok(Some(string)),
        Some(_) => Err(not_a_string()),
    }
}

fn not_a_string() -> Rejection {
    Rejection::Malformed("claim is not a string")
}

fn mismatch(error: serde_json::Error) -> ClaimsError {
    ClaimsError::Mismatch(error.into())
}

/// The claims that an application adds to a token.
#[derive(Clone, Default)]
pub(crate) struct CustomClaims(pub(crate) Map<String, Value>);

impl CustomClaims {
    pub(crate) fn new(claims: &impl Serialize) -> Result<Self, ClaimsError> {
        // Through text, so that what is too deeply nested to be read is not written either.
        let not_json = |error: serde_json::Error| ClaimsError::NotSerializable(error.into());
        let json = serde_json::to_string(claims).map_err(not_json)?;
        let claims = match serde_json::from_str(&json).map_err(not_json)? {
            Value::Object(claims) => claims,
            _ => return Err(ClaimsError::NotAnObject),
        };
        if let Some(name) = claims.keys().find(|name| is_always_reserved(name)) {
            return Err(ClaimsError::Reserved { name: name.clone() });
        }
        Ok(Self(claims))
    }

    /// The digest of these claims as a reader of the token will find them.
    pub(crate) fn digest(&self) -> Result<ClaimsDigest, ClaimsError> {
        // A number with many digits is not always read as it was written.
        let read = serde_json::to_string(&self.0).and_then(|json| serde_json::from_str::<Map<String, Value>>(&json));
        Ok(ClaimsDigest::new(&read.map_err(mismatch)?))
    }
}

impl fmt::Debug for CustomClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
