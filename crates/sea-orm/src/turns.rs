//! Taking turns: of the writes that wait for each other in the database, one at a time goes there.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use jwt_knox::{StoreError, Subject};
use tokio::{sync::OwnedMutexGuard, time::timeout};

use crate::convert::store_error;

/// How long a write keeps the others waiting. One that takes longer may be waiting for a server that has gone away
/// without a word, and would keep them out for as long.
const LONGEST: Duration = Duration::from_secs(2);

/// How many writes may go on beside the one that has its turn, because they take longer. Each holds a connection of the
/// pool.
const OVERDUE: u32 = 1;

/// How many writes may be under way or wait.
const QUEUE: usize = 1000;

/// What this process is writing.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Lane, Arc<Queue>>>);

/// Writes of one kind on one subject, which have their turns apart from the other kinds: the end of a session does not wait
/// for logins, nor for uses to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Logins, and the ends of all sessions: those that lock the subject.
    Sessions(Subject),
    /// Uses, rotations and labels of its sessions.
    Changes(Subject),
    /// The ends of single sessions.
    Endings(Subject),
}

#[derive(Default)]
struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    overdue: AtomicU32,
}

impl Turns {
    /// Waits until no other write in `lane` has its turn. The turn ends when this is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if very many wait already.
    pub(crate) async fn wait(&self, lane: &Lane) -> Result<Turn<'_>, StoreError> {
        let mut turn = Turn { turns: self, lane: lane.clone(), queue: self.queue(lane), guard: None };
        // The map has one as well.
        if Arc::strong_count(&turn.queue) > QUEUE + 1 {
            return Err(store_error("too many writes on one subject at the same time"));
        }
        turn.guard = Some(Arc::clone(&turn.queue.turn).lock_owned().await);
        Ok(turn)
    }

    fn queue(&self, lane: &Lane) -> Arc<Queue> {
        Arc::clone(self.lock().entry(lane.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one write, or a place in the queue for it.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    lane: Lane,
    queue: Arc<Queue>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turn<'_> {
    /// Does the work. If it takes longer than [`LONGEST`], the next one has its turn, unless so many are overdue.
    pub(crate) async fn take<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = timeout(LONGEST, &mut work).await {
            return done;
        }
        let is_one_more = |overdue| (overdue < OVERDUE).then_some(overdue + 1);
        let _overdue = self.queue.overdue.fetch_update(Relaxed, Relaxed, is_one_more).is_ok().then(|| {
            self.guard = None;
            Overdue(Arc::clone(&self.queue))
        });
        work.await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        // The map and this one have it: nobody else waits or writes.
        if Arc::strong_count(&self.queue) == 2 {
            turns.remove(&self.lane);
        }
    }
}

/// A write that goes on without its turn.
struct Overdue(Arc<Queue>);

impl Drop for Overdue {
    fn drop(&mut self) {
        self.0.overdue.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::Pin, sync::atomic::Ordering, task::Poll};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn subject(number: u32) -> Lane {
        Lane::Sessions(Subject::from(number))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_at_a_time_writes_on_a_subject_and_nothing_is_left_behind() {
        let (turns, writing) = (Arc::new(Turns::default()), Arc::new(AtomicU32::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let (turns, writing) = (Arc::clone(&turns), Arc::clone(&writing));
            tasks.spawn(async move {
                let _turn = turns.wait(&subject(1)).await.unwrap();
                assert_eq!(writing.fetch_add(1, Ordering::SeqCst), 0, "another one writes");
                yield_now().await;
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let own = turns.wait(&subject(2)).await.unwrap();
        tasks.join_all().await;
        assert_eq!(turns.lock().len(), 1, "only the turn that is still taken");
        drop(own);
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_is_out_of_the_queue() {
        let turns = Turns::default();
        let first = turns.wait(&subject(1)).await.unwrap();
        let lane = subject(1);
        let mut waiting = Box::pin(turns.wait(&lane));
        assert!(poll_once(&mut waiting).await.is_pending());
        drop(first);
        assert_eq!(turns.lock().len(), 1, "somebody waits");
        drop(waiting);
        assert!(turns.lock().is_empty());
        drop(turns.wait(&subject(1)).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_hangs_keeps_nobody_out_for_long_and_few_go_on_beside_it() {
        let (turns, lane) = (Arc::new(Turns::default()), subject(1));
        let write = |work: Pin<Box<dyn Future<Output = ()> + Send>>| {
            let (turns, lane) = (Arc::clone(&turns), lane.clone());
            tokio::spawn(async move { turns.wait(&lane).await.unwrap().take(work).await })
        };
        let hanging: Vec<_> = (0..=OVERDUE).map(|_| write(Box::pin(pending()))).collect();
        let mut next = write(Box::pin(async {}));
        assert!(timeout(LONGEST * OVERDUE + LONGEST / 2, &mut next).await.is_err(), "the last one has its turn");
        assert!(timeout(LONGEST * 100, &mut next).await.is_err(), "and keeps it: so many are overdue");
        hanging[0].abort();
        assert!(timeout(LONGEST * 100, &mut next).await.is_err(), "it has had its chance");
        hanging[OVERDUE as usize].abort();
        next.await.unwrap();
        write(Box::pin(async {})).await.unwrap();
        hanging[1].abort();
        for task in hanging {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn a_queue_has_an_end() {
        let turns = Turns::default();
        let first = turns.wait(&subject(1)).await.unwrap();
        let lane = subject(1);
        let mut waiting: Vec<_> = (1..QUEUE).map(|_| Box::pin(turns.wait(&lane))).collect();
        for waiting in &mut waiting {
            assert!(poll_once(waiting).await.is_pending());
        }
        assert!(turns.wait(&lane).await.is_err());
        drop(turns.wait(&subject(2)).await.unwrap());
        drop(waiting.pop());
        assert!(poll_once(&mut Box::pin(turns.wait(&lane))).await.is_pending());
        drop((first, waiting));
        assert!(turns.lock().is_empty());
    }

    async fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }
}
