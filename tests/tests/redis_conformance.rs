//! The Redis store passes the tests of the testkit on Redis or Valkey.

#![allow(clippy::unwrap_used)]

use std::env;

use jwt_knox_redis::RedisStore;
use jwt_knox_testkit::store_tests;
use redis::aio::ConnectionManager;

async fn open() -> RedisStore<ConnectionManager> {
    let client = redis::Client::open(env::var("KNOX_TEST_REDIS_URL").unwrap()).unwrap();
    RedisStore::with_prefix(client.get_connection_manager().await.unwrap(), "jwt-knox-test")
}

store_tests!(
    #[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
    open,
    durable
);
