//! Writing and reading the JWT: the signature by `jwt-simple`, the claims by the rules of RFC 7519 and one clock.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use jwt_simple::JWTError;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    error::{AuthError, ClaimsError, ConfigError, IssueError},
    keys::{Keys, SigningKey, VerifyingKey},
    subject::Subject,
    token::{
        claims::{ClaimSet, CustomClaims, take_text},
        digest::{HashAlgorithm, TokenDigest},
        format::TokenFormat,
        id::TokenKey,
        secret::Secret,
        segment::{Header, decode, not_an_object},
    },
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

/// Why the signing library refuses a token.
fn refusal(error: &jwt_simple::Error) -> AuthError {
    match error.downcast_ref() {
        Some(JWTError::AlgorithmMismatch) => AuthError::AlgorithmMismatch,
        Some(JWTError::InvalidAuthenticationTag | JWTError::InvalidSignature) => AuthError::InvalidSignature,
        _ => AuthError::Malformed("it is not a signed JWT"),
    }
}

/// The JWT that a client presents. Whoever holds it is logged in.
///
/// It has no `Display`, its `Debug` is redacted, and it is wiped from memory when dropped, so it does not slip into a
/// log by accident. [`expose`](Self::expose) hands the text out, to be sent to the client once and then forgotten.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// The JWT as text. Send it to the client; do not log or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
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
