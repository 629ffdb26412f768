//! The store.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jwt_knox::{
    InsertOutcome, LimitAction, MAX_LISTED, Rotation, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError,
    Subject, Timestamp, TokenStore, async_trait,
};
use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, aio::ConnectionLike, cmd};

use crate::{
    convert::{Unreadable, decode, encode, label_argument, microseconds, store_error, time_argument},
    keys::{PREFIX, channel, clean_prefix, key},
    scripts::{self, Call},
};

/// Keeps sessions in Redis 7 or Valkey: one key per subject, a hash of session id -> session.
///
/// `C` is any connection that can be cloned and shared: a `ConnectionManager`, which reconnects automatically, a
/// `MultiplexedConnection`, or a `ClusterConnection`. The application makes it and sets its timeouts. Cheap to clone.
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
    announces: bool,
    /// Whether the server was asked if it evicts keys.
    is_policy_known: Arc<AtomicBool>,
}

impl<C> RedisStore<C> {
    /// A store whose keys begin with `jwt-knox`.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self::with_prefix(connection, PREFIX)
    }

    /// A store whose keys begin with `prefix`, for several applications on one server. Braces in it are left out, since
    /// they would mark another hash tag.
    #[must_use]
    pub fn with_prefix(connection: C, prefix: impl Into<String>) -> Self {
        Self { connection, prefix: clean_prefix(prefix), announces: false, is_policy_known: Arc::default() }
    }

    /// Announces what ends sessions and what gives them new tokens, in the same script, so that other servers with a
    /// [`RedisFeed`](crate::RedisFeed) see it within milliseconds. Default: nothing is announced. All servers and tools
    /// on the same sessions should be set the same.
    #[must_use]
    pub fn announcing(self) -> Self {
        Self { announces: true, ..self }
    }

    /// Where changes are announced; empty if they are not.
    fn channel(&self) -> String {
        if self.announces { channel(&self.prefix) } else { String::new() }
    }

    fn key(&self, subject: &Subject) -> String {
        key(&self.prefix, subject)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisStore<C> {
    /// Announces that something has changed about a subject that other servers may remember, as when a user was
    /// disabled: they ask the [`SubjectCheck`](jwt_knox::SubjectCheck) again.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the server cannot be told.
    pub async fn announce(&self, subject: &Subject) -> Result<(), StoreError> {
        let mut publish = cmd("PUBLISH");
        publish.arg(channel(&self.prefix)).arg(self.key(subject));
        let heard: Result<Value, RedisError> = publish.query_async(&mut self.connection.clone()).await;
        heard.map(drop).map_err(store_error)
    }

    async fn run<T: FromRedisValue>(&self, call: &Call) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let outcome = call.run(&mut connection).await;
        if let Err(error) = &outcome
            && is_read_only(error)
        {
            // The server has become a replica and the connection stays open. Closed, it is opened again, to the new
            // primary. This call is an error, and did nothing.
            let _: Result<Value, RedisError> = cmd("QUIT").query_async(&mut connection).await;
        }
        outcome
    }

    /// Warns once if the server evicts keys: it then ends sessions.
    async fn check_policy(&self) {
        if self.is_policy_known.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut info = cmd("INFO");
        info.arg("memory");
        // A user may not be allowed to ask.
        let Ok(answer) = info.query_async::<Value>(&mut self.connection.clone()).await else { return };
        let mut texts = Vec::new();
        texts_in(answer, &mut texts);
        let lines = texts.iter().flat_map(|text| text.lines());
        let mut policies = lines.filter_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
        if let Some(policy) = policies.find(|policy| *policy != "noeviction") {
            tracing::warn!(policy, "this Redis evicts keys, which ends sessions; set maxmemory-policy to noeviction");
        }
    }
}

/// The texts of an answer. A cluster gives one for each node.
fn texts_in(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::Map(pairs) => pairs.into_iter().for_each(|(_, value)| texts_in(value, texts)),
        Value::Array(values) => values.into_iter().for_each(|value| texts_in(value, texts)),
        text => texts.extend(redis::from_redis_value::<String>(text)),
    }
}

/// Says in the log that a session was passed over.
fn log_unreadable(subject: &Subject, id: &[u8], error: &StoreError) {
    let (id, error) = (String::from_utf8_lossy(id), error as &dyn std::error::Error);
    tracing::error!(error, %subject, session_id = ?id, "a session cannot be read and is left out");
}

