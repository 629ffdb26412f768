#![doc = include_str!("../README.md")]

mod convert;
pub mod entity;
mod galera;
mod migration;
mod retry;
mod store;
mod turns;

pub use migration::{CreateSessions, Migrator};
pub use store::SeaOrmStore;

/// The trait that [`Migrator`] is used through, so that an application needs no dependency for it.
pub use sea_orm_migration::MigratorTrait;
