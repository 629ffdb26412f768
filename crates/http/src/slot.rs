//! What was decided of a request, kept with it.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
};

use async_lock::OnceCell;
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

/// What one kind of handle decides.
pub(crate) struct Slot<A>(OnceCell<Decision<A>>);

struct Decision<A> {
    handle: u64,
    credential: u64,
    outcome: Result<A, HttpRejection>,
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
    /// What was decided of the request. If nothing was, waits for `decide` and keeps it. `None`: the slot was filled by
    /// another handle than `handle`, or for another credential.
    pub(crate) async fn get_or_fill(
        &self,
        handle: u64,
        credential: Credential<'_>,
        decide: impl Future<Output = Result<A, HttpRejection>>,
    ) -> Option<Result<A, HttpRejection>> {
        let credential = fingerprint(credential);
        let fill = async { Decision { handle, credential, outcome: decide.await } };
        let decision = self.0.get_or_init(|| fill).await;
        (decision.handle == handle && decision.credential == credential).then(|| decision.outcome.clone())
    }

    fn outcome(&self) -> Option<&Result<A, HttpRejection>> {
        self.0.get().map(|decision| &decision.outcome)
    }
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl fmt::Debug for AuthSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSlot")
            .field("session", &self.session().outcome())
            .field("token", &self.token().outcome())
            .finish()
    }
}

/// Tells a credential from others, without keeping it. The key is random and stays in this process, so nobody can look
/// for two that are taken for each other.
fn fingerprint(credential: Credential<'_>) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(credential)
}
