//! A Redis cluster of three primaries with a replica each: slots that move and primaries that die under load.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    cell::Cell,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

use jwt_knox::{AuthenticateError, IssueError, Issued, Knox, Rejection, SessionLimit, StoreError, Subject};
use jwt_knox_engines::{
    Engine, Traffic,
    engine::wait_until,
    traffic::{SUBJECTS, builder, knox, name},
};
use jwt_knox_redis::RedisStore;
use jwt_knox_testkit::store_tests;
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection};

async fn connect(ports: &[u16]) -> ClusterConnection {
    let timeout = Duration::from_secs(1);
    let addresses: Vec<String> = ports.iter().map(|port| format!("redis://127.0.0.1:{port}/")).collect();
    let client = ClusterClient::builder(addresses)
        .connection_timeout(timeout)
        .response_timeout(timeout)
        .retries(3)
        .max_retry_wait(200)
        .build()
        .unwrap();
    client.get_async_connection().await.unwrap()
}

/// Two servers, each with connections of its own.
async fn servers(ports: &[u16]) -> Vec<Knox> {
    vec![knox(RedisStore::new(connect(ports).await)), knox(RedisStore::new(connect(ports).await))]
}

mod kit {
    use super::*;

    static ENGINE: LazyLock<Mutex<Engine>> = LazyLock::new(|| Mutex::new(Engine::start("redis-cluster")));

    async fn open() -> RedisStore<ClusterConnection> {
        let ports = ENGINE.lock().unwrap().ports("ports");
        RedisStore::new(connect(&ports).await)
    }

