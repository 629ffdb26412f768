//! The handle that everything is done with.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tracing::Span;

use crate::{
    authenticated::Authenticated,
    builder::KnoxBuilder,
    clock::Clock,
    digest::{HashAlgorithm, TokenDigest, TokenId},
    error::{AuthError, AuthenticateError, ConfigError, IssueError, StoreError},
    jwt::{CustomClaims, Jwt, Payload, Verified},
    keys::KeyRing,
    new_token::{Issued, NewToken},
    observer::{Event, Observer, RevocationCause},
    policy::{Lifetime, TokenLimit, deadline},
    record::{TokenKey, TokenRecord, whole_microseconds},
    secret::{FillRandom, Secret, Token},
    store::{InsertOutcome, TokenStore},
    subject::Subject,
    subject_check::{SubjectCheck, SubjectStatus},
    verifier::Verifier,
};

/// Issues, verifies and revokes tokens.
///
/// One handle for the whole application: cheap to clone, without type parameters.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
///
/// let issued = knox.issue(Subject::new("user-42")?).await?;
///
/// let auth = knox.authenticate(issued.token.expose()).await?;
/// assert_eq!(auth.subject().as_str(), "user-42");
///
/// knox.revoke(&auth.key()).await?;
/// assert!(knox.authenticate(issued.token.expose()).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Knox(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) keys: KeyRing,
    pub(crate) jwt: Jwt,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) subject_check: Option<Arc<dyn SubjectCheck>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lifetime: Lifetime,
    pub(crate) limit: Option<TokenLimit>,
    pub(crate) touch_interval: Duration,
    pub(crate) hash_algorithm: HashAlgorithm,
    pub(crate) secret_bytes: usize,
    pub(crate) secret_prefix: String,
    pub(crate) fill_random: FillRandom,
}

