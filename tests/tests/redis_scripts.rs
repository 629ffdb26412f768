//! A Redis server that keeps no script from one call to the next, as one that is restarted or fails over.

#![allow(clippy::unwrap_used)]

mod redis_server;

use std::sync::Arc;

use jwt_knox_redis::RedisStore;
use jwt_knox_testkit::rules;
use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager},
    cmd,
};
use redis_server::Server;

/// Lets the server forget all scripts before each `EVALSHA`.
#[derive(Clone)]
struct Forgetful(ConnectionManager);

impl ConnectionLike for Forgetful {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let is_by_hash = command.get_packed_command().windows(7).any(|part| part == b"EVALSHA");
            if is_by_hash {
                cmd("SCRIPT").arg("FLUSH").exec_async(&mut self.0).await?;
            }
            let answer = self.0.req_packed_command(command).await;
            let is_unknown = matches!(answer, Err(_) | Ok(Value::ServerError(_)));
            assert!(!is_by_hash || is_unknown, "the server knows no script");
            answer
        })
    }

    fn req_packed_commands<'a>(&'a mut self, _: &'a Pipeline, _: usize, _: usize) -> RedisFuture<'a, Vec<Value>> {
        panic!("the store sends no pipelines")
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

#[tokio::test]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_server_that_keeps_no_scripts_is_sent_them_each_time() {
    let server = Server::start(false);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let store = Arc::new(RedisStore::new(Forgetful(client.get_connection_manager().await.unwrap())));
    rules::a_record_comes_back_whole(store.clone()).await;
    rules::list_is_newest_first(store.clone()).await;
    rules::touch_records_the_use(store.clone()).await;
    rules::rotate_changes_the_secret_once(store.clone()).await;
    rules::remove_is_precise_and_may_be_repeated(store.clone()).await;
    rules::a_lowered_limit_applies_to_the_next_login(store.clone()).await;
    rules::remove_all_spares_the_exception(store).await;
}
