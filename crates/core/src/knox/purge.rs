//! Removing the records of logins that are over.

use std::{
    future::{Future, poll_fn},
    mem,
    num::NonZeroU32,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use jiff::Timestamp;

use crate::{error::StoreError, knox::Knox, observer::Event};

impl Knox {
    /// How many expired records are removed in one step.
    const PURGE_BATCH: NonZeroU32 = NonZeroU32::new(1000).expect("1000 is not 0");

    /// Removes the records of logins that are over, in batches of 1000, and says how many. Run it now and then, or
    /// leave that to [`purge_every`](Self::purge_every); nothing else deletes them, and nothing depends on it but the
    /// size of the store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot answer. What was removed until then stays removed.
    #[tracing::instrument(name = "knox.purge_expired", level = "debug", skip_all)]
    pub async fn purge_expired(&self) -> Result<u64, StoreError> {
        let now = self.live_since(self.now());
        let mut total = 0;
        loop {
            let removed = self.purge_batch(now).await?;
            total += removed;
            if is_last(removed) {
                self.emit(Event::Purged { count: total });
                return Ok(total);
            }
        }
    }

    /// Purges at once and then after each `interval`, until `stop` is ready. For a task of its own, on any runtime.
    ///
    /// `sleep` is the runtime's. If the store fails, that is logged, and the next interval tries again. `stop` is
    /// looked at while sleeping and between two batches: it ends a purge early, and never in the middle of a batch.
    /// Whatever it gives is dropped. To go on for as long as the process lives, take
    /// [`std::future::pending::<()>()`](std::future::pending).
    ///
    /// One task is enough for all servers that share a store; more than one do no harm.
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
    /// let shutdown = async { /* such as tokio::signal::ctrl_c().await */ };
    /// let purge = async move { knox.purge_every(Duration::from_secs(3600), tokio::time::sleep, shutdown).await };
    /// tokio::spawn(purge).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn purge_every<S: Future>(&self, interval: Duration, sleep: impl Fn(Duration) -> S, stop: impl Future) {
        let mut stop = pin!(stop);
        loop {
            let now = self.live_since(self.now());
            let mut total = 0;
            loop {
                if is_ready(stop.as_mut()).await {
                    return;
                }
                match self.purge_batch(now).await {
                    Ok(removed) => {
                        total += removed;
                        if is_last(removed) {
                            self.emit(Event::Purged { count: total });
                            break;
                        }
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, total, "expired tokens could not be purged");
                        break;
                    }
                }
            }
            if comes_first(stop.as_mut(), sleep(interval)).await {
                return;
            }
        }
    }

    async fn purge_batch(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.store().remove_expired(now, Self::PURGE_BATCH).await
    }
}

/// Whether a batch of so many records has left none for another.
fn is_last(removed: u64) -> bool {
    removed < u64::from(Knox::PURGE_BATCH.get())
}

/// Whether `stop` is ready. The other tasks of the thread get their turn first, so that one of them can make it so.
async fn is_ready(mut stop: Pin<&mut impl Future>) -> bool {
    let mut has_yielded = false;
    poll_fn(|context| {
        if stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(false);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Waits for the first of the two. `true`: it was `stop`.
async fn comes_first(mut stop: Pin<&mut impl Future>, sleep: impl Future) -> bool {
    let mut sleep = pin!(sleep);
    poll_fn(|context| {
        if stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        sleep.as_mut().poll(context).map(|_| false)
    })
    .await
}
