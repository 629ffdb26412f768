//! The primitives on which it depends that what was remembered is not used after a change, so that a model checker can
//! put its own in their place.

#[cfg(not(loom_model))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(loom_model)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
