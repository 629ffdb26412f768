//! The trait that a database implements to keep sessions.

pub(crate) mod feed;
pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod record;
pub(crate) mod wrapped;

use std::{num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{
        limit::SessionLimit,
        record::{Rotation, SessionRecord},
    },
    subject::Subject,
    token::id::{SessionId, SessionRef},
};

/// Where sessions are kept.
///
/// # Contract
///
/// - **A session is active** at `now` if it has no `expires_at` or one later than `now`. Expired sessions are ignored
///   everywhere: in lists, in limits, in the numbers that are returned, whether or not their records are still there.
/// - **The caller tells the time.** Judge by the `now` that is passed in, not by the clock of the database.
/// - **An answer is final.** When `remove`, `remove_all` or `rotate` has returned, it is committed: no `find` on any
///   node that shares the store sees what it ended, no `touch`, `set_label`, `rotate` or late write brings it back, and
///   nothing that happens to a caller or connection undoes it.
/// - **A call that is dropped half way does all or nothing, and harms no later call.** Callers do go away: a client
///   hangs up, a time limit fires. With a pool of connections, run what takes more than one statement in a task of its
///   own.
/// - **Subjects and ids compare byte for byte.** A database may think that `Alice` and `alice` are the same, or `é` and
///   `e` with an accent; give the columns a binary collation.
/// - **Timestamps keep their microseconds**, all of them.
/// - **An error means "cannot tell".** If the store cannot answer, it returns [`StoreError`] and neither `None` nor
///   `false`.
/// - **One unreadable record never blocks the subject's other sessions.** It is passed over in lists and limits, with
///   an error in the log; `find` of it is an error.
/// - **No call waits forever.** Give the connection timeouts; [`Knox`](crate::Knox) limits each call as well.
///
/// Each operation names one subject, except [`remove_expired`](Self::remove_expired), so a store can be sharded by
/// subject and each operation touches one shard.
///
/// # Wrappers
///
/// The trait is implemented for `Arc<T>` and `Box<T>` of a store, including `Arc<dyn TokenStore>`.
/// [`WrappedStore`](crate::WrappedStore) passes each call through an [`Interceptor`](crate::Interceptor).
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Adds `record`, unless `limit` forbids it or all sessions of the subject were revoked after it began.
    ///
    /// This is one atomic step, of which others see all or nothing:
    ///
    /// 1. If a [`remove_all`](Self::remove_all) of the subject was at a time later than `created_at` of `record`, the
    ///    answer is [`InsertOutcome::Superseded`]: the credentials were checked before, perhaps against an old
    ///    password.
    /// 2. If the limit is [one per label](SessionLimit::is_one_per_label), the subject's active sessions with the label
    ///    of `record` go. Labels compare byte for byte; a record without a label replaces none.
    /// 3. If there are now as many active sessions as the limit allows, or more, then [`SessionLimit::action`] says
    ///    whether `record` is denied, or which of the others go until it fits. It is never `record` itself that goes.
    /// 4. `record` is added. If it was not, nothing has changed, not even by step 2.
    ///
    /// So of 64 parallel calls at limit N, exactly N sessions are active afterwards, and of parallel calls with the
    /// same label exactly one. A session that another call has removed or used in the meantime is not evicted and
    /// counted as if it had not been. [`SessionLimit::evictions`] makes the choice of steps 2 and 3.
    ///
    /// A store need not remember revocations for longer than a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the record is in, and if a record with that key exists already.
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError>;

    /// The record of that key, in an `Arc`, so that a store in memory can return its own without a copy. One that has
    /// expired may still come back; the caller judges.
    ///
    /// Costs one read by primary key, however many records there are.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer, or the record cannot be read.
    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError>;

    /// The active sessions of `subject`, newest first: by `created_at`, then by id, both descending. If there are more
    /// than [`MAX_LISTED`], the newest of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError>;

    /// Records that a session was used, and perhaps moves its expiry. `true`: it was written.
    ///
    /// Writes only if the record is there, is active at `last_used_at`, and was last used before that. `expires_at` of
    /// `None` leaves the expiry alone; a new expiry is written only if it is later than the old one, and a session
    /// without an expiry never gets one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError>;

    /// Gives a session another label, or none. `true`: it has that label now, which it may have had before.
    ///
    /// Writes only if the record is there and active at `now`. Nothing else about it changes: it is no use of the
    /// session.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session has the label.
    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError>;

    /// Gives a session a new secret, if its digest still is that of [`Rotation::previous`], in one atomic step.
    /// `false`: it is not, or the session is not there, and nothing has changed. Of different rotations with the same
    /// `previous` digest, exactly one gets `true`, whether they are parallel or not.
    ///
    /// The same rotation once more, as from a driver that repeats a request whose answer was lost, changes nothing, and
    /// may be `true` as well: the session has that digest.
    ///
    /// `digest` and `previous` are written; `last_used_at` and `expires_at` as by [`touch`](Self::touch), but never
    /// moved back. The id and all else stay. [`Rotation::apply`] does this to a record.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the session was rotated.
    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError>;

    /// Removes a record. `true`: it was there, active or not. Removing it again is no error.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the record is gone.
    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError>;

    /// Removes all records of `subject`, but for that of `except`, remembers `now` for [`insert`](Self::insert), and
    /// says how many of the sessions were active at `now`. It takes bounded time also for 200,000 of them.
    ///
    /// A login that happens at the same time is either removed whole or there whole.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the records are gone.
    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Removes at most `batch` records that are expired at `now`, and says how many. Fewer than `batch`: there is
    /// nothing more for this caller to do now.
    ///
    /// Holds no lock for longer than one batch takes. A store whose database drops expired records itself returns 0.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError>;
}

/// How many sessions [`TokenStore::list`] gives at most.
pub const MAX_LISTED: usize = 1000;

/// The result of [`TokenStore::insert`].
///
/// Exhaustive on purpose: callers must handle every case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum InsertOutcome {
    /// The record is in the store.
    Inserted {
        /// The active sessions that were removed: to make room, and because they had the same label.
        evicted: Vec<SessionId>,
    },
    /// The limit denies it; nothing has changed.
    LimitReached,
    /// All sessions of the subject were revoked after this one began; nothing has changed.
    Superseded,
}

macro_rules! forward_to_inner {
    ($wrapper:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: TokenStore + ?Sized> TokenStore for $wrapper<T> {
            async fn insert(
                &self,
                record: SessionRecord,
                limit: Option<SessionLimit>,
                now: Timestamp,
            ) -> Result<InsertOutcome, StoreError> {
                (**self).insert(record, limit, now).await
            }

            async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
                (**self).find(session).await
            }

            async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
                (**self).list(subject, now).await
            }

            async fn touch(
                &self,
                session: &SessionRef,
                last_used_at: Timestamp,
                expires_at: Option<Timestamp>,
            ) -> Result<bool, StoreError> {
                (**self).touch(session, last_used_at, expires_at).await
            }

            async fn set_label(
                &self,
                session: &SessionRef,
                label: Option<&str>,
                now: Timestamp,
            ) -> Result<bool, StoreError> {
                (**self).set_label(session, label, now).await
            }

            async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
                (**self).rotate(session, rotation).await
            }

            async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
                (**self).remove(session).await
            }

            async fn remove_all(
                &self,
                subject: &Subject,
                except: Option<&SessionId>,
                now: Timestamp,
            ) -> Result<u64, StoreError> {
                (**self).remove_all(subject, except, now).await
            }

            async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
                (**self).remove_expired(now, batch).await
            }
        }
    };
}

forward_to_inner!(Arc);
forward_to_inner!(Box);