impl Knox {
    /// Starts a handle that signs with `keys`: a [`SigningKey`](crate::SigningKey), or a [`KeyRing`] of several.
    pub fn builder(keys: impl Into<KeyRing>) -> KnoxBuilder {
        KnoxBuilder::new(keys.into())
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Logs `subject` in: issues a token and keeps its record.
    ///
    /// # Errors
    ///
    /// As for [`issue_with`](Self::issue_with).
    pub async fn issue(&self, subject: Subject) -> Result<Issued, IssueError> {
        self.issue_with(NewToken::for_subject(subject)).await
    }

    /// Issues a token with a label, claims, scopes, attributes or a lifetime of its own.
    ///
    /// # Errors
    ///
    /// [`IssueError`]: the limit is reached, the subject is not active, the token would be too large, or the store or
    /// the random source failed. No token is good after any of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, NewToken, SigningKey, Subject};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let new = NewToken::for_subject(Subject::new("user-42")?).label("Firefox on Linux").scope("read")?;
    /// let issued = knox.issue_with(new).await?;
    /// assert_eq!(issued.record.label.as_deref(), Some("Firefox on Linux"));
    /// # Ok(())
    /// # }
    /// ```
    #[tracing::instrument(name = "knox.issue", level = "debug", skip_all, fields(subject = %new.subject, token_id))]
    pub async fn issue_with(&self, new: NewToken) -> Result<Issued, IssueError> {
        let lifetime = new.lifetime.unwrap_or(self.0.lifetime);
        lifetime.check()?;
        self.check_subject(&new.subject).await?;

        let now = self.now();
        let (secret, digest) = self.mint()?;
        let mut record = TokenRecord::new(new.subject, digest, now);
        Span::current().record("token_id", record.id().as_str());
        record.idle_timeout = lifetime.idle_timeout().map(|timeout| Duration::from_secs(timeout.as_secs()));
        record.deadline = lifetime.deadline(now);
        record.expires_at = next_expiry(&record, now);
        record.scope = new.scope;
        record.label = new.label;
        record.attributes = new.attributes;
        // Signed before it is stored, so that a token which cannot be made leaves no record behind.
        let token = self.sign(&record, &secret, &new.custom, now)?;

        match self.0.store.insert(record.clone(), self.0.limit, self.live_since(now)).await? {
            InsertOutcome::Inserted { evicted } => {
                self.emit(Event::Issued { key: &record.key() });
                self.emit_revoked(&record.subject, None, evicted, RevocationCause::Evicted);
                Ok(Issued { token, record })
            }
            InsertOutcome::LimitReached => {
                let max = self.0.limit.map_or(0, |limit| limit.max());
                tracing::debug!(subject = %record.subject, max, "no token issued: the limit is reached");
                Err(IssueError::LimitReached { max })
            }
        }
    }

    /// Decides whether `token` is good. This is the one way in: every [`Authenticated`] begins here.
    ///
    /// Verifies the signature and the claims, reads one record by its primary key, compares digests in constant time,
    /// then checks the deadline and the subject.
    ///
    /// # Errors
    ///
    /// [`AuthenticateError::Refused`] if the token is not good, [`AuthenticateError::Store`] if that cannot be told.
    #[tracing::instrument(name = "knox.authenticate", level = "debug", skip_all, fields(subject, token_id))]
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, AuthenticateError> {
        let outcome = self.decide(token).await;
        self.report(&outcome);
        outcome
    }

    /// Tells the log and the observer what was decided.
    fn report(&self, outcome: &Result<Authenticated, AuthenticateError>) {
        match outcome {
            Ok(auth) => tracing::trace!(subject = %auth.subject(), token_id = %auth.token_id(), "token accepted"),
            Err(AuthenticateError::Refused(reason)) => self.emit(Event::Rejected { reason }),
            Err(AuthenticateError::Store(error)) => {
                tracing::error!(error = error as &dyn std::error::Error, "a token could not be checked");
            }
        }
    }

    async fn decide(&self, token: &str) -> Result<Authenticated, AuthenticateError> {
        let now = self.now();
        let verified = self.0.jwt.verify(token, now)?;
        let key = verified.key();
        Span::current().record("subject", key.subject.as_str()).record("token_id", key.id.as_str());
        let mut record = self.look_up(&key, &verified, now).await?;
        self.touch(&key, &mut record, now).await;
        Ok(Authenticated::new(record, verified))
    }

    /// The record of a token whose signature and claims are good, if it is good too.
    async fn look_up(
        &self,
        key: &TokenKey,
        token: &Verified,
        now: Timestamp,
    ) -> Result<TokenRecord, AuthenticateError> {
        let record = self.0.store.find(key).await?.ok_or(AuthError::Revoked)?;
        // The subject too, in case a database takes `Alice` for `alice`.
        if record.digest != token.digest || record.subject != key.subject {
            return Err(AuthError::Revoked.into());
        }
        // The signature vouches for the scope, and so does the record: a stolen key is not enough to widen it.
        if record.scope != token.scope {
            return Err(AuthError::Revoked.into());
        }
        // The deadline too, in case a store has let use move the expiry beyond it.
        let since = self.live_since(now);
        if !record.is_live(since) || record.deadline.is_some_and(|deadline| deadline <= since) {
            return Err(AuthError::Expired.into());
        }
        self.check_subject(&record.subject).await?;
        Ok(record)
    }

    /// Decides whether the token that `auth` came with is still good, for a connection or a job that lasts.
    ///
    /// It makes the checks of [`authenticate`](Self::authenticate) that can come out differently now: the key ring,
    /// `exp`, the record, its deadline, the subject. So the token itself need not be kept. It does not count as a use:
    /// a connection on which nothing happens does not keep a login with an idle timeout alive.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate).
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{AuthenticateError, Authenticated, Knox};
    ///
    /// /// Whether to go on serving a connection. `None`: unsure, which is not no. Try again soon, and give up at last.
    /// async fn may_go_on(knox: &Knox, auth: &Authenticated) -> Option<bool> {
    ///     match knox.recheck(auth).await {
    ///         Ok(_) => Some(true),
    ///         Err(AuthenticateError::Store(_)) => None,
    ///         Err(_) => Some(false),
    ///     }
    /// }
    /// ```
    #[tracing::instrument(name = "knox.recheck", level = "debug", skip_all, fields(subject = %auth.subject(), token_id = %auth.token_id()))]
    pub async fn recheck(&self, auth: &Authenticated) -> Result<Authenticated, AuthenticateError> {
        let outcome = self.decide_again(auth).await;
        self.report(&outcome);
        outcome
    }

    async fn decide_again(&self, auth: &Authenticated) -> Result<Authenticated, AuthenticateError> {
        let now = self.now();
        let verified = auth.verified();
        self.0.jwt.check_again(verified, now)?;
        let record = self.look_up(&auth.key(), verified, now).await?;
        Ok(Authenticated::new(record, verified.clone()))
    }

    /// Ends one login. `true`: it was there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the login has ended.
    #[tracing::instrument(name = "knox.revoke", level = "debug", skip_all, fields(subject = %key.subject, token_id = %key.id))]
    pub async fn revoke(&self, key: &TokenKey) -> Result<bool, StoreError> {
        let removed = self.0.store.remove(key).await?;
        self.emit_revoked(&key.subject, Some(&key.id), u64::from(removed), RevocationCause::One);
        Ok(removed)
    }

    /// Ends all logins of the subject but the one that `auth` came with, and says how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the logins have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let subject = Subject::new("user-42")?;
    /// let issued = knox.issue(subject.clone()).await?;
    /// knox.issue(subject.clone()).await?;
    /// let auth = knox.authenticate(issued.token.expose()).await?;
    /// assert_eq!(knox.revoke_others(&auth).await?, 1);
    /// assert_eq!(knox.revoke_all(&subject).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_others(&self, auth: &Authenticated) -> Result<u64, StoreError> {
        self.remove_all(auth.subject(), Some(auth.token_id()), RevocationCause::Others).await
    }

