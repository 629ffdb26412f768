//! Writing and reading the JWT: the signature by `jwt-simple`, the claims by the rules of RFC 7519 and one clock.

use std::{fmt, sync::Arc, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jwt_simple::JWTError;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    digest::{HashAlgorithm, TokenDigest},
    error::{AuthError, ClaimsError, ConfigError, IssueError},
    keys::{Keys, SigningKey, VerifyingKey},
    record::TokenKey,
    secret::{Secret, Token},
    subject::Subject,
    token_format::{TokenFormat, is_always_reserved},
};

/// What a token must be to be one of ours.
#[derive(Debug, Clone)]
pub(crate) struct Jwt {
    pub(crate) keys: Keys,
    pub(crate) format: TokenFormat,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) leeway: Duration,
    pub(crate) max_bytes: usize,
    /// Whether a token without `exp` is refused.
    pub(crate) must_end: bool,
}

/// What is signed into a new token.
pub(crate) struct Payload<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) secret: &'a Secret,
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scope: Option<&'a str>,
    pub(crate) custom: &'a CustomClaims,
}

/// A token whose signature and claims are good. Whether it has been revoked is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    /// The `kid` of the key that has signed it.
    key_id: Arc<str>,
    pub(crate) subject: Subject,
    pub(crate) digest: TokenDigest,
    pub(crate) scope: Option<String>,
    pub(crate) claims: ClaimSet,
}

impl Verified {
    /// The key of the record that belongs to it.
    pub(crate) fn key(&self) -> TokenKey {
        TokenKey { subject: self.subject.clone(), id: self.digest.token_id() }
    }
}

impl Jwt {
    const MAX_LEEWAY: Duration = Duration::from_secs(600);
    const MIN_TOKEN_BYTES: usize = 1024;

