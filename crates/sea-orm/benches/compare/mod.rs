//! Times a store against a bare client of the same database, one call at a time.

// Each benchmark uses its share of this.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    borrow::Borrow,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::Criterion;
use jwt_knox::{
    InsertOutcome, Knox, MemoryStore, NewSession, SessionLimit, SessionRecord, SigningKey, Subject, TokenStore,
    async_trait,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// How many sessions a subject has.
pub const LIMIT: u32 = 5;
/// How many subjects there are.
const SUBJECTS: usize = 2_000;
/// How many calls of each client the ratio is made of.
const CALLS: usize = 2_000;
/// The label of a session.
const USER_AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// What is timed.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Reads one that is there.
    Find,
    /// Adds one, without a limit.
    Insert,
    /// Removes one that is there.
    Remove,
    /// Adds one to a subject that has as many as the limit allows, and evicts the oldest. Comes last, since it evicts
    /// those that `Find` reads.
    InsertAtLimit,
}

/// A way to the database. `L` is a session with all that the clients need.
#[async_trait]
pub trait Client<L>: Send + Sync {
    /// Does it, or panics.
    async fn run(&self, operation: Operation, session: &L);
}

/// The way through a store.
pub struct Store<S>(pub S);

#[async_trait]
impl<L: Borrow<SessionRecord> + Sync, S: TokenStore> Client<L> for Store<S> {
    async fn run(&self, operation: Operation, session: &L) {
        let record: &SessionRecord = session.borrow();
        let insert = async |limit| self.0.insert(record.clone(), limit, record.created_at).await.unwrap();
        match operation {
            Operation::Find => assert!(self.0.find(&record.session_ref()).await.unwrap().is_some()),
            Operation::Insert => assert_eq!(insert(None).await, InsertOutcome::Inserted { evicted: Vec::new() }),
            Operation::Remove => assert!(self.0.remove(&record.session_ref()).await.unwrap()),
            Operation::InsertAtLimit => {
                let limit = Some(SessionLimit::evict_oldest(LIMIT).unwrap());
                assert!(matches!(insert(limit).await, InsertOutcome::Inserted { evicted } if evicted.len() == 1));
            }
        }
    }
}

/// Two ways to the same database.
pub struct Comparison<'a, L> {
    pub database: &'a str,
    pub bare: &'a dyn Client<L>,
    pub store: &'a dyn Client<L>,
    pub operations: &'a [Operation],
}

impl<L: From<SessionRecord> + Send + Sync> Comparison<'_, L> {
    /// Times each operation, first bare and then through the store. Then both in turn, call by call, for the ratio, so
    /// that whatever else the machine does affects both.
    pub fn run(&self, criterion: &mut Criterion, runtime: &Runtime) {
        let subjects: Vec<Subject> = (0..SUBJECTS).map(|_| Subject::new(Uuid::new_v4().to_string()).unwrap()).collect();
        let there: Vec<Arc<L>> = runtime.block_on(new_sessions(&subjects, SUBJECTS * LIMIT as usize));
        runtime.block_on(run_all(self.bare, Operation::Insert, &there));
        for &operation in self.operations {
            let prepare = async |count| match operation {
                // In another order than they were inserted in.
                Operation::Find => (0..count).map(|call| Arc::clone(&there[call * 7919 % there.len()])).collect(),
                Operation::Insert | Operation::InsertAtLimit => new_sessions(&subjects, count).await,
                Operation::Remove => {
                    let new = new_sessions(&subjects, count).await;
                    run_all(self.bare, Operation::Insert, &new).await;
                    new
                }
            };
            let tidy = async |sessions: &[Arc<L>]| {
                if let Operation::Insert = operation {
                    run_all(self.bare, Operation::Remove, sessions).await;
                }
            };

            let mut group = criterion.benchmark_group(format!("{} {operation:?}", self.database));
            for (name, client) in [("bare", self.bare), ("store", self.store)] {
                let time = async |count| {
                    let sessions = prepare(count).await;
                    let start = Instant::now();
                    run_all(client, operation, &sessions).await;
                    let time = start.elapsed();
                    tidy(&sessions).await;
                    time
                };
                group.bench_function(name, |bencher| {
                    bencher.iter_custom(|count| runtime.block_on(time(count as usize)));
                });
            }
            group.finish();

            runtime.block_on(async {
                let sessions = prepare(2 * CALLS).await;
                let mut times = [Vec::new(), Vec::new()];
                for (call, session) in sessions.iter().enumerate() {
                    let start = Instant::now();
                    [self.bare, self.store][call % 2].run(operation, session).await;
                    times[call % 2].push(start.elapsed());
                }
                tidy(&sessions).await;
                let [bare, store] = times.map(|times| median(times).as_secs_f64() * 1e6);
                println!(
                    "{} {operation:?}: store/bare = {:.2} ({store:.0} µs / {bare:.0} µs, medians of {CALLS} calls in turn)",
                    self.database,
                    store / bare
                );
            });
        }
    }
}

async fn run_all<L>(client: &dyn Client<L>, operation: Operation, sessions: &[Arc<L>]) {
    for session in sessions {
        client.run(operation, session).await;
    }
}

async fn new_sessions<L: From<SessionRecord>>(subjects: &[Subject], count: usize) -> Vec<Arc<L>> {
    let key = SigningKey::hs256("a key of the benchmarks, long enough").unwrap();
    let knox = Knox::builder(key).store(MemoryStore::new()).build().unwrap();
    let mut sessions = Vec::with_capacity(count);
    for subject in subjects.iter().cycle().take(count) {
        let issued = knox.issue(NewSession::new(subject.clone()).label(USER_AGENT)).await.unwrap();
        sessions.push(Arc::new(L::from(issued.session)));
    }
    sessions
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
