//! Every order in which a check and an ending can run beside each other, tried by loom.
//!
//! `RUSTFLAGS='--cfg loom_model' cargo test -p jwt-knox --lib races`

use std::{future::Future, sync::Arc, time::Duration};

use loom::{
    future::block_on,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread::{self, JoinHandle},
};

use crate::{
    Cache, Change, Interceptor, Issued, Knox, ManualClock, MemoryStore, NewSession, Operation, SigningKey, StoreError,
    Subject, Timestamp, TokenStore, WrappedStore,
};

/// Lets another thread run before and after each call of the store, as loom does only where its own types are used.
struct Interrupted(AtomicU64);

impl Interceptor for Interrupted {
    async fn intercept<T: Send>(
        &self,
        _: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.0.fetch_add(1, SeqCst);
        let outcome = call.await;
        self.0.fetch_add(1, SeqCst);
        outcome
    }
}

type Database = WrappedStore<MemoryStore, Arc<Interrupted>>;

/// A process that remembers answers for an hour, the database that it shares with others, and a session in it.
fn process() -> (Knox, Database, Issued) {
    let database = WrappedStore::new(MemoryStore::new(), Arc::new(Interrupted(AtomicU64::new(0))));
    let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
        .store(database.clone())
        .cache(Cache::default().max_age(Duration::from_secs(3600)))
        .clock(ManualClock::new(Timestamp::UNIX_EPOCH))
        .build()
        .unwrap();
    let issued = block_on(knox.issue(NewSession::new(Subject::from(42)))).unwrap();
    (knox, database, issued)
}

/// Lets `checks` requests and `end` run beside each other, and expects that once all are done, the token is rejected.
///
/// Whether the requests themselves were allowed says nothing: some came before the ending.
fn after_the_end_the_token_is_rejected(checks: usize, end: impl Fn(&Knox, &Database, &Issued) + Send + Sync + 'static) {
    let end = Arc::new(end);
    let model = move |end: &dyn Fn(&Knox, &Database, &Issued)| {
        let (knox, database, issued) = process();
        let check = |knox: &Knox, token: &str| block_on(knox.authenticate(token));
        let requests: Vec<_> = (0..checks)
            .map(|_| {
                let (knox, token) = (knox.clone(), issued.token.expose().to_owned());
                spawn(move || drop(check(&knox, &token)))
            })
            .collect();
        end(&knox, &database, &issued);
        // What is answered to whoever ended the session counts from here on, whatever goes on beside it.
        assert!(check(&knox, issued.token.expose()).is_err(), "a request before the others are done");
        for request in requests {
            request.join().unwrap();
        }
        assert!(check(&knox, issued.token.expose()).is_err(), "a request after them");
    };
    let mut builder = loom::model::Builder::new();
    // All orders of more threads would be too many.
    builder.preemption_bound = (checks > 1).then_some(2);
    builder.check(move || {
        let end = Arc::clone(&end);
        spawn(move || model(&*end)).join().unwrap();
    });
}

/// A thread with enough stack to verify a signature, which those of loom do not have.
fn spawn(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().stack_size(1 << 16).spawn(work).unwrap()
}

fn revoke(knox: &Knox, _: &Database, issued: &Issued) {
    assert!(block_on(knox.revoke(&issued.session.session_ref())).unwrap().is_revoked());
}

#[test]
fn a_revocation_beside_a_request() {
    after_the_end_the_token_is_rejected(1, revoke);
}

#[test]
fn a_revocation_beside_two_requests() {
    after_the_end_the_token_is_rejected(2, revoke);
}

#[test]
fn the_end_of_all_sessions_beside_a_request() {
    after_the_end_the_token_is_rejected(1, |knox, _, issued| {
        assert_eq!(block_on(knox.revoke_all(&issued.session.subject)).unwrap(), 1);
    });
}

#[test]
fn an_ending_by_another_process_beside_a_request() {
    let announcements: [fn(&Issued) -> Change; 2] =
        [|issued| Change::Subject(issued.session.subject.clone()), |_| Change::Any];
    for announcement in announcements {
        after_the_end_the_token_is_rejected(1, move |knox, database, issued| {
            assert!(block_on(database.remove(&issued.session.session_ref())).unwrap());
            knox.admin().forget(&announcement(issued));
        });
    }
}
