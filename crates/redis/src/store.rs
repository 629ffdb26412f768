//! The store.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::{
    InsertOutcome, LimitAction, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError, Subject, Timestamp,
    TokenStore, async_trait,
};
use redis::{FromRedisValue, ScriptInvocation, aio::ConnectionLike, cmd};

use crate::{
    convert::{fields, microseconds, record, store_error, time_argument},
    scripts::{INSERT, LIST, REMOVE, REMOVE_ALL, REPLACE, TOUCH},
};

/// Keeps sessions in Redis 7 or Valkey.
///
/// `C` is any connection that can be cloned and shared: a `ConnectionManager`, which reconnects automatically, a
/// `MultiplexedConnection`, or a `ClusterConnection`. The application makes it and sets its timeouts, so that a server
/// that hangs becomes an error. Cheap to clone.
///
/// # Examples
///
/// ```no_run
/// use jwt_knox::{Knox, SigningKey};
/// use jwt_knox_redis::RedisStore;
///
/// # async fn make() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://127.0.0.1:6379/")?;
/// let store = RedisStore::new(client.get_connection_manager().await?);
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let knox = Knox::builder(key).store(store).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: String,
}

impl<C> RedisStore<C> {
    /// A store whose keys begin with `jwt-knox`.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self::with_prefix(connection, "jwt-knox")
    }

    /// A store whose keys begin with `prefix`, for several applications on one server. Braces in it are dropped, since
    /// they would make another hash tag.
    #[must_use]
    pub fn with_prefix(connection: C, prefix: impl Into<String>) -> Self {
        Self { connection, prefix: prefix.into().replace(['{', '}'], "") }
    }

    /// The key of the subject's index. The part in braces is its hash tag, which all keys of the subject share. The
    /// subject is encoded, so that none can close the brace.
    fn index(&self, subject: &Subject) -> String {
        format!("{}:{{{}}}", self.prefix, Base64UrlUnpadded::encode_string(subject.as_str().as_bytes()))
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisStore<C> {
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        script.invoke_async(&mut self.connection.clone()).await.map_err(store_error)
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> TokenStore for RedisStore<C> {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let (max, action) = match limit {
            None => (String::new(), ""),
            Some(limit) => (limit.max().to_string(), action(limit)?),
        };
        let replaced = record.label.as_deref().filter(|_| limit.is_some_and(|limit| limit.is_one_per_label()));
        let mut script = INSERT.key(self.index(&record.subject));
        script
            .arg(request_id())
            .arg(record.id().as_str())
            .arg(microseconds(record.created_at))
            .arg(time_argument(record.expires_at))
            .arg(microseconds(now))
            .arg(max)
            .arg(action)
            .arg(if replaced.is_some() { "replace" } else { "" })
            .arg(replaced.unwrap_or_default())
            .arg(fields(&record)?);
        let evicted: i64 = self.run(&script).await?;
        Ok(match u64::try_from(evicted) {
            Ok(evicted) => InsertOutcome::Inserted { evicted },
            Err(_) => InsertOutcome::LimitReached,
        })
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<SessionRecord>, StoreError> {
        let key = format!("{}:{}", self.index(&session.subject), session.id);
        let hash: HashMap<String, String> =
            cmd("HGETALL").arg(key).query_async(&mut self.connection.clone()).await.map_err(store_error)?;
        if hash.is_empty() { Ok(None) } else { record(hash).map(Some) }
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let mut script = LIST.key(self.index(subject));
        script.arg(microseconds(now));
        let hashes: Vec<HashMap<String, String>> = self.run(&script).await?;
        hashes.into_iter().map(record).collect()
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut script = TOUCH.key(self.index(&session.subject));
        script.arg(session.id.as_str()).arg(microseconds(last_used_at)).arg(time_argument(expires_at));
        self.run(&script).await
    }

    async fn replace(&self, old: &SessionRef, new: SessionRecord) -> Result<bool, StoreError> {
        let mut script = REPLACE.key(self.index(&old.subject));
        script
            .arg(request_id())
            .arg(old.id.as_str())
            .arg(new.id().as_str())
            .arg(microseconds(new.created_at))
            .arg(time_argument(new.expires_at))
            .arg(fields(&new)?);
        self.run(&script).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let mut script = REMOVE.key(self.index(&session.subject));
        script.arg(session.id.as_str());
        self.run(&script).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut script = REMOVE_ALL.key(self.index(subject));
        script.arg(except.map_or("", SessionId::as_str)).arg(microseconds(now));
        self.run(&script).await
    }

    /// Redis drops expired sessions automatically, so there is nothing to do.
    async fn remove_expired(&self, _: Timestamp, _: NonZeroU32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A number that no other request has: a client may send a request twice, and the script then answers the second like
/// the first.
fn request_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

/// The action of the limit, if the script knows it.
fn action(limit: SessionLimit) -> Result<&'static str, StoreError> {
    match limit.action() {
        action @ (LimitAction::Deny | LimitAction::EvictOldest | LimitAction::EvictLeastRecentlyUsed) => {
            Ok(action.as_str())
        }
        action => Err(store_error(format!("this store does not know the limit action `{action}`"))),
    }
}
