//! A key of a ring, and its state.

use crate::{
    keys::{Algorithm, SigningKey, VerifyingKey, identity::Identity},
    named::named,
};

/// A key of a ring.
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) state: KeyState,
    /// What verifies: none if the key is retired, of which only the identity is left.
    pub(super) verifying: Option<VerifyingKey>,
    /// What may sign. A key that was given for verifying only has none.
    pub(super) signing: Option<SigningKey>,
}

impl Entry {
    pub(super) fn private(state: KeyState, key: SigningKey) -> Self {
        Self { signing: Some(key.clone()), ..Self::public(state, key.verifying_key()) }
    }

    pub(super) fn public(state: KeyState, key: VerifyingKey) -> Self {
        Self { identity: key.identity().clone(), state, verifying: Some(key), signing: None }
    }

    /// What is left of a key.
    pub(super) fn retired(identity: Identity) -> Self {
        Self { identity, state: KeyState::Retired, verifying: None, signing: None }
    }

    pub(super) fn key_id(&self) -> &str {
        &self.identity.key_id
    }

    pub(super) fn is_retired(&self) -> bool {
        self.state == KeyState::Retired
    }

    /// The key under whatever id.
    pub(super) fn has_same_thumbprint(&self, other: &Identity) -> bool {
        self.identity.thumbprint == other.thumbprint
    }

    pub(super) fn transition_to(&mut self, state: KeyState) {
        if state == KeyState::Retired {
            (self.verifying, self.signing) = (None, None);
        }
        if self.state != state {
            self.state = state;
            self.report();
        }
    }

    pub(super) fn report(&self) {
        tracing::info!(key_id = self.key_id(), algorithm = %self.identity.algorithm, state = %self.state, "signing keys changed");
    }

    pub(super) fn info(&self) -> KeyInfo {
        KeyInfo { key_id: self.key_id().to_owned(), algorithm: self.identity.algorithm, state: self.state }
    }
}

/// A key of a [`KeyRing`](crate::KeyRing), as far as it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The `kid` of its tokens.
    pub key_id: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it does.
    pub state: KeyState,
}

/// What a key of a [`KeyRing`](crate::KeyRing) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// It verifies and is published, and may be promoted.
    Staged,
    /// It signs, verifies and is published. One key of a ring does.
    Signing,
    /// It verifies and is published. Most often it has signed before.
    Verifying,
    /// It does nothing any more: its tokens are rejected, and it is not published. The key itself is gone.
    Retired,
}

named! { KeyState {
    Staged = "staged",
    Signing = "signing",
    Verifying = "verifying",
    Retired = "retired",
} }
