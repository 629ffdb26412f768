//! Stores whose calls go through an interceptor.

use std::{future::Future, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    named::named,
    store::{
        InsertOutcome, TokenStore,
        limit::SessionLimit,
        record::{Rotation, SessionRecord},
    },
    subject::Subject,
    timer::TimeLimit,
    token::id::{SessionId, SessionRef},
};

/// A store whose calls all go through an [`Interceptor`]: to limit their time, to count them, to let them fail.
///
/// # Examples
///
/// ```
/// use std::{future::Future, sync::atomic::{AtomicU64, Ordering}};
/// use jwt_knox::{Interceptor, MemoryStore, Operation, StoreError, WrappedStore};
///
/// /// Counts the calls that fail.
/// #[derive(Default)]
/// struct CountFailures(AtomicU64);
///
/// impl Interceptor for CountFailures {
///     async fn intercept<T: Send>(
///         &self,
///         _: Operation,
///         call: impl Future<Output = Result<T, StoreError>> + Send,
///     ) -> Result<T, StoreError> {
///         call.await.inspect_err(|_| {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         })
///     }
/// }
///
/// let store = WrappedStore::new(MemoryStore::new(), CountFailures::default());
/// # let _ = store;
/// ```
#[derive(Debug, Clone)]
pub struct WrappedStore<S, I> {
    store: S,
    interceptor: I,
}

impl<S, I> WrappedStore<S, I> {
    /// Lets all calls of `store` go through `interceptor`.
    #[must_use]
    pub const fn new(store: S, interceptor: I) -> Self {
        Self { store, interceptor }
    }

    /// The store inside.
    pub const fn inner(&self) -> &S {
        &self.store
    }

    /// What the calls go through.
    pub const fn interceptor(&self) -> &I {
        &self.interceptor
    }
}

/// What a [`WrappedStore`] does with each call. It sees which operation it is and not what is stored.
pub trait Interceptor: Send + Sync + 'static {
    /// Makes the call, or does something else in its place. If `call` is dropped before it completes, its
    /// work may or may not have been done.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the call, or one of its own.
    fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

impl<I: Interceptor> Interceptor for Arc<I> {
    fn intercept<T: Send>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        (**self).intercept(operation, call)
    }
}

/// Fails a call that takes longer than the limit.
impl Interceptor for TimeLimit {
    async fn intercept<T: Send>(
        &self,
        _: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.apply(call).await
    }
}

/// An operation of a [`TokenStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`TokenStore::insert`].
    Insert,
    /// [`TokenStore::find`].
    Find,
    /// [`TokenStore::list`].
    List,
    /// [`TokenStore::touch`].
    Touch,
    /// [`TokenStore::set_label`].
    SetLabel,
    /// [`TokenStore::rotate`].
    Rotate,
    /// [`TokenStore::remove`].
    Remove,
    /// [`TokenStore::remove_all`].
    RemoveAll,
    /// [`TokenStore::remove_expired`].
    RemoveExpired,
}

named! { Operation {
    Insert = "insert",
    Find = "find",
    List = "list",
    Touch = "touch",
    SetLabel = "set_label",
    Rotate = "rotate",
    Remove = "remove",
    RemoveAll = "remove_all",
    RemoveExpired = "remove_expired",
} }

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore, I: Interceptor> TokenStore for WrappedStore<S, I> {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.interceptor.intercept(Operation::Insert, self.store.insert(record, limit, now)).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        self.interceptor.intercept(Operation::Find, self.store.find(session)).await
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        self.interceptor.intercept(Operation::List, self.store.list(subject, now)).await
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.interceptor.intercept(Operation::Touch, self.store.touch(session, last_used_at, expires_at)).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        self.interceptor.intercept(Operation::SetLabel, self.store.set_label(session, label, now)).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        self.interceptor.intercept(Operation::Rotate, self.store.rotate(session, rotation)).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        self.interceptor.intercept(Operation::Remove, self.store.remove(session)).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.interceptor.intercept(Operation::RemoveAll, self.store.remove_all(subject, except, now)).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.interceptor.intercept(Operation::RemoveExpired, self.store.remove_expired(now, batch)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::store::memory::MemoryStore;

    /// Records the operations, and performs none.
    #[derive(Default)]
    struct RejectAll(Mutex<Vec<Operation>>);

    impl Interceptor for RejectAll {
        async fn intercept<T: Send>(
            &self,
            operation: Operation,
            _: impl Future<Output = Result<T, StoreError>> + Send,
        ) -> Result<T, StoreError> {
            self.0.lock().unwrap().push(operation);
            Err(StoreError::new("no"))
        }
    }

    fn rotation(record: &SessionRecord) -> Rotation {
        let previous = format!("{} {} 0", record.digest, "00".repeat(16)).parse().unwrap();
        Rotation::new(record.digest.clone(), previous, Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn every_call_goes_through_the_interceptor() {
        let store = WrappedStore::new(MemoryStore::new(), RejectAll::default());
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let record = SessionRecord::new(Subject::from(1), digest, now);
        let (session, subject) = (record.session_ref(), record.subject.clone());
        assert!(store.insert(record.clone(), None, now).await.is_err());
        assert!(store.find(&session).await.is_err());
        assert!(store.list(&subject, now).await.is_err());
        assert!(store.touch(&session, now, None).await.is_err());
        assert!(store.set_label(&session, None, now).await.is_err());
        assert!(store.rotate(&session, &rotation(&record)).await.is_err());
        assert!(store.remove(&session).await.is_err());
        assert!(store.remove_all(&subject, None, now).await.is_err());
        assert!(store.remove_expired(now, NonZeroU32::MIN).await.is_err());
        let names: Vec<&str> =
            store.interceptor().0.lock().unwrap().iter().map(|operation| operation.as_str()).collect();
        let calls =
            ["insert", "find", "list", "touch", "set_label", "rotate", "remove", "remove_all", "remove_expired"];
        assert_eq!(names, calls);
    }
}
