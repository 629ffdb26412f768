//! Where sessions are kept.

use std::time::Duration;

use jwt_knox_redis::RedisStore;
use jwt_knox_sea_orm::SeaOrmStore;
use redis::aio::ConnectionManagerConfig;
use sea_orm::DatabaseConnection;

use jwt_knox_axum::jwt_knox::TokenStore;

use crate::Failure;

/// The store at `url`, or in the database of the application.
///
/// # Errors
///
/// [`Failure`] if the store cannot be reached. It does not contain the URL, which may have a password in it.
pub async fn open(url: Option<&str>, connection: DatabaseConnection) -> Result<Box<dyn TokenStore>, Failure> {
    let Some(url) = url else { return Ok(Box::new(SeaOrmStore::new(connection))) };
    let failure = |error| Failure(format!("the store of KNOX_STORE_URL cannot be used: {error}"));
    let client = redis::Client::open(url)
        .map_err(|_| Failure("KNOX_STORE_URL must be of the form redis://127.0.0.1:6379/".to_owned()))?;
    let patience = Some(Duration::from_secs(2));
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience)
        .set_number_of_retries(1);
    Ok(Box::new(RedisStore::new(client.get_connection_manager_with_config(config).await.map_err(failure)?)))
}