/// Whether the server said that it is a replica.
fn is_read_only(error: &StoreError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RedisError>());
    source.is_some_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly))
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> TokenStore for RedisStore<C> {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        self.check_policy().await;
        let (max, action) = match limit {
            None => (String::new(), ""),
            Some(limit) => (limit.max().to_string(), action(limit)?),
        };
        let replaces = record.label.is_some() && limit.is_some_and(|limit| limit.is_one_per_label());
        let call = scripts::INSERT
            .on(self.key(&record.subject))
            .arg(record.id.as_str())
            .arg(request_id())
            .arg(microseconds(now))
            .arg(max)
            .arg(action)
            .arg(if replaces { "replace" } else { "" })
            .arg(encode(&record)?)
            .arg(self.channel());
        let subject = record.subject;
        match self.run(&call).await? {
            Value::SimpleString(status) if status == "limit" => Ok(InsertOutcome::LimitReached),
            Value::SimpleString(status) if status == "superseded" => Ok(InsertOutcome::Superseded),
            inserted => {
                let (ids, unreadable): (Vec<String>, Vec<Vec<u8>>) =
                    redis::from_redis_value(inserted).map_err(store_error)?;
                for id in unreadable {
                    log_unreadable(&subject, &id, &store_error(Unreadable));
                }
                let evicted = ids.iter().map(|id| id.parse().map_err(store_error)).collect::<Result<_, _>>()?;
                Ok(InsertOutcome::Inserted { evicted })
            }
        }
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        let value: Option<String> =
            self.run(&scripts::FIND.on(self.key(&session.subject)).arg(session.id.as_str())).await?;
        value.map(|value| decode(&session.subject, session.id, &value).map(Arc::new)).transpose()
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        let call = scripts::LIST.on(self.key(subject)).arg(microseconds(now)).arg(MAX_LISTED);
        // As bytes, since one that is not UTF-8 must not hide the others.
        let found: Vec<(Vec<u8>, Vec<u8>)> = self.run(&call).await?;
        let read = |id: &[u8], value: &[u8]| {
            let id = str::from_utf8(id).map_err(store_error)?.parse().map_err(store_error)?;
            decode(subject, id, str::from_utf8(value).map_err(store_error)?)
        };
        let readable = found
            .iter()
            .filter_map(|(id, value)| read(id, value).inspect_err(|error| log_unreadable(subject, id, error)).ok());
        Ok(readable.collect())
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let call = scripts::TOUCH
            .on(self.key(&session.subject))
            .arg(session.id.as_str())
            .arg(microseconds(last_used_at))
            .arg(time_argument(expires_at));
        self.run(&call).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        let call = scripts::SET_LABEL
            .on(self.key(&session.subject))
            .arg(session.id.as_str())
            .arg(label_argument(label)?)
            .arg(microseconds(now));
        self.run(&call).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        let call = scripts::ROTATE
            .on(self.key(&session.subject))
            .arg(session.id.as_str())
            .arg(rotation.previous.digest().to_string())
            .arg(rotation.digest.to_string())
            .arg(rotation.previous.to_string())
            .arg(microseconds(rotation.last_used_at))
            .arg(time_argument(rotation.expires_at))
            .arg(self.channel());
        self.run(&call).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        let call = scripts::REMOVE.on(self.key(&session.subject)).arg(session.id.as_str()).arg(self.channel());
        self.run(&call).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let call = scripts::REMOVE_ALL
            .on(self.key(subject))
            .arg(except.map_or("", SessionId::as_str))
            .arg(microseconds(now))
            .arg(self.channel());
        self.run(&call).await
    }

    /// Redis drops expired sessions with their key, and some with each login, so there is nothing to do.
    async fn remove_expired(&self, _: Timestamp, _: NonZeroU32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A number that no other request has: a client may send a request twice, and the script then answers the second as the
/// first.
fn request_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

/// What the script calls it.
fn action(limit: SessionLimit) -> Result<&'static str, StoreError> {
    match limit.action() {
        action @ (LimitAction::Deny | LimitAction::EvictOldest | LimitAction::EvictLeastRecentlyUsed) => {
            Ok(action.as_str())
        }
        _ => Err(store_error("this version of jwt-knox-redis does not know the action of this limit; update it")),
    }
}
