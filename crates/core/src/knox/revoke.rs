//! Ending logins, and listing them.

use crate::{
    error::StoreError,
    knox::{Knox, authenticate::Authenticated},
    observer::{Event, RevocationCause},
    store::record::TokenRecord,
    subject::Subject,
    token::id::{TokenId, TokenKey},
};

impl Knox {
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

    pub(super) fn emit_revoked(&self, subject: &Subject, id: Option<&TokenId>, count: u64, cause: RevocationCause) {
        if count > 0 {
            self.emit(Event::Revoked { subject, id, count, cause });
        }
    }
}
