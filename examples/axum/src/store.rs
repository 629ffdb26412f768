//! Where sessions are kept.

use std::time::Duration;

use jwt_knox_redis::{RedisFeed, RedisStore};
use jwt_knox_sea_orm::{PostgresFeed, SeaOrmStore};
use redis::aio::ConnectionManagerConfig;
use sea_orm::DatabaseConnection;

use jwt_knox_axum::jwt_knox::{ChangeFeed, TokenStore};

use crate::Failure;

/// Keeps sessions.
type Store = Box<dyn TokenStore>;

/// Tells what other servers on the store have ended.
type Feed = Box<dyn ChangeFeed>;

/// The store at `url`, or in the database of the application; with a feed, if it is to have one.
///
/// # Errors
///
/// [`Failure`] if the store cannot be reached, or can have no feed. It does not contain the URL, which may have a
/// password in it.
pub async fn open(
    url: Option<&str>,
    connection: DatabaseConnection,
    has_feed: bool,
) -> Result<(Store, Option<Feed>), Failure> {
    match url {
        Some(url) => in_redis(url, has_feed).await,
        None if has_feed => {
            let no_feed = |_| Failure("KNOX_FEED needs PostgreSQL or Redis".to_owned());
            let feed = PostgresFeed::new(connection.clone()).map_err(no_feed)?;
            Ok((Box::new(SeaOrmStore::new(connection).announcing()?), Some(Box::new(feed))))
        }
        None => Ok((Box::new(SeaOrmStore::new(connection)), None)),
    }
}

async fn in_redis(url: &str, has_feed: bool) -> Result<(Store, Option<Feed>), Failure> {
    let failure = |error| Failure(format!("the store of KNOX_STORE_URL cannot be used: {error}"));
    let client = redis::Client::open(url)
        .map_err(|_| Failure("KNOX_STORE_URL must be of the form redis://127.0.0.1:6379/".to_owned()))?;
    let patience = Some(Duration::from_secs(2));
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience)
        .set_number_of_retries(1);
    let store = RedisStore::new(client.get_connection_manager_with_config(config).await.map_err(failure)?);
    Ok(if has_feed {
        (Box::new(store.announcing()), Some(Box::new(RedisFeed::new([client]))))
    } else {
        (Box::new(store), None)
    })
}