    store_tests!(
        #[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
        open,
        durable
    );
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn slots_that_move_under_load_undo_nothing() {
    let mut engine = Engine::start("redis-cluster");
    let ports = engine.ports("ports");
    let traffic = Traffic::start(servers(&ports).await);
    traffic.wait_for_answers(50).await;
    for round in 0..2 {
        for subject in 0..SUBJECTS {
            engine.tell(&format!("move {} {}", name(subject), (subject + round) % 3));
        }
        traffic.wait_for_answers(50).await;
    }
    // As an operator does it: with the tool that comes with Redis, and slots in bulk.
    engine.tell("slots 0 1 300");
    engine.tell("slots 1 0 300");
    traffic.wait_for_answers(50).await;
    let history = traffic.stop(&servers(&ports).await).await;
    println!("{}", history.summary());
    history.assert_consistent();
}

/// The node that is the replica of the one at that port.
fn replica_of(engine: &mut Engine, port: u16) -> usize {
    (0..6).find(|node| engine.tell(&format!("primary_of {node}")) == port.to_string()).unwrap()
}

/// A subject whose slot the first node serves, and that slot.
fn subject_on_first_node(engine: &mut Engine, number: &mut u32) -> (Subject, String) {
    loop {
        *number += 1;
        let subject = Subject::new(format!("mover-{number}")).unwrap();
        let slot = engine.tell(&format!("slot {subject}"));
        // Of three nodes, the first one has the first third.
        if slot.parse::<u16>().unwrap() < 5000 {
            return (subject, slot);
        }
    }
}

/// Migrates slots, and calls `action` for a session in them after each of the steps, in either order of the first two.
/// Calls `check` for it when the migration is over.
async fn at_each_step_of_a_migration<T>(
    server: &Knox,
    engine: &mut Engine,
    action: impl AsyncFn(&Subject) -> T,
    check: impl AsyncFn(&Subject, Issued, T, &str),
) {
    let mut number = 0;
    for order in [["import 1 0", "migrate 0 1"], ["migrate 0 1", "import 1 0"]] {
        let steps = [order[0], order[1], "move_keys 0 1", "own 1 1", "own 0 1"];
        for after in 0..=steps.len() {
            let (subject, slot) = subject_on_first_node(engine, &mut number);
            let issued = server.issue(subject.clone()).await.unwrap();
            let (before, later) = steps.split_at(after);
            for step in before {
                engine.tell(&format!("{step} {slot}"));
            }
            let outcome = action(&subject).await;
            for step in later {
                engine.tell(&format!("{step} {slot}"));
            }
            check(&subject, issued, outcome, &format!("after {before:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn revoke_all_is_final_or_an_error_at_each_step_of_a_migration() {
    let mut engine = Engine::start("redis-cluster");
    let knox = &servers(&engine.ports("ports")).await[0];
    let errors = Cell::new(0);
    let revoke = async |subject: &Subject| knox.revoke_all(subject).await;
    let check = async |subject: &Subject, issued: Issued, outcome: Result<u64, StoreError>, when: &str| {
        match outcome {
            Ok(count) => assert_eq!(count, 1, "{when}"),
            Err(_) => {
                errors.set(errors.get() + 1);
                wait_until("all sessions are revoked", async || revoke(subject).await.is_ok()).await;
            }
        }
        let outcome = knox.authenticate(issued.token.expose()).await;
        assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Revoked))), "{when}: {outcome:?}");
        assert!(knox.issue(subject.clone()).await.is_ok());
    };
    at_each_step_of_a_migration(knox, &mut engine, revoke, check).await;
    println!("revoke_all in a migration: {} errors at 12 points", errors.get());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn a_login_evicts_only_if_it_succeeds_at_each_step_of_a_migration() {
    let mut engine = Engine::start("redis-cluster");
    let store = RedisStore::new(connect(&engine.ports("ports")).await);
    let knox = &builder(store).limit(SessionLimit::evict_oldest(1).unwrap()).build().unwrap();
    let errors = Cell::new(0);
    let issue = async |subject: &Subject| knox.issue(subject.clone()).await;
    let check = async |_: &Subject, old: Issued, outcome: Result<Issued, IssueError>, when: &str| {
        errors.set(errors.get() + u32::from(outcome.is_err()));
        let is_valid = async |issued: &Issued| knox.authenticate(issued.token.expose()).await.is_ok();
        assert_ne!(is_valid(&old).await, outcome.is_ok(), "{when}: {outcome:?}");
        if let Ok(new) = outcome {
            assert!(is_valid(&new).await, "{when}");
        }
    };
    at_each_step_of_a_migration(knox, &mut engine, issue, check).await;
    println!("logins in a migration: {} errors at 12 points", errors.get());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn primaries_that_die_under_load_take_the_last_answers_with_them_at_most() {
    let mut engine = Engine::start("redis-cluster");
    let ports = engine.ports("ports");
    let traffic = Traffic::start(servers(&ports).await);
    let mut crashes = Vec::new();
    for node in [0, 1] {
        let replica = replica_of(&mut engine, ports[node]);
        traffic.wait_for_answers(50).await;
        engine.tell(&format!("kill_node {node}"));
        crashes.push(Instant::now());
        engine.tell(&format!("wait_until_primary {replica}"));
        traffic.wait_for_answers(50).await;
        // The old primary comes back, as a replica of the new one.
        engine.tell(&format!("start_node {node}"));
        engine.tell("wait_until_whole");
    }
    traffic.wait_for_answers(50).await;
    let history = traffic.stop(&servers(&ports).await).await;
    let found = history.contradictions();
    println!("{}", history.summary());
    println!("{} answers undone: {found:#?}", found.len());
    // Redis answers before its replicas know. They do a moment later.
    let moment = Duration::from_secs(1);
    for contradiction in &found {
        let is_recent = |crash: &Instant| contradiction.answered < *crash && *crash - contradiction.answered < moment;
        assert!(crashes.iter().any(is_recent), "undone, and answered long before a crash: {contradiction:?}");
    }
}

/// Revokes sessions while the replica of their primary is cut off, kills the primary and promotes the replica. Gives
/// how many of them were answered, how many were not, and how many tokens are accepted afterwards.
async fn fail_over_to_a_replica_that_is_cut_off(min_replicas: u32) -> [usize; 3] {
    let mut engine = Engine::start("redis-cluster");
    engine.tell(&format!("set_everywhere min-replicas-to-write {min_replicas}"));
    let ports = engine.ports("ports");
    let replica = replica_of(&mut engine, ports[0]);
    let knox = &servers(&ports).await[0];
    let (subject, _) = subject_on_first_node(&mut engine, &mut 0);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(knox.issue(subject.clone()).await.unwrap());
    }
    engine.tell("cut_off_replica 0");
    let mut answered = 0;
    for issued in &tokens {
        answered += usize::from(knox.revoke(&issued.session.session_ref()).await.is_ok());
    }
    engine.tell("kill_node 0");
    engine.tell(&format!("wait_until_primary {replica}"));
    // As the replica of the new primary, which wants one.
    engine.tell("start_node 0");
    let mut accepted = 0;
    for issued in &tokens {
        let outcome = async || knox.authenticate(issued.token.expose()).await;
        let is_answered = async || !matches!(outcome().await, Err(AuthenticateError::Store(_)));
        wait_until("the new primary answers", is_answered).await;
        accepted += usize::from(outcome().await.is_ok());
    }
    [answered, tokens.len() - answered, accepted]
}

/// Redis does not promise more, so neither does the store.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn a_failover_to_a_replica_that_was_cut_off_undoes_logouts() {
    assert_eq!(fail_over_to_a_replica_that_is_cut_off(0).await, [20, 0, 20]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_redis_cluster), ignore = "KNOX_TEST_ENGINES does not name redis-cluster")]
async fn with_min_replicas_to_write_such_a_logout_is_an_error() {
    assert_eq!(fail_over_to_a_replica_that_is_cut_off(1).await, [0, 20, 20]);
}
