//! Writing and reading the JWT: the signature by `jwt-simple`, the claims by the rules of RFC 7519 and one clock.

use std::{fmt, sync::OnceLock};

use jiff::Timestamp;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    error::{ClaimsError, IssueError, Rejection},
    keys::{Identity, SignatureError, SigningKey, VerifyingKey, VerifyingKeys},
    subject::Subject,
    token::{
        claims::{ClaimSet, CustomClaims, take_string},
        claims_digest::ClaimsDigest,
        digest::{HashAlgorithm, TokenDigest},
        id::{SessionId, SessionRef},
        profile::TokenProfile,
        secret::Secret,
        segment::{Header, decode, decode_base64, not_an_object},
    },
};

/// Writes tokens, and reads those that are ours.
#[derive(Debug, Clone)]
pub(crate) struct JwtCodec {
    pub(crate) profile: TokenProfile,
    /// Whether a token without `exp` is rejected.
    require_exp: bool,
    /// Whether a token with an `iat` in the future is rejected.
    check_iat: bool,
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

/// What a token says whose claims are those of a token of ours. Nothing says yet that the issuer has made it.
#[derive(Debug)]
pub(crate) struct Claimed {
    session: SessionRef,
    secret: Secret,
    pub(crate) digest: TokenDigest,
    pub(crate) scope: Option<String>,
    pub(crate) claims: ClaimSet,
    /// When it begins to be valid, give or take the leeway.
    starts_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Claimed {
    /// The key of the record that belongs to it.
    pub(crate) fn session(&self) -> &SessionRef {
        &self.session
    }

    /// The secret, for a rotation.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// What a token says whose signature is valid, too. Whether its time has come or gone, its key has been retired or its
/// session has been revoked may change, and is not known yet.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Which key has signed it. Not the key itself, which is to be wiped when it is retired.
    key: Identity,
    /// Whether the token names its key.
    names_key: bool,
    claimed: Claimed,
    claims_digest: OnceLock<ClaimsDigest>,
}

impl Verified {
    /// How much memory it takes, in bytes, give or take.
    pub(crate) fn bytes(&self) -> u64 {
        let Claimed { session, secret, scope, claims, .. } = &self.claimed;
        let texts = session.subject.as_str().len() + secret.expose().len() + Self::MAX_DIGEST_BYTES;
        (size_of::<Self>() + texts + scope.as_ref().map_or(0, String::len) + claims.bytes()) as u64
    }

    const MAX_DIGEST_BYTES: usize = 64;

    /// What the token says.
    pub(crate) fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// As [`claimed`](Self::claimed), without the rest.
    pub(crate) fn into_claimed(self) -> Claimed {
        self.claimed
    }
}

/// A token of which the header has been read, and of which nothing is verified.
pub(crate) struct Unverified<'a> {
    token: &'a str,
    header: Header,
    /// The segment with the claims.
    payload: &'a str,
    signature: &'a str,
}

impl Unverified<'_> {
    /// The `kid`, if the token has one.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// `key`, if there is one and it may have signed the token.
    fn signed_by(&self, key: Option<VerifyingKey>) -> Result<VerifyingKey, Rejection> {
        let key = key.ok_or(Rejection::UnknownKey)?;
        // RFC 8725 §3.1: the key says which algorithm it is for, and the token has to agree.
        if !key.algorithm().is_named(&self.header.alg) {
            return Err(Rejection::AlgorithmMismatch);
        }
        Ok(key)
    }
}

impl JwtCodec {
    /// Where the store or the issuer is asked, which knows whether a session has begun, whatever the clock of the
    /// server that issued the token, and ends what has no `exp`.
    pub(crate) fn stateful(profile: TokenProfile) -> Self {
        Self { profile, require_exp: false, check_iat: false }
    }

    /// Where nobody is asked.
    pub(crate) fn stateless(profile: TokenProfile) -> Self {
        Self { profile, require_exp: true, check_iat: true }
    }

    /// Accepts tokens without `exp`.
    pub(crate) fn allow_missing_exp(&mut self) {
        self.require_exp = false;
    }

