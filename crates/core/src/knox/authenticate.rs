//! Authenticating: the one way in.

use std::{pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span, field::Empty, level_filters::LevelFilter};

use crate::{
    clock::elapsed,
    error::{AuthenticateError, ClaimsError, LoginTooOld, MissingScope, Rejection},
    knox::{
        Knox,
        cache::{Asked, CachedToken, StoreAnswer},
        settings::ReuseAction,
        touch::Touch,
    },
    observer::Event,
    store::record::SessionRecord,
    subject::Subject,
    subject_check::SubjectUser,
    token::{
        claims::CustomClaims,
        format::TokenFormat,
        id::{SessionId, SessionRef},
        jwt::{Verified, text},
        profile::TokenProfile,
        scope::scopes,
    },
};

/// Proof that a token was presented and is valid: its signature, its claims, its record and its subject.
///
/// Only [`Knox::authenticate`] makes one, and [`Knox::recheck`] another from it. It says what was so at that time.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticated {
    record: Arc<SessionRecord>,
    verified: Arc<Verified>,
    user: Option<SubjectUser>,
    checked_at: Timestamp,
}

impl Authenticated {
    /// Who the session is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.record.subject
    }

    /// Which of the subject's sessions it is.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.record.id
    }

    /// The primary key of the session, as [`Knox::revoke`] takes it.
    #[must_use]
    pub fn session_ref(&self) -> SessionRef {
        self.own_session(self.session_id())
    }

    /// The primary key of a session of the same subject, whether it is there or not: for a page on which users end
    /// their own sessions. With the subject from anywhere else, they could end those of others.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Authenticated, Knox, Revocation, SessionId, StoreError};
    ///
    /// async fn end_one_of_mine(knox: &Knox, auth: &Authenticated, id: SessionId) -> Result<Revocation, StoreError> {
    ///     knox.revoke(&auth.own_session(id)).await
    /// }
    /// ```
    #[must_use]
    pub fn own_session(&self, id: SessionId) -> SessionRef {
        SessionRef::new(self.subject().clone(), id)
    }

    /// What the store keeps of the session.
    #[must_use]
    pub fn session(&self) -> &SessionRecord {
        &self.record
    }

    /// The user that the [`SubjectCheck`](crate::SubjectCheck) has handed on, if it is a `T`: as it was read for this
    /// check, so that a handler need not read it once more.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Authenticated, Knox, MemoryStore, SigningKey, SubjectStatus, subject_check_fn};
    ///
    /// struct User {
    ///     email: &'static str,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// let users = subject_check_fn(|_session| async {
    ///     // From the users table.
    ///     Ok(SubjectStatus::active_with(User { email: "alice@example.com" }))
    /// });
    /// let knox = Knox::builder(key).store(MemoryStore::new()).subject_check(users).build()?;
    /// let issued = knox.issue(42).await?;
    ///
    /// let auth = knox.authenticate(issued.token.expose()).await?;
    /// assert_eq!(auth.user::<User>().map(|user| user.email), Some("alice@example.com"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn user<T: 'static>(&self) -> Option<&T> {
        self.user.as_ref()?.get()
    }

    /// When the user last proved who they are: when the check of the credentials began with which the session began. A
    /// rotation does not move it.
    #[must_use]
    pub fn authenticated_at(&self) -> Timestamp {
        self.session().created_at
    }

    /// Returns an error unless the login is no older than `max_age`: for what a stolen token or a screen left unlocked
    /// must not do, such as changing the password. The client has to log in again for a token that may.
    ///
    /// # Errors
    ///
    /// [`LoginTooOld`] if it is older, or lies more than 10 minutes in the future, as after a clock was set back.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use jwt_knox::{Authenticated, LoginTooOld};
    ///
    /// fn change_password(auth: &Authenticated) -> Result<(), LoginTooOld> {
    ///     auth.require_recent(Duration::from_secs(5 * 60))?;
    ///     Ok(())
    /// }
    /// ```
    pub fn require_recent(&self, max_age: Duration) -> Result<(), LoginTooOld> {
        let (then, now) = (self.authenticated_at(), self.checked_at);
        let is_recent = match elapsed(then, now) {
            Some(age) => age <= max_age,
            // The server that logged the user in may be ahead of this one. Further ahead, a clock was wrong, and how
            // long ago the login was is unknown.
            None => elapsed(now, then).is_some_and(|ahead| ahead <= TokenProfile::MAX_LEEWAY),
        };
        if is_recent { Ok(()) } else { Err(LoginTooOld { max_age }) }
    }

    /// The claims of the token as a type of the application: its own claims, and the registered ones if the type has
    /// fields for them. The secret (`jti`) is not among them.
    ///
    /// The signature vouches for them. For those of the application, so does the record of a session that this library
    /// began: a stolen key is not enough to change them.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`, as when the token was issued before a field was added.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.verified.claimed().claims.read()
    }

    /// The scopes that the token grants.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.session().scope.as_deref())
    }

    /// Whether the token grants `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Returns an error unless the token grants `scope`.
    ///
    /// # Errors
    ///
    /// [`MissingScope`] if it does not.
    pub fn require_scope(&self, scope: &str) -> Result<(), MissingScope> {
        if self.has_scope(scope) { Ok(()) } else { Err(MissingScope { scope: scope.to_owned() }) }
    }

    fn new(answer: StoreAnswer, verified: &Arc<Verified>, checked_at: Timestamp) -> Self {
        let StoreAnswer { record, user, .. } = answer;
        Self { record, verified: Arc::clone(verified), user, checked_at }
    }

    /// What the token says.
    pub(super) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The claims that the application has put into the token.
    pub(super) fn custom_claims(&self, format: &TokenFormat) -> CustomClaims {
        self.verified.claimed().claims.custom(format)
    }

    /// The audiences that the token lists.
    pub(super) fn audiences(&self) -> Vec<String> {
        let audiences = self.verified.claimed().claims.audiences().ok().flatten().unwrap_or_default();
        audiences.into_iter().map(str::to_owned).collect()
    }
}

