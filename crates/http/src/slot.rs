//! What was decided of a request, kept with it.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
};

use foldhash::{SharedSeed, quality::SeedableRandomState};
use futures_util::lock::{Mutex, MutexGuard};
use jwt_knox::{Authenticated, StatelessToken};

use crate::{authorization::Credential, rejection::HttpRejection};

/// A place that an adapter keeps with each request and never looks into: the first guard that asks who sends the
/// request fills it, and the others, also those that ask at the same time, get the same answer. Clones share it.
///
/// It counts only for the handle that filled it, and only for the credential that it was filled for. What a
/// [`VerifierHttp`](crate::VerifierHttp) has decided never counts for a [`KnoxHttp`](crate::KnoxHttp).
#[derive(Clone, Default)]
pub struct AuthSlot(Arc<Slots>);

#[derive(Default)]
struct Slots {
    session: Slot<Authenticated>,
    token: Slot<StatelessToken>,
}

/// What one kind of handle decides. The guard that decides holds the lock, and the others wait for it, one after the other:
/// a future that waits has to be polled or dropped, as in `join!` and `select!`.
#[derive(Debug)]
pub(crate) struct Slot<A>(Mutex<Option<Decision<A>>>);

struct Decision<A> {
    key: Key,
    outcome: Result<A, HttpRejection>,
}

/// What a decision counts for: a handle and a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    handle: u64,
    credential: u64,
}

impl Key {
    pub(crate) fn new(handle: u64, credential: Credential<'_>) -> Self {
        Self { handle, credential: fingerprint(credential) }
    }
}

impl AuthSlot {
    /// For handles with a store.
    pub(crate) fn session(&self) -> &Slot<Authenticated> {
        &self.0.session
    }

    /// For handles without one.
    pub(crate) fn token(&self) -> &Slot<StatelessToken> {
        &self.0.token
    }
}

impl<A: Clone> Slot<A> {
    /// Waits for the guard that decides, if there is one, and says what was decided for `key`.
    pub(crate) async fn look(&self, key: Key) -> Found<'_, A> {
        let slot = self.0.lock().await;
        match &*slot {
            Some(decision) if decision.key == key => Found::Decided(decision.outcome.clone()),
            Some(_) => Found::Taken,
            None => Found::Empty(Place { slot, key }),
        }
    }
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// What is in a slot.
pub(crate) enum Found<'a, A> {
    /// What counts for the key.
    Decided(Result<A, HttpRejection>),
    /// What counts for another key.
    Taken,
    /// Nothing.
    Empty(Place<'a, A>),
}

/// An empty slot, which nobody else looks into before it is filled or given up.
pub(crate) struct Place<'a, A> {
    slot: MutexGuard<'a, Option<Decision<A>>>,
    key: Key,
}

impl<A: Clone> Place<'_, A> {
    /// Keeps what was decided.
    pub(crate) fn fill(mut self, outcome: &Result<A, HttpRejection>) {
        *self.slot = Some(Decision { key: self.key, outcome: outcome.clone() });
    }
}

impl fmt::Debug for AuthSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSlot").field("session", self.session()).field("token", self.token()).finish()
    }
}

/// Tells a credential from others of the same request, without keeping it. The key is random and no hash is ever shown, so
/// nobody can look for two that are taken for each other.
fn fingerprint(credential: Credential<'_>) -> u64 {
    static KEY: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
        let random = RandomState::new();
        (random.hash_one(0), SharedSeed::from_u64(random.hash_one(1)))
    });
    SeedableRandomState::with_seed(KEY.0, &KEY.1).hash_one(credential)
}
