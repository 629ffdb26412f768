//! The store passes the conformance kit on Redis or Valkey.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::env;

use jwt_knox_redis::RedisStore;
use redis::aio::ConnectionManager;

async fn open() -> Option<RedisStore<ConnectionManager>> {
    match env::var("KNOX_TEST_REDIS_URL") {
        Ok(url) => {
            let client = redis::Client::open(url).unwrap();
            Some(RedisStore::with_prefix(client.get_connection_manager().await.unwrap(), "jwt-knox-test"))
        }
        Err(_) => {
            println!("skipped: KNOX_TEST_REDIS_URL is not set");
            None
        }
    }
}

jwt_knox_testkit::store_tests!(open, durable);