    /// Tokens of these keys, with nothing asked of them but what every token has.
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            format: TokenFormat::default(),
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
            max_bytes: 8 * 1024,
            must_end: false,
        }
    }

    /// Refuses settings that make no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.format.check()?;
        if self.leeway > Self::MAX_LEEWAY {
            return Err(ConfigError::LeewayTooLong);
        }
        if [&self.issuer, &self.audience].into_iter().flatten().any(String::is_empty) {
            return Err(ConfigError::EmptyName);
        }
        if self.max_bytes < Self::MIN_TOKEN_BYTES {
            return Err(ConfigError::TokenBytes);
        }
        Ok(())
    }

    /// Signs a token.
    pub(crate) fn issue(&self, key: &SigningKey, payload: &Payload<'_>) -> Result<Token, IssueError> {
        let mut claims = payload.custom.0.clone();
        if let Some(name) = claims.keys().find(|name| self.format.is_reserved(name)) {
            return Err(ClaimsError::Reserved { name: name.clone() }.into());
        }
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set(&self.format.subject_claim, payload.subject.as_str().into());
        set(&self.format.secret_claim, payload.secret.expose().into());
        set("iat", payload.issued_at.as_second().into());
        if let Some(expires_at) = payload.expires_at {
            set("exp", expires_at.as_second().into());
        }
        if let Some(issuer) = &self.issuer {
            set("iss", issuer.as_str().into());
        }
        if let Some(audience) = &self.audience {
            set("aud", audience.as_str().into());
        }
        if let Some(scope) = payload.scope {
            set(&self.format.scope_claim, scope.into());
        }
        if payload.algorithm != self.format.implied_hash {
            set("jti_alg", payload.algorithm.name().into());
        }
        let jwt = key.sign(claims).map_err(IssueError::Signing)?;
        if jwt.len() > self.max_bytes {
            return Err(IssueError::TooLarge { bytes: jwt.len(), max: self.max_bytes });
        }
        Ok(Token::new(jwt))
    }

    /// Reads a token: size, header, signature, then the claims against `now`.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, AuthError> {
        let (key, payload) = self.key_for(token)?;
        key.verify_signature(token, self.max_bytes).map_err(|error| refusal(&error))?;
        self.check_claims(key.shared_key_id(), decode(payload)?, now)
    }

    /// Whether what [`verify`](Self::verify) gave earlier would be good now: keys may have been retired, and time has
    /// passed.
    pub(crate) fn check_again(&self, token: &Verified, now: Timestamp) -> Result<(), AuthError> {
        self.keys.verifying(Some(&token.key_id)).ok_or(AuthError::UnknownKey)?;
        self.check_end(&token.claims, now)
    }

    /// The key that must have signed the token, and the segment with its claims.
    fn key_for<'a>(&self, token: &'a str) -> Result<(VerifyingKey, &'a str), AuthError> {
        if token.len() > self.max_bytes {
            return Err(AuthError::Malformed("it is too long"));
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(_signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(AuthError::Malformed("it does not have three segments"));
        };
        let header: Header = serde_json::from_value(Value::Object(decode(header)?)).map_err(|_| not_an_object())?;
        header.check()?;
        let key = self.keys.verifying(header.kid.as_deref()).ok_or(AuthError::UnknownKey)?;
        Ok((key, payload))
    }

    /// Judges the claims of a token whose signature is good.
    fn check_claims(
        &self,
        key_id: Arc<str>,
        mut claims: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Verified, AuthError> {
        let secret = take_text(&mut claims, &self.format.secret_claim)?;
        let secret = secret.ok_or(AuthError::Malformed("the secret is missing"))?;
        let secret = Secret::from_token(secret).ok_or(AuthError::Malformed("the secret is empty or too long"))?;
        let algorithm = match take_text(&mut claims, "jti_alg")? {
            None => self.format.implied_hash,
            Some(name) => {
                HashAlgorithm::from_name(&name).ok_or(AuthError::Malformed("`jti_alg` is not a known hash"))?
            }
        };
        let digest = algorithm.digest(&secret).ok_or(AuthError::Malformed("the secret is not hexadecimal"))?;
        drop(secret);
        let claims = ClaimSet(claims);
        self.check_end(&claims, now)?;
        let latest_start = now.checked_add(self.leeway).unwrap_or(Timestamp::MAX);
        for name in ["nbf", "iat"] {
            if claims.date(name)?.is_some_and(|start| start > latest_start) {
                return Err(AuthError::NotYetValid);
            }
        }
        // RFC 8725 §3.8: an issuer that is named must be the one expected.
        if claims.text("iss")? != self.issuer.as_deref() {
            return Err(AuthError::WrongIssuer);
        }
        // RFC 7519 §4.1.3: a token with an audience is only for those that are named in it.
        let audiences = claims.audiences()?;
        let is_ours = match &self.audience {
            Some(expected) => audiences.is_some_and(|audiences| audiences.contains(&expected.as_str())),
            None => audiences.is_none(),
        };
        if !is_ours {
            return Err(AuthError::WrongAudience);
        }
        let subject = claims.text(&self.format.subject_claim)?.ok_or(AuthError::Malformed("the subject is missing"))?;
        let subject = Subject::new(subject).map_err(|_| AuthError::Malformed("the subject is not one"))?;
        let scope = claims.text(&self.format.scope_claim)?.map(str::to_owned);
        Ok(Verified { key_id, subject, digest, scope, claims })
    }

    /// RFC 7519 §4.1.4: the current time must be before `exp`.
    fn check_end(&self, claims: &ClaimSet, now: Timestamp) -> Result<(), AuthError> {
        match claims.date("exp")? {
            Some(expires_at) if self.with_leeway(now) >= expires_at => Err(AuthError::Expired),
            None if self.must_end => Err(AuthError::Malformed("`exp` is missing")),
            Some(_) | None => Ok(()),
        }
    }

    /// `now`, put back by the leeway: what ends before this moment is over.
    pub(crate) fn with_leeway(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.leeway).unwrap_or(Timestamp::MIN)
    }
}

