//! Beginning a session: issuing its first token.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::Serialize;
use tracing::Span;

use crate::{
    clock::whole_microseconds,
    error::{ClaimsError, IssueError, Rejection},
    knox::Knox,
    lifetime::Lifetime,
    observer::{Event, LoginRejectionCause, RevocationCause},
    store::{
        InsertOutcome,
        limit::SessionLimit,
        record::{SessionRecord, clean_label},
    },
    subject::Subject,
    token::{
        claims::CustomClaims,
        digest::TokenDigest,
        id::SessionId,
        jwt::{Payload, Token},
        scope::is_scope,
        secret::Secret,
    },
};

/// A session to begin with [`Knox::issue`].
///
/// # Examples
///
/// ```
/// use jwt_knox::NewSession;
///
/// #[derive(serde::Serialize)]
/// struct MyClaims {
///     role: &'static str,
/// }
///
/// let session = NewSession::new(42)
///     .label("Firefox on Linux")
///     .claims(&MyClaims { role: "editor" })?
///     .scopes(["read", "write"])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewSession {
    subject: Subject,
    label: Option<String>,
    /// Whether the label is only a guess, and so does not name a device.
    has_default_label: bool,
    attributes: BTreeMap<String, String>,
    scope: Option<String>,
    audiences: Option<Vec<String>>,
    custom: CustomClaims,
    lifetime: Option<Lifetime>,
    began_at: Option<Timestamp>,
}

impl NewSession {
    /// A session for `subject`, with only what every session has. Numbers and UUIDs can be given as they are.
    #[must_use]
    pub fn new(subject: impl Into<Subject>) -> Self {
        Self {
            subject: subject.into(),
            label: None,
            has_default_label: false,
            attributes: BTreeMap::new(),
            scope: None,
            audiences: None,
            custom: CustomClaims::default(),
            lifetime: None,
            began_at: None,
        }
    }

    /// Who the session is for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The scopes that are granted, separated by spaces. `None`: the token is its owner's, without scopes.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// What to call the session in a list of sessions. Control characters are dropped, and all after the 255th
    /// character.
    #[must_use]
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = clean_label(label.as_ref());
        self.has_default_label = false;
        self
    }

    /// The label unless there is one already, by the same rules as [`label`](Self::label). It describes the session and
    /// names no device, as the `User-Agent` of a browser that many computers have: to
    /// [one session per label](SessionLimit::one_per_label) it counts as none.
    #[must_use]
    pub fn default_label(self, label: impl AsRef<str>) -> Self {
        if self.label.is_some() { self } else { Self { has_default_label: true, ..self.label(label) } }
    }

    /// The longest name of an attribute, in bytes.
    pub const MAX_ATTRIBUTE_NAME_BYTES: usize = 255;

    /// The longest value of an attribute, in bytes.
    pub const MAX_ATTRIBUTE_VALUE_BYTES: usize = 4096;

    /// How long all names and values of the attributes may be together, in bytes.
    pub const MAX_ATTRIBUTES_BYTES: usize = 16 * 1024;

    /// Keeps a value of the application with the session, in the store only and not in the JWT.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::AttributeTooLong`] if the name, the value, or all attributes together are too long.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, ClaimsError> {
        let (name, value) = (name.into(), value.into());
        let is_short = name.len() <= Self::MAX_ATTRIBUTE_NAME_BYTES && value.len() <= Self::MAX_ATTRIBUTE_VALUE_BYTES;
        self.attributes.insert(name, value);
        let sum: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if is_short && sum <= Self::MAX_ATTRIBUTES_BYTES { Ok(self) } else { Err(ClaimsError::AttributeTooLong) }
    }

    /// Puts the fields of `claims` into the JWT, in place of those set before. The client can read them: a JWT is
    /// signed, not encrypted.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if `claims` does not serialize to a JSON object, or has a field that the library writes itself
    /// (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`, `jti_alg`, `nonce`, `scope`, `sid`).
    pub fn claims(mut self, claims: &impl Serialize) -> Result<Self, ClaimsError> {
        self.custom = CustomClaims::new(claims)?;
        Ok(self)
    }

    /// Grants these scopes, in place of those set before: the claim `scope` of [RFC 8693 §4.2].
    ///
    /// Scopes confine a token. One without them is its owner's and may do all that its user may, so an empty list
    /// grants more than a short one: for a user who may do nothing, issue no token, or give it a scope that grants
    /// nothing.
    ///
    /// [RFC 8693 §4.2]: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    ///
    /// # Errors
    ///
    /// [`ClaimsError::InvalidScope`] if one is not a scope by [RFC 6749 §3.3].
    ///
    /// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Result<Self, ClaimsError> {
        let mut list = String::new();
        for scope in scopes {
            let scope = scope.as_ref();
            if !is_scope(scope) {
                return Err(ClaimsError::InvalidScope { scope: scope.to_owned() });
            }
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(scope);
        }
        self.scope = (!list.is_empty()).then_some(list);
        Ok(self)
    }

    /// Lists these audiences in `aud`, in place of all those of the [`TokenProfile`](crate::TokenProfile). A server
    /// that is not among them rejects the token, this one included.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::EmptyAudience`] if one is the empty string.
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Result<Self, ClaimsError> {
        let audiences: Vec<String> = audiences.into_iter().map(Into::into).collect();
        if audiences.iter().any(String::is_empty) {
            return Err(ClaimsError::EmptyAudience);
        }
        self.audiences = Some(audiences);
        Ok(self)
    }

    /// Gives this session another lifetime than [`KnoxBuilder::lifetime`](crate::KnoxBuilder::lifetime), as for a
    /// "keep me logged in" box.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// When the check of the credentials began, by [`Knox::now`]: note it before you read what they are checked
    /// against, such as a password hash. If all sessions of the subject are revoked after that, the session does not
    /// begin. So "write the new password, then revoke all sessions" leaves no session of the old password, however long
    /// a login takes. Default: when [`Knox::issue`] is called. The built-in login notes it itself.
    #[must_use]
    pub fn began_at(mut self, began_at: Timestamp) -> Self {
        self.began_at = Some(began_at);
        self
    }

    /// As [`began_at`](Self::began_at), unless it is set already.
    #[must_use]
    pub fn default_began_at(self, began_at: Timestamp) -> Self {
        if self.began_at.is_some() { self } else { self.began_at(began_at) }
    }
}

