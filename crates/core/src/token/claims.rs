//! The claims of a token.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    error::{AuthError, ClaimsError},
    token::format::{TokenFormat, is_always_reserved},
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

    /// When the token ends, as it says itself.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.date("exp").ok().flatten()
    }

    /// A NumericDate (RFC 7519 §2), which may have a fraction.
    pub(crate) fn date(&self, name: &'static str) -> Result<Option<Timestamp>, AuthError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let date = match value.as_i64() {
            Some(second) => Timestamp::from_second(second).ok(),
            // A float too large for an i64 becomes the largest one, which is no timestamp either.
            None => value.as_f64().and_then(|second| Timestamp::from_microsecond((second * 1e6) as i64).ok()),
        };
        date.map(Some).ok_or(AuthError::Malformed("`exp`, `nbf` or `iat` is not a date"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, AuthError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(not_text()),
        }
    }

    /// The audiences; `None` if there is no `aud`.
    pub(crate) fn audiences(&self) -> Result<Option<Vec<&str>>, AuthError> {
        match self.0.get("aud") {
            None => Ok(None),
            Some(Value::String(audience)) => Ok(Some(vec![audience])),
            Some(Value::Array(audiences)) => audiences
                .iter()
                .map(|audience| audience.as_str().ok_or_else(not_text))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(not_text()),
        }
    }
}

impl fmt::Debug for ClaimSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(crate) fn take_text(claims: &mut Map<String, Value>, name: &str) -> Result<Option<String>, AuthError> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(not_text()),
    }
}

fn not_text() -> AuthError {
    AuthError::Malformed("a claim that must be text is not")
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
        let json = serde_json::to_string(claims).map_err(mismatch)?;
        let claims = match serde_json::from_str(&json).map_err(mismatch)? {
            Value::Object(claims) => claims,
            _ => return Err(ClaimsError::NotAnObject),
        };
        if let Some(name) = claims.keys().find(|name| is_always_reserved(name)) {
            return Err(ClaimsError::Reserved { name: name.clone() });
        }
        Ok(Self(claims))
    }
}

impl fmt::Debug for CustomClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