    /// Signs a token.
    pub(crate) fn sign(&self, key: &SigningKey, payload: &Payload<'_>) -> Result<Token, IssueError> {
        let format = &self.profile.format;
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
        if let Some(issuer) = self.profile.issuer.as_deref() {
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
        if jwt.len() > self.profile.max_token_bytes {
            return Err(IssueError::TooLarge { bytes: jwt.len(), max: self.profile.max_token_bytes });
        }
        Ok(Token::new(jwt))
    }

    /// Verifies a token: size, header, signature, claims, and the times in them against `now`.
    pub(crate) fn verify(&self, keys: &dyn VerifyingKeys, token: &str, now: Timestamp) -> Result<Verified, Rejection> {
        let unverified = self.read_header(token)?;
        let key = keys.verifying(unverified.key_id());
        self.verify_by(key, &unverified, now)
    }

    /// The rest of [`verify`](Self::verify), after [`read_header`](Self::read_header): `key` is the one that the header
    /// names, if there is such a key.
    pub(crate) fn verify_by(
        &self,
        key: Option<VerifyingKey>,
        unverified: &Unverified<'_>,
        now: Timestamp,
    ) -> Result<Verified, Rejection> {
        let key = unverified.signed_by(key)?;
        key.verify_signature(unverified.token, self.profile.max_token_bytes).map_err(rejection)?;
        Ok(Verified {
            key: key.identity().clone(),
            names_key: unverified.key_id().is_some(),
            claimed: self.read_claims(decode(unverified.payload)?, now)?,
            claims_digest: OnceLock::new(),
        })
    }

    /// What a token says that is a signed JWT by its form, with the claims of a token of ours, and whose time is now.
    /// Its signature is not verified, so anybody may have made it. It has no characters but those of base64url and
    /// dots.
    pub(crate) fn read_unverified(&self, token: &str, now: Timestamp) -> Result<Claimed, Rejection> {
        let unverified = self.read_header(token)?;
        if decode_base64(unverified.signature)?.is_empty() {
            return Err(Rejection::Malformed("not a signed JWT"));
        }
        self.read_claims(decode(unverified.payload)?, now)
    }

    /// Whether what [`verify`](Self::verify) gave earlier is good now: keys may have been retired, and time has passed.
    pub(crate) fn recheck(&self, keys: &dyn VerifyingKeys, token: &Verified, now: Timestamp) -> Result<(), Rejection> {
        let key_id = token.names_key.then_some(&*token.key.key_id);
        if !keys.has(key_id, &token.key) {
            return Err(Rejection::UnknownKey);
        }
        self.recheck_times(token.claimed(), now)
    }

    /// Whether a token whose time had come when it was read is neither too early nor expired `now`.
    pub(crate) fn recheck_times(&self, claimed: &Claimed, now: Timestamp) -> Result<(), Rejection> {
        self.check_times(claimed.starts_at, claimed.expires_at, now)
    }

    /// The digest of the claims that the application has put into the token.
    pub(crate) fn claims_digest(&self, token: &Verified) -> ClaimsDigest {
        *token.claims_digest.get_or_init(|| token.claimed.claims.custom_digest(&self.profile.format))
    }

    /// Reads what has to be known of a token to find its key.
    pub(crate) fn read_header<'a>(&self, token: &'a str) -> Result<Unverified<'a>, Rejection> {
        self.check_length(token.as_bytes())?;
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Rejection::Malformed("not three segments"));
        };
        let header: Header = serde_json::from_value(Value::Object(decode(header)?)).map_err(|_| not_an_object())?;
        header.check()?;
        Ok(Unverified { token, header, payload, signature })
    }

    /// Whether a token is not too long to be looked at.
    pub(crate) fn check_length(&self, token: &[u8]) -> Result<(), Rejection> {
        if token.len() > self.profile.max_token_bytes { Err(Rejection::Malformed("too long")) } else { Ok(()) }
    }

    /// Reads the claims of a token.
    fn read_claims(&self, mut claims: Map<String, Value>, now: Timestamp) -> Result<Claimed, Rejection> {
        let format = &self.profile.format;
        let secret = take_string(&mut claims, &format.names().secret)?;
        let secret = secret.ok_or(Rejection::Malformed("the secret is missing"))?;
        let secret = Secret::from_token(secret).ok_or(Rejection::Malformed("the secret is empty or too long"))?;
        let algorithm = match take_string(&mut claims, "jti_alg")? {
            None => format.implied_hash(),
            Some(name) => name.parse().map_err(|_| Rejection::Malformed("`jti_alg` is not a known hash"))?,
        };
        let digest = algorithm.digest(&secret).ok_or(Rejection::Malformed("the secret is not hexadecimal"))?;
        let mut claims = ClaimSet(claims);
        // Registered claims have one type (RFC 7519 §4.1), also those that mean nothing in this format.
        for name in ["sub", "jti", "nonce"] {
            claims.string(name)?;
        }
        let expires_at = claims.numeric_date("exp")?;
        if expires_at.is_none() && self.require_exp {
            return Err(Rejection::Malformed("`exp` is missing"));
        }
        let (not_before, issued_at) = (claims.numeric_date("nbf")?, claims.numeric_date("iat")?);
        let starts_at = not_before.max(issued_at.filter(|_| self.check_iat));
        self.check_times(starts_at, expires_at, now)?;
        // RFC 8725 §3.8: an issuer must be the one expected.
        if claims.string("iss")? != self.profile.issuer.as_deref() {
            return Err(Rejection::WrongIssuer);
        }
        // RFC 7519 §4.1.3: a token with an audience is only for those that it lists.
        let audiences = claims.audiences()?;
        let is_ours = match (&*self.profile.audiences, audiences) {
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
        // Where a record vouches for all else, nothing vouches for these but the key.
        if !self.check_iat {
            claims.retain(|name| !format.is_unused(name));
        }
        Ok(Claimed {
            session: SessionRef::new(subject, session_id),
            secret,
            digest,
            scope,
            claims,
            starts_at,
            expires_at,
        })
    }

    /// RFC 7519 §4.1.4 and §4.1.5: the current time must be before `exp`, and not before `nbf`.
    pub(crate) fn check_times(
        &self,
        starts_at: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        if expires_at.is_some_and(|expires_at| self.profile.expiry_cutoff(now) >= expires_at) {
            return Err(Rejection::Expired);
        }
        let leeway = if self.check_iat { self.profile.start_leeway() } else { self.profile.leeway };
        let latest_start = || now.checked_add(leeway).unwrap_or(Timestamp::MAX);
        // The leeway is rarely needed, and adding it takes longer than the rest.
        if starts_at.is_some_and(|starts_at| starts_at > now && starts_at > latest_start()) {
            return Err(Rejection::NotYetValid);
        }
        Ok(())
    }
}

