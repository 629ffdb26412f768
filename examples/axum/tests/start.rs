//! What the program says if it cannot start.

#![allow(clippy::unwrap_used)]

use std::thread;

use jwt_knox_test_program::server_command;

/// The program, with this environment variable.
fn start_with(variable: &str, value: &str) -> String {
    let mut program = server_command("axum");
    program.current_dir(env!("CARGO_TARGET_TMPDIR"));
    let output = program.env(variable, value).output().unwrap();
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap()
}

#[test]
fn a_wrong_setting_is_named() {
    for (variable, value, hint) in [
        ("KNOX_SECRET", "too short", "at least 32 bytes"),
        ("KNOX_LIMIT", "three", "deny:3, evict:3 or evict_unused:3"),
        ("KNOX_LIMIT", "deny:0", "limit of 0"),
        ("KNOX_LIFETIME_SECONDS", "soon", "3600"),
        ("KNOX_LIFETIME_SECONDS", "0", "at least 1 second"),
        ("KNOX_DEBUG_VERIFY", "yes", "of the form 1"),
        ("KNOX_COOKIES", "on", "of the form 1"),
        ("KNOX_ROTATION_GRACE_SECONDS", "-1", "of the form 10"),
        ("KNOX_CACHE_MAX_AGE_MS", "1s", "of the form 1000"),
        ("KNOX_FEED", "yes", "of the form 1"),
        ("KNOX_FEED", "1", "PostgreSQL or Redis"),
        ("KNOX_STORE_URL", "nosuch://x", "redis://127.0.0.1:6379/"),
        ("LISTEN", "localhost", "127.0.0.1:8000"),
    ] {
        let said = start_with(variable, value);
        assert!(said.contains(variable) && said.contains(hint), "{said}");
    }
}

#[test]
fn the_password_of_the_database_is_not_shown() {
    let cases = [
        ("sqlite:/no/such/folder/x.sqlite", "(sqlite:/no/such/folder/x.sqlite)"),
        ("postgres://alice:hunter2@127.0.0.1:1/x", "(postgres://127.0.0.1:1/x)"),
        ("mysql://alice:hunter2@127.0.0.1:1/x", "(mysql://127.0.0.1:1/x)"),
        ("postgres://127.0.0.1:1/x?password=hunter2", "(postgres://127.0.0.1:1/x)"),
        ("postgres://127.0.0.1:1/x?password=p@hunter2", "cannot be shown"),
        ("postgres://alice:hunter2@127.0.0.1:1/x?sslmode=hunter2", "(postgres://127.0.0.1:1/x)"),
        // Mistakes that one makes.
        ("nosuch://alice:hunter2@127.0.0.1/x", "(nosuch://127.0.0.1/x) cannot be used: there is no driver"),
        ("postgres://alice:hunter2", "cannot be shown"),
        ("postgres://alice:hunter2/x", "cannot be shown"),
        ("postgres://alice:1/hunter2@127.0.0.1/x", "cannot be shown"),
        ("postgres://alice:1?hunter2@127.0.0.1/x", "cannot be shown"),
        ("postgres:alice:hunter2@127.0.0.1/x", "cannot be shown"),
        ("postgres:alice:hunter2", "cannot be shown"),
        ("postgres//alice:hunter2@127.0.0.1/x", "cannot be shown"),
        ("alice:hunter2@127.0.0.1/x", "cannot be shown"),
        ("alice:hunter2", "cannot be shown"),
        ("hunter2", "cannot be shown"),
    ];
    // Some take their time.
    thread::scope(|scope| {
        for (url, hint) in cases {
            scope.spawn(move || {
                let said = start_with("DATABASE_URL", url);
                assert!(said.contains("DATABASE_URL") && said.contains(hint), "{url}: {said}");
                assert!(!said.contains("hunter2"), "{url}: {said}");
            });
        }
    });
}
