//! A store that answers in time.

use std::{
    fmt,
    future::{Future, poll_fn},
    num::NonZeroU32,
    pin::pin,
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    error::StoreError,
    store::{InsertOutcome, TokenStore, limit::TokenLimit, record::TokenRecord},
    subject::Subject,
    token::id::{TokenId, TokenKey},
};

/// Gives up on a store that does not answer in time, so that a request gets its 503 instead of waiting.
///
/// Some database drivers notice a connection that is refused or closed, but wait for ever for a server that hangs, or
/// that is cut off without a word. What was asked for may happen all the same, later; an error means "I do not know",
/// here as everywhere.
///
/// The timer is the runtime's, so this works on any.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use jwt_knox::{Knox, MemoryStore, SigningKey, TimeoutStore};
///
/// # let store = MemoryStore::new();
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let store = TimeoutStore::new(store, Duration::from_secs(5), tokio::time::sleep);
/// let knox = Knox::builder(key).store(store).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TimeoutStore<S, F> {
    store: S,
    timeout: Duration,
    sleep: F,
}

impl<S, F> TimeoutStore<S, F> {
    /// Waits at most `timeout` for each call of `store`. `sleep` is that of the runtime.
    #[must_use]
    pub fn new(store: S, timeout: Duration, sleep: F) -> Self {
        Self { store, timeout, sleep }
    }

    async fn in_time<T, Sleep: Future>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError>
    where
        F: Fn(Duration) -> Sleep,
    {
        let mut call = pin!(call);
        let mut sleep = pin!((self.sleep)(self.timeout));
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => {
                sleep.as_mut().poll(context).map(|_| Err(StoreError::new("timeout", NoAnswer(self.timeout))))
            }
        })
        .await
    }
}

/// The store took too long.
#[derive(Debug, thiserror::Error)]
#[error("the store has not answered within {0:?}")]
struct NoAnswer(Duration);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S, F, Sleep> TokenStore for TimeoutStore<S, F>
where
    S: TokenStore,
    F: Fn(Duration) -> Sleep + Send + Sync + 'static,
    Sleep: Future + Send,
{
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<TokenLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.in_time(self.store.insert(record, limit, now)).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        self.in_time(self.store.find(key)).await
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        self.in_time(self.store.list(subject, now)).await
    }

    async fn touch(
        &self,
        key: &TokenKey,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.in_time(self.store.touch(key, last_used_at, expires_at)).await
    }

    async fn replace(&self, old: &TokenKey, new: TokenRecord) -> Result<bool, StoreError> {
        self.in_time(self.store.replace(old, new)).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, StoreError> {
        self.in_time(self.store.remove(key)).await
    }

    async fn remove_all(&self, subject: &Subject, except: Option<&TokenId>, now: Timestamp) -> Result<u64, StoreError> {
        self.in_time(self.store.remove_all(subject, except, now)).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.in_time(self.store.remove_expired(now, batch)).await
    }
}

impl<S: fmt::Debug, F> fmt::Debug for TimeoutStore<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutStore")
            .field("store", &self.store)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// A store that never answers.
    #[derive(Debug)]
    struct Silent;

    #[async_trait]
    impl TokenStore for Silent {
        async fn insert(
            &self,
            _: TokenRecord,
            _: Option<TokenLimit>,
            _: Timestamp,
        ) -> Result<InsertOutcome, StoreError> {
            pending().await
        }
        async fn find(&self, _: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
            pending().await
        }
        async fn list(&self, _: &Subject, _: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
            pending().await
        }
        async fn touch(&self, _: &TokenKey, _: Timestamp, _: Option<Timestamp>) -> Result<bool, StoreError> {
            pending().await
        }
        async fn replace(&self, _: &TokenKey, _: TokenRecord) -> Result<bool, StoreError> {
            pending().await
        }
        async fn remove(&self, _: &TokenKey) -> Result<bool, StoreError> {
            pending().await
        }
        async fn remove_all(&self, _: &Subject, _: Option<&TokenId>, _: Timestamp) -> Result<u64, StoreError> {
            pending().await
        }
        async fn remove_expired(&self, _: Timestamp, _: NonZeroU32) -> Result<u64, StoreError> {
            pending().await
        }
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_an_error() {
        let sleep = |timeout| {
            assert_eq!(timeout, Duration::from_secs(5));
            ready(())
        };
        let store = TimeoutStore::new(Silent, Duration::from_secs(5), sleep);
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let record = TokenRecord::new(Subject::new("alice").unwrap(), digest, Timestamp::UNIX_EPOCH);
        let (key, subject, now) = (record.key(), record.subject.clone(), Timestamp::UNIX_EPOCH);
        let errors = [
            store.insert(record.clone(), None, now).await.unwrap_err(),
            store.find(&key).await.unwrap_err(),
            store.list(&subject, now).await.unwrap_err(),
            store.touch(&key, now, None).await.unwrap_err(),
            store.replace(&key, record).await.unwrap_err(),
            store.remove(&key).await.unwrap_err(),
            store.remove_all(&subject, None, now).await.unwrap_err(),
            store.remove_expired(now, NonZeroU32::MIN).await.unwrap_err(),
        ];
        for error in errors {
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(source, "the store has not answered within 5s");
        }
    }
}
