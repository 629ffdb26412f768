//! The program, as a reader runs it.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use jwt_knox_test_program::{Program, command};
use serde_json::{Value, json};

#[tokio::test]
async fn what_the_program_prints_logs_in() {
    let mut program = Program::start(command("second_factor").env("LISTEN", "127.0.0.1:0"));
    let url = program.after("Listening on ").trim_end_matches(". Ctrl-C ends it.").to_owned();
    let secret = program.after("The key for the authenticator app of alice: ");
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let recovery_code = program.after("A recovery code of alice: ");

    let client = reqwest::Client::new();
    // Both programs on one machine have one clock.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let code = totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(now).to_string();
    for otp in [code, recovery_code] {
        let body = json!({"username": "alice", "password": "wonderland", "otp": otp});
        let response = client.post(format!("{url}/get_token")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let token = response.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(client.get(format!("{url}/verify")).bearer_auth(token).send().await.unwrap().status(), 204);
    }
}

#[test]
fn a_wrong_setting_is_named() {
    let output = command("second_factor").env("LISTEN", "localhost").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("LISTEN must be of the form 127.0.0.1:8000"), "{said}");
}
