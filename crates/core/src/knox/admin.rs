//! `KnoxAdmin`: what an operator does, without a signing key.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    clock::{AskedAt, Clock, SystemClock, whole_microseconds},
    error::{ConfigError, StoreError},
    knox::{
        epochs::{Changing, Epochs},
        revocation::Revocation,
        waiters::Waiters,
    },
    observer::{Event, Observer, RevocationCause},
    store::{
        TokenStore,
        record::{SessionRecord, clean_label},
    },
    subject::Subject,
    timer::{TimeLimit, Timer},
    token::{
        id::{SessionId, SessionRef},
        profile::{TokenProfile, expiry_cutoff},
    },
};

/// Lists, revokes and purges sessions without a signing key: for command-line tools and purge jobs.
///
/// Cheap to clone. [`Knox::admin`](crate::Knox::admin) gives that of a handle.
///
/// # Examples
///
/// ```
/// use jwt_knox::{KnoxAdmin, MemoryStore, Subject};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = KnoxAdmin::new(MemoryStore::new());
/// let subject = Subject::from(42);
/// for session in admin.sessions(&subject).await? {
///     println!("{} since {}", session.id, session.created_at);
/// }
/// println!("revoked {}", admin.revoke_all(&subject).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KnoxAdmin {
    store: Arc<dyn TokenStore>,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    limit: TimeLimit,
    waiters: Arc<Waiters>,
    epochs: Arc<Epochs>,
}

impl KnoxAdmin {
    /// A handle on the sessions in `store`.
    #[must_use]
    pub fn new(store: impl TokenStore) -> Self {
        Self::with_store(Arc::new(store))
    }

    pub(super) fn with_store(store: Arc<dyn TokenStore>) -> Self {
        Self {
            store,
            observer: None,
            clock: Arc::new(SystemClock),
            leeway: Duration::ZERO,
            limit: TimeLimit::default(),
            waiters: Arc::default(),
            epochs: Arc::default(),
        }
    }

