//! The outcome of authentication, kept with the request.

use std::{
    fmt,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    mem::ManuallyDrop,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use foldhash::{SharedSeed, quality::SeedableRandomState};
use jwt_knox::{Authenticated, StatelessToken};

use crate::{request::credential::Credential, response::rejection::HttpRejection};

/// A place that an adapter keeps with each request and never looks into: the first guard that asks who sends the
/// request fills it, and the others, also those that ask at the same time, get the same answer.
///
/// There is one for each request, to be borrowed or shared in an `Arc`. A clone is for a copy of the request: what has
/// been decided counts for that too, and nothing that is decided later.
///
/// It counts only for the handle that filled it, and only for the credential that it was filled for. What a
/// [`VerifierHttp`](crate::VerifierHttp) has decided never counts for a [`KnoxHttp`](crate::KnoxHttp).
#[derive(Debug, Clone, Default)]
pub struct AuthSlot {
    session: Slot<Authenticated>,
    token: Slot<StatelessToken>,
}

impl AuthSlot {
    /// For handles with a store.
    pub(crate) fn session(&self) -> &Slot<Authenticated> {
        &self.session
    }

    /// For handles without one.
    pub(crate) fn token(&self) -> &Slot<StatelessToken> {
        &self.token
    }
}

/// What one kind of handle decides. Nobody holds the lock meanwhile, but other guards wait: one that decides has to be
/// polled or dropped, as in `join!` and `select!`.
#[derive(Debug)]
pub(crate) struct Slot<A>(Mutex<State<A>>);

enum State<A> {
    Empty,
    /// A guard decides, and wakes these when it has. Also those that have gone away since, of which there are few.
    Deciding(Vec<Waker>),
    Decided(Decision<A>),
}

#[derive(Clone)]
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

impl<A: Clone> Slot<A> {
    /// Waits for the guard that decides, if there is one, and says what was decided for `key`.
    pub(crate) fn look(&self, key: Key) -> impl Future<Output = Found<'_, A>> {
        poll_fn(move |context| {
            let mut state = self.lock();
            match &mut *state {
                State::Decided(decision) if decision.key == key => {
                    Poll::Ready(Found::Decided(decision.outcome.clone()))
                }
                State::Decided(_) => Poll::Ready(Found::Taken),
                State::Empty => {
                    *state = State::Deciding(Vec::new());
                    Poll::Ready(Found::Empty(Place { slot: self, key }))
                }
                State::Deciding(waiting) => {
                    if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                        waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
    }
}

impl<A> Slot<A> {
    /// Goes from one state to another, and wakes those who wait for it.
    fn set(&self, state: State<A>) {
        let before = std::mem::replace(&mut *self.lock(), state);
        if let State::Deciding(waiting) = before {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self(Mutex::new(State::Empty))
    }
}

impl<A: Clone> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Mutex::new(match &*self.lock() {
            State::Decided(decision) => State::Decided(decision.clone()),
            State::Empty | State::Deciding(_) => State::Empty,
        }))
    }
}

impl<A> fmt::Debug for State<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Deciding(_) => "Deciding",
            Self::Decided(_) => "Decided",
        })
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
    slot: &'a Slot<A>,
    key: Key,
}

impl<A: Clone> Place<'_, A> {
    /// Keeps what was decided.
    pub(crate) fn fill(self, outcome: &Result<A, HttpRejection>) {
        let decision = Decision { key: self.key, outcome: outcome.clone() };
        ManuallyDrop::new(self).slot.set(State::Decided(decision));
    }
}

impl<A> Drop for Place<'_, A> {
    /// Gives it up: the guard has gone away, and the next one decides.
    fn drop(&mut self) {
        self.slot.set(State::Empty);
    }
}

/// Tells a credential from others of the same request, without keeping it. The key is random and no hash is ever shown,
/// so nobody can look for two that are taken for each other.
fn fingerprint(credential: Credential<'_>) -> u64 {
    static KEY: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
        let random = RandomState::new();
        (random.hash_one(0), SharedSeed::from_u64(random.hash_one(1)))
    });
    SeedableRandomState::with_seed(KEY.0, &KEY.1).hash_one(credential)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Wake},
    };

    use super::*;
    use crate::request::credential::Values;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn key(token: &[u8]) -> Key {
        Key::new(7, Credential::Header(Values::One(token)))
    }

    fn look<'a>(slot: &'a Slot<u8>, key: Key, woken: &Arc<Woken>) -> Poll<Found<'a, u8>> {
        let waker = Arc::clone(woken).into();
        pin!(slot.look(key)).poll(&mut Context::from_waker(&waker))
    }

    fn place<'a>(slot: &'a Slot<u8>, woken: &Arc<Woken>) -> Place<'a, u8> {
        let Poll::Ready(Found::Empty(place)) = look(slot, key(b"a"), woken) else { panic!("the slot is not empty") };
        place
    }

    #[test]
    fn others_wait_for_the_guard_that_decides_and_get_its_answer() {
        let (slot, first, second, third) = (Slot::default(), Arc::default(), Arc::default(), Arc::default());
        let place = place(&slot, &first);
        for _ in 0..3 {
            assert!(look(&slot, key(b"a"), &second).is_pending());
            assert!(look(&slot, key(b"a"), &third).is_pending());
        }
        place.fill(&Ok(42));
        for (woken, times) in [(&first, 0), (&second, 1), (&third, 1)] {
            assert_eq!(woken.0.load(Ordering::Relaxed), times);
            assert!(matches!(look(&slot, key(b"a"), woken), Poll::Ready(Found::Decided(Ok(42)))));
        }
        let other_handle = Key { handle: 8, ..key(b"a") };
        for other in [key(b"b"), other_handle, Key::new(7, Credential::Cookie(Values::One(b"a")))] {
            assert!(matches!(look(&slot, other, &first), Poll::Ready(Found::Taken)));
        }
    }

    #[test]
    fn a_guard_that_goes_away_leaves_it_to_the_next() {
        let (slot, first, second) = (Slot::default(), Arc::default(), Arc::<Woken>::default());
        let given_up = place(&slot, &first);
        assert!(look(&slot, key(b"a"), &second).is_pending());
        drop(given_up);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
        place(&slot, &second).fill(&Ok(42));
        assert!(matches!(look(&slot, key(b"a"), &first), Poll::Ready(Found::Decided(Ok(42)))));
    }

    #[test]
    fn a_copy_of_the_request_has_what_was_decided() {
        let (slot, woken) = (Slot::default(), Arc::default());
        let deciding = place(&slot, &woken);
        // Nobody would wake those who wait for the copy.
        drop(place(&slot.clone(), &woken));
        deciding.fill(&Ok(42));
        assert!(matches!(look(&slot.clone(), key(b"a"), &woken), Poll::Ready(Found::Decided(Ok(42)))));
    }
}
