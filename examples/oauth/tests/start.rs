//! What the program says if it cannot start.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use jwt_knox_test_program::{Program, command};

const SETTINGS: [(&str, &str); 5] = [
    ("OAUTH_CLIENT_ID", "application"),
    ("OAUTH_CLIENT_SECRET", "hunter2"),
    ("OAUTH_AUTHORIZE_URL", "https://example.com/authorize"),
    ("OAUTH_TOKEN_URL", "https://example.com/token"),
    ("OAUTH_USERINFO_URL", "https://example.com/userinfo"),
];

/// The program with all settings that it needs.
fn program() -> Command {
    let mut program = command("oauth");
    program.env_remove("PUBLIC_URL").env("LISTEN", "127.0.0.1:0").envs(SETTINGS);
    program
}

fn fails(program: &mut Command) -> String {
    let output = program.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn a_missing_or_wrong_setting_is_named() {
    for (name, _) in SETTINGS {
        let said = fails(program().env_remove(name));
        assert!(said.contains(&format!("{name} is not set")) && said.contains("http://127.0.0.1:8000/oauth/callback"));
    }
    for (name, value, hint) in [
        ("OAUTH_TOKEN_URL", "http://example.com/token", "begins with https://"),
        ("OAUTH_USERINFO_URL", "userinfo", "begins with https://"),
        ("PUBLIC_URL", "http://127.0.0.1.example.com", "begins with https://"),
        ("LISTEN", "localhost", "127.0.0.1:8000"),
    ] {
        let said = fails(program().env(name, value));
        assert!(said.contains(name) && said.contains(hint), "{said}");
    }
}

#[test]
fn with_all_settings_it_starts() {
    let line = Program::start(&mut program()).line();
    assert!(line.starts_with("Listening on 127.0.0.1:") && line.contains("http://127.0.0.1:8000/"), "{line}");
}
