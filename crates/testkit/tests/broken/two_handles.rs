//! Handles on the same sessions, of which each has the bug.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jwt_knox::{
    InsertOutcome, Operation, Rotation, SessionId, SessionLimit, SessionRecord, SessionRef, StoreError, Subject,
    Timestamp, TokenStore, async_trait,
};
use jwt_knox_testkit::{Opener, rules};

use crate::store::{
    Broken,
    Bug::{self, *},
    dawdle,
};

/// The rule fails, and says why.
fn fails<S: TokenStore>(rule: impl AsyncFn(Opener), open: impl AsyncFn() -> S + 'static, sentence: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let rule = || runtime.block_on(async { rule(Opener::new(open)).await });
    let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rule)) else {
        panic!("the rule does not find the bug");
    };
    let verdict = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(verdict.contains(sentence), "the rule finds another bug: {verdict}");
}

/// The same store each time.
fn shared(bug: Bug) -> impl AsyncFn() -> Arc<Broken> {
    let store = Arc::new(Broken::new(bug));
    async move || Arc::clone(&store)
}

#[test]
fn a_store_without_a_bug_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(rules::a_call_that_is_dropped_harms_no_later_one(Opener::new(shared(Sound))));
    // No read is lost in the transaction that an insert leaves behind.
    let open = leaky((Operation::Insert, Operation::Find));
    runtime.block_on(rules::a_call_that_is_dropped_harms_no_later_one(Opener::new(open)));
    runtime.block_on(rules::a_revocation_supersedes_logins_of_every_handle(Opener::new(shared(Sound))));
}

#[test]
fn a_limit_that_reads_and_then_acts() {
    fails(rules::a_limit_holds_over_two_handles, shared(LimitReadsThenActs), "leave exactly 3 active sessions");
}

#[test]
fn a_rotation_in_two_steps() {
    fails(rules::a_rotation_has_one_winner_over_two_handles, shared(RotateIsTwoSteps), "exactly one wins");
}

#[test]
fn a_revocation_that_each_handle_remembers_on_its_own() {
    let store = Broken::new(RemembersInTheHandle);
    let open = async move || store.another_handle();
    let sentence = "remove_all through one supersedes earlier logins through the other";
    fails(rules::a_revocation_supersedes_logins_of_every_handle, open, sentence);
}

/// Operations that stop half way when they are dropped there.
mod halves {
    use super::*;

    macro_rules! halves_are_found {
        ($($name:ident: $bug:expr, $sentence:literal;)*) => {
            $(
                #[test]
                fn $name() {
                    fails(rules::a_call_that_is_dropped_harms_no_later_one, shared($bug), $sentence);
                }
            )*
        };
    }

    halves_are_found! {
        of_insert: Halves(Operation::Insert), "find and list agree after a call that is dropped: Insert,";
        of_insert_at_a_limit: EvictsThenWaits, "does all or nothing, but InsertAtLimit";
        of_rotate: Halves(Operation::Rotate), "does all or nothing, but Rotate";
        of_touch: Halves(Operation::Touch), "does all or nothing, but Touch";
        of_set_label: Halves(Operation::SetLabel), "does all or nothing, but SetLabel";
        of_remove: Halves(Operation::Remove), "find and list agree after a call that is dropped: Remove,";
        of_remove_all: Halves(Operation::RemoveAll), "does all or nothing, but RemoveAll";
        of_remove_all_and_its_time: RemembersLate, "does all or nothing, but RemoveAll";
        of_remove_expired: Halves(Operation::RemoveExpired), "does all or nothing, but RemoveExpired";
    }
}

/// A handle that a call leaves in a transaction if it is dropped half way. Later writes are answered, and lost.
struct Leaky {
    store: Arc<Broken>,
    /// The operation that leaves it there, and the one whose writes are lost.
    bug: (Operation, Operation),
    is_in_transaction: AtomicBool,
}

/// Handles of which each has its own transaction.
fn leaky(bug: (Operation, Operation)) -> impl AsyncFn() -> Leaky {
    let store = Arc::new(Broken::new(Sound));
    async move || Leaky { store: Arc::clone(&store), bug, is_in_transaction: AtomicBool::new(false) }
}