/// The part of the JOSE header that decides. Keys and key addresses in a header (`jwk`, `jku`, `x5u`) are never used.
#[derive(Deserialize)]
struct Header {
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

impl Header {
    fn check(&self) -> Result<(), AuthError> {
        // RFC 7515 §4.1.11: an extension that is not understood must be refused, and we understand none.
        if self.crit.is_some() {
            return Err(AuthError::Malformed("`crit` names an extension"));
        }
        // RFC 8725 §3.11: a token of another type, such as an OAuth `at+jwt`, is not one of ours.
        if self.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(AuthError::Malformed("`typ` is not JWT"));
        }
        Ok(())
    }
}

/// A member that is there must have a value: `null` is not the same as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn decode(segment: &str) -> Result<Map<String, Value>, AuthError> {
    let json = Base64UrlUnpadded::decode_vec(segment)
        .map_err(|_| AuthError::Malformed("a segment is not base64url without padding"))?;
    // RFC 8725 §3.7. The JSON library looks at no text that it passes over.
    let json = std::str::from_utf8(&json).map_err(|_| not_an_object())?;
    serde_json::from_str(json).map(|UniqueNames(object)| object).map_err(|_| not_an_object())
}

fn not_an_object() -> AuthError {
    AuthError::Malformed("a segment is not the JSON object of a JWT")
}

/// A JSON object in which no name stands twice: of two values, two readers may take different ones (RFC 7515 §4, RFC
/// 7519 §4).
struct UniqueNames(Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<UniqueNames, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = members.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name stands twice"));
                    }
                }
                Ok(UniqueNames(object))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Why the signing library refuses a token.
fn refusal(error: &jwt_simple::Error) -> AuthError {
    match error.downcast_ref() {
        Some(JWTError::AlgorithmMismatch) => AuthError::AlgorithmMismatch,
        Some(JWTError::InvalidAuthenticationTag | JWTError::InvalidSignature) => AuthError::InvalidSignature,
        _ => AuthError::Malformed("it is not a signed JWT"),
    }
}

/// The claims of a verified token, without its secret.
#[derive(Clone, PartialEq)]
pub(crate) struct ClaimSet(Map<String, Value>);

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
    fn date(&self, name: &'static str) -> Result<Option<Timestamp>, AuthError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let date = match value.as_i64() {
            Some(second) => Timestamp::from_second(second).ok(),
            // A float too large for an i64 becomes the largest one, which is no timestamp either.
            None => value.as_f64().and_then(|second| Timestamp::from_microsecond((second * 1e6) as i64).ok()),
        };
        date.map(Some).ok_or(AuthError::Malformed("`exp`, `nbf` or `iat` is not a date"))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, AuthError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(not_text()),
        }
    }

    /// The audiences; `None` if there is no `aud`.
    fn audiences(&self) -> Result<Option<Vec<&str>>, AuthError> {
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

fn take_text(claims: &mut Map<String, Value>, name: &str) -> Result<Option<String>, AuthError> {
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
pub(crate) struct CustomClaims(Map<String, Value>);

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

/// What [`Jwt::verify`] thinks of the header and the signature of a token whose payload may be no claims: for test
/// vectors.
#[cfg(test)]
pub(crate) fn signature_of(keys: Keys, token: &str) -> Result<(), AuthError> {
    let jwt = Jwt::new(keys);
    let (key, _) = jwt.key_for(token)?;
    jwt_simple::prelude::Token::decode_metadata(token).map_err(|error| refusal(&error))?;
    match key.verify_signature(token, jwt.max_bytes) {
        // The header is JSON, so it is the payload that is none; and that is read when the signature has been found
        // good.
        Err(error) if error.is::<serde_json::Error>() => Ok(()),
        outcome => outcome.map_err(|error| refusal(&error)),
    }
}
