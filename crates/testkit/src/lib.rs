#![doc = include_str!("../README.md")]
// A rule has no other way to say that it is broken than to panic, and every rule does.
#![allow(clippy::missing_panics_doc)]
// The front page shows a build script.
#![allow(clippy::needless_doctest_main)]

pub mod app;
mod fixture;
mod macros;
mod opener;
pub mod rules;
// Public only for what `store_tests!` expands to.
#[doc(hidden)]
#[allow(missing_docs)]
pub mod run;

pub use opener::Opener;
