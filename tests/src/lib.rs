//! What the tests share: a world with a clock, users and a store that can fail; a server on each framework; a client that
//! sends whatever bytes a test wants; a forger.
//!
//! The tests themselves are in `tests/tests/`.

// This is test code, which may fail by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod client;
pub mod forge;
pub mod hyper_adapter;
pub mod server;
pub mod world;

pub use client::{Call, Reply};
pub use server::{Framework, Server};
pub use world::{StoreKind, World};
