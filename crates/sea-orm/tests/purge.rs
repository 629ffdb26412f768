//! A purge on SQLite.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "shared/purge.rs"]
mod shared;

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_hinders_nobody() {
    shared::purge_under_load("sqlite:").await;
}
