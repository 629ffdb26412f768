//! Hashing stays bounded, whatever clients do.

#![allow(clippy::unwrap_used)]

use std::{
    thread::available_parallelism,
    time::{Duration, Instant},
};

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

/// The time does not tell who has a password and who has none.
#[tokio::test]
async fn a_hash_that_is_none_takes_as_long() {
    let passwords = Passwords::new().unwrap();
    let hashing = (0..5).map(|_| {
        let start = Instant::now();
        hash("wonderland").unwrap();
        start.elapsed()
    });
    let hashing = hashing.min().unwrap();
    for unusable in [
        "",
        "!",
        "*",
        "wonderland",
        "$argon2id$v=19$m=19456,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
        "$argon2id$v=19$m=1,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "$pbkdf2-sha256$i=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
        "$2b$12$c2FsdHNhbHRzYWx0c2FsdO8Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn4Xn",
    ] {
        for password in ["wonderland", "nobody's password", "", unusable] {
            let before = passwords.hashed();
            let start = Instant::now();
            assert!(!passwords.verify(password, Some(unusable.to_owned())).await.unwrap(), "{unusable}");
            assert!(start.elapsed() > hashing / 4, "{unusable}: {:?}, not {hashing:?}", start.elapsed());
            assert_eq!(passwords.hashed(), before + 1, "{unusable}");
        }
    }
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