    /// The leeway of the servers on this store, at most 10 minutes: a session counts as active for so long after its
    /// expiry. Default: 0.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LeewayTooLong`] if it is longer.
    pub fn leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        let leeway = TokenProfile::new().leeway(leeway)?.leeway;
        Ok(Self { leeway, ..self })
    }

    /// Where events go. Default: nowhere.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.with_observer(Some(Arc::new(observer)))
    }

    pub(super) fn with_observer(self, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..self }
    }

    /// Where the time comes from. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with_clock(Arc::new(clock))
    }

    pub(super) fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long a call of the store may take, and the timer to wait by. Default: 5 seconds.
    #[must_use]
    pub fn time_limit(self, limit: TimeLimit) -> Self {
        Self { limit, ..self }
    }

    /// The active sessions of `subject`, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    pub async fn sessions(&self, subject: &Subject) -> Result<Vec<SessionRecord>, StoreError> {
        self.limit.apply(self.store.list(subject, self.expiry_cutoff())).await
    }

    /// Gives a session another label; an empty one takes it away. Control characters are dropped, and all after the
    /// 255th character. Gives the session as it is now; `None`: it has ended.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has the label.
    #[tracing::instrument(name = "knox.set_label", level = "debug", skip_all, fields(subject = %session.subject, session_id = %session.id))]
    pub async fn set_label(&self, session: &SessionRef, label: &str) -> Result<Option<SessionRecord>, StoreError> {
        let _changing = self.epochs.changing(&session.subject);
        let (label, now) = (clean_label(label), self.expiry_cutoff());
        if !self.limit.apply(self.store.set_label(session, label.as_deref(), now)).await? {
            return Ok(None);
        }
        Ok(self.limit.apply(self.store.find(session)).await?.map(Arc::unwrap_or_clone))
    }

    /// Revokes one session.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has ended.
    #[tracing::instrument(name = "knox.revoke", level = "debug", skip_all, fields(subject = %session.subject, session_id = %session.id))]
    pub async fn revoke(&self, session: &SessionRef) -> Result<Revocation, StoreError> {
        self.remove(session, RevocationCause::One).await
    }

    /// Revokes a session whose previous token was used again.
    pub(super) async fn revoke_reused(&self, session: &SessionRef) -> Result<Revocation, StoreError> {
        self.remove(session, RevocationCause::Reused).await
    }

    async fn remove(&self, session: &SessionRef, cause: RevocationCause) -> Result<Revocation, StoreError> {
        let ending = self.ending(&session.subject);
        if !self.limit.apply(self.store.remove(session)).await? {
            return Ok(Revocation::NotFound);
        }
        // Whoever hears of it finds nothing remembered.
        drop(ending);
        let (subject, ids) = (session.subject.clone(), vec![session.id]);
        self.emit(&Event::Revoked { subject, ids, spared: None, count: 1, cause });
        Ok(Revocation::Revoked)
    }

    /// Revokes all sessions of `subject`, and says how many were active.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the sessions have ended.
    pub async fn revoke_all(&self, subject: &Subject) -> Result<u64, StoreError> {
        self.remove_all(subject, None, RevocationCause::All).await
    }

    #[tracing::instrument(name = "knox.revoke_all", level = "debug", skip_all, fields(%subject))]
    pub(super) async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        cause: RevocationCause,
    ) -> Result<u64, StoreError> {
        let ending = self.ending(subject);
        // The store remembers when that was, for logins that began before. So it is the time itself, without leeway.
        let count = self.limit.apply(self.store.remove_all(subject, except, self.now())).await?;
        drop(ending);
        if count > 0 {
            let subject = subject.clone();
            self.emit(&Event::Revoked { subject, ids: Vec::new(), spared: except.copied(), count, cause });
        }
        Ok(count)
    }

    pub(super) fn emit(&self, event: &Event) {
        event.log();
        let Some(observer) = &self.observer else { return };
        // What the event says has happened; a panic must not keep the caller from learning it.
        if catch_unwind(AssertUnwindSafe(|| observer.observe(event))).is_err() {
            tracing::error!(event = event.as_str(), "the observer panicked");
        }
    }

    pub(super) fn store(&self) -> &dyn TokenStore {
        &*self.store
    }

    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Sessions of `subject` may end until this is dropped.
    pub(super) fn ending(&self, subject: &Subject) -> Ending<'_> {
        let waking = Waking { waiters: &self.waiters, subject: subject.clone(), is_needed: true };
        Ending { _changing: self.epochs.changing(subject), waking }
    }

    pub(super) fn limit(&self) -> &TimeLimit {
        &self.limit
    }

    pub(super) fn timer(&self) -> &dyn Timer {
        self.limit.timer()
    }

    pub(super) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// For what is asked now: `now` is the time of the whole operation.
    pub(super) fn asked_at(&self, now: Timestamp) -> AskedAt {
        AskedAt::new(now, &*self.clock)
    }

    pub(super) fn now(&self) -> Timestamp {
        whole_microseconds(self.clock.now())
    }

    /// What expires at this time or before has expired now.
    pub(super) fn expiry_cutoff(&self) -> Timestamp {
        expiry_cutoff(self.now(), self.leeway)
    }
}

/// Sessions of a subject may end. When dropped, the next epoch begins, and then those look who wait for that, also if
/// the answer of the store was lost or the caller has gone away.
#[must_use]
pub(super) struct Ending<'a> {
    _changing: Changing<'a>,
    waking: Waking<'a>,
}

impl Ending<'_> {
    /// The store has answered that no session has ended.
    pub(super) fn has_ended_nothing(mut self) {
        self.waking.is_needed = false;
    }
}

/// Wakes those who wait for the end of a session of a subject, when dropped.
struct Waking<'a> {
    waiters: &'a Waiters,
    subject: Subject,
    is_needed: bool,
}

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        if self.is_needed {
            self.waiters.notify(&self.subject);
        }
    }
}

impl fmt::Debug for KnoxAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnoxAdmin").field("leeway", &self.leeway).field("limit", &self.limit).finish_non_exhaustive()
    }
}
