//! Writing and reading the JWT: the signature by `jwt-simple`, the claims by the rules of RFC 7519 and one clock.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use jwt_simple::JWTError;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    error::{ClaimsError, IssueError, Rejection},
    keys::{SigningKey, VerifyingKey, VerifyingKeys},
    subject::Subject,
    token::{
        claims::{ClaimSet, CustomClaims, take_string},
        digest::{HashAlgorithm, TokenDigest},
        id::{SessionId, SessionRef},
        profile::TokenProfile,
        secret::Secret,
        segment::{Header, decode, not_an_object},
    },
};

/// What a token must be to be one of ours.
#[derive(Debug, Clone)]
pub(crate) struct Jwt {
    pub(crate) profile: TokenProfile,
    /// Whether a token without `exp` is rejected.
    pub(crate) require_exp: bool,
    /// Whether a token with an `iat` in the future is rejected. Where the store is asked, it says that a session has
    /// begun, whatever the clock of the server that issued the token.
    pub(crate) check_iat: bool,
}

/// What is signed into a new token.
pub(crate) struct Payload<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) session_id: SessionId,
    pub(crate) secret: &'a Secret,
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) audiences: &'a [String],
    pub(crate) scope: Option<&'a str>,
    pub(crate) custom: &'a CustomClaims,
}

/// A token whose signature and claims are valid. Whether it has been revoked is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    /// The `kid` of the key that has signed it.
    key_id: Arc<str>,
    pub(crate) subject: Subject,
    session_id: SessionId,
    secret: Secret,
    pub(crate) digest: TokenDigest,
    pub(crate) scope: Option<String>,
    pub(crate) claims: ClaimSet,
}

impl Verified {
    /// The key of the record that belongs to it.
    pub(crate) fn session_ref(&self) -> SessionRef {
        SessionRef { subject: self.subject.clone(), id: self.session_id }
    }

    /// The secret, for a rotation.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl Jwt {
    /// Signs a token.
    pub(crate) fn sign(&self, key: &SigningKey, payload: &Payload<'_>) -> Result<Token, IssueError> {
        let format = self.profile.token_format();
        let mut claims = payload.custom.0.clone();
        if let Some(name) = claims.keys().find(|name| format.is_reserved(name)) {
            return Err(ClaimsError::Reserved { name: name.clone() }.into());
        }
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set(&format.names().subject, payload.subject.as_str().into());
        set(&format.names().secret, payload.secret.expose().into());
        if format.has_session_id() {
            set("sid", payload.session_id.as_str().into());
        }
        set("iat", payload.issued_at.as_second().into());
        if let Some(expires_at) = payload.expires_at {
            set("exp", expires_at.as_second().into());
        }
        if let Some(issuer) = self.profile.get_issuer() {
            set("iss", issuer.into());
        }
        match payload.audiences {
            [] => None,
            [audience] => set("aud", audience.as_str().into()),
            audiences => set("aud", audiences.into()),
        };
        if let Some(scope) = payload.scope {
            set(&format.names().scope, scope.into());
        }
        if payload.algorithm != format.implied_hash() {
            set("jti_alg", payload.algorithm.as_str().into());
        }
        let jwt = key.sign(claims).map_err(IssueError::Signing)?;
        if jwt.len() > self.profile.max_bytes() {
            return Err(IssueError::TooLarge { bytes: jwt.len(), max: self.profile.max_bytes() });
        }
        Ok(Token::new(jwt))
    }

    /// Reads a token: size, header, signature, then the claims against `now`.
    pub(crate) fn verify(&self, keys: &dyn VerifyingKeys, token: &str, now: Timestamp) -> Result<Verified, Rejection> {
        let (key, payload) = self.key_for(keys, token)?;
        key.verify_signature(token, self.profile.max_bytes()).map_err(|error| rejection(&error))?;
        self.check_claims(key.shared_key_id(), decode(payload)?, now)
    }

    /// Whether what [`verify`](Self::verify) gave earlier would be good now: keys may have been retired, and time has
    /// passed.
    pub(crate) fn recheck(&self, keys: &dyn VerifyingKeys, token: &Verified, now: Timestamp) -> Result<(), Rejection> {
        keys.verifying(Some(&token.key_id)).ok_or(Rejection::UnknownKey)?;
        self.check_exp(&token.claims, now)
    }

