//! Rotating the token of a session.

use std::sync::Arc;

use crate::{
    error::{IssueError, Rejection},
    knox::{Knox, authenticate::Authenticated, issue::Issued},
    lifetime::expiry_exact,
    observer::Event,
    store::record::{Rotation, SessionRecord},
    token::{
        rotation::{PreviousSecret, RotationNonce},
        secret::Secret,
    },
};

impl Knox {
    /// Gives the session that `auth` came with a new secret, and so a new token.
    ///
    /// The session keeps its id, label, attributes, claims, audiences, the time of login and the absolute expiry. The
    /// old token stays valid for the [grace](crate::KnoxBuilder::rotation_grace), so that requests under way and a
    /// second tab are not logged out. Rotating again with it in that time gives a token with the same new secret: a
    /// lost answer, or two tabs at once, lose no session.
    ///
    /// # Errors
    ///
    /// [`IssueError::Rejected`] if the token is no longer valid: with [`Rejection::Revoked`] if the session has ended
    /// in the meantime or the token was rotated away, with [`Rejection::UnknownKey`] if its key was retired. Otherwise
    /// as for [`issue`](Self::issue).
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
    /// let old = knox.issue(42).await?;
    /// let auth = knox.authenticate(old.token.expose()).await?;
    /// let new = knox.rotate(&auth).await?;
    /// assert_eq!(new.session.id, old.session.id);
    /// assert!(knox.authenticate(new.token.expose()).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rotate(&self, auth: &Authenticated) -> Result<Issued, IssueError> {
        self.rotate_within(auth, usize::MAX).await
    }

    /// As [`rotate`](Self::rotate), if the new token has `max_token_bytes` at most: for a place with room for no more,
    /// such as a cookie. A new key may make a token longer than the one before.
    ///
    /// # Errors
    ///
    /// [`IssueError::TooLarge`] if it is longer: then nothing is rotated, and the token that `auth` came with is valid
    /// for as long as before. Otherwise as for [`rotate`](Self::rotate).
    #[tracing::instrument(name = "knox.rotate", level = "debug", skip_all, fields(subject = %auth.subject(), session_id = %auth.session_id()))]
    pub async fn rotate_within(&self, auth: &Authenticated, max_token_bytes: usize) -> Result<Issued, IssueError> {
        let now = self.now();
        let (store, session) = (self.admin().store(), auth.session_ref());
        // The key may have been retired since, and what `auth` knows of the record may be old by now.
        self.0.jwt.recheck(&self.0.keys, auth.verified(), now)?;
        let mut record = self.find_for_rotation(auth).await?;
        if record.digest == auth.verified().claimed().digest {
            let nonce = RotationNonce::mint(self.0.settings.fill_random).map_err(IssueError::Random)?;
            let secret = self.next_secret(auth, &nonce)?;
            // From now on: reading the record and asking for the user may have taken a while.
            let grace_ends = expiry_exact(self.now(), self.0.settings.rotation_grace);
            let previous = PreviousSecret::new(record.digest.clone(), nonce, grace_ends);
            let mut rotation = Rotation::new(self.digest(&secret)?, previous, now);
            // In the leeway after its expiry a session is accepted, and no longer prolonged.
            if record.is_active(now) && record.idle_timeout.is_some() {
                rotation.expires_at = record.next_expiry(now);
            }
            let mut rotated = record.clone();
            rotation.apply(&mut rotated);
            if !self.0.jwt.profile.format.has_session_id() {
                rotated.id = rotated.digest.session_id();
            }
            // Signed before it is stored, so that a token which cannot be made changes nothing.
            let issued = self.issue_again(rotated, &secret, auth, max_token_bytes)?;
            let changing = self.admin().epochs().changing(&session.subject);
            let is_rotated = self.time_limit().apply(store.rotate(&session, &rotation)).await?;
            drop(changing);
            if is_rotated {
                self.emit(&Event::Rotated { session });
                return Ok(issued);
            }
            // Another call with the same token was faster, or the session has ended.
            record = self.find_for_rotation(auth).await?;
        }
        // The token was rotated before, and the grace is not over: the same new secret again.
        let digest = &auth.verified().claimed().digest;
        let previous = record.previous.as_ref().filter(|previous| previous.is_in_grace(digest, now));
        let previous = previous.ok_or(Rejection::Revoked)?;
        let secret = self.next_secret(auth, previous.nonce())?;
        let hash = record.digest.algorithm();
        if hash.digest(&secret).as_ref() != Some(&record.digest) {
            return Err(Rejection::Revoked.into());
        }
        self.issue_again(record, &secret, auth, max_token_bytes)
    }

    async fn find_for_rotation(&self, auth: &Authenticated) -> Result<SessionRecord, IssueError> {
        let record = self.find_record(auth.verified().claimed().session()).await?;
        if !record.is_active(self.expiry_cutoff(self.now())) {
            return Err(Rejection::Revoked.into());
        }
        // What was granted at the login is what the new token grants, even if the store was written to since.
        let granted = (&auth.session().scope, auth.session().absolute_expires_at, auth.session().claims);
        if (&record.scope, record.absolute_expires_at, record.claims) != granted {
            return Err(Rejection::Revoked.into());
        }
        self.check_subject(&record).await?;
        Ok(Arc::unwrap_or_clone(record))
    }

    fn next_secret(&self, auth: &Authenticated, nonce: &RotationNonce) -> Result<Secret, IssueError> {
        let form = self.0.jwt.profile.format.secret_form();
        let next = nonce.next_secret(auth.verified().claimed().secret(), form);
        next.ok_or_else(|| IssueError::Signing("no secret follows from this one".into()))
    }

    /// The token of `record` with the claims and audiences of the token that `auth` came with.
    fn issue_again(
        &self,
        mut record: SessionRecord,
        secret: &Secret,
        auth: &Authenticated,
        max_token_bytes: usize,
    ) -> Result<Issued, IssueError> {
        let (custom, issued_at) = (auth.custom_claims(&self.0.jwt.profile.format), self.now());
        // What was written into the store since the login prolongs nothing.
        let expiries = [record.absolute_expires_at, auth.verified().claimed().expires_at];
        record.absolute_expires_at = expiries.into_iter().flatten().min();
        record.expires_at = [record.expires_at, record.absolute_expires_at].into_iter().flatten().min();
        let token = self.sign(&record, secret, &auth.audiences(), &custom, issued_at)?;
        // Again, now that there is a token: if the old key was stolen and has been replaced in the meantime, none of
        // the new one follows from what may have been forged.
        self.0.jwt.recheck(&self.0.keys, auth.verified(), issued_at)?;
        let bytes = token.expose().len();
        if bytes > max_token_bytes {
            return Err(IssueError::TooLarge { bytes, max: max_token_bytes });
        }
        Ok(Issued::new(token, record, issued_at))
    }
}
