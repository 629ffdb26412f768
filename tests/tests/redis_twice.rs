//! A Redis client that sends a request again, as that of a cluster does when a connection breaks before the answer
//! arrives: a login or a rotation that was carried out is not carried out again, and gets the same answer.

#![allow(clippy::unwrap_used)]

use std::{env, sync::Arc};

use jwt_knox_redis::RedisStore;
use jwt_knox_testkit::rules;
use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager},
};

/// Sends each command twice and loses the first answer.
#[derive(Clone)]
struct Twice(ConnectionManager);

impl ConnectionLike for Twice {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.0.req_packed_command(cmd).await?;
            self.0.req_packed_command(cmd).await
        })
    }

    fn req_packed_commands<'a>(&'a mut self, _: &'a Pipeline, _: usize, _: usize) -> RedisFuture<'a, Vec<Value>> {
        panic!("the store sends no pipelines")
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
async fn what_is_sent_twice_is_done_once() {
    let url = env::var("KNOX_TEST_REDIS_URL").unwrap();
    let connection = redis::Client::open(url).unwrap().get_connection_manager().await.unwrap();
    let store = Arc::new(RedisStore::with_prefix(Twice(connection), "jwt-knox-test-twice"));
    rules::a_record_comes_back_whole(store.clone()).await;
    rules::a_record_is_inserted_once(store.clone()).await;
    rules::a_lowered_limit_applies_to_the_next_login(store.clone()).await;
    rules::replacing_comes_before_the_limit(store.clone()).await;
    rules::parallel_logins_keep_to_a_denying_limit(store.clone()).await;
    rules::rotate_changes_the_secret_once(store.clone()).await;
    rules::parallel_rotations_have_one_winner(store).await;
}
