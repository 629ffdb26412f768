//! Revoking sessions, listing and naming them.

use crate::{
    error::{AuthenticateError, StoreError},
    knox::{Knox, authenticate::Authenticated, revocation::Revocation},
    observer::RevocationCause,
    store::record::SessionRecord,
    subject::Subject,
    token::id::SessionRef,
};

impl Knox {
    /// Revokes one session: a logout. It holds however often the token was rotated.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has ended.
    pub async fn revoke(&self, session: &SessionRef) -> Result<Revocation, StoreError> {
        self.admin().revoke(session).await
    }

    /// Revokes the session of `token`: a logout on behalf of a client, by whoever holds its token. `token` is the JWT
    /// alone, as in [`authenticate`](Self::authenticate). One that is not valid has no session. That of a subject who
    /// is inactive for now does have one, and it ends.
    ///
    /// A token that was rotated away is treated as in [`authenticate`](Self::authenticate): after its grace, the
    /// session ends because of the reuse, unless that is switched off, and the answer is [`Revocation::NotFound`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, Revocation, SigningKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let issued = knox.issue(42).await?;
    /// assert_eq!(knox.revoke_token(issued.token.expose()).await?, Revocation::Revoked);
    /// assert_eq!(knox.revoke_token(issued.token.expose()).await?, Revocation::NotFound);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke_token(&self, token: impl AsRef<[u8]>) -> Result<Revocation, StoreError> {
        match self.session_of(token.as_ref()).await {
            Ok(session) => self.revoke(&session).await,
            Err(AuthenticateError::Rejected(reason)) => {
                tracing::debug!(reason = reason.as_str(), "no session to revoke: {reason}");
                Ok(Revocation::NotFound)
            }
            Err(AuthenticateError::Store(error)) => Err(error),
        }
    }

    /// Revokes all sessions of the subject but the one that `auth` came with, and says how many were active.
    ///
    /// It does so even if that session has ended since `auth` was made. So of two calls at once from two sessions, each
    /// ends the session of the other, and the user logs in again. If the second did nothing, a thief who came first
    /// would stay logged in, after the owner has changed the password and ended all other sessions.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the sessions have ended.
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
        self.admin().remove_all(auth.subject(), Some(&auth.session_id()), RevocationCause::Others).await
    }

    /// Revokes all sessions of `subject`, and says how many were active. Call it when a password is changed. A session
    /// that has expired and is accepted for the leeway is revoked too, and not counted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the sessions have ended.
    pub async fn revoke_all(&self, subject: &Subject) -> Result<u64, StoreError> {
        self.admin().revoke_all(subject).await
    }

    /// Forgets what is remembered of the sessions of `subject` by a [`Cache`](crate::Cache) with a `max_age`: call it
    /// when what the [`SubjectCheck`](crate::SubjectCheck) would say has changed, as when a user was disabled. What is
    /// revoked through this handle is forgotten by itself.
    pub fn forget(&self, subject: &Subject) {
        self.admin().epochs().changed(subject);
    }

    /// The active sessions of `subject`, newest first.
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
    /// for session in knox.sessions(&subject).await? {
    ///     println!("{} since {}", session.label.as_deref().unwrap_or("?"), session.created_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sessions(&self, subject: &Subject) -> Result<Vec<SessionRecord>, StoreError> {
        self.admin().sessions(subject).await
    }

    /// Gives a session another label, for the list of sessions; an empty one takes it away. Control characters are
    /// dropped, and all after the 255th character. Gives the session as it is now; `None`: it has ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has the label.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// let issued = knox.issue(42).await?;
    /// let session = knox.set_label(&issued.session.session_ref(), "Kitchen tablet").await?;
    /// assert_eq!(session.and_then(|session| session.label).as_deref(), Some("Kitchen tablet"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_label(&self, session: &SessionRef, label: &str) -> Result<Option<SessionRecord>, StoreError> {
        self.admin().set_label(session, label).await
    }
}
