//! Issuing tokens: at a login, and at a rotation.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::Serialize;
use tracing::Span;

use crate::{
    error::{ClaimsError, IssueError, Rejection},
    knox::{Knox, authenticate::Authenticated},
    lifetime::Lifetime,
    observer::{Event, RevocationCause},
    store::{
        InsertOutcome,
        record::{SessionRecord, clean_label},
    },
    subject::Subject,
    token::{
        claims::CustomClaims,
        digest::TokenDigest,
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
    attributes: BTreeMap<String, String>,
    scope: Option<String>,
    audiences: Option<Vec<String>>,
    custom: CustomClaims,
    lifetime: Option<Lifetime>,
}

impl NewSession {
    /// A session for `subject`, with only what every session has. Numbers and UUIDs can be given as they are.
    #[must_use]
    pub fn new(subject: impl Into<Subject>) -> Self {
        Self {
            subject: subject.into(),
            label: None,
            attributes: BTreeMap::new(),
            scope: None,
            audiences: None,
            custom: CustomClaims::default(),
            lifetime: None,
        }
    }

    /// What to call the session in a list of sessions. Control characters are dropped, and all after the 255th
    /// character.
    #[must_use]
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = clean_label(label.as_ref());
        self
    }

    /// The label unless there is one already, by the same rules as [`label`](Self::label).
    #[must_use]
    pub fn default_label(self, label: impl AsRef<str>) -> Self {
        if self.label.is_some() { self } else { self.label(label) }
    }

    /// Keeps a value of the application with the session, in the store only and not in the JWT.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Puts the fields of `claims` into the JWT, in place of those set before. The client can read them: a JWT is
    /// signed, not encrypted.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if `claims` does not serialize to a JSON object, or has a field that the library writes itself
    /// (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`, `jti_alg`, `nonce`, `scope`).
    pub fn claims(mut self, claims: &impl Serialize) -> Result<Self, ClaimsError> {
        self.custom = CustomClaims::new(claims)?;
        Ok(self)
    }

    /// Grants these scopes, in place of those set before: the claim `scope` of [RFC 8693 §4.2].
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
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("token", &self.token).field("session", &self.session).finish()
    }
}

impl Knox {
    /// Begins a session: issues a token and keeps its record. A [`Subject`] or a number is enough; a [`NewSession`] has
    /// a label, claims, scopes, attributes or a lifetime of its own.
    ///
    /// # Errors
    ///
    /// [`IssueError`]: the limit is reached, the subject is not active, the token would be too large, or the store or
    /// the random source failed. No token is valid after any of them.
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
        let settings = &self.0.settings;
        self.check_subject(&new.subject).await?;

        let now = self.now();
        let lifetime = new.lifetime.unwrap_or(settings.lifetime);
        let (secret, digest) = self.mint()?;
        let mut record = SessionRecord::new(new.subject, digest, now);
        Span::current().record("session_id", record.id().as_str());
        record.idle_timeout = lifetime.idle();
        record.absolute_expires_at = lifetime.absolute_expiry(now);
        record.expires_at = record.next_expiry(now);
        record.scope = new.scope;
        record.label = new.label;
        record.attributes = new.attributes;
        // Signed before it is stored, so that a token which cannot be made leaves no record behind.
        let audiences = new.audiences.as_deref().unwrap_or(self.0.jwt.profile.audiences());
        let token = self.sign(&record, &secret, audiences, &new.custom, now)?;

        let admin = self.admin();
        let inserted = admin.store().insert(record.clone(), settings.limit, self.expiry_cutoff(now));
        match self.time_limit().apply(inserted).await? {
            InsertOutcome::Inserted { evicted } => {
                self.emit(Event::Issued { session: &record.session_ref() });
                admin.emit_revoked(&record.subject, None, evicted, RevocationCause::Evicted);
                Ok(Issued { token, session: record })
            }
            InsertOutcome::LimitReached => {
                let max = settings.limit.map_or(0, |limit| limit.max());
                tracing::debug!(subject = %record.subject, max, "no token issued: the session limit is reached");
                Err(IssueError::LimitReached { max })
            }
        }
    }

    /// Gives the session that `auth` came with a new secret, and so a new token; the old token is revoked at once.
    ///
    /// Label, attributes, claims, audiences, the time of login and the absolute expiry stay. Of parallel calls with the
    /// same token, one wins.
    ///
    /// # Errors
    ///
    /// [`IssueError::Rejected`] with [`Rejection::Revoked`] if the session has ended or was rotated in the meantime;
    /// otherwise as for [`issue`](Self::issue).
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
    #[tracing::instrument(name = "knox.rotate", level = "debug", skip_all, fields(subject = %auth.subject(), session_id = %auth.session_id()))]
    pub async fn rotate(&self, auth: &Authenticated) -> Result<Issued, IssueError> {
        let now = self.now();
        let (store, old) = (self.admin().store(), auth.session_ref());
        // What `auth` knows of the record may be old by now.
        let found = self.time_limit().apply(store.find(&old)).await?;
        let mut record = found.filter(|found| found.is_active(self.expiry_cutoff(now))).ok_or(Rejection::Revoked)?;
        // What was granted at the login is what the new token grants, even if the store was written to since.
        if (&record.scope, record.absolute_expires_at) != (&auth.session().scope, auth.session().absolute_expires_at) {
            return Err(Rejection::Revoked.into());
        }
        self.check_subject(&record.subject).await?;
        let (secret, digest) = self.mint()?;
        record.digest = digest;
        // Neither goes back with a clock that was set back.
        record.last_used_at = record.last_used_at.max(Some(now));
        // In the leeway after its expiry a session is accepted, and no longer prolonged.
        if record.is_active(now) {
            record.expires_at = record.expires_at.max(record.next_expiry(now));
        }
        let custom = auth.custom_claims(self.0.jwt.profile.token_format());
        let token = self.sign(&record, &secret, &auth.audiences(), &custom, now)?;
        if !self.time_limit().apply(store.replace(&old, record.clone())).await? {
            return Err(Rejection::Revoked.into());
        }
        self.emit(Event::Rotated { old: &old, new: &record.session_ref() });
        Ok(Issued { token, session: record })
    }

    fn mint(&self) -> Result<(Secret, TokenDigest), IssueError> {
        let format = self.0.jwt.profile.token_format();
        let (prefix, bytes, encoding) = format.secret();
        let secret = Secret::mint(prefix, bytes, encoding, self.0.settings.fill_random).map_err(IssueError::Random)?;
        // A format whose hash and secrets do not fit each other cannot be made.
        let digest = format.new_hash().digest(&secret).ok_or(IssueError::Signing("the secret has no digest".into()))?;
        Ok((secret, digest))
    }

    /// The token of a record.
    fn sign(
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
        assert!(matches!(session().claims(&serde_json::json!({"deep": nested})), Err(ClaimsError::Mismatch(_))));
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
