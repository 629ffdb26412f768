//! What to issue, and what was issued.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tracing::Span;

use crate::{
    error::{AuthError, ClaimsError, ConfigError, IssueError},
    knox::{Knox, authenticate::Authenticated},
    lifetime::Lifetime,
    observer::{Event, RevocationCause},
    store::{
        InsertOutcome,
        record::{TokenRecord, clean_label, next_expiry},
    },
    subject::Subject,
    token::{
        claims::CustomClaims,
        digest::TokenDigest,
        jwt::{Payload, Token},
        scope::{is_scope, scopes},
        secret::Secret,
    },
};

/// A token to be issued with [`Knox::issue_with`](crate::Knox::issue_with).
///
/// # Examples
///
/// ```
/// use jwt_knox::{NewToken, Subject};
///
/// #[derive(serde::Serialize)]
/// struct MyClaims {
///     role: &'static str,
/// }
///
/// let token = NewToken::for_subject(Subject::new("user-42")?)
///     .label("Firefox on Linux")
///     .claims(&MyClaims { role: "editor" })?
///     .scope("read write")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewToken {
    pub(crate) subject: Subject,
    pub(crate) label: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) scope: Option<String>,
    pub(crate) custom: CustomClaims,
    pub(crate) lifetime: Option<Lifetime>,
}

impl NewToken {
    /// A token for `subject`, with nothing but what every token has.
    #[must_use]
    pub fn for_subject(subject: Subject) -> Self {
        Self {
            subject,
            label: None,
            attributes: BTreeMap::new(),
            scope: None,
            custom: CustomClaims::default(),
            lifetime: None,
        }
    }

    /// Names the login for a list of devices. Control characters are dropped, and all after the 255th character.
    #[must_use]
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = clean_label(label.as_ref());
        self
    }

    /// Names the login unless it has a name, by the same rules as [`label`](Self::label).
    #[must_use]
    pub fn label_if_none(self, label: impl AsRef<str>) -> Self {
        if self.label.is_some() { self } else { self.label(label) }
    }

    /// Keeps a value of the application with the login, in the store only and not in the JWT.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Puts the fields of `claims` into the JWT. The client can read them: a JWT is signed, not encrypted.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if `claims` does not serialize to a JSON object, or has a field that the library writes itself
    /// (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`, `jti_alg`, `nonce`, `scope`).
    pub fn claims(mut self, claims: &impl Serialize) -> Result<Self, ClaimsError> {
        self.custom = CustomClaims::new(claims)?;
        Ok(self)
    }

    /// Grants scopes, a list separated by spaces: the claim `scope` of [RFC 8693 §4.2].
    ///
    /// [RFC 8693 §4.2]: https://www.rfc-editor.org/rfc/rfc8693#section-4.2
    ///
    /// # Errors
    ///
    /// [`ClaimsError::InvalidScope`] if a scope has a character that [RFC 6749 §3.3] does not allow.
    ///
    /// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    pub fn scope(mut self, scope: impl AsRef<str>) -> Result<Self, ClaimsError> {
        let scopes: Vec<&str> = scopes(Some(scope.as_ref())).collect();
        if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(ClaimsError::InvalidScope { scope: (*scope).to_owned() });
        }
        self.scope = (!scopes.is_empty()).then(|| scopes.join(" "));
        Ok(self)
    }

    /// Gives this login another lifetime than [`KnoxBuilder::lifetime`](crate::KnoxBuilder::lifetime) says, as for a
    /// "keep me logged in" box.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

impl From<Subject> for NewToken {
    fn from(subject: Subject) -> Self {
        Self::for_subject(subject)
    }
}

/// A token that was issued, and the record that the store keeps of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token. Send it to the client and forget it: nobody can make it out of the record again.
    pub token: Token,
    /// What the store keeps.
    pub record: TokenRecord,
}

impl Knox {
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

    fn mint(&self) -> Result<(Secret, TokenDigest), IssueError> {
        let encoding = self.0.jwt.format.secret_encoding;
        let secret = Secret::mint(&self.0.secret_prefix, self.0.secret_bytes, encoding, self.0.fill_random)?;
        let digest = self.0.hash_algorithm.digest(&secret).ok_or(ConfigError::HexSecrets)?;
        Ok((secret, digest))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> NewToken {
        NewToken::for_subject(Subject::new("alice").unwrap())
    }

    #[test]
    fn a_label_that_is_there_stays() {
        assert_eq!(token().label("a").label_if_none("b").label.as_deref(), Some("a"));
        assert_eq!(token().label("\n").label_if_none("b").label.as_deref(), Some("b"));
    }

    #[test]
    fn scopes_are_those_of_rfc_6749() {
        assert_eq!(token().scope(" read  write ").unwrap().scope.as_deref(), Some("read write"));
        assert_eq!(token().scope(" ").unwrap().scope, None);
        for scope in ["a\"b", "a\\b", "é", "a\tb"] {
            assert!(matches!(token().scope(scope), Err(ClaimsError::InvalidScope { .. })), "{scope}");
        }
    }

    #[test]
    fn claims_are_an_object_without_the_names_that_are_taken() {
        assert!(matches!(token().claims(&1), Err(ClaimsError::NotAnObject)));
        assert!(
            matches!(token().claims(&serde_json::json!({"jti": "x"})), Err(ClaimsError::Reserved { name }) if name == "jti")
        );
        assert!(token().claims(&serde_json::json!({"role": "editor"})).is_ok());
        let mut nested = serde_json::json!(1);
        for _ in 0..200 {
            nested = serde_json::json!([nested]);
        }
        assert!(matches!(token().claims(&serde_json::json!({"deep": nested})), Err(ClaimsError::Mismatch(_))));
    }
}
