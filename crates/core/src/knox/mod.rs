//! The handle: what one does with tokens and sessions.

pub(crate) mod admin;
pub(crate) mod authenticate;
pub(crate) mod builder;
pub(crate) mod cache;
mod ended;
mod epochs;
mod follow;
pub(crate) mod issue;
mod purge;
#[cfg(all(test, loom_model))]
mod races;
mod recent_touches;
pub(crate) mod revocation;
mod rotate;
mod sessions;
pub(crate) mod settings;
mod touch;
mod waiters;

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{
    error::{AuthenticateError, Rejection},
    keys::KeyRing,
    knox::{admin::KnoxAdmin, cache::TokenCache, recent_touches::RecentTouches, settings::Settings},
    observer::Event,
    store::record::SessionRecord,
    subject_check::{SubjectStatus, SubjectUser},
    timer::TimeLimit,
    token::jwt::JwtCodec,
    verifier::Verifier,
};

/// The main entry point: issues, verifies and revokes tokens.
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
/// let issued = knox.issue(Subject::from(42)).await?;
///
/// let auth = knox.authenticate(issued.token.expose()).await?;
/// assert_eq!(auth.subject().parse::<i64>()?, 42);
///
/// assert!(knox.revoke(&auth.session_ref()).await?.is_revoked());
/// assert!(knox.authenticate(issued.token.expose()).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Knox(Arc<Inner>);

struct Inner {
    keys: KeyRing,
    jwt: JwtCodec,
    /// The store, the clock and the observer, and what is done with these alone.
    admin: KnoxAdmin,
    settings: Settings,
    recent_touches: RecentTouches,
    tokens: TokenCache,
}

impl Knox {
    /// Verifies signature and claims only, by the settings and the present and future keys of this handle. It **does
    /// not see revocation**, and rejects tokens without `exp`.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::with_keys(Arc::new(self.0.keys.clone()), self.0.jwt.profile.clone(), self.0.admin.shared_clock())
    }

    /// The signing keys, to be published or to be changed while the server runs.
    #[must_use]
    pub fn key_ring(&self) -> &KeyRing {
        &self.0.keys
    }

    /// What an operator does: the same store, observer and clock, without the keys.
    #[must_use]
    pub fn admin(&self) -> &KnoxAdmin {
        &self.0.admin
    }

    /// The longest JWT that is issued or read, in bytes.
    #[must_use]
    pub fn max_token_bytes(&self) -> usize {
        self.0.jwt.profile.max_token_bytes
    }

    /// How long a call of the store or of the [`SubjectCheck`](crate::SubjectCheck) may take, and the timer for it.
    #[must_use]
    pub fn time_limit(&self) -> &TimeLimit {
        self.0.admin.limit()
    }

    /// The current time by the clock of this handle, in whole microseconds; for [`NewSession::began_at`].
    ///
    /// [`NewSession::began_at`]: crate::NewSession::began_at
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.admin.now()
    }

    /// What expires at this time or before has expired at `now`: the leeway holds for records as for tokens.
    fn expiry_cutoff(&self, now: Timestamp) -> Timestamp {
        self.0.jwt.profile.expiry_cutoff(now)
    }

    fn emit(&self, event: &Event) {
        self.0.admin.emit(event);
    }

    async fn check_subject(&self, record: &SessionRecord) -> Result<Option<SubjectUser>, AuthenticateError> {
        let Some(check) = &self.0.settings.subject_check else { return Ok(None) };
        match self.time_limit().apply(check.check(record)).await? {
            SubjectStatus::Active => Ok(None),
            SubjectStatus::ActiveWith(user) => Ok(Some(user)),
            SubjectStatus::Inactive => Err(Rejection::SubjectInactive.into()),
            SubjectStatus::Unknown => Err(Rejection::SubjectUnknown.into()),
        }
    }
}

impl fmt::Debug for Knox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knox")
            .field("keys", &self.0.keys)
            .field("profile", &self.0.jwt.profile)
            .field("lifetime", &self.0.settings.lifetime)
            .field("limit", &self.0.settings.limit)
            .finish_non_exhaustive()
    }
}
