//! PostgreSQL behind PgBouncer, in its two pool modes.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use jwt_knox_engines::{
    Engine, History, Traffic,
    sql::{connect, migrate, server},
};

/// The PgBouncers of the engine: one that knows prepared statements, and one that does not.
const WITH_STATEMENTS: usize = 1;
const WITHOUT_STATEMENTS: usize = 2;

/// Where the database of that pool mode is, at one of the PgBouncers.
fn url(engine: &Engine, bouncer: usize, mode: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{}/{mode}", engine.ports("ports")[bouncer])
}

macro_rules! kit {
    ($mode:ident, $bouncer:ident) => {
        mod $mode {
            use std::sync::{LazyLock, Mutex};

            use jwt_knox_sea_orm::SeaOrmStore;
            use jwt_knox_testkit::store_tests;

            use super::*;

            async fn open() -> SeaOrmStore {
                static ENGINE: LazyLock<Mutex<Engine>> = LazyLock::new(|| {
                    let engine = Engine::start("pgbouncer");
                    // The tables are made through PgBouncer as well.
                    migrate(&url(&engine, $bouncer, stringify!($mode)));
                    Mutex::new(engine)
                });
                let url = url(&ENGINE.lock().unwrap(), $bouncer, stringify!($mode));
                SeaOrmStore::new(connect(&url).await)
            }

            store_tests!(
                #[cfg_attr(not(knox_engine_pgbouncer), ignore = "KNOX_TEST_ENGINES does not name pgbouncer")]
                open,
                durable
            );
        }
    };
}

kit!(session, WITHOUT_STATEMENTS);
kit!(transaction, WITH_STATEMENTS);

/// Traffic while connections are ended on either side of PgBouncer.
async fn traffic_through(bouncer: usize, mode: &str) -> History {
    let mut engine = Engine::start("pgbouncer");
    let url = url(&engine, bouncer, mode);
    migrate(&url);
    let traffic = Traffic::start(vec![server(&url).await, server(&url).await]);
    traffic.wait_for_answers(100).await;
    let (reconnect, restart) = (format!("admin {bouncer} RECONNECT"), format!("restart_bouncer {bouncer}"));
    for disturbance in ["end_connections", &reconnect, &restart, "end_connections"] {
        engine.tell(disturbance);
        traffic.wait_for_answers(100).await;
    }
    let history = traffic.stop(&[server(&url).await]).await;
    println!("{mode}\n{}", history.summary());
    history
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_pgbouncer), ignore = "KNOX_TEST_ENGINES does not name pgbouncer")]
async fn in_session_mode_every_answer_holds() {
    traffic_through(WITHOUT_STATEMENTS, "session").await.assert_consistent();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_pgbouncer), ignore = "KNOX_TEST_ENGINES does not name pgbouncer")]
async fn in_transaction_mode_with_prepared_statements_every_answer_holds() {
    traffic_through(WITH_STATEMENTS, "transaction").await.assert_consistent();
}

/// A client then meets the statements of others under the names of its own. Mostly they do not fit, which nobody can
/// overlook. Some do, and the answer is that of another statement: no store can notice that.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_engine_pgbouncer), ignore = "KNOX_TEST_ENGINES does not name pgbouncer")]
async fn in_transaction_mode_without_prepared_statements_there_are_errors() {
    for options in ["", "?statement-cache-capacity=0"] {
        let engine = Engine::start("pgbouncer");
        migrate(&url(&engine, WITHOUT_STATEMENTS, "session"));
        let url = url(&engine, WITHOUT_STATEMENTS, "transaction") + options;
        let traffic = Traffic::start(vec![server(&url).await, server(&url).await]);
        traffic.wait_for_errors(500).await;
        let history = traffic.stop(&[]).await;
        println!("transaction, without prepared statements {options}\n{}", history.summary());
        println!("wrong answers: {}", history.contradictions().len());
    }
}
