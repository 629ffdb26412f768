//! What tells a key from others.

use std::sync::Arc;

use crate::keys::Algorithm;

/// What tells a key from others, without the key: what is left of one that was retired, and what is remembered with a token
/// of the key that has signed it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) key_id: Arc<str>,
    pub(crate) algorithm: Algorithm,
    /// The JWK thumbprint (RFC 7638): the same for the same key, under whatever id.
    pub(super) thumbprint: Arc<str>,
}

impl Identity {
    /// Whether both are of the same key, for the same algorithm, under whatever ids.
    pub(crate) fn is_of_same_key(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint && self.algorithm == other.algorithm
    }
}
