//! The program, as a reader runs it.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use jwt_knox_test_program::command;

#[test]
fn the_metrics_count_what_happens() {
    let output = command("metrics").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(
        lines,
        [
            "knox_logins_total{} 3",
            "knox_rotations_total{} 1",
            "knox_sessions_purged_total{} 0",
            "knox_sessions_revoked_total{cause=evicted} 1",
            "knox_sessions_revoked_total{cause=one} 1",
            "knox_tokens_rejected_total{reason=malformed} 1",
            "knox_tokens_rejected_total{reason=revoked} 1",
        ]
    );
}
