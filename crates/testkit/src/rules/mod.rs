//! The rules of the `TokenStore` contract, each a function that panics if the store breaks it.
//!
//! [`store_tests!`](crate::store_tests) calls them all. Called by hand, they need a Tokio runtime with timers.

mod dropped;
mod durable;
mod labels;
mod limits;
mod purge;
mod races;
mod records;
mod revocation;
mod rotation;

pub use dropped::*;
pub use durable::*;
pub use labels::*;
pub use limits::*;
pub use purge::*;
pub use races::*;
pub use records::*;
pub use revocation::*;
pub use rotation::*;