impl<S: Into<Subject>> From<S> for NewSession {
    fn from(subject: S) -> Self {
        Self::new(subject)
    }
}

/// A token that was issued, and the record that the store keeps of its session.
#[non_exhaustive]
pub struct Issued {
    /// The token. Send it to the client; it cannot be recovered from the record.
    pub token: Token,
    /// What the store keeps.
    pub session: SessionRecord,
    /// When the token was issued: its `iat`. The session began earlier if the token comes from a rotation, or if the
    /// check of the credentials took a while.
    pub issued_at: Timestamp,
}

impl Issued {
    pub(super) fn new(token: Token, session: SessionRecord, issued_at: Timestamp) -> Self {
        Self { token, session, issued_at }
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("token", &self.token).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Knox {
    /// Begins a session: issues a token and keeps its record. A [`Subject`] or a number is enough; a [`NewSession`] has
    /// a label, claims, scopes, attributes or a lifetime of its own.
    ///
    /// # Errors
    ///
    /// [`IssueError`]: the limit is reached, the subject is not active, all its sessions were revoked after this login
    /// began, the token would be too large, or the store or the random source failed. No token is valid after any of
    /// them.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, NewSession, SigningKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let issued = knox.issue(NewSession::new(42).label("Firefox on Linux").scopes(["read"])?).await?;
    /// assert_eq!(issued.session.label.as_deref(), Some("Firefox on Linux"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn issue(&self, new: impl Into<NewSession>) -> Result<Issued, IssueError> {
        self.begin(new.into()).await
    }

    #[tracing::instrument(name = "knox.issue", level = "debug", skip_all, fields(subject = %new.subject, session_id))]
    async fn begin(&self, new: NewSession) -> Result<Issued, IssueError> {
        let subject = new.subject.clone();
        match self.try_begin(new).await {
            Ok((issued, evicted)) => {
                self.emit(&Event::Issued { session: issued.session.session_ref() });
                if !evicted.is_empty() {
                    let (count, cause) = (evicted.len() as u64, RevocationCause::Evicted);
                    self.emit(&Event::Revoked { subject, ids: evicted, spared: None, count, cause });
                }
                Ok(issued)
            }
            Err(error) => {
                if let Some(cause) = rejection_cause(&error) {
                    self.emit(&Event::LoginRejected { subject: Some(subject), cause });
                }
                Err(error)
            }
        }
    }

    /// The token, and the sessions that were evicted for it.
    async fn try_begin(&self, new: NewSession) -> Result<(Issued, Vec<SessionId>), IssueError> {
        let settings = &self.0.settings;
        let now = self.now();
        let began_at = whole_microseconds(new.began_at.unwrap_or(now)).min(now);
        let lifetime = new.lifetime.unwrap_or(settings.lifetime);
        let format = &self.0.jwt.profile.format;
        let secret = Secret::mint(format.secret_form(), settings.fill_random).map_err(IssueError::Random)?;
        let mut record = SessionRecord::new(new.subject, self.digest(&secret)?, began_at);
        Span::current().record("session_id", record.id.as_str());
        record.idle_timeout = lifetime.idle();
        record.absolute_expires_at = lifetime.absolute_expiry(now);
        record.expires_at = record.next_expiry(now);
        record.scope = new.scope;
        record.claims = Some(new.custom.digest()?);
        record.label = new.label;
        record.attributes = new.attributes;
        self.check_subject(&record).await?;

        // Signed before it is stored, so that a token which cannot be made leaves no record behind.
        let audiences = new.audiences.as_deref().unwrap_or(&self.0.jwt.profile.audiences);
        let token = self.sign(&record, &secret, audiences, &new.custom, now)?;

        let limit = settings.limit.map(|limit| if new.has_default_label { limit.any_per_label() } else { limit });
        // Others may be evicted, and those who wait for their end are woken then.
        let ending = self.admin().ending(&record.subject);
        let inserted = self.admin().store().insert(record.clone(), limit, self.expiry_cutoff(now));
        let outcome = self.time_limit().apply(inserted).await?;
        if !matches!(&outcome, InsertOutcome::Inserted { evicted } if !evicted.is_empty()) {
            ending.has_ended_nothing();
        }
        match outcome {
            InsertOutcome::Inserted { evicted } => Ok((Issued::new(token, record, now), evicted)),
            InsertOutcome::Superseded => Err(IssueError::Superseded),
            InsertOutcome::LimitReached => {
                Err(IssueError::LimitReached { max: limit.as_ref().map_or(0, SessionLimit::max) })
            }
        }
    }

    /// Tells the log and the observer of a login that was rejected before a session could be asked for, as one with a
    /// wrong password: [`Event::LoginRejected`]. The built-in login does so itself, and a login of the application's
    /// own by `KnoxLogin::reject`. Do not take what was typed as a name for `subject`: it is often a password.
    pub fn report_rejected_login(&self, subject: Option<&Subject>) {
        self.emit(&Event::LoginRejected { subject: subject.cloned(), cause: LoginRejectionCause::Credentials });
    }

    /// The digest of a new secret.
    pub(super) fn digest(&self, secret: &Secret) -> Result<TokenDigest, IssueError> {
        // A format whose hash and secrets do not fit each other cannot be made.
        let hash = self.0.jwt.profile.format.new_hash();
        hash.digest(secret).ok_or_else(|| IssueError::Signing("the secret has no digest".into()))
    }

    /// The token of a record.
    pub(super) fn sign(
        &self,
        record: &SessionRecord,
        secret: &Secret,
        audiences: &[String],
        custom: &CustomClaims,
        issued_at: Timestamp,
    ) -> Result<Token, IssueError> {
        let key = self.0.keys.signing().ok_or(IssueError::Signing("the key ring has no key that signs".into()))?;
        let payload = Payload {
            subject: &record.subject,
            session_id: record.id,
            secret,
            algorithm: record.digest.algorithm(),
            issued_at,
            expires_at: record.absolute_expires_at,
            audiences,
            scope: record.scope.as_deref(),
            custom,
        };
        self.0.jwt.sign(&key, &payload)
    }
}

/// Why a login is rejected that fails with `error`. `None`: it is not rejected, the server could not carry it out.
fn rejection_cause(error: &IssueError) -> Option<LoginRejectionCause> {
    match error {
        IssueError::LimitReached { .. } => Some(LoginRejectionCause::LimitReached),
        IssueError::Superseded => Some(LoginRejectionCause::Superseded),
        IssueError::Rejected(Rejection::SubjectInactive) => Some(LoginRejectionCause::SubjectInactive),
        IssueError::Rejected(Rejection::SubjectUnknown) => Some(LoginRejectionCause::SubjectUnknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SigningKey, random::broken_source, store::memory::MemoryStore};

    fn session() -> NewSession {
        NewSession::new(1)
    }

    #[test]
    fn a_label_that_is_there_stays() {
        assert_eq!(session().label("a").default_label("b").label.as_deref(), Some("a"));
        assert_eq!(session().label("\n").default_label("b").label.as_deref(), Some("b"));
    }

    #[test]
    fn scopes_are_those_of_rfc_6749() {
        assert_eq!(session().scopes(["read", "write"]).unwrap().scope.as_deref(), Some("read write"));
        assert_eq!(session().scopes("read write".split(' ')).unwrap().scope.as_deref(), Some("read write"));
        assert_eq!(session().scopes([""; 0]).unwrap().scope, None);
        for scope in ["", "a b", "a\"b", "a\\b", "é", "a\tb"] {
            assert!(matches!(session().scopes([scope]), Err(ClaimsError::InvalidScope { .. })), "{scope}");
        }
    }

    #[test]
    fn claims_are_an_object_without_the_names_that_are_taken() {
        assert!(matches!(session().claims(&1), Err(ClaimsError::NotAnObject)));
        assert!(
            matches!(session().claims(&serde_json::json!({"jti": "x"})), Err(ClaimsError::Reserved { name }) if name == "jti")
        );
        assert!(session().claims(&serde_json::json!({"role": "editor"})).is_ok());
        let mut nested = serde_json::json!(1);
        for _ in 0..200 {
            nested = serde_json::json!([nested]);
        }
        assert!(matches!(session().claims(&serde_json::json!({"deep": nested})), Err(ClaimsError::NotSerializable(_))));
    }

    #[test]
    fn attributes_are_bounded() {
        assert!(session().attribute("a", "b".repeat(4096)).is_ok());
        assert!(matches!(session().attribute("a", "b".repeat(4097)), Err(ClaimsError::AttributeTooLong)));
        assert!(session().attribute("a".repeat(255), "").is_ok());
        assert!(matches!(session().attribute("a".repeat(256), "b"), Err(ClaimsError::AttributeTooLong)));
        // In bytes, as databases count.
        assert!(session().attribute("é".repeat(127), "é".repeat(2048)).is_ok());
        assert!(matches!(session().attribute("é".repeat(128), "b"), Err(ClaimsError::AttributeTooLong)));
        assert!(matches!(session().attribute("a", "é".repeat(2049)), Err(ClaimsError::AttributeTooLong)));
        // Many names without values add up too.
        let names = (0..64).try_fold(session(), |session, n| session.attribute(format!("{n:0>255}"), ""));
        assert!(names.is_ok_and(|session| session.attribute(format!("{:0>65}", 64), "").is_err()));
        let value = "v".repeat(4000);
        let four = (0..4).try_fold(session(), |session, n| session.attribute(n.to_string(), &value)).unwrap();
        assert!(four.clone().attribute("0", "instead").is_ok());
        assert!(matches!(four.attribute("4", &value), Err(ClaimsError::AttributeTooLong)));
    }

    #[test]
    fn an_audience_is_not_empty() {
        assert!(matches!(session().audiences([""]), Err(ClaimsError::EmptyAudience)));
    }

    #[tokio::test]
    async fn without_random_bytes_there_is_no_token_and_no_record() {
        let key = SigningKey::hs256([7; 32]).unwrap();
        let knox = Knox::builder(key).store(MemoryStore::new()).fill_random(broken_source).build().unwrap();
        let error = knox.issue(1).await.unwrap_err();
        assert!(matches!(error, IssueError::Random(_)));
        assert_eq!(
            format!("{error:?}"),
            "the operating system's random source failed; no token was issued: no entropy"
        );
        assert!(knox.sessions(&1.into()).await.unwrap().is_empty());
    }
}
