//! Hashing stays bounded, whatever clients do.

#![allow(clippy::unwrap_used)]

use std::{thread::available_parallelism, time::Duration};

use example_axum::passwords::{Passwords, hash};
use tokio::time::timeout;

#[tokio::test]
async fn right_is_right_and_wrong_is_wrong() {
    let passwords = Passwords::new().unwrap();
    let stored = hash("wonderland").unwrap();
    assert!(passwords.verify("wonderland", Some(stored.clone())).await.unwrap());
    assert!(!passwords.verify("Wonderland", Some(stored)).await.unwrap());
    assert!(!passwords.verify("nobody's password", None).await.unwrap());
}

/// A client that hangs up does not stop its hashing, so the next client must wait for that all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_do_not_hash_in_parallel() {
    let passwords = Passwords::new().unwrap();
    let most = (available_parallelism().unwrap().get() / 2).max(1);
    for _ in 0..50 {
        let _ = timeout(Duration::from_millis(1), passwords.verify("wonderland", None)).await;
        assert!(passwords.running() <= most, "{} at the same time", passwords.running());
    }
    // Nothing was lost: the next one gets its turn.
    assert!(!passwords.verify("wonderland", None).await.unwrap());
    assert!(passwords.hashed() < 50, "clients that had gone away were in the queue still");
}
