//! Hearing that sessions have changed.

use std::{fmt, future::poll_fn, pin::Pin};

use futures_core::Stream;
use jwt_knox::{Change, ChangeFeed, StoreError, TimeLimit, async_trait};
use redis::{Client, RedisError, aio::PubSubStream};

use crate::{
    convert::store_error,
    keys::{self, PREFIX, channel, clean_prefix},
};

/// Hears of what servers announce whose store is [announcing](crate::RedisStore::announcing), by `SUBSCRIBE`. For
/// [`Knox::follow`](jwt_knox::Knox::follow).
///
/// It has a connection of its own. In a cluster, each node hears of all announcements: give it several, and it goes on
/// to the next when one fails.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use jwt_knox::{Cache, Knox, SigningKey};
/// use jwt_knox_redis::{RedisFeed, RedisStore};
///
/// # async fn make() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://127.0.0.1:6379/")?;
/// let store = RedisStore::new(client.get_connection_manager().await?).announcing();
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let cache = Cache::default().max_age(Duration::from_secs(5));
/// let knox = Knox::builder(key).store(store).cache(cache).build()?;
/// tokio::spawn(knox.follow(RedisFeed::new([client])));
/// # Ok(())
/// # }
/// ```
pub struct RedisFeed {
    nodes: Vec<Client>,
    /// The node that is asked next.
    next: usize,
    prefix: String,
    /// `None`: not connected.
    messages: Option<PubSubStream>,
}

impl RedisFeed {
    /// A feed for stores whose keys begin with `jwt-knox`. It connects when it is first asked, to the first of `nodes`.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = Client>) -> Self {
        Self::with_prefix(nodes, PREFIX)
    }

    /// A feed for stores whose keys begin with `prefix`.
    #[must_use]
    pub fn with_prefix(nodes: impl IntoIterator<Item = Client>, prefix: impl Into<String>) -> Self {
        Self { nodes: nodes.into_iter().collect(), next: 0, prefix: clean_prefix(prefix), messages: None }
    }

    async fn subscribe(&mut self) -> Result<PubSubStream, StoreError> {
        let node = self.nodes.get(self.next).ok_or_else(|| store_error("a feed needs the address of a server"))?;
        self.next = (self.next + 1) % self.nodes.len();
        let subscribed: Result<_, RedisError> = async {
            let mut connection = node.get_async_pubsub().await?;
            connection.subscribe(channel(&self.prefix)).await?;
            Ok(connection.into_on_message())
        }
        .await;
        subscribed.map_err(store_error)
    }
}

#[async_trait]
impl ChangeFeed for RedisFeed {
    async fn next(&mut self) -> Result<Change, StoreError> {
        let Some(mut messages) = self.messages.take() else {
            // A server that hangs may accept a connection, and say nothing.
            self.messages = Some(TimeLimit::default().apply(self.subscribe()).await?);
            return Ok(Change::Any);
        };
        let message = poll_fn(|context| Pin::new(&mut messages).poll_next(context)).await;
        let message = message.ok_or_else(|| store_error("the connection that listens for changes is lost"))?;
        self.messages = Some(messages);
        let key: Option<String> = message.get_payload().ok();
        Ok(key.and_then(|key| keys::subject(&self.prefix, &key)).map_or(Change::Any, Change::Subject))
    }
}

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_connected = self.messages.is_some();
        f.debug_struct("RedisFeed")
            .field("prefix", &self.prefix)
            .field("is_connected", &is_connected)
            .finish_non_exhaustive()
    }
}
