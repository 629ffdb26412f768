//! The identity of a key: id, algorithm and thumbprint.

use std::{fmt, sync::Arc};

use crate::keys::Algorithm;

/// What tells a key from others, without the key: what is left of one that was retired, and what is remembered with a
/// token of the key that has signed it.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) key_id: Arc<str>,
    pub(crate) algorithm: Algorithm,
    /// The JWK thumbprint (RFC 7638): the same for the same key, under whatever id.
    pub(super) thumbprint: Arc<str>,
}

impl Identity {
    /// Whether both are of the same key, for the same algorithm, under whatever ids.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint && self.algorithm == other.algorithm
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the thumbprint, which for HMAC is a hash of the key.
        f.debug_struct("Identity")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
