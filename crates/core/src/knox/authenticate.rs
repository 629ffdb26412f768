//! Who presented a token.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tracing::Span;

use crate::{
    error::{AuthError, AuthenticateError, ClaimsError},
    knox::Knox,
    observer::Event,
    store::record::{TokenRecord, next_expiry},
    subject::Subject,
    token::{
        claims::CustomClaims,
        format::TokenFormat,
        id::{TokenId, TokenKey},
        jwt::Verified,
        scope::scopes,
    },
};

/// Proof that a token was presented and is good: its signature, its claims, its record and its subject.
///
/// Only [`Knox::authenticate`](crate::Knox::authenticate) makes one, and [`Knox::recheck`](crate::Knox::recheck)
/// another from it. It says what was so at that moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: TokenId,
    record: TokenRecord,
    verified: Verified,
}

impl Authenticated {
    pub(crate) fn new(record: TokenRecord, verified: Verified) -> Self {
        Self(Arc::new(Inner { id: record.id(), record, verified }))
    }

    /// What the token said.
    pub(crate) fn verified(&self) -> &Verified {
        &self.0.verified
    }

    /// Who the token is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.record.subject
    }

    /// Which of the subject's logins it is.
    #[must_use]
    pub fn token_id(&self) -> &TokenId {
        &self.0.id
    }

    /// The key of the record, as [`Knox::revoke`](crate::Knox::revoke) takes it.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey { subject: self.subject().clone(), id: self.token_id().clone() }
    }

    /// What the store keeps of the login.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        &self.0.record
    }

    /// The claims of the token as a type of the application: its own claims, and the registered ones if the type has
    /// fields for them. The secret (`jti`) is not among them.
    ///
    /// The signing key alone vouches for claims of the application. What must hold even if that key is stolen belongs
    /// into the scope or into the record's attributes, which the store keeps too.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the claims do not fit `T`, as when the token was issued before a field was added.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.0.verified.claims.read()
    }

    /// The scopes that the token grants.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        scopes(self.record().scope.as_deref())
    }

    /// Whether the token grants `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Goes on only if the token grants `scope`.
    ///
    /// # Errors
    ///
    /// [`AuthError::InsufficientScope`] if it does not.
    pub fn require_scope(&self, scope: &str) -> Result<(), AuthError> {
        if self.has_scope(scope) { Ok(()) } else { Err(AuthError::InsufficientScope { scope: scope.to_owned() }) }
    }

    /// The claims that the application has put into the token.
    pub(crate) fn custom_claims(&self, format: &TokenFormat) -> CustomClaims {
        self.0.verified.claims.custom(format)
    }
}

impl Knox {
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
