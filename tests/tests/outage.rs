//! PostgreSQL dies in the middle of traffic and comes back: 503 in between, no success that should not be, nothing
//! undone that was answered, and service as before afterwards, by itself.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use jwt_knox::{Knox, SessionLimit, SigningKey, TimeLimit, TokenStore, WrappedStore};
use jwt_knox_http::KnoxHttp;
use jwt_knox_sea_orm::SeaOrmStore;
use jwt_knox_tests::{
    Call, Framework, Reply, Server,
    databases::{Postgres, wait_until},
    world::{KEY, Users, on_another_thread},
};
use sea_orm::{ConnectOptions, Database};

/// How long a request may wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call of the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request may take at all. It waits for a connection once or twice, and for some statements.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many send requests at the same time; more than there are connections.
const WORKERS: usize = 6;

/// What is known of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
enum Phase {
    Up,
    /// On its way down or up: nobody knows.
    Between,
    Down,
    UpAgain,
}

const PHASES: [Phase; 4] = [Phase::Up, Phase::Between, Phase::Down, Phase::UpAgain];

/// What the workers and the test share.
#[derive(Default)]
struct Traffic {
    phase: AtomicU8,
    is_over: AtomicBool,
    /// How many rounds a worker has begun in a phase.
    rounds: Mutex<HashMap<(usize, Phase), usize>>,
    /// Tokens of logins that were answered, and that nobody has ended.
    kept: Mutex<Vec<String>>,
    /// Tokens of logouts that were answered with 204.
    ended: Mutex<Vec<String>>,
}

impl Traffic {
    fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(SeqCst))]
    }

    /// Begins a phase.
    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, SeqCst);
    }

    /// Waits until each worker has done so many rounds in this phase.
    fn wait(&self, rounds: usize) {
        let phase = self.phase();
        wait_until("all workers have done their rounds", || {
            let done = self.rounds.lock().unwrap();
            (0..WORKERS).all(|worker| done.get(&(worker, phase)).is_some_and(|done| *done >= rounds))
        });
    }
}

/// Ends the traffic when it is dropped, also by a failure: whoever waits for the workers would wait for ever.
struct Over<'a>(&'a Traffic);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, SeqCst);
    }
}

/// A worker: sends a request and says in which phase it was answered, if it was in one and the same from end to end.
struct Worker {
    traffic: Arc<Traffic>,
    address: SocketAddr,
}

impl Worker {
    fn send(&self, what: &str, call: &Call) -> (Reply, Phase) {
        let before = self.traffic.phase();
        let start = Instant::now();
        let reply = call.send(self.address);
        assert!(start.elapsed() < PATIENCE, "{what} took {:?}", start.elapsed());
        let after = self.traffic.phase();
        (reply, if before == after { before } else { Phase::Between })
    }

    /// What the answer must be: `expected` while the database is there, 503 while it is not, and else one of the two.
    fn check(&self, what: &str, call: &Call, expected: u16) -> Reply {
        let (reply, phase) = self.send(what, call);
        let is_right = match phase {
            Phase::Up | Phase::UpAgain => reply.status == expected,
            Phase::Down => reply.status == 503,
            Phase::Between => reply.status == expected || reply.status == 503,
        };
        assert!(is_right, "{what}, phase {phase:?}: {reply:?}");
        if reply.status == 503 {
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
            assert!(!reply.body.contains("127.0.0.1") && !reply.body.contains("onnection"), "{reply:?}");
        }
        reply
    }

    fn round(&self, good: &str, revoked: &str, forged: &str) {
        let verify = |token: &str| Call::get("/verify").bearer(token);
        self.check("verify", &verify(good), 204);
        self.check("verify of a revoked token", &verify(revoked), 401);
        let (reply, _) = self.send("verify of a forged token", &verify(forged));
        assert_eq!(reply.status, 401, "a forged token is rejected without the database: {reply:?}");
        self.check("sessions", &Call::get("/sessions").bearer(good), 200);

        for is_kept in [true, false] {
            let login = self.check("login", &Call::login("alice", "wonderland"), 200);
            if login.status != 200 {
                continue;
            }
            let token = login.token();
            if is_kept {
                self.traffic.kept.lock().unwrap().push(token);
            } else if self.check("logout", &Call::post("/logout").bearer(&token), 204).status == 204 {
                self.check("verify after logout", &verify(&token), 401);
                self.traffic.ended.lock().unwrap().push(token);
            }
        }
    }
}

