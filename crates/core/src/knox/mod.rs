//! The handle that everything is done with.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

pub(crate) mod authenticate;
pub(crate) mod builder;
pub(crate) mod issue;
mod purge;
pub(crate) mod revoke;

use crate::{
    clock::Clock,
    error::{AuthError, AuthenticateError},
    keys::KeyRing,
    lifetime::Lifetime,
    observer::{Event, Observer},
    random::FillRandom,
    store::{TokenStore, limit::TokenLimit, record::whole_microseconds},
    subject::{Subject, SubjectCheck, SubjectStatus},
    token::{digest::HashAlgorithm, jwt::Jwt},
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
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
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

    pub(crate) fn emit(&self, event: Event<'_>) {
        event.log();
        if let Some(observer) = &self.0.observer {
            observer.observe(&event);
        }
    }

    async fn check_subject(&self, subject: &Subject) -> Result<(), AuthenticateError> {
        let Some(check) = &self.0.subject_check else { return Ok(()) };
        match check.check(subject).await? {
            SubjectStatus::Active => Ok(()),
            SubjectStatus::Inactive => Err(AuthError::SubjectInactive.into()),
            SubjectStatus::Unknown => Err(AuthError::SubjectUnknown.into()),
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
