//! Verifying tokens without the store.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    clock::{Clock, SystemClock},
    error::{AuthenticateError, ClaimsError, MissingScope, Rejection},
    keys::{KeySet, RemoteKeySet, VerifyingKeys},
    subject::Subject,
    token::{
        id::{SessionId, SessionRef},
        jwt::{Jwt, Verified},
        profile::TokenProfile,
        scope::scopes,
    },
};

/// Verifies the signature and the claims of tokens, for a service that has the key and not the store.
///
/// **It does not see revocation.** A token that was logged out, rotated or evicted, and one of a user who was disabled,
/// is valid here until its `exp`. So give tokens for such services a short [`Lifetime`](crate::Lifetime), and ask the
/// server with the store, through [`Knox::authenticate`](crate::Knox::authenticate) or `/verify`, before anything that
/// matters. A token without `exp` is rejected, unless [`allow_missing_exp`](Self::allow_missing_exp) says otherwise.
///
/// A stolen signing key is enough to make tokens that are valid here, for any user, which is not so where the store is
/// asked. Set an issuer and an audience, so that no other kind of JWT of the same key is taken for a session.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, KeyRing, KeySet, Knox, MemoryStore, SigningKey, Subject, TokenProfile, Verifier};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256)?);
/// # let knox = Knox::builder(ring.clone()).issuer("https://auth.example.com").audience("api").store(MemoryStore::new()).build()?;
/// # let issued = knox.issue(Subject::new("user-42")?).await?;
/// # let (jwks, jwt) = (ring.jwks(), issued.token.expose());
/// let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("api")?;
/// let verifier = Verifier::new(KeySet::from_jwks(&jwks)?, profile);
///
/// let token = verifier.verify(jwt)?;
/// assert_eq!(*token.subject(), "user-42");
///
/// // It stays valid here after the session has ended.
/// assert!(knox.revoke(&token.session_ref()).await?.is_revoked());
/// assert!(verifier.verify(jwt).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<dyn VerifyingKeys>,
    jwt: Jwt,
    clock: Arc<dyn Clock>,
}

impl Verifier {
    /// Verifies by `keys`: a [`VerifyingKey`](crate::VerifyingKey) or a [`KeySet`]. `profile` is that of the server that
    /// issues the tokens.
    #[must_use]
    pub fn new(keys: impl Into<KeySet>, profile: TokenProfile) -> Self {
        Self::with_keys(Arc::new(keys.into()), profile, Arc::new(SystemClock))
    }

    /// Verifies by the keys that the issuer publishes, which are fetched when they are needed. Verify with
    /// [`authenticate`](Self::authenticate), as the guards of the adapters do: [`verify`](Self::verify) cannot wait for a
    /// fetch.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{FetchedJwks, RemoteKeySet, StoreError, TokenProfile, Verifier, jwks_source_fn};
    /// # async fn get(url: &str) -> Result<String, StoreError> { Err(StoreError::new("no network here")) }
    ///
    /// let source = jwks_source_fn(|| async {
    ///     Ok(FetchedJwks::new(get("https://auth.example.com/.well-known/jwks.json").await?))
    /// });
    /// let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("api")?;
    /// let verifier = Verifier::remote(RemoteKeySet::builder(source).build()?, profile);
    /// # Ok::<(), jwt_knox::ConfigError>(())
    /// ```
    #[must_use]
    pub fn remote(keys: RemoteKeySet, profile: TokenProfile) -> Self {
        Self::with_keys(Arc::new(keys), profile, Arc::new(SystemClock))
    }

    pub(crate) fn with_keys(keys: Arc<dyn VerifyingKeys>, profile: TokenProfile, clock: Arc<dyn Clock>) -> Self {
        Self { keys, jwt: Jwt { profile, require_exp: true, check_iat: true }, clock }
    }

    /// Accepts tokens without `exp`; such tokens never expire here. Default: they are rejected.
    #[must_use]
    pub fn allow_missing_exp(mut self) -> Self {
        self.jwt.require_exp = false;
        self
    }

    /// Where the time comes from. Default: [`SystemClock`]. A [`RemoteKeySet`] has a clock of its own.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The longest JWT that is read, in bytes.
    #[must_use]
    pub fn max_token_bytes(&self) -> usize {
        self.jwt.profile.max_bytes()
    }

    /// Verifies the signature and the claims of `token`, for keys of any kind. Whether the session was revoked in the
    /// meantime is not seen.
    ///
    /// It waits only for the keys of a [`RemoteKeySet`], and only where they are fetched.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError::Rejected`] if the signature or a claim is not valid; [`AuthenticateError::Store`] if the
    /// issuer's keys cannot be fetched, and so nothing can be told.
    pub async fn authenticate(&self, token: &str) -> Result<StatelessToken, AuthenticateError> {
        let unverified = self.jwt.read_header(token)?;
        let key = self.keys.fetch_verifying(unverified.key_id()).await.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "token verification failed: the issuer's keys are unavailable");
        })?;
        let verified = self.jwt.verify_by(key, &unverified, self.clock.now())?;
        Ok(StatelessToken(Arc::new(verified)))
    }

    /// As [`authenticate`](Self::authenticate), by the keys that are there: for fixed keys, of which there are no others.
    ///
    /// With a [`RemoteKeySet`] nothing is fetched, and a token of a key that was not fetched before is rejected.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if the signature or a claim is not valid.
    pub fn verify(&self, token: &str) -> Result<StatelessToken, Rejection> {
        let verified = self.jwt.verify(&*self.keys, token, self.clock.now())?;
        Ok(StatelessToken(Arc::new(verified)))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What a token says whose signature and claims are valid, and which may have been revoked.
///
/// Not an [`Authenticated`](crate::Authenticated), which only the server with the store gives.
#[derive(Debug, Clone)]
pub struct StatelessToken(Arc<Verified>);

impl StatelessToken {
    /// Who the session is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.session().subject
    }

    /// Which of the subject's sessions it is.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.0.session().id
    }

    /// The primary key of the session.
    #[must_use]
    pub fn session_ref(&self) -> SessionRef {
        self.0.session().clone()
    }

    /// The claim `exp`. `None`: the token does not expire by itself.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    /// The claims of the token as a type of the application. The secret is not among them.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.0.claims.read()
    }

    /// The scopes that the token claims.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.0.scope.as_deref())
    }

    /// Whether the token claims `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Goes on only if the token claims `scope`.
    ///
    /// # Errors
    ///
    /// [`MissingScope`] if it does not.
    pub fn require_scope(&self, scope: &str) -> Result<(), MissingScope> {
        if self.has_scope(scope) { Ok(()) } else { Err(MissingScope { scope: scope.to_owned() }) }
    }
}