/// Whether an authentication is a use of the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    Counted,
    Passive,
}

/// Whether a token that was rotated away, after its grace, means that it was stolen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnReuse {
    /// It was presented again.
    Act,
    /// It was presented before, and is only looked at again.
    Ignore,
}

/// Whether a token is valid.
enum Decision<'a> {
    /// That is known.
    Ready(Result<Authenticated, AuthenticateError>),
    /// The store and the application have to be asked, or the store to be told of a use. That may have begun, so this
    /// is to be awaited.
    Pending(Pin<Box<dyn Future<Output = Result<Authenticated, AuthenticateError>> + Send + 'a>>),
}

impl Decision<'_> {
    /// Asks inside of `span`.
    fn instrument(self, span: Span) -> Self {
        match self {
            Self::Ready(outcome) => Self::Ready(outcome),
            Self::Pending(asking) => Self::Pending(Box::pin(asking.instrument(span))),
        }
    }
}

/// What the store and the application are asked.
#[derive(Clone, Copy)]
struct Question<'a> {
    verified: &'a Verified,
    now: Timestamp,
    on_reuse: OnReuse,
}

impl Knox {
    /// Decides whether `token` is valid. This is the one way in: every [`Authenticated`] begins here. `token` is the
    /// JWT alone, as text or as bytes, without the `Bearer` that stands before it in a header.
    ///
    /// Verifies the signature and the claims, reads one record by its primary key, compares digests in constant time,
    /// then checks the expiry and the subject. A token that was rotated away is valid for the
    /// [grace](crate::KnoxBuilder::rotation_grace).
    ///
    /// # Errors
    ///
    /// [`AuthenticateError::Rejected`] if the token is not valid, [`AuthenticateError::Store`] if that cannot be told.
    pub async fn authenticate(&self, token: impl AsRef<[u8]>) -> Result<Authenticated, AuthenticateError> {
        self.authenticate_as(token.as_ref(), Usage::Counted).await
    }

    /// As [`authenticate`](Self::authenticate), and does not count as a use of the session: for what a page polls by
    /// itself, so that an idle timeout measures what the user does.
    ///
    /// # Errors
    ///
    /// As for [`authenticate`](Self::authenticate).
    pub async fn authenticate_passively(&self, token: impl AsRef<[u8]>) -> Result<Authenticated, AuthenticateError> {
        self.authenticate_as(token.as_ref(), Usage::Passive).await
    }

