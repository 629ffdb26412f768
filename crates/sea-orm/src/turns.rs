//! Taking turns: of the writes on one subject, one at a time goes to the database.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jwt_knox::Subject;
use tokio::{sync::OwnedMutexGuard, time::timeout};

/// How long a write has its turn at most. One that takes longer may be waiting for a server that has gone away without a
/// word, and would keep all others out for as long.
const LONGEST: Duration = Duration::from_secs(2);

/// The subjects on which this process is writing.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<()>>>>>);

impl Turns {
    /// Waits until no other write on `subject` has its turn. The turn ends when this is dropped.
    pub(crate) async fn wait(&self, subject: &Subject) -> Turn {
        let queue = Arc::clone(self.lock().entry(subject.clone()).or_default());
        let mut turn = Turn { turns: self.clone(), subject: subject.clone(), guard: None };
        turn.guard = Some(queue.lock_owned().await);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one write, or a place in the queue for it.
pub(crate) struct Turn {
    turns: Turns,
    subject: Subject,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Does the work, and has the turn meanwhile, but for [`LONGEST`] at most.
    pub(crate) async fn take<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        match timeout(LONGEST, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                drop(self);
                work.await
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        self.guard = None;
        // Only the map has it: nobody waits.
        if turns.get(&self.subject).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            turns.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_at_a_time_writes_on_a_subject_and_nothing_is_left_behind() {
        let (turns, writing) = (Arc::new(Turns::default()), Arc::new(AtomicU32::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let (turns, writing) = (Arc::clone(&turns), Arc::clone(&writing));
            tasks.spawn(async move {
                let _turn = turns.wait(&Subject::from(1)).await;
                assert_eq!(writing.fetch_add(1, Ordering::SeqCst), 0, "another one writes");
                yield_now().await;
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let own = turns.wait(&Subject::from(2)).await;
        tasks.join_all().await;
        assert_eq!(turns.lock().len(), 1, "only the turn that is still taken");
        drop(own);
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_is_out_of_the_queue() {
        let turns = Turns::default();
        let first = turns.wait(&Subject::from(1)).await;
        let subject = Subject::from(1);
        let mut waiting = Box::pin(turns.wait(&subject));
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
        assert!(poll.await.is_pending());
        drop(first);
        assert_eq!(turns.lock().len(), 1, "somebody waits");
        drop(waiting);
        assert!(turns.lock().is_empty());
        drop(turns.wait(&Subject::from(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_hangs_keeps_nobody_out_for_long() {
        let (turns, subject) = (Turns::default(), Subject::from(1));
        let hanging = tokio::spawn(turns.wait(&subject).await.take(std::future::pending::<()>()));
        let waiting = turns.wait(&subject);
        assert!(timeout(LONGEST / 2, waiting).await.is_err(), "it has its turn");
        assert_eq!(timeout(LONGEST, turns.wait(&subject)).await.unwrap().take(async { 1 }).await, 1);
        assert!(!hanging.is_finished(), "it goes on, without");
        hanging.abort();
        assert!(hanging.await.is_err());
        assert!(turns.lock().is_empty());
    }
}