fn store(url: &str) -> impl TokenStore {
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).acquire_timeout(ACQUIRE_TIMEOUT).statement_timeout(STATEMENT_TIMEOUT);
    options.sqlx_logging(false);
    let connection = on_another_thread(async move { Database::connect(options).await.unwrap() });
    WrappedStore::new(SeaOrmStore::new(connection), TimeLimit::new(STORE_TIMEOUT).unwrap())
}

/// Traffic while `outage` happens to the database.
fn traffic_through(mut postgres: Postgres, outage: impl FnOnce(&mut Postgres, &Traffic)) {
    let users = Arc::new(Users::default());
    let key = SigningKey::hs256(KEY).unwrap();
    let knox = Knox::builder(key)
        .store(store(&postgres.url()))
        .subject_check(users.clone())
        // Never reached: it makes each login a transaction.
        .limit(SessionLimit::evict_oldest(10_000).unwrap())
        .build();
    let http = KnoxHttp::builder(knox.unwrap()).login(users).build().unwrap();
    let address = Server::start(Framework::Axum, http).address;

    let good = Call::login("alice", "wonderland").send(address).token();
    let revoked = Call::login("alice", "wonderland").send(address).token();
    assert_eq!(Call::post("/logout").bearer(&revoked).send(address).status, 204);
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(43));
    let traffic = Arc::new(Traffic::default());

    thread::scope(|scope| {
        let _over = Over(&traffic);
        for number in 0..WORKERS {
            let worker = Worker { traffic: traffic.clone(), address };
            let (good, revoked, forged) = (&good, &revoked, &forged);
            scope.spawn(move || {
                while !worker.traffic.is_over.load(SeqCst) {
                    let phase = worker.traffic.phase();
                    worker.round(good, revoked, forged);
                    *worker.traffic.rounds.lock().unwrap().entry((number, phase)).or_default() += 1;
                }
            });
        }
        traffic.wait(3);
        outage(&mut postgres, &traffic);
        traffic.enter(Phase::UpAgain);
        traffic.wait(3);
    });

    let verify = |token: &str| Call::get("/verify").bearer(token).send(address).status;
    let (kept, ended) = (traffic.kept.lock().unwrap(), traffic.ended.lock().unwrap());
    assert!(kept.len() >= 6 * WORKERS && ended.len() >= 6 * WORKERS, "traffic in both times");
    for token in kept.iter() {
        assert_eq!(verify(token), 204, "a login that was answered holds");
    }
    for token in ended.iter().chain([&revoked]) {
        assert_eq!(verify(token), 401, "a logout that was answered holds");
    }
}

/// Traffic while the server goes away, for a while, and comes back.
fn traffic_through_an_absence(go: impl FnOnce(&mut Postgres), come_back: impl FnOnce(&mut Postgres)) {
    let postgres = Postgres::start();
    traffic_through(postgres, |postgres, traffic| {
        traffic.enter(Phase::Between);
        go(postgres);
        traffic.enter(Phase::Down);
        traffic.wait(1);
        traffic.enter(Phase::Between);
        come_back(postgres);
    });
}

#[test]
#[cfg_attr(not(knox_postgres_programs), ignore = "the programs of a PostgreSQL server are not installed")]
fn a_database_that_is_killed_makes_503_and_service_resumes() {
    traffic_through_an_absence(Postgres::kill, Postgres::restart);
}

#[test]
#[cfg_attr(not(knox_postgres_programs), ignore = "the programs of a PostgreSQL server are not installed")]
fn a_database_that_is_stopped_at_once_makes_503_and_service_resumes() {
    traffic_through_an_absence(Postgres::stop_at_once, Postgres::restart);
}

#[test]
#[cfg_attr(not(knox_postgres_programs), ignore = "the programs of a PostgreSQL server are not installed")]
fn a_database_that_hangs_makes_503_and_service_resumes() {
    traffic_through_an_absence(Postgres::freeze, Postgres::thaw);
}

#[test]
#[cfg_attr(not(knox_postgres_programs), ignore = "the programs of a PostgreSQL server are not installed")]
fn connections_that_are_ended_are_made_anew() {
    let postgres = Postgres::start();
    traffic_through(postgres, |postgres, traffic| {
        traffic.enter(Phase::Between);
        for _ in 0..20 {
            postgres.end_connections();
        }
    });
}
