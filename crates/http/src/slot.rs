//! What was decided of a request, kept with it.

use std::{fmt, future::Future, sync::Arc};

use async_lock::OnceCell;
use jwt_knox::{Authenticated, StatelessToken};
use zeroize::Zeroizing;

use crate::{
    authorization::{Credential, Values},
    rejection::HttpRejection,
};

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
    credential: Kept,
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
        let fill = async { Decision { handle, credential: credential.into(), outcome: decide.await } };
        let decision = self.0.get_or_init(|| fill).await;
        (decision.handle == handle && decision.credential.is(credential)).then(|| decision.outcome.clone())
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

/// A copy of a credential.
struct Kept {
    is_cookie: bool,
    value: KeptValue,
}

enum KeptValue {
    None,
    One(Zeroizing<Box<[u8]>>),
    Several,
}

/// Where a credential was, and what.
fn parts(credential: Credential<'_>) -> (bool, Values<'_>) {
    match credential {
        Credential::None => (false, Values::None),
        Credential::Header(values) => (false, values),
        Credential::Cookie(values) => (true, values),
    }
}

impl Kept {
    fn is(&self, credential: Credential<'_>) -> bool {
        let (is_cookie, values) = parts(credential);
        self.is_cookie == is_cookie
            && match (&self.value, values) {
                (KeptValue::None, Values::None) | (KeptValue::Several, Values::Several) => true,
                (KeptValue::One(kept), Values::One(value)) => ***kept == *value,
                _ => false,
            }
    }
}

impl From<Credential<'_>> for Kept {
    fn from(credential: Credential<'_>) -> Self {
        let (is_cookie, values) = parts(credential);
        let value = match values {
            Values::None => KeptValue::None,
            Values::One(value) => KeptValue::One(Zeroizing::new(value.into())),
            Values::Several => KeptValue::Several,
        };
        Self { is_cookie, value }
    }
}