/// A call under way. Dropped before it is at its end, it leaves the transaction behind.
struct UnderWay<'a>(Option<&'a AtomicBool>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(is_in_transaction) = self.0 {
            is_in_transaction.store(true, Ordering::SeqCst);
        }
    }
}

impl Leaky {
    /// Does a call, unless it is lost. That which can be dropped half way takes as long as with a database.
    async fn call<T>(&self, operation: Operation, lost: T, call: impl Future<Output = T>) -> T {
        let (dropped, loses) = self.bug;
        if loses == operation && self.is_in_transaction.load(Ordering::SeqCst) {
            return lost;
        }
        if dropped != operation {
            return call.await;
        }
        let mut under_way = UnderWay(Some(&self.is_in_transaction));
        dawdle().await;
        let answer = call.await;
        under_way.0 = None;
        answer
    }
}

#[async_trait]
impl TokenStore for Leaky {
    async fn insert(
        &self,
        record: SessionRecord,
        limit: Option<SessionLimit>,
        now: Timestamp,
    ) -> Result<InsertOutcome, StoreError> {
        let lost = Ok(InsertOutcome::Inserted { evicted: Vec::new() });
        self.call(Operation::Insert, lost, self.store.insert(record, limit, now)).await
    }

    async fn find(&self, session: &SessionRef) -> Result<Option<Arc<SessionRecord>>, StoreError> {
        self.store.find(session).await
    }

    async fn list(&self, subject: &Subject, now: Timestamp) -> Result<Vec<SessionRecord>, StoreError> {
        self.store.list(subject, now).await
    }

    async fn touch(
        &self,
        session: &SessionRef,
        last_used_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.call(Operation::Touch, Ok(true), self.store.touch(session, last_used_at, expires_at)).await
    }

    async fn set_label(&self, session: &SessionRef, label: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        self.call(Operation::SetLabel, Ok(true), self.store.set_label(session, label, now)).await
    }

    async fn rotate(&self, session: &SessionRef, rotation: &Rotation) -> Result<bool, StoreError> {
        self.call(Operation::Rotate, Ok(true), self.store.rotate(session, rotation)).await
    }

    async fn remove(&self, session: &SessionRef) -> Result<bool, StoreError> {
        self.call(Operation::Remove, Ok(true), self.store.remove(session)).await
    }

    async fn remove_all(
        &self,
        subject: &Subject,
        except: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.call(Operation::RemoveAll, Ok(0), self.store.remove_all(subject, except, now)).await
    }

    async fn remove_expired(&self, now: Timestamp, batch: NonZeroU32) -> Result<u64, StoreError> {
        self.call(Operation::RemoveExpired, Ok(0), self.store.remove_expired(now, batch)).await
    }
}

/// Each operation that leaves a transaction behind, and each write that may be lost in it.
mod transactions {
    use super::*;

    macro_rules! lost_writes_are_found {
        ($($name:ident: $dropped:ident, $lost:ident, $sentence:literal;)*) => {
            $(
                #[test]
                fn $name() {
                    let open = leaky((Operation::$dropped, Operation::$lost));
                    fails(rules::a_call_that_is_dropped_harms_no_later_one, open, $sentence);
                }
            )*
        };
    }

    lost_writes_are_found! {
        of_insert: Insert, Insert, "is there for all: InsertAtLimit";
        of_insert_that_loses_a_removal: Insert, Remove, "is gone for all: InsertAtLimit";
        of_insert_that_loses_a_use: Insert, Touch, "is recorded for all: InsertAtLimit";
        of_rotate: Rotate, Insert, "is there for all: Rotate";
        of_touch: Touch, Insert, "is there for all: Touch";
        of_set_label: SetLabel, Insert, "is there for all: SetLabel";
        of_remove: Remove, Insert, "is there for all: Remove,";
        of_remove_all: RemoveAll, Insert, "is there for all: RemoveAll,";
        of_remove_expired: RemoveExpired, Insert, "is there for all: RemoveExpired,";
    }
}
