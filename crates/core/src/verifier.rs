//! Verifying tokens without the store.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    clock::{Clock, SystemClock},
    error::{AuthError, ClaimsError, ConfigError},
    keys::{KeySet, Keys},
    subject::Subject,
    token::{
        format::TokenFormat,
        id::{TokenId, TokenKey},
        jwt::{Jwt, Verified},
        scope::scopes,
    },
};

/// Verifies the signature and the claims of tokens, for a service that has the key and not the store.
///
/// **It does not see revocation.** A token that was logged out, rotated or evicted, and one of a user who was locked
/// out, is good here until its `exp`. So give tokens for such services a short [`Lifetime`](crate::Lifetime), and ask
/// the server with the store, through [`Knox::authenticate`](crate::Knox::authenticate) or `/verify`, before anything
/// that matters. A token without `exp` is refused, unless [`accept_endless`](VerifierBuilder::accept_endless) says
/// otherwise.
///
/// Whoever steals the signing key can make tokens that are good here, for any user, which is not so where the store is
/// asked. Set an issuer and an audience, so that no other kind of JWT of the same key is taken for a login.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, KeyRing, KeySet, Knox, MemoryStore, SigningKey, Subject, Verifier};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256)?);
/// # let knox = Knox::builder(ring.clone()).issuer("https://auth.example.com").audience("api").store(MemoryStore::new()).build()?;
/// # let issued = knox.issue(Subject::new("user-42")?).await?;
/// # let (jwks, jwt) = (ring.jwks(), issued.token.expose());
/// let verifier = Verifier::builder(KeySet::from_jwks(&jwks)?)
///     .issuer("https://auth.example.com")
///     .audience("api")
///     .build()?;
/// let token = verifier.verify(jwt)?;
/// assert_eq!(token.subject().as_str(), "user-42");
///
/// // It stays good here after the login has ended.
/// knox.revoke(&token.key()).await?;
/// assert!(verifier.verify(jwt).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    jwt: Jwt,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Starts a verifier with `keys`: a [`VerifyingKey`](crate::VerifyingKey), a [`KeySet`], or the keys that a
    /// [`KeyRing`](crate::KeyRing) has at this moment.
    pub fn builder(keys: impl Into<KeySet>) -> VerifierBuilder {
        let jwt = Jwt { must_end: true, ..Jwt::new(Keys::Set(keys.into())) };
        VerifierBuilder { jwt, clock: Arc::new(SystemClock) }
    }

    pub(crate) fn new(jwt: Jwt, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { jwt, clock }))
    }

    /// Verifies the signature and the claims of `token`. Whether the login has been ended meanwhile is not seen.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if the signature or a claim is not good.
    pub fn verify(&self, token: &str) -> Result<MaybeRevoked, AuthError> {
        let verified = self.0.jwt.verify(token, self.0.clock.now())?;
        Ok(MaybeRevoked { key: verified.key(), verified })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.0.jwt.keys).finish_non_exhaustive()
    }
}

/// The settings of a [`Verifier`]. [`Verifier::builder`] starts one. They must be those of the server that issues the
/// tokens.
#[derive(Debug)]
#[must_use]
pub struct VerifierBuilder {
    jwt: Jwt,
    clock: Arc<dyn Clock>,
}

impl VerifierBuilder {
    /// Accepts only tokens with this `iss`. Default: none, and tokens with an `iss` are refused.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.jwt.issuer = Some(issuer.into());
        self
    }

    /// Accepts only tokens whose `aud` names this. Default: none, and tokens with an `aud` are refused.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.jwt.audience = Some(audience.into());
        self
    }

    /// How far clocks of servers may be apart, at most 10 minutes. Default: 0.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.jwt.leeway = leeway;
        self
    }

    /// Accepts tokens without `exp`, which are good here for ever. Default: they are refused.
    pub fn accept_endless(mut self) -> Self {
        self.jwt.must_end = false;
        self
    }

    /// What the tokens look like. Default: [`TokenFormat::default`].
    pub fn token_format(mut self, format: TokenFormat) -> Self {
        self.jwt.format = format;
        self
    }

    /// The longest JWT that is read, in bytes. At least 1024. Default: 8192.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.jwt.max_bytes = bytes;
        self
    }

    /// Where the time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and makes the verifier.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting is wrong and what to do about it.
    pub fn build(self) -> Result<Verifier, ConfigError> {
        self.jwt.check()?;
        Ok(Verifier::new(self.jwt, self.clock))
    }
}

/// What a token says whose signature and claims are good, and which may have been revoked.
///
/// Not an [`Authenticated`](crate::Authenticated), which only the server with the store gives.
#[derive(Debug, Clone)]
pub struct MaybeRevoked {
    key: TokenKey,
    verified: Verified,
}

impl MaybeRevoked {
    /// Who the token is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.key.subject
    }

    /// Which of the subject's logins it is.
    #[must_use]
    pub fn token_id(&self) -> &TokenId {
        &self.key.id
    }

    /// The key of the login's record.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        self.key.clone()
    }

    /// The claim `exp`. `None`: the token has no end of its own.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.verified.claims.expires_at()
    }

    /// The claims of the token as a type of the application. The secret is not among them.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.verified.claims.read()
    }

    /// The scopes that the token claims.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.verified.scope.as_deref())
    }

    /// Whether the token claims `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }
}
