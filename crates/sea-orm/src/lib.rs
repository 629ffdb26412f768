#![doc = include_str!("../README.md")]

mod convert;
pub mod entity;
mod migration;
mod retry;
mod store;

pub use migration::{CreateTokens, Migrator};
pub use store::SeaOrmStore;
