//! Putting a [`KnoxHttp`] together.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jwt_knox::{Issued, Knox};
use serde::Serialize;

use crate::{
    challenge::Challenge,
    knox_http::{Inner, KnoxHttp, TokenResponse},
    login::Login,
    response::Response,
};

/// The number of the next handle.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The settings of a [`KnoxHttp`]. [`KnoxHttp::builder`] starts one; none is needed.
#[must_use]
pub struct KnoxHttpBuilder {
    knox: Knox,
    scheme: String,
    realm: String,
    login: Option<Arc<dyn Login>>,
    token_response: Option<TokenResponse>,
    debug_verify: bool,
    jwks_max_age: Duration,
}

impl KnoxHttpBuilder {
    pub(crate) fn new(knox: Knox) -> Self {
        Self {
            knox,
            scheme: "Bearer".to_owned(),
            realm: "api".to_owned(),
            login: None,
            token_response: None,
            debug_verify: false,
            jwks_max_age: Duration::from_secs(300),
        }
    }

    /// How users log in at `/get_token`. Default: that route is off.
    pub fn login(mut self, login: impl Login) -> Self {
        self.login = Some(Arc::new(login));
        self
    }

    /// The word in front of the token in the `Authorization` header, and the `token_type` of the answer to a login. It
    /// is read without regard to case. Default: `Bearer`.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// The realm that a challenge names. Default: `api`.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Answers a login with another body: whatever `response` makes of the token, as JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    /// use jwt_knox_http::KnoxHttp;
    ///
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let http = KnoxHttp::builder(knox)
    ///     .token_response(|issued| serde_json::json!({"jwt": issued.token.expose(), "id": issued.record.id().as_str()}))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_response<T: Serialize>(mut self, response: impl Fn(&Issued) -> T + Send + Sync + 'static) -> Self {
        self.token_response = Some(Box::new(move |issued, _| Response::json(&response(issued))));
        self
    }

    /// Answers a login with the body that clients of drf-jwt-knox read: `{"token":"Bearer …"}`, with the scheme of this
    /// handle.
    pub fn drf_jwt_knox_response(mut self) -> Self {
        self.token_response = Some(Box::new(|issued, scheme| {
            let token = format!("{scheme} {}", issued.token.expose());
            Response::json(&BTreeMap::from([("token", token)]))
        }));
        self
    }

    /// How long others may keep the answer of `/.well-known/jwks.json`, in whole seconds, at most a day. A key that is
    /// staged has to wait for as long before it is promoted. Default: 5 minutes.
    pub fn jwks_max_age(mut self, max_age: Duration) -> Self {
        self.jwks_max_age = max_age;
        self
    }

    /// Switches `/debug_verify` on, which shows a client the claims and the record of its token. Default: off.
    pub fn debug_verify(mut self, on: bool) -> Self {
        self.debug_verify = on;
        self
    }

    /// Checks the settings and makes the handle.
    ///
    /// # Errors
    ///
    /// [`HttpConfigError`] says which setting is wrong.
    pub fn build(self) -> Result<KnoxHttp, HttpConfigError> {
        if !is_token(&self.scheme) || self.scheme.eq_ignore_ascii_case("Basic") {
            return Err(HttpConfigError::Scheme);
        }
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if !self.realm.bytes().all(is_plain) {
            return Err(HttpConfigError::Realm);
        }
        if self.jwks_max_age > Duration::from_secs(24 * 3600) {
            return Err(HttpConfigError::JwksMaxAge);
        }
        Ok(KnoxHttp::new(Inner {
            knox: self.knox,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            challenge: Challenge { scheme: self.scheme, realm: self.realm },
            login: self.login,
            token_response: self.token_response,
            debug_verify: self.debug_verify,
            jwks_max_age: self.jwks_max_age.as_secs(),
        }))
    }
}

impl KnoxHttp {
    /// Starts a handle on top of `knox`.
    pub fn builder(knox: Knox) -> KnoxHttpBuilder {
        KnoxHttpBuilder::new(knox)
    }
}

impl std::fmt::Debug for KnoxHttpBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnoxHttpBuilder")
            .field("knox", &self.knox)
            .field("scheme", &self.scheme)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Why [`KnoxHttpBuilder::build`] refuses a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpConfigError {
    /// The scheme is no token of RFC 9110 §5.6.2, or is `Basic`, which logins use.
    #[error("a scheme is one word of letters, digits and !#$%&'*+-.^_`|~, and not `Basic`, which logins use")]
    Scheme,
    /// The realm cannot be quoted in a header.
    #[error("a realm is printable ASCII without quotes and backslashes")]
    Realm,
    /// Public keys would be kept for more than a day.
    #[error("others may keep the public keys for a day at most, or a key cannot be replaced in time")]
    JwksMaxAge,
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use jwt_knox::{MemoryStore, SigningKey};

    use super::*;

    #[test]
    fn bad_settings_are_refused_when_it_is_built() {
        let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap()).store(MemoryStore::new()).build().unwrap();
        let builder = || KnoxHttp::builder(knox.clone());
        assert!(builder().scheme("Token").realm("my api").build().is_ok());
        for scheme in ["", "Bearer ", "a b", "basic", "é", "a\"", "a\n"] {
            assert_eq!(builder().scheme(scheme).build().err(), Some(HttpConfigError::Scheme), "{scheme:?}");
        }
        for realm in ["a\"b", "a\\", "a\r\nSet-Cookie: x", "é"] {
            assert_eq!(builder().realm(realm).build().err(), Some(HttpConfigError::Realm), "{realm:?}");
        }
        let too_long = Duration::from_secs(24 * 3600 + 1);
        assert_eq!(builder().jwks_max_age(too_long).build().err(), Some(HttpConfigError::JwksMaxAge));
    }
}