    async fn authenticate_as(&self, token: &[u8], usage: Usage) -> Result<Authenticated, AuthenticateError> {
        let decision = match span() {
            None => self.try_authenticate(token, usage, None),
            Some(span) => span.in_scope(|| self.try_authenticate(token, usage, Some(&span))).instrument(span),
        };
        match decision {
            Decision::Ready(outcome) => outcome,
            Decision::Pending(asking) => asking.await,
        }
    }

    /// Decides at once by what is known of a token, or asks. That is boxed, so that the future of a request need not
    /// have room for it.
    fn try_authenticate(&self, token: &[u8], usage: Usage, span: Option<&Span>) -> Decision<'_> {
        let now = self.now();
        let token = match self.verify(token, now) {
            Ok(token) => token,
            Err(reason) => return Decision::Ready(self.reported(Err(reason.into()), None)),
        };
        let session = token.verified.claimed().session();
        if let Some(span) = span {
            span.record("subject", session.subject.as_str()).record("session_id", session.id.as_str());
        }
        let Some(answer) = self.remembered(&token, now) else {
            return Decision::Pending(Box::pin(self.authenticate_by_store(token, usage, now)));
        };
        if self.claim_touch(&answer.record, usage, now) {
            return Decision::Pending(Box::pin(self.use_remembered(token, answer, usage, now)));
        }
        let outcome = Ok(Authenticated::new(answer, &token.verified, now));
        Decision::Ready(self.reported(outcome, Some(session)))
    }

    /// What the token says, if its signature and its claims are valid now: found out, or remembered.
    fn verify(&self, token: &[u8], now: Timestamp) -> Result<Arc<CachedToken>, Rejection> {
        let (jwt, keys) = (&self.0.jwt, &self.0.keys);
        // Before all of it is hashed.
        jwt.check_length(token)?;
        let entry = self.0.tokens.get_or_verify(token, || jwt.verify(keys, text(token)?, now))?;
        // The same checks for both, also of the key: what is remembered is never of a key that has been retired.
        jwt.recheck(keys, &entry.verified, now)?;
        Ok(entry)
    }

    /// What is remembered of a session, if that is allowed, and says nothing against the token at `now`. Whatever
    /// speaks against it is asked about.
    fn remembered(&self, token: &CachedToken, now: Timestamp) -> Option<StoreAnswer> {
        let asked = self.asked(&token.verified, now)?;
        let answer = self.0.tokens.answer(token, &asked)?;
        self.is_valid_now(&answer.record, &token.verified, now).then_some(answer)
    }

    /// What the store and the application say of a token whose signature and claims are valid.
    async fn authenticate_by_store(
        &self,
        token: Arc<CachedToken>,
        usage: Usage,
        now: Timestamp,
    ) -> Result<Authenticated, AuthenticateError> {
        let outcome = match self.ask(&Question { verified: &token.verified, now, on_reuse: OnReuse::Act }).await {
            Ok(mut answer) => {
                token.remember(&answer);
                if self.claim_touch(&answer.record, usage, now) {
                    Box::pin(self.record_use(&token, &mut answer, now)).await;
                }
                Ok(Authenticated::new(answer, &token.verified, now))
            }
            Err(error) => Err(error),
        };
        self.reported(outcome, Some(token.verified.claimed().session()))
    }

    /// Uses a session by what is remembered of it, and tells the store of that.
    async fn use_remembered(
        &self,
        token: Arc<CachedToken>,
        mut answer: StoreAnswer,
        usage: Usage,
        now: Timestamp,
    ) -> Result<Authenticated, AuthenticateError> {
        if self.record_use(&token, &mut answer, now).await == Touch::Refused {
            // Something has happened of which nothing is remembered: it has ended, or another server has used it since.
            token.forget();
            return self.authenticate_by_store(token, usage, now).await;
        }
        let auth = Authenticated::new(answer, &token.verified, now);
        self.reported(Ok(auth), Some(token.verified.claimed().session()))
    }

    /// Tells the store of a use that has been [claimed](Self::claim_touch).
    async fn record_use(&self, token: &CachedToken, answer: &mut StoreAnswer, now: Timestamp) -> Touch {
        let outcome = self.touch(&mut answer.record, now).await;
        if outcome == Touch::Recorded {
            token.remember(answer);
        }
        outcome
    }

    /// Claims the recording of this use, if it counts as one. `true`: this request has to record it.
    fn claim_touch(&self, record: &SessionRecord, usage: Usage, now: Timestamp) -> bool {
        usage == Usage::Counted && self.begin_touch(record, now)
    }

    /// That the store and the application are asked now, if their answer is to be remembered.
    fn asked(&self, verified: &Verified, now: Timestamp) -> Option<Asked> {
        let subject = &verified.claimed().session().subject;
        let asked = || Asked { at: self.admin().asked_at(now), epoch: self.admin().epochs().of(subject) };
        self.0.tokens.remembers_answers().then(asked)
    }

    /// Decides whether the token that `auth` came with is still valid, for a connection or a job that lasts.
    ///
    /// It makes the checks of [`authenticate`](Self::authenticate) that can come out differently now: the key ring,
    /// `exp`, the record, its expiry, the subject. So the token itself need not be kept. It does not count as a use: a
    /// connection on which nothing happens does not keep a session with an idle timeout alive. A token that was rotated
    /// away is [`Rejection::Revoked`] after the grace, and its session goes on.
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
    /// /// Whether to go on serving a connection. `None`: cannot tell. Retry soon, and give up after a few attempts.
    /// async fn may_go_on(knox: &Knox, auth: &Authenticated) -> Option<bool> {
    ///     match knox.recheck(auth).await {
    ///         Ok(_) => Some(true),
    ///         Err(AuthenticateError::Store(_)) => None,
    ///         Err(_) => Some(false),
    ///     }
    /// }
    /// ```
    #[tracing::instrument(name = "knox.recheck", level = "debug", skip_all, fields(subject = %auth.subject(), session_id = %auth.session_id()))]
    pub async fn recheck(&self, auth: &Authenticated) -> Result<Authenticated, AuthenticateError> {
        let outcome = self.try_recheck(auth).await;
        self.reported(outcome, Some(&auth.session_ref()))
    }

    async fn try_recheck(&self, auth: &Authenticated) -> Result<Authenticated, AuthenticateError> {
        let now = self.now();
        self.0.jwt.recheck(&self.0.keys, auth.verified(), now)?;
        // Nobody has presented the token again: a connection has outlived a rotation, and its session goes on.
        let answer = self.ask(&Question { verified: &auth.verified, now, on_reuse: OnReuse::Ignore }).await?;
        Ok(Authenticated::new(answer, &auth.verified, now))
    }

    /// Which session a token belongs to, if its signature, its claims and its secret are valid. Whether the session has
    /// expired and whether its subject is active makes no difference: this is for ending it.
    pub(super) async fn session_of(&self, token: &[u8]) -> Result<SessionRef, AuthenticateError> {
        let now = self.now();
        let token = self.verify(token, now)?;
        let question = Question { verified: &token.verified, now, on_reuse: OnReuse::Act };
        Ok(self.find_vouched(&question).await?.session_ref())
    }

    /// Tells the log and the observer what was decided, and gives it back.
    fn reported(
        &self,
        outcome: Result<Authenticated, AuthenticateError>,
        session: Option<&SessionRef>,
    ) -> Result<Authenticated, AuthenticateError> {
        match &outcome {
            Ok(auth) => tracing::trace!(subject = %auth.subject(), session_id = %auth.session_id(), "token accepted"),
            Err(AuthenticateError::Rejected(reason)) => {
                self.emit(&Event::Rejected { reason: reason.clone(), session: session.cloned() });
            }
            Err(AuthenticateError::Store(error)) => {
                let error = error as &dyn std::error::Error;
                tracing::error!(error, "token verification failed: the store is unavailable");
            }
        }
        outcome
    }

    /// Asks the store and the application about a token whose signature and claims are valid.
    async fn ask(&self, question: &Question<'_>) -> Result<StoreAnswer, AuthenticateError> {
        // Before the store is asked, so that what changes in the meantime is not missed.
        let asked = self.asked(question.verified, question.now);
        let record = self.find_vouched(question).await?;
        let user = self.check_record(&record, question.now).await?;
        Ok(StoreAnswer { record, user, asked })
    }

    /// The record of a session, if it vouches for all that the token says.
    async fn find_vouched(&self, question: &Question<'_>) -> Result<Arc<SessionRecord>, AuthenticateError> {
        let verified = question.verified;
        let record = self.find_record(verified.claimed().session()).await?;
        if record.digest != verified.claimed().digest {
            Box::pin(self.check_previous(&record, question)).await?;
        }
        if self.vouches_for_claims(&record, verified) { Ok(record) } else { Err(Rejection::Revoked.into()) }
    }

    /// Whether a record says nothing against the token at `now`, by the same rules as [`ask`](Self::ask).
    fn is_valid_now(&self, record: &SessionRecord, verified: &Verified, now: Timestamp) -> bool {
        (record.digest == verified.claimed().digest || is_in_grace(record, verified, now))
            && self.vouches_for_claims(record, verified)
            && self.is_unexpired(record, now)
    }

    /// The signature vouches for scope and claims, and so does the record: a stolen key is not enough to change them.
    fn vouches_for_claims(&self, record: &SessionRecord, verified: &Verified) -> bool {
        record.scope == verified.claimed().scope
            && record.claims.is_none_or(|digest| digest == self.0.jwt.claims_digest(verified))
    }

    /// Whether a session has not expired. The absolute expiry too, in case a store has let use move the expiry beyond
    /// it.
    fn is_unexpired(&self, record: &SessionRecord, now: Timestamp) -> bool {
        let cutoff = self.expiry_cutoff(now);
        record.is_active(cutoff) && record.absolute_expires_at.is_none_or(|expiry| cutoff < expiry)
    }

    /// The record of a session.
    pub(super) async fn find_record(&self, session: &SessionRef) -> Result<Arc<SessionRecord>, AuthenticateError> {
        match self.time_limit().apply(self.admin().store().find(session)).await? {
            // The subject too, in case a database takes `Alice` for `alice`.
            Some(record) if record.subject == session.subject => Ok(record),
            _ => Err(Rejection::Revoked.into()),
        }
    }

    /// Whether a session has not expired and its subject may be logged in, whatever token was presented.
    pub(super) async fn check_record(
        &self,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Result<Option<SubjectUser>, AuthenticateError> {
        if !self.is_unexpired(record, now) {
            return Err(Rejection::Expired.into());
        }
        self.check_subject(record).await
    }

    /// Whether a token that does not have the present secret has the one before it, in its grace.
    ///
    /// After the grace, two parties have the token, and only one of them should (RFC 9700 §4.14.2).
    async fn check_previous(&self, record: &SessionRecord, question: &Question<'_>) -> Result<(), AuthenticateError> {
        let Question { verified: token, now, on_reuse } = *question;
        if is_in_grace(record, token, now) {
            return Ok(());
        }
        let is_previous = record.previous.as_ref().is_some_and(|previous| *previous.digest() == token.claimed().digest);
        // By the clock of the server that has rotated it, the grace may not be over.
        let is_in_leeway = is_in_grace(record, token, self.expiry_cutoff(now));
        if !is_previous || is_in_leeway || on_reuse == OnReuse::Ignore {
            return Err(Rejection::Revoked.into());
        }
        let session = record.session_ref();
        self.emit(&Event::Reused { session: session.clone() });
        if self.0.settings.reuse == ReuseAction::RevokeSession {
            // Somebody else may have ended it in the meantime, which is as good.
            let _ = self.admin().revoke_reused(&session).await?;
        }
        Err(Rejection::Reused.into())
    }
}

/// The span of an authentication, if a subscriber wants it. Even one that nobody wants has a cost.
fn span() -> Option<Span> {
    if LevelFilter::current() < LevelFilter::DEBUG {
        return None;
    }
    let span = tracing::debug_span!("knox.authenticate", subject = Empty, session_id = Empty);
    (!span.is_disabled()).then_some(span)
}

/// Whether the token has the secret before the present one, and the grace is not over.
fn is_in_grace(record: &SessionRecord, token: &Verified, now: Timestamp) -> bool {
    record.previous.as_ref().is_some_and(|previous| previous.is_in_grace(&token.claimed().digest, now))
}
