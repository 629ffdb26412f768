//! Hearing on PostgreSQL that sessions have changed.

use std::{fmt, time::Duration};

use jwt_knox::{Change, ChangeFeed, StoreError, Subject, async_trait};
use sea_orm::{DatabaseConnection, SqlxError, sqlx::postgres::PgListener};
use tokio::time::timeout;

use crate::{
    announce::{CHANNEL, require_postgres},
    convert::store_error,
};

/// How long it may take to begin to listen.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Hears of what servers announce whose store is [announcing](crate::SeaOrmStore::announcing), by `LISTEN`. For
/// [`Knox::follow`](jwt_knox::Knox::follow).
///
/// It takes one connection of the pool and keeps it. A pooler that hands connections on between transactions, as
/// PgBouncer may be set to, cannot listen: give it a connection to the server itself.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use jwt_knox::{Cache, Knox, SigningKey};
/// use jwt_knox_sea_orm::{PostgresFeed, SeaOrmStore};
/// use sea_orm::Database;
///
/// # async fn make() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Database::connect("postgres://localhost/app").await?;
/// let store = SeaOrmStore::new(connection.clone()).announcing()?;
///
/// let key = SigningKey::hs256("an example key, 32 bytes or more!")?;
/// let cache = Cache::default().max_age(Duration::from_secs(5));
/// let knox = Knox::builder(key).store(store).cache(cache).build()?;
/// tokio::spawn(knox.follow(PostgresFeed::new(connection)?));
/// # Ok(())
/// # }
/// ```
pub struct PostgresFeed {
    connection: DatabaseConnection,
    /// `None`: not connected.
    listener: Option<PgListener>,
}

impl PostgresFeed {
    /// A feed on the database of `connection`. It connects when it is first asked.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database is not PostgreSQL.
    pub fn new(connection: DatabaseConnection) -> Result<Self, StoreError> {
        require_postgres(&connection)?;
        Ok(Self { connection, listener: None })
    }

    async fn listen(&self) -> Result<PgListener, SqlxError> {
        let mut listener = PgListener::connect_with(self.connection.get_postgres_connection_pool()).await?;
        // Otherwise it would connect again by itself, and what is announced meanwhile would be missed unseen.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }
}

#[async_trait]
impl ChangeFeed for PostgresFeed {
    async fn next(&mut self) -> Result<Change, StoreError> {
        let Some(mut listener) = self.listener.take() else {
            let listener = timeout(TIME_LIMIT, self.listen()).await.map_err(store_error)?;
            self.listener = Some(listener.map_err(store_error)?);
            return Ok(Change::Any);
        };
        let heard = listener.try_recv().await.map_err(store_error)?;
        let heard = heard.ok_or_else(|| store_error("the connection that listens for changes is lost"))?;
        self.listener = Some(listener);
        Ok(Subject::new(heard.payload()).map_or(Change::Any, Change::Subject))
    }
}

impl fmt::Debug for PostgresFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeed").field("is_connected", &self.listener.is_some()).finish_non_exhaustive()
    }
}
