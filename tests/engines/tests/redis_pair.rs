//! A Redis server that becomes the replica of another while connections to it stay open.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use jwt_knox::Knox;
use jwt_knox_engines::{Engine, Switch, Traffic, traffic::knox};
use jwt_knox_redis::RedisStore;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// A server that reaches Redis at an address that stays.
async fn server(switch: &Switch) -> Knox {
    let client = redis::Client::open(format!("redis://{}/", switch.address)).unwrap();
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(100))
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)));
    knox(RedisStore::new(ConnectionManager::new_with_config(client, config).await.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_pair), ignore = "KNOX_TEST_ENGINES does not name redis-pair")]
async fn a_primary_that_is_demoted_with_open_connections_gives_no_old_answers() {
    let mut engine = Engine::start("redis-pair");
    let ports = engine.ports("ports");
    let [early, late] = [Switch::to(ports[0]).await, Switch::to(ports[0]).await];
    let traffic = Traffic::start(vec![server(&early).await, server(&late).await]);
    for (from, to) in [(0, 1), (1, 0)] {
        traffic.wait_for_answers(50).await;
        engine.tell(&format!("hand_over {from} {to}"));
        // One server learns of it and writes to the new primary. The other one still talks to the old one, which has
        // all that is written as well, a little later.
        early.set(ports[to]);
        traffic.wait_for_errors(50).await;
        late.set(ports[to]);
    }
    traffic.wait_for_answers(50).await;
    let history = traffic.stop(&[server(&early).await]).await;
    println!("{}", history.summary());
    history.assert_consistent();
}
