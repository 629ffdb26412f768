#![doc = include_str!("../README.md")]

mod announce;
mod convert;
pub mod entity;
#[cfg(feature = "postgres")]
mod feed;
mod galera;
mod migration;
mod retry;
mod store;
mod turns;

#[cfg(feature = "postgres")]
pub use feed::PostgresFeed;
pub use migration::{CreateSessions, Migrator};
pub use store::SeaOrmStore;

/// The trait that [`Migrator`] is used through, so that an application needs no dependency for it.
pub use sea_orm_migration::MigratorTrait;
