//! Verifying tokens without the store.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    clock::{Clock, SystemClock},
    error::{AuthenticateError, ClaimsError, MissingScope, Rejection},
    introspection::{Introspector, answer::Answer},
    keys::{KeySet, RemoteKeySet, VerifyingKeys},
    subject::Subject,
    token::{
        id::{SessionId, SessionRef},
        jwt::{Claimed, JwtCodec, text},
        profile::TokenProfile,
        scope::scopes,
    },
};

/// Verifies tokens for a service without the store: by the issuer's keys, by asking the issuer, or by both.
///
/// **By keys alone, it does not see revocation.** A token that was logged out, rotated or evicted, and one of a user
/// who was disabled, is valid here until its `exp`. So give tokens for such services a short
/// [`Lifetime`](crate::Lifetime), and ask the server with the store before anything that matters: through an
/// [`Introspector`], [`Knox::authenticate`](crate::Knox::authenticate) or `/verify`. A token without `exp` is rejected,
/// unless [`allow_missing_exp`](Self::allow_missing_exp) says otherwise.
///
/// There, a stolen signing key is enough to make tokens that are valid, for any user, which is not so where the store
/// or the issuer is asked. Set an issuer and an audience, so that no other kind of JWT of the same key is taken for a
/// session.
///
/// **With an [`Introspector`]**, the issuer is asked about each token whether it is active, or was a stated time ago.
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
    authority: Authority,
    jwt: JwtCodec,
    clock: Arc<dyn Clock>,
}

/// What says that a token is the issuer's.
#[derive(Debug, Clone)]
enum Authority {
    Keys(Arc<dyn VerifyingKeys>),
    Issuer(Introspector),
    Both(Arc<dyn VerifyingKeys>, Introspector),
}

impl Authority {
    fn keys(&self) -> Option<&dyn VerifyingKeys> {
        match self {
            Self::Keys(keys) | Self::Both(keys, _) => Some(&**keys),
            Self::Issuer(_) => None,
        }
    }

    fn introspector(&self) -> Option<&Introspector> {
        match self {
            Self::Keys(_) => None,
            Self::Issuer(introspector) | Self::Both(_, introspector) => Some(introspector),
        }
    }
}

impl Verifier {
    /// Verifies by `keys`: a [`VerifyingKey`](crate::VerifyingKey) or a [`KeySet`]. `profile` is that of the server
    /// that issues the tokens.
    #[must_use]
    pub fn new(keys: impl Into<KeySet>, profile: TokenProfile) -> Self {
        Self::with_keys(Arc::new(keys.into()), profile, Arc::new(SystemClock))
    }

    /// Verifies by the keys that the issuer publishes, which are fetched when they are needed. Verify with
    /// [`authenticate`](Self::authenticate), as the guards of the adapters do: [`verify`](Self::verify) cannot wait for
    /// a fetch.
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