    /// Ends all logins of `subject`, and says how many. Call it when a password is changed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the logins have ended.
    pub async fn revoke_all(&self, subject: &Subject) -> Result<u64, StoreError> {
        self.remove_all(subject, None, RevocationCause::All).await
    }

    #[tracing::instrument(name = "knox.revoke_all", level = "debug", skip_all, fields(%subject))]
    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&TokenId>,
        cause: RevocationCause,
    ) -> Result<u64, StoreError> {
        let count = self.0.store.remove_all(subject, except, self.live_since(self.now())).await?;
        self.emit_revoked(subject, except, count, cause);
        Ok(count)
    }

    /// The live logins of `subject`, newest first: the list of devices.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let subject = Subject::new("user-42")?;
    /// knox.issue(subject.clone()).await?;
    /// for login in knox.tokens(&subject).await? {
    ///     println!("{} since {}", login.label.as_deref().unwrap_or("?"), login.created_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tokens(&self, subject: &Subject) -> Result<Vec<TokenRecord>, StoreError> {
        self.0.store.list(subject, self.live_since(self.now())).await
    }

    /// Gives the login that `auth` came with a new secret, and so a new token; the old token is dead at once.
    ///
    /// Label, attributes, claims, the moment of login and the absolute deadline stay. Of parallel calls with the same
    /// token, one wins.
    ///
    /// # Errors
    ///
    /// [`IssueError::Refused`] with [`AuthError::Revoked`] if the login has ended or was rotated in the meantime;
    /// otherwise as for [`issue_with`](Self::issue_with).
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey, Subject};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let old = knox.issue(Subject::new("user-42")?).await?;
    /// let auth = knox.authenticate(old.token.expose()).await?;
    /// let new = knox.rotate(&auth).await?;
    /// assert!(knox.authenticate(old.token.expose()).await.is_err());
    /// assert!(knox.authenticate(new.token.expose()).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[tracing::instrument(name = "knox.rotate", level = "debug", skip_all, fields(subject = %auth.subject(), token_id = %auth.token_id()))]
    pub async fn rotate(&self, auth: &Authenticated) -> Result<Issued, IssueError> {
        let now = self.now();
        // What `auth` knows of the record may be old by now.
        let found = self.0.store.find(&auth.key()).await?;
        let mut record = found.filter(|found| found.is_live(self.live_since(now))).ok_or(AuthError::Revoked)?;
        // What was granted at the login is what the new token grants, whoever has written to the store since.
        if (&record.scope, record.deadline) != (&auth.record().scope, auth.record().deadline) {
            return Err(AuthError::Revoked.into());
        }
        self.check_subject(&record.subject).await?;
        let (secret, digest) = self.mint()?;
        record.digest = digest;
        // Neither goes back with a clock that was set back.
        record.last_used_at = record.last_used_at.max(Some(now));
        // In the leeway after its end a login is accepted, and no longer prolonged.
        if record.is_live(now) {
            record.expires_at = record.expires_at.max(next_expiry(&record, now));
        }
        let token = self.sign(&record, &secret, &auth.custom_claims(&self.0.jwt.format), now)?;
        if !self.0.store.replace(&auth.key(), record.clone()).await? {
            return Err(AuthError::Revoked.into());
        }
        self.emit(Event::Rotated { old: &auth.key(), new: &record.key() });
        Ok(Issued { token, record })
    }

    /// Verifies signature and claims only, by the settings and the present and future keys of this handle. It **does
    /// not see revocation**, and refuses tokens without `exp`.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(Jwt { must_end: true, ..self.0.jwt.clone() }, Arc::clone(&self.0.clock))
    }

    /// The keys, to be published or to be changed while the server runs.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    /// The longest JWT that is issued or read, in bytes.
    #[must_use]
    pub fn max_token_bytes(&self) -> usize {
        self.0.jwt.max_bytes
    }

    pub(crate) fn store(&self) -> &dyn TokenStore {
        &*self.0.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        whole_microseconds(self.0.clock.now())
    }

    /// The moment that a record must reach beyond to be live: the leeway holds for records as for tokens.
    pub(crate) fn live_since(&self, now: Timestamp) -> Timestamp {
        self.0.jwt.with_leeway(now)
    }

    fn mint(&self) -> Result<(Secret, TokenDigest), IssueError> {
        let encoding = self.0.jwt.format.secret_encoding;
        let secret = Secret::mint(&self.0.secret_prefix, self.0.secret_bytes, encoding, self.0.fill_random)?;
        let digest = self.0.hash_algorithm.digest(&secret).ok_or(ConfigError::HexSecrets)?;
        Ok((secret, digest))
    }

    pub(crate) fn emit(&self, event: Event<'_>) {
        event.log();
        if let Some(observer) = &self.0.observer {
            observer.observe(&event);
        }
    }

    fn emit_revoked(&self, subject: &Subject, id: Option<&TokenId>, count: u64, cause: RevocationCause) {
        if count > 0 {
            self.emit(Event::Revoked { subject, id, count, cause });
        }
    }

    /// The token of a record.
    fn sign(
        &self,
        record: &TokenRecord,
        secret: &Secret,
        custom: &CustomClaims,
        issued_at: Timestamp,
    ) -> Result<Token, IssueError> {
        let key = self.0.keys.signing().ok_or(IssueError::Signing("the key ring has no key that signs".into()))?;
        let payload = Payload {
            subject: &record.subject,
            secret,
            algorithm: record.digest.algorithm(),
            issued_at,
            expires_at: record.deadline,
            scope: record.scope.as_deref(),
            custom,
        };
        self.0.jwt.issue(&key, &payload)
    }

    async fn check_subject(&self, subject: &Subject) -> Result<(), AuthenticateError> {
        let Some(check) = &self.0.subject_check else { return Ok(()) };
        match check.check(subject).await? {
            SubjectStatus::Active => Ok(()),
            SubjectStatus::Inactive => Err(AuthError::SubjectInactive.into()),
            SubjectStatus::Unknown => Err(AuthError::SubjectUnknown.into()),
        }
    }

    /// Notes the use of a login, if that was not done lately, and slides its expiry if it has an idle timeout.
    ///
    /// The token was good before, so a store that cannot write now does not make it bad: the login at most ends
    /// earlier.
    async fn touch(&self, key: &TokenKey, record: &mut TokenRecord, now: Timestamp) {
        let throttle = match record.idle_timeout {
            Some(timeout) => self.0.touch_interval.min(timeout / 4),
            None => self.0.touch_interval,
        };
        let last = record.last_used_at.unwrap_or(record.created_at);
        if now < last.checked_add(throttle).unwrap_or(Timestamp::MAX) {
            return;
        }
        let slid = record.idle_timeout.and_then(|_| next_expiry(record, now));
        match self.0.store.touch(key, now, slid).await {
            Ok(true) => {
                record.last_used_at = Some(now);
                record.expires_at = record.expires_at.map(|old| slid.map_or(old, |new| old.max(new)));
                self.emit(Event::Renewed { key, expires_at: record.expires_at });
            }
            Ok(false) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, token_id = %key.id, "the use of a token could not be noted");
            }
        }
    }
}

impl fmt::Debug for Knox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knox")
            .field("keys", &self.0.keys)
            .field("store", &self.0.store)
            .field("lifetime", &self.0.lifetime)
            .field("limit", &self.0.limit)
            .finish_non_exhaustive()
    }
}

/// When a login ends that is used at `now`: after its idle timeout, if it has one, and at its deadline at the latest.
fn next_expiry(record: &TokenRecord, now: Timestamp) -> Option<Timestamp> {
    let idle = record.idle_timeout.map(|timeout| deadline(now, timeout));
    [idle, record.deadline].into_iter().flatten().min()
}
