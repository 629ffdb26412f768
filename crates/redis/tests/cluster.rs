//! The store on a cluster of three nodes, which passes the kit, and whose failing node makes errors and no false
//! answers.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::sync::OnceLock;

use common::{Server, start_cluster, wait_until};
use jwt_knox::{Knox, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection};

async fn connect(nodes: &[Server]) -> RedisStore<ClusterConnection> {
    let addresses = nodes.iter().map(|node| format!("redis://127.0.0.1:{}/", node.port));
    let timeout = std::time::Duration::from_secs(2);
    let client = ClusterClient::builder(addresses.collect::<Vec<_>>())
        .connection_timeout(timeout)
        .response_timeout(timeout)
        .retries(2)
        .max_retry_wait(200)
        .build()
        .unwrap();
    RedisStore::new(client.get_async_connection().await.unwrap())
}

async fn open() -> Option<RedisStore<ClusterConnection>> {
    static CLUSTER: OnceLock<Option<Vec<Server>>> = OnceLock::new();
    let nodes = CLUSTER.get_or_init(|| Server::is_available().then(start_cluster));
    match nodes {
        Some(nodes) => Some(connect(nodes).await),
        None => {
            println!("skipped: there is no cluster");
            None
        }
    }
}

jwt_knox_testkit::store_tests!(open, durable);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_fails_makes_errors_and_no_false_answers() {
    if !Server::is_available() {
        return;
    }
    let mut nodes = start_cluster();
    let key = SigningKey::hs256("a key of the cluster tests, long enough").unwrap();
    let knox = Knox::builder(key).store(connect(&nodes).await).build().unwrap();
    let mut tokens = Vec::new();
    for number in 0..30 {
        tokens.push(knox.issue(Subject::new(format!("user-{number}")).unwrap()).await.unwrap());
    }
    let revoked = knox.issue(Subject::new("user-0").unwrap()).await.unwrap();
    assert!(knox.revoke(&revoked.record.key()).await.unwrap());

    nodes[0].kill();
    let mut errors = 0;
    for issued in &tokens {
        match knox.authenticate(issued.token.expose()).await {
            Ok(_) => {}
            Err(jwt_knox::AuthenticateError::Store(_)) => errors += 1,
            Err(refused) => panic!("a node that is down is no reason to refuse: {refused}"),
        }
    }
    assert!(errors > 0, "a third of the subjects is on the node that is down");

    nodes[0].restart();
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    wait_until("the cluster is whole again", || {
        ports.iter().all(|port| common::redis_cli(*port, &["cluster", "info"]).contains("cluster_state:ok"))
    });
    // The client finds the node again by itself; how soon is its affair.
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
    assert!(knox.authenticate(revoked.token.expose()).await.is_err(), "what was revoked stays revoked");
}
