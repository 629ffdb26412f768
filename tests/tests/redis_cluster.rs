//! The Redis store passes the tests of the testkit on a cluster of three nodes, and a node that fails makes errors and
//! no false answers.

#![allow(clippy::unwrap_used)]

mod redis_server;

use std::{sync::OnceLock, time::Duration};

use jwt_knox::{AuthenticateError, Knox, Rejection, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use jwt_knox_testkit::store_tests;
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection};
use redis_server::{Server, start_cluster, wait_until};

async fn connect(nodes: &[Server]) -> RedisStore<ClusterConnection> {
    let addresses = nodes.iter().map(|node| format!("redis://127.0.0.1:{}/", node.port));
    let timeout = Duration::from_secs(2);
    let client = ClusterClient::builder(addresses.collect::<Vec<_>>())
        .connection_timeout(timeout)
        .response_timeout(timeout)
        .retries(2)
        .max_retry_wait(200)
        .build()
        .unwrap();
    RedisStore::new(client.get_async_connection().await.unwrap())
}

async fn open() -> RedisStore<ClusterConnection> {
    static CLUSTER: OnceLock<Vec<Server>> = OnceLock::new();
    connect(CLUSTER.get_or_init(start_cluster)).await
}

store_tests!(
    #[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
    open,
    durable
);

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_node_that_fails_makes_errors_and_no_false_answers() {
    let mut nodes = start_cluster();
    let key = SigningKey::hs256("a key of the cluster tests, long enough").unwrap();
    let knox = Knox::builder(key).store(connect(&nodes).await).build().unwrap();
    let mut tokens = Vec::new();
    for number in 0..30 {
        tokens.push(knox.issue(Subject::new(format!("user-{number}")).unwrap()).await.unwrap());
    }
    let revoked = knox.issue(Subject::new("user-0").unwrap()).await.unwrap();
    assert!(knox.revoke(&revoked.session.session_ref()).await.unwrap().is_revoked());

    nodes[0].kill();
    let mut errors = 0;
    for issued in &tokens {
        match knox.authenticate(issued.token.expose()).await {
            Ok(_) => {}
            Err(AuthenticateError::Store(_)) => errors += 1,
            Err(rejected) => panic!("a node that is down is no reason to reject: {rejected}"),
        }
    }
    assert!(errors > 0, "a third of the subjects are on the node that is down");

    nodes[0].restart();
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    wait_until("the cluster is complete again", || {
        ports.iter().all(|port| redis_server::redis_cli(*port, &["cluster", "info"]).contains("cluster_state:ok"))
    });
    // The client finds the node again automatically; how soon is up to the client.
    for issued in &tokens {
        let mut outcome = knox.authenticate(issued.token.expose()).await;
        for _ in 0..20 {
            if outcome.is_ok() {
                break;
            }
            outcome = knox.authenticate(issued.token.expose()).await;
        }
        assert!(outcome.is_ok(), "service resumes: {outcome:?}");
    }
    let outcome = knox.authenticate(revoked.token.expose()).await;
    assert!(
        matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Revoked))),
        "what was revoked stays revoked: {outcome:?}"
    );
}