/// A token as text, which it is if it is a JWT.
pub(crate) fn text(token: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(token).map_err(|_| Rejection::Malformed("not UTF-8"))
}

/// Why a token is rejected whose signature is not accepted.
fn rejection(error: SignatureError) -> Rejection {
    match error {
        SignatureError::Invalid => Rejection::InvalidSignature,
        SignatureError::AlgorithmMismatch => Rejection::AlgorithmMismatch,
        SignatureError::NotClaims | SignatureError::Malformed => Rejection::Malformed("not a signed JWT"),
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

/// What [`JwtCodec::verify`] thinks of the header and the signature of a token whose payload may be no claims: for test
/// vectors.
#[cfg(test)]
pub(crate) fn signature_of(keys: &dyn VerifyingKeys, token: &str) -> Result<(), Rejection> {
    let jwt = JwtCodec::stateful(TokenProfile::new());
    let unverified = jwt.read_header(token)?;
    let key = unverified.signed_by(keys.verifying(unverified.key_id()))?;
    // As `verify` does afterwards, which then wants JSON.
    decode_base64(unverified.payload)?;
    jwt_simple::prelude::Token::decode_metadata(token).map_err(|error| rejection(error.into()))?;
    match key.verify_signature(token, jwt.profile.max_token_bytes) {
        // The header is JSON, so it is the payload that is none; and that is read when the signature has been found
        // good.
        Err(SignatureError::NotClaims) => Ok(()),
        outcome => outcome.map_err(rejection),
    }
}
