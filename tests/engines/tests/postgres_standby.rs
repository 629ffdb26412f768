//! PostgreSQL with a synchronous standby, which takes over.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{LazyLock, Mutex};

use jwt_knox::{AuthenticateError, Knox, SessionRef};
use jwt_knox_engines::{
    Engine, Switch, Traffic,
    engine::wait_until,
    sql::{connect, migrate, server},
    traffic::name,
};
use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_testkit::store_tests;

/// A primary and its synchronous standby, with the tables.
fn start(synchronous_commit: &str) -> Engine {
    let mut engine = Engine::start("postgres-standby");
    engine.tell(&format!("synchronous 0 1 {synchronous_commit}"));
    migrate(&url(&engine.ports("ports")[0].to_string()));
    engine
}

fn url(port: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// A server that reaches PostgreSQL at an address that stays.
async fn server_at(switch: &Switch) -> Knox {
    server(&url(&switch.address.port().to_string())).await
}

mod kit {
    use super::*;

    async fn open() -> SeaOrmStore {
        static ENGINE: LazyLock<Mutex<Engine>> = LazyLock::new(|| Mutex::new(start("remote_apply")));
        let port = ENGINE.lock().unwrap().ports("ports")[0];
        SeaOrmStore::new(connect(&url(&port.to_string())).await)
    }

    store_tests!(
        #[cfg_attr(not(knox_engine_postgres_standby), ignore = "KNOX_TEST_ENGINES does not name postgres-standby")]
        open,
        durable
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_postgres_standby), ignore = "KNOX_TEST_ENGINES does not name postgres-standby")]
async fn a_standby_that_takes_over_from_a_killed_primary_has_all_that_was_answered() {
    let mut engine = start("on");
    let ports = engine.ports("ports");
    let switch = Switch::to(ports[0]).await;
    let traffic = Traffic::start(vec![server_at(&switch).await, server_at(&switch).await]);
    for (from, to) in [(0, 1), (1, 0)] {
        traffic.wait_for_answers(100).await;
        engine.tell(&format!("kill_node {from}"));
        engine.tell(&format!("promote {to}"));
        switch.set(ports[to]);
        traffic.wait_for_answers(100).await;
        engine.tell(&format!("be_standby {from} {to}"));
        engine.tell(&format!("synchronous {to} {from} on"));
    }
    traffic.wait_for_answers(100).await;
    let history = traffic.stop(&[server_at(&switch).await]).await;
    println!("{}", history.summary());
    history.assert_consistent();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_postgres_standby), ignore = "KNOX_TEST_ENGINES does not name postgres-standby")]
async fn a_server_that_still_reads_the_old_primary_sees_all_that_was_answered() {
    let mut engine = start("remote_apply");
    let ports = engine.ports("ports");
    let [early, late] = [Switch::to(ports[0]).await, Switch::to(ports[0]).await];
    let traffic = Traffic::start(vec![server_at(&early).await, server_at(&late).await]);
    for (from, to) in [(0, 1), (1, 0)] {
        traffic.wait_for_answers(100).await;
        engine.tell(&format!("hand_over {from} {to}"));
        early.set(ports[to]);
        // Writes on the late server are errors, and its reads come from the standby that the old primary is now.
        traffic.wait_for_errors(100).await;
        late.set(ports[to]);
    }
    traffic.wait_for_answers(100).await;
    let history = traffic.stop(&[server_at(&early).await]).await;
    println!("{}", history.summary());
    history.assert_consistent();
}

/// The token of a new session, and the session.
async fn log_in(server: &Knox) -> (String, SessionRef) {
    let issued = server.issue(name(0)).await.unwrap();
    (issued.token.expose().to_owned(), issued.session.session_ref())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_postgres_standby), ignore = "KNOX_TEST_ENGINES does not name postgres-standby")]
async fn connections_to_a_primary_that_was_set_read_only_write_nothing_and_read_what_is_old() {
    let mut engine = start("on");
    let ports = engine.ports("ports");
    let switch = Switch::to(ports[0]).await;
    let [writer, reader] = [server_at(&switch).await, server_at(&switch).await];
    let (one, two) = (log_in(&writer).await, log_in(&reader).await);

    engine.tell("set_on 0 default_transaction_read_only on");
    wait_until("the primary is read-only", async || writer.revoke(&one.1).await.is_err()).await;
    assert!(writer.authenticate(&one.0).await.is_ok(), "an error did nothing");
    engine.tell("promote 1");
    switch.set(ports[1]);

    // The connections of both are still open to the old primary. A write finds out, and is done on the new one.
    assert!(writer.revoke(&one.1).await.unwrap().is_revoked());
    assert!(writer.revoke(&two.1).await.unwrap().is_revoked());
    let newcomer = server_at(&switch).await;
    for token in [&one.0, &two.0] {
        assert!(newcomer.authenticate(token).await.is_err());
    }
    // Who only reads does not find out, so the old primary has to be stopped.
    assert!(reader.authenticate(&two.0).await.is_ok());
    engine.tell("kill_node 0");
    wait_until("the reader asks the new primary", async || {
        matches!(reader.authenticate(&two.0).await, Err(AuthenticateError::Rejected(_)))
    })
    .await;
}
