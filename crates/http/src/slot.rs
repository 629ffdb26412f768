//! What was decided of a request, kept with it.

use std::{fmt, future::Future, sync::Arc};

use async_lock::OnceCell;
use jwt_knox::Authenticated;
use zeroize::Zeroizing;

use crate::{authorization::Authorization, rejection::HttpRejection};

type Outcome = Result<Authenticated, HttpRejection>;

/// A place that an adapter keeps with each request and never looks into: the first guard that asks who sends the
/// request fills it, and the others, also those that ask at the same time, get the same answer. Clones share it.
///
/// It counts only for the handle that filled it, and only for the credential that it was filled for.
#[derive(Clone, Default)]
pub struct AuthSlot(Arc<OnceCell<Decision>>);

struct Decision {
    handle: u64,
    credential: Credential,
    outcome: Outcome,
}

impl AuthSlot {
    /// What was decided of the request. If nothing was, waits for `decide` and keeps it. `None`: the slot was filled by
    /// another handle than `handle`, or for another header.
    pub(crate) async fn get_or_fill(
        &self,
        handle: u64,
        header: Authorization<'_>,
        decide: impl Future<Output = Outcome>,
    ) -> Option<Outcome> {
        let fill = async { Decision { handle, credential: header.into(), outcome: decide.await } };
        let decision = self.0.get_or_init(|| fill).await;
        (decision.handle == handle && decision.credential.is(header)).then(|| decision.outcome.clone())
    }
}

impl fmt::Debug for AuthSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.0.get().map(|decision| &decision.outcome);
        f.debug_struct("AuthSlot").field("outcome", &outcome).finish_non_exhaustive()
    }
}

/// A copy of the `Authorization` header.
enum Credential {
    None,
    One(Zeroizing<Box<[u8]>>),
    Several,
}

impl Credential {
    fn is(&self, header: Authorization<'_>) -> bool {
        match (self, header) {
            (Self::None, Authorization::None) | (Self::Several, Authorization::Several) => true,
            (Self::One(kept), Authorization::One(value)) => ***kept == *value,
            _ => false,
        }
    }
}

impl From<Authorization<'_>> for Credential {
    fn from(header: Authorization<'_>) -> Self {
        match header {
            Authorization::None => Self::None,
            Authorization::One(value) => Self::One(Zeroizing::new(value.into())),
            Authorization::Several => Self::Several,
        }
    }
}
