//! MariaDB as a Galera cluster of three nodes, all of which are written to.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{
    LazyLock, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use jwt_knox::{IssueError, Knox, SessionLimit};
use jwt_knox_engines::{
    Engine, Switch, Traffic,
    sql::{connect, migrate, server},
    traffic::{builder, name},
};
use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_testkit::store_tests;

/// A cluster with the tables. With `wsrep_sync_wait` of 1, a read waits until the node has what was committed before;
/// with 3, a change does so, too.
fn start(sync_wait: u32) -> Engine {
    let mut engine = Engine::start("galera");
    engine.tell(&format!("everywhere SET GLOBAL wsrep_sync_wait = {sync_wait}"));
    migrate(&url(engine.ports("ports")[0]));
    engine
}

fn url(port: u16) -> String {
    format!("mysql://knox@127.0.0.1:{port}/knox")
}

async fn server_at(switch: &Switch) -> Knox {
    server(&url(switch.address.port())).await
}

mod kit_on_all_nodes {
    use super::*;

    /// The handles of a test are on different nodes.
    async fn open() -> SeaOrmStore {
        static ENGINE: LazyLock<Mutex<Engine>> = LazyLock::new(|| Mutex::new(start(3)));
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let port = ENGINE.lock().unwrap().ports("ports")[NEXT.fetch_add(1, SeqCst) % 3];
        SeaOrmStore::new(connect(&url(port)).await)
    }

    store_tests!(
        #[cfg_attr(not(knox_engine_galera), ignore = "KNOX_TEST_ENGINES does not name galera")]
        open,
        durable
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_galera), ignore = "KNOX_TEST_ENGINES does not name galera")]
async fn a_limit_holds_over_two_nodes() {
    let engine = start(0);
    let ports = engine.ports("ports");
    let subject = name(0);
    for (limit, accepted) in [(SessionLimit::deny(5).unwrap(), 5), (SessionLimit::evict_oldest(5).unwrap(), 64)] {
        let mut servers = Vec::new();
        for port in &ports[..2] {
            let store = SeaOrmStore::new(connect(&url(*port)).await);
            servers.push(builder(store).limit(limit).build().unwrap());
        }
        for _ in 0..10 {
            let logins: Vec<_> = (0..64)
                .map(|number| {
                    let (server, subject) = (servers[number % 2].clone(), subject.clone());
                    tokio::spawn(async move { server.issue(subject).await })
                })
                .collect();
            let (mut begun, mut errors) = (0, 0);
            for login in logins {
                match login.await.unwrap() {
                    Ok(_) => begun += 1,
                    Err(IssueError::LimitReached { .. }) => {}
                    // On a slow machine, one may have had to start over too often.
                    Err(error) => {
                        println!("{error:?}");
                        errors += 1;
                    }
                }
            }
            assert!(begun <= accepted && begun + errors >= accepted, "{begun} begun, {errors} errors at {limit:?}");
            // The last one to write has seen all of them.
            assert_eq!(servers[0].revoke_all(&subject).await.unwrap(), 5, "64 parallel logins at {limit:?} leave 5");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_galera), ignore = "KNOX_TEST_ENGINES does not name galera")]
async fn with_wsrep_sync_wait_another_node_sees_what_was_answered() {
    for (sync_wait, are_late_ones_allowed) in [(0, true), (1, false)] {
        let engine = start(sync_wait);
        let ports = engine.ports("ports");
        let [one, other] = [server(&url(ports[0])).await, server(&url(ports[1])).await];
        let (mut late_logins, mut late_logouts) = (0, 0);
        for _ in 0..300 {
            let issued = one.issue(name(0)).await.unwrap();
            late_logins += usize::from(other.authenticate(issued.token.expose()).await.is_err());
            assert!(one.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
            late_logouts += usize::from(other.authenticate(issued.token.expose()).await.is_ok());
        }
        println!(
            "wsrep_sync_wait = {sync_wait}: of 300, {late_logins} logins and {late_logouts} logouts are seen late"
        );
        assert!(are_late_ones_allowed || (late_logins, late_logouts) == (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_galera), ignore = "KNOX_TEST_ENGINES does not name galera")]
async fn nodes_that_die_or_hang_undo_nothing() {
    let mut engine = start(1);
    let ports = engine.ports("ports");
    let [one, other] = [Switch::to(ports[0]).await, Switch::to(ports[1]).await];
    let traffic = Traffic::start(vec![server_at(&one).await, server_at(&other).await]);
    traffic.wait_for_answers(100).await;
    engine.tell("kill_node 0");
    one.set(ports[2]);
    traffic.wait_for_answers(100).await;
    engine.tell("start 0");
    engine.tell("everywhere SET GLOBAL wsrep_sync_wait = 1");
    one.set(ports[0]);
    // The server whose node hangs gets errors. The others go on without that node, which then finds that it is alone.
    engine.tell("pause 1");
    traffic.wait_for_errors(10).await;
    engine.tell("wait_until_size 0 2");
    engine.tell("resume 1");
    traffic.wait_for_answers(100).await;
    let history = traffic.stop(&[server_at(&one).await, server_at(&other).await]).await;
    println!("{}", history.summary());
    history.assert_consistent();
}
