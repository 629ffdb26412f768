//! The trait that a database implements to keep logins.

pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod record;
pub(crate) mod wrapped;

use std::{num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{limit::SessionLimit, record::SessionRecord},
    subject::Subject,
    token::id::{SessionId, SessionRef},
};

/// Where logins are kept.
///
/// # Contract
///
/// - **A record is live** at `now` if it has no `expires_at` or one later than `now`. A record that is not live counts
///   nowhere: not in lists, not in limits, not in the numbers that are returned, whether or not it is still there.
/// - **The caller tells the time.** Judge by the `now` that is passed in, not by the clock of the database.
/// - **Revocation is at once.** When `remove` or `remove_all` has returned, no `find` on any node that shares the store
///   gives the record, and no `touch`, `replace` or late write brings it back.
/// - **Subjects and ids compare byte for byte.** A database may think that `Alice` and `alice` are the same, or `é` and
///   `e` with an accent; give the columns a binary collation.
/// - **Timestamps keep their microseconds**, all of them.
/// - **An error means "I do not know".** If the store cannot answer, it returns [`StoreError`] and neither `None` nor
///   `false`.
/// - **No call waits forever.** Give the connection a timeout; [`Knox`](crate::Knox) limits each call of
///   the store.
///
/// Each operation names one subject, except [`remove_expired`](Self::remove_expired), so a store can be sharded by
/// subject and each operation touches one shard.
///
/// # Wrappers
///
/// The trait is implemented for `Arc<T>` and `Box<T>` of a store, including `Arc<dyn TokenStore>`.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Adds `record`, unless `limit` forbids it.
    ///
    /// With a limit, this is one atomic step, of which others see all or nothing:
    ///
    /// 1. If the limit [replaces the same label](SessionLimit::is_one_per_label), the subject's live records with the
    ///    label of `record` go. Labels compare byte for byte; a record without a label replaces none.
    /// 2. If there are now as many live records as the limit allows, or more, then [`SessionLimit::action`] says
    ///    whether `record` is denied, or which of the others go until it fits. It is never `record` itself that goes.
    /// 3. `record` is added. If it was denied, nothing has changed, not even by step 1.
    ///
    /// So of 64 parallel calls at limit N, exactly N records are live afterwards, and of parallel calls with the same
    /// label exactly one. A record that another call has removed or used meanwhile is not evicted and counted as if it
    /// had not been. [`SessionLimit::evictions`] makes the choice of steps 1 and 2.
    ///
    /// Without a limit the record is just added.
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

    /// The record of that key. One that is no longer live may still come back; the caller judges.
    ///
    /// Costs one read by primary key, however many records there are.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError>;

    /// The live records of `subject`, newest first: by `created_at`, then by id, both descending.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError>;

    /// Notes that a record was used, and perhaps moves its deadline. `true`: it was written.
    ///
    /// Writes only if the record is there, is live at `last_used_at`, and was last used before that. `expires_at` of
    /// `None` leaves the deadline alone; a new deadline is written only if it is later than the old one, and a record
    /// without a deadline never gets one.
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

    /// Puts `new` in the place of the record `old` of the same subject, in one atomic step. `false`: `old` was not
    /// there and nothing has changed. Of parallel calls with the same `old`, exactly one gets `true`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the record was replaced, and if another record has the key of
    /// `new`.
    async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError>;

    /// Removes a record. `true`: it was there, live or not. Removing it again is no error.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot tell whether the record is gone.
    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError>;

    /// Removes all records of `subject`, but for the one called `except`, and says how many of them were live at `now`.
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

    /// Removes at most `batch` records that are not live at `now`, and says how many. Fewer than `batch`: there is
    /// nothing more for this caller to do now.
    ///
    /// Holds no lock for longer than one batch takes. A store whose database drops expired records by itself returns 0.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer.
    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError>;
}

/// What became of a record that was to be inserted.
///
/// Exhaustive on purpose: whoever inserts must know every way in which that can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum InsertOutcome {
    /// It is in the store.
    Inserted {
        /// How many live records were removed: to make room, and because they had the same label.
        evicted: u64,
    },
    /// The limit denies it; nothing has changed.
    LimitReached,
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

            async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
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

            async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError> {
                (**self).replace(old, new).await
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
