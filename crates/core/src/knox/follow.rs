//! Following a change feed.

use std::{future::Future, time::Duration};

use crate::{
    error::StoreError,
    knox::{Knox, admin::KnoxAdmin},
    store::feed::{Change, ChangeFeed},
    timer::yield_now,
};

/// How long to wait before a feed that failed is asked again.
const RETRY: Duration = Duration::from_secs(1);

impl Knox {
    /// Follows what a store announces, for as long as the future is polled: spawn it as a task of its own.
    ///
    /// What another process has ended is then seen here within milliseconds, where a [`Cache`](crate::Cache) with a
    /// `max_age` would still answer from memory, and [`ended`](Self::ended) resolves as soon. A feed that breaks is no
    /// danger: what was remembered until then is forgotten, what is remembered from then on is so for its `max_age`,
    /// and the feed is asked again each second.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use jwt_knox::{Cache, ChangeFeed, Knox, MemoryStore, SigningKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # struct Feed;
    /// # #[jwt_knox::async_trait]
    /// # impl ChangeFeed for Feed {
    /// #     async fn next(&mut self) -> Result<jwt_knox::Change, jwt_knox::StoreError> { std::future::pending().await }
    /// # }
    /// # let (store, feed) = (MemoryStore::new(), Feed);
    /// # let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
    /// let cache = Cache::default().max_age(Duration::from_secs(5));
    /// let knox = Knox::builder(key).store(store).cache(cache).build()?;
    /// // `PostgresFeed` or `RedisFeed`, say.
    /// tokio::spawn(knox.follow(feed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow(&self, mut feed: impl ChangeFeed) -> impl Future<Output = ()> + Send + 'static {
        let admin = self.admin().clone();
        async move {
            let mut is_broken = false;
            loop {
                // So that other tasks have their turn even if the feed is never pending.
                yield_now().await;
                let heard = feed.next().await;
                let was_broken = std::mem::replace(&mut is_broken, heard.is_err());
                match heard {
                    Ok(change) if !was_broken => admin.forget(&change),
                    // What was announced in between is lost.
                    Ok(_) => admin.forget(&Change::Any),
                    Err(error) => {
                        // Once: while it stays broken, `max_age` bounds what that hides.
                        if !was_broken {
                            admin.forget(&Change::Any);
                        }
                        log(&error);
                        admin.timer().sleep(RETRY).await;
                    }
                }
            }
        }
    }
}

impl KnoxAdmin {
    /// Forgets what may have changed, and wakes those who wait for the end of a session.
    pub(super) fn forget(&self, change: &Change) {
        match change {
            Change::Subject(subject) => {
                self.epochs().changed(subject);
                self.waiters().notify(subject);
            }
            Change::Any => {
                self.epochs().all_changed();
                self.waiters().notify_all();
            }
        }
    }
}

fn log(error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(
        error,
        "the change feed failed; until it works again, what other servers end is seen after `max_age`"
    );
}