    /// The key that must have signed the token, and the segment with its claims.
    fn key_for<'a>(&self, keys: &dyn VerifyingKeys, token: &'a str) -> Result<(VerifyingKey, &'a str), Rejection> {
        if token.len() > self.profile.max_bytes() {
            return Err(Rejection::Malformed("too long"));
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(_signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Rejection::Malformed("not three segments"));
        };
        let header: Header = serde_json::from_value(Value::Object(decode(header)?)).map_err(|_| not_an_object())?;
        header.check()?;
        let key = keys.verifying(header.kid.as_deref()).ok_or(Rejection::UnknownKey)?;
        Ok((key, payload))
    }

    /// Checks the claims of a token whose signature is valid.
    fn check_claims(
        &self,
        key_id: Arc<str>,
        mut claims: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Verified, Rejection> {
        let format = self.profile.token_format();
        let secret = take_string(&mut claims, &format.names().secret)?;
        let secret = secret.ok_or(Rejection::Malformed("the secret is missing"))?;
        let secret = Secret::from_token(secret).ok_or(Rejection::Malformed("the secret is empty or too long"))?;
        let algorithm = match take_string(&mut claims, "jti_alg")? {
            None => format.implied_hash(),
            Some(name) => name.parse().map_err(|_| Rejection::Malformed("`jti_alg` is not a known hash"))?,
        };
        let digest = algorithm.digest(&secret).ok_or(Rejection::Malformed("the secret is not hexadecimal"))?;
        let claims = ClaimSet(claims);
        self.check_exp(&claims, now)?;
        let leeway = if self.check_iat { self.profile.start_leeway() } else { self.profile.get_leeway() };
        let latest_start = now.checked_add(leeway).unwrap_or(Timestamp::MAX);
        for (name, is_checked) in [("nbf", true), ("iat", self.check_iat)] {
            if claims.numeric_date(name)?.is_some_and(|start| is_checked && start > latest_start) {
                return Err(Rejection::NotYetValid);
            }
        }
        // RFC 8725 §3.8: an issuer must be the one expected.
        if claims.string("iss")? != self.profile.get_issuer() {
            return Err(Rejection::WrongIssuer);
        }
        // RFC 7519 §4.1.3: a token with an audience is only for those that it lists.
        let audiences = claims.audiences()?;
        let is_ours = match (self.profile.audiences(), audiences) {
            ([], audiences) => audiences.is_none(),
            (ours, audiences) => {
                audiences.is_some_and(|theirs| ours.iter().any(|audience| theirs.contains(&audience.as_str())))
            }
        };
        if !is_ours {
            return Err(Rejection::WrongAudience);
        }
        let subject = claims.string(&format.names().subject)?.ok_or(Rejection::Malformed("`sub` is missing"))?;
        let subject = Subject::new(subject).map_err(|_| Rejection::Malformed("`sub` is not a valid subject"))?;
        // A token without `sid`, as those of drf-jwt-knox, has the id that its secret began with.
        let session_id = match claims.string("sid")? {
            Some(id) if format.has_session_id() => {
                id.parse().map_err(|_| Rejection::Malformed("`sid` is not a session id"))?
            }
            _ => digest.session_id(),
        };
        let scope = claims.string(&format.names().scope)?.map(str::to_owned);
        Ok(Verified { key_id, subject, session_id, secret, digest, scope, claims })
    }

    /// RFC 7519 §4.1.4: the current time must be before `exp`.
    fn check_exp(&self, claims: &ClaimSet, now: Timestamp) -> Result<(), Rejection> {
        match claims.numeric_date("exp")? {
            Some(expires_at) if self.profile.expiry_cutoff(now) >= expires_at => Err(Rejection::Expired),
            None if self.require_exp => Err(Rejection::Malformed("`exp` is missing")),
            Some(_) | None => Ok(()),
        }
    }
}

/// Why the signing library rejects a token.
fn rejection(error: &jwt_simple::Error) -> Rejection {
    match error.downcast_ref() {
        Some(JWTError::AlgorithmMismatch) => Rejection::AlgorithmMismatch,
        Some(JWTError::InvalidAuthenticationTag | JWTError::InvalidSignature) => Rejection::InvalidSignature,
        _ => Rejection::Malformed("not a signed JWT"),
    }
}

/// The JWT that a client presents. Anyone who holds it is logged in.
///
/// It has no `Display`, its `Debug` is redacted, and it is wiped from memory when dropped, so it does not slip into a
/// log by accident. [`expose`](Self::expose) gives the string, to be sent to the client once and then forgotten.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn new(jwt: String) -> Self {
        Self(Zeroizing::new(jwt))
    }

    /// The JWT as a string. Send it to the client; do not log or store it.
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
pub(crate) fn signature_of(keys: &dyn VerifyingKeys, token: &str) -> Result<(), Rejection> {
    let jwt = Jwt { profile: TokenProfile::new(), require_exp: false, check_iat: false };
    let (key, _) = jwt.key_for(keys, token)?;
    jwt_simple::prelude::Token::decode_metadata(token).map_err(|error| rejection(&error))?;
    match key.verify_signature(token, jwt.profile.max_bytes()) {
        // The header is JSON, so it is the payload that is none; and that is read when the signature has been found
        // good.
        Err(error) if error.is::<serde_json::Error>() => Ok(()),
        outcome => outcome.map_err(|error| rejection(&error)),
    }
}
