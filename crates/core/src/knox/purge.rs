//! Deleting expired sessions.

use std::{future::Future, num::NonZeroU32, time::Duration};

use crate::{
    error::StoreError,
    knox::{Knox, admin::KnoxAdmin},
    observer::Event,
    timer::yield_now,
};

/// How many records are deleted in one step.
const BATCH: NonZeroU32 = NonZeroU32::new(1000).expect("1000 is not 0");

impl KnoxAdmin {
    /// Deletes the records of expired sessions, in batches of 1000, and says how many. Run it now and then, or leave
    /// that to [`purge_every`](Self::purge_every); nothing else deletes them, and nothing depends on it but the size of
    /// the store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer. What was deleted until then stays deleted.
    #[tracing::instrument(name = "knox.purge_expired", level = "debug", skip_all)]
    pub async fn purge_expired(&self) -> Result<u64, StoreError> {
        let cutoff = self.expiry_cutoff();
        let mut count = 0;
        loop {
            let removed = self.limit().apply(self.store().remove_expired(cutoff, BATCH)).await?;
            count += removed;
            if removed < u64::from(BATCH.get()) {
                self.emit(&Event::Purged { count });
                return Ok(count);
            }
            yield_now().await;
        }
    }

    /// Purges at once and then after each `interval`, for as long as the future is polled: spawn it as a task of its
    /// own. Aborting the task or dropping the future stops it, between two batches or in one, which harms nothing.
    ///
    /// If the store fails, that is logged, and the next interval tries again. One task is enough for all servers that
    /// share a store; more than one do no harm.
    pub fn purge_every(&self, interval: Duration) -> impl Future<Output = ()> + Send + 'static {
        let admin = self.clone();
        async move {
            loop {
                // So that other tasks have their turn even if neither the store nor the timer is ever pending.
                yield_now().await;
                if let Err(error) = admin.purge_expired().await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "expired sessions could not be purged");
                }
                admin.timer().sleep(interval).await;
            }
        }
    }
}

impl Knox {
    /// Deletes the records of expired sessions; see [`KnoxAdmin::purge_expired`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer. What was deleted until then stays deleted.
    pub async fn purge_expired(&self) -> Result<u64, StoreError> {
        self.admin().purge_expired().await
    }

    /// Purges at once and then after each `interval`; see [`KnoxAdmin::purge_every`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use jwt_knox::{Knox, MemoryStore, SigningKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// # let knox = Knox::builder(key).store(MemoryStore::new()).build()?;
    /// tokio::spawn(knox.purge_every(Duration::from_secs(3600)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn purge_every(&self, interval: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.admin().purge_every(interval)
    }
}
