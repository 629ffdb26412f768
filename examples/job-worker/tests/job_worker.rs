//! The program, as a reader runs it.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use jwt_knox_test_program::command;

#[test]
fn the_worker_does_drops_and_keeps_jobs() {
    let output = command("job_worker").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(
        lines,
        [
            "thumbnails: put back, the users store could not answer",
            "backup: dropped, the token lacks the scope `jobs`",
            "newsletter: dropped, the token was revoked or never issued",
            "thumbnails: done for alice",
        ]
    );
}
