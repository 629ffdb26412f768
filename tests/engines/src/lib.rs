//! Engines of several processes, and traffic on them while they fail: what the tests in `tests/engines/tests/` share.
//!
//! Each engine is started by the script of its name in `tests/engines/scripts/`. [`Traffic`] sends calls of all kinds
//! to it and keeps their [`History`], which is then checked in real time: what was answered before a call began holds
//! for that call.

// This is test code, which may fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, clippy::must_use_candidate)]

pub mod engine;
pub mod history;
pub mod sql;
pub mod switch;
pub mod traffic;

pub use engine::Engine;
pub use history::History;
pub use switch::Switch;
pub use traffic::Traffic;
