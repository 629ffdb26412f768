//! What was decided of a request, kept with it.

use std::fmt;

use jwt_knox::Authenticated;

use crate::{
    authorization::{Authorization, Credential},
    refusal::Refusal,
};

/// What [`KnoxHttp::authenticate`] decided of a request, kept with it. It counts only for the handle that made it, and
/// only for the credential that it was made for.
#[derive(Clone)]
pub struct Verification {
    handle: u64,
    credential: Credential,
    outcome: Result<Authenticated, Refusal>,
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Verification {
    /// What the handle with the number `handle` decided of a request with that header.
    pub(crate) fn new(handle: u64, header: Authorization<'_>, outcome: &Result<Authenticated, Refusal>) -> Self {
        Self { handle, credential: header.into(), outcome: outcome.clone() }
    }

    /// The outcome; `None` if it is that of another handle, or for another credential.
    pub(crate) fn recall(&self, handle: u64, header: Authorization<'_>) -> Option<Result<Authenticated, Refusal>> {
        (self.handle == handle && self.credential == header.into()).then(|| self.outcome.clone())
    }
}
