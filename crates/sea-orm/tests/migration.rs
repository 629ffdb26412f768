//! The migrations on SQLite.

#![allow(clippy::unwrap_used)]

#[path = "shared/migration.rs"]
mod shared;

shared::migration_tests!(in shared::TestDatabase::sqlite());