    /// Verifies by asking the issuer whether a token is active, and without keys: what the issuer calls active is what
    /// it has signed. Verify with [`authenticate`](Self::authenticate), as the guards of the adapters do.
    ///
    /// Anyone can make up a well-formed token and trigger a request, so unauthenticated clients can use up the
    /// [concurrent requests](crate::IntrospectorBuilder::max_concurrent_requests). If the issuer publishes its keys,
    /// use [`with_introspector`](Self::with_introspector) instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{ConfigError, IntrospectionEndpoint, Introspector, TokenProfile, Verifier};
    ///
    /// fn verifier(endpoint: impl IntrospectionEndpoint) -> Result<Verifier, ConfigError> {
    ///     let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("api")?;
    ///     Ok(Verifier::introspecting(Introspector::builder(endpoint).build(), profile))
    /// }
    /// ```
    #[must_use]
    pub fn introspecting(introspector: Introspector, profile: TokenProfile) -> Self {
        Self {
            authority: Authority::Issuer(introspector),
            jwt: JwtCodec::stateful(profile),
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn with_keys(keys: Arc<dyn VerifyingKeys>, profile: TokenProfile, clock: Arc<dyn Clock>) -> Self {
        Self { authority: Authority::Keys(keys), jwt: JwtCodec::stateless(profile), clock }
    }

    /// Asks the issuer as well, about tokens whose signature and claims are valid. So made-up tokens trigger no
    /// requests.
    ///
    /// Since the issuer then decides, three checks of the claims are turned off, as where the store is asked: a token
    /// without `exp` is not rejected, an `iat` in the future is not either, and `nbf` gets the
    /// [leeway](TokenProfile::leeway) of the profile, without the minimum of 60 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{IntrospectionEndpoint, Introspector, RemoteKeySet, TokenProfile, Verifier};
    ///
    /// fn verifier(keys: RemoteKeySet, endpoint: impl IntrospectionEndpoint, profile: TokenProfile) -> Verifier {
    ///     Verifier::remote(keys, profile).with_introspector(Introspector::builder(endpoint).build())
    /// }
    /// ```
    #[must_use]
    pub fn with_introspector(self, introspector: Introspector) -> Self {
        let authority = match self.authority {
            Authority::Keys(keys) | Authority::Both(keys, _) => Authority::Both(keys, introspector),
            Authority::Issuer(_) => Authority::Issuer(introspector),
        };
        Self { authority, jwt: JwtCodec::stateful(self.jwt.profile), ..self }
    }

    /// Accepts tokens without `exp`; such tokens never expire here. Default: they are rejected, unless the issuer is
    /// asked.
    #[must_use]
    pub fn allow_missing_exp(mut self) -> Self {
        self.jwt.allow_missing_exp();
        self
    }

    /// Where the time comes from. Default: [`SystemClock`]. A [`RemoteKeySet`] has a clock of its own; an
    /// [`Introspector`] goes by this one.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The longest JWT that is read, in bytes.
    #[must_use]
    pub fn max_token_bytes(&self) -> usize {
        self.jwt.profile.max_token_bytes
    }

    /// Verifies `token`: its claims, its signature if there are keys, and whether it is active if there is an
    /// [`Introspector`]. Without one, it is not seen whether the session was revoked in the meantime. `token` is the
    /// JWT alone, as text or as bytes, without the `Bearer` that stands before it in a header.
    ///
    /// It waits for the keys of a [`RemoteKeySet`] where they are fetched, and for the issuer where that is asked.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError::Rejected`] if the signature or a claim is not valid, or the token not active;
    /// [`AuthenticateError::Store`] if the issuer's keys cannot be fetched, or the issuer not be asked, and so nothing
    /// can be told.
    pub async fn authenticate(&self, token: impl AsRef<[u8]>) -> Result<StatelessToken, AuthenticateError> {
        let token = text(token.as_ref())?;
        let claimed = Arc::new(self.read(token).await?);
        let Some(introspector) = self.authority.introspector() else {
            return Ok(StatelessToken { claimed, answer: None });
        };
        let answer = introspector.introspect(token, &claimed, &self.clock).await?;
        // Either may have expired while the issuer was asked.
        let now = self.clock.now();
        self.jwt.recheck_times(&claimed, now)?;
        self.jwt.check_times(answer.starts_at, answer.expires_at, now)?;
        Ok(StatelessToken { claimed, answer: Some(answer) })
    }

    /// What a token says, with its signature verified if there are keys.
    async fn read(&self, token: &str) -> Result<Claimed, AuthenticateError> {
        let Some(keys) = self.authority.keys() else { return Ok(self.jwt.read_unverified(token, self.clock.now())?) };
        let unverified = self.jwt.read_header(token)?;
        let key = keys.fetch_verifying(unverified.key_id()).await.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "token verification failed: the keys of the issuer are unavailable");
        })?;
        Ok(self.jwt.verify_by(key, &unverified, self.clock.now())?.into_claimed())
    }

    /// As [`authenticate`](Self::authenticate), by the keys that are there: for fixed keys, of which there are no
    /// others.
    ///
    /// With a [`RemoteKeySet`] nothing is fetched, and a token of a key that was not fetched before is rejected. With
    /// an [`Introspector`], whose answer would have to be waited for, every token is rejected as
    /// [`Rejection::NotIntrospected`].
    ///
    /// # Errors
    ///
    /// [`Rejection`] if the signature or a claim is not valid.
    pub fn verify(&self, token: impl AsRef<[u8]>) -> Result<StatelessToken, Rejection> {
        let Authority::Keys(keys) = &self.authority else { return Err(Rejection::NotIntrospected) };
        let claimed = self.jwt.verify(&**keys, text(token.as_ref())?, self.clock.now())?.into_claimed();
        Ok(StatelessToken { claimed: Arc::new(claimed), answer: None })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// What a token says that a [`Verifier`] has found valid, and which may have been revoked: since its issuer was
/// [asked](Self::active_at), or at any time if it was not.
///
/// Not an [`Authenticated`](crate::Authenticated), which only the server with the store gives.
#[derive(Debug, Clone)]
pub struct StatelessToken {
    claimed: Arc<Claimed>,
    answer: Option<Answer>,
}

impl StatelessToken {
    /// When the issuer was asked whether the token is active, which it was: no longer ago than the
    /// [`max_age`](crate::IntrospectorBuilder::max_age) when the request came. `None`: it was not asked, and the token
    /// may have been revoked at any time.
    #[must_use]
    pub fn active_at(&self) -> Option<Timestamp> {
        self.answer.map(|answer| answer.asked_at.time)
    }

    /// Who the session is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.claimed.session().subject
    }

    /// Which of the subject's sessions it is.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.claimed.session().id
    }

    /// The primary key of the session.
    #[must_use]
    pub fn session_ref(&self) -> SessionRef {
        self.claimed.session().clone()
    }

    /// The claim `exp`, or what the issuer has said if that is earlier, as where a session expires unless it is used.
    /// `None`: the token does not expire by itself.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let answered = self.answer.and_then(|answer| answer.expires_at);
        answered.into_iter().chain(self.claimed.expires_at).min()
    }

    /// The claims of the token as a type of the application. The secret is not among them. Where the issuer was asked,
    /// they are those of the token that it has called active.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.claimed.claims.read()
    }

    /// The scopes that the token claims.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.claimed.scope.as_deref())
    }

    /// Whether the token claims `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Returns an error unless the token claims `scope`.
    ///
    /// # Errors
    ///
    /// [`MissingScope`] if it does not.
    pub fn require_scope(&self, scope: &str) -> Result<(), MissingScope> {
        if self.has_scope(scope) { Ok(()) } else { Err(MissingScope { scope: scope.to_owned() }) }
    }
}
