//! The three quickstart programs, as a reader of the README runs them: real processes, real users, real passwords.
//!
//! The programs are examples, which `cargo test --workspace` builds beside the tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{net::SocketAddr, process::Command};

use jwt_knox_test_program::{Program, server_command};
use jwt_knox_tests::{Call, forge, world::temporary_file};
use serde_json::json;

const PROGRAMS: [&str; 3] = ["axum", "actix", "rocket"];
const SECRET: &str = "a secret of the quickstart tests";

struct Server {
    program: Program,
    address: SocketAddr,
    output: String,
}

impl Server {
    fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut program = Program::start(&mut command(name, variables));
        let mut output = String::new();
        let address = loop {
            let line = program.line();
            output.push_str(&line);
            output.push('\n');
            if let Some(rest) = line.strip_prefix("Listening on http://") {
                break rest.split(". ").next().unwrap().parse().unwrap();
            }
        };
        Self { program, address, output }
    }

    fn login(&self, username: &str, password: &str) -> String {
        Call::login(username, password).send(self.address).token()
    }

    fn verify(&self, token: &str) -> u16 {
        Call::get("/verify").bearer(token).send(self.address).status
    }

    /// As Ctrl-C does. The program must end by itself, and well.
    fn interrupt(mut self) {
        let pid = self.program.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let status = self.program.wait();
        assert!(status.success(), "{status}");
    }
}

fn command(name: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = server_command(name);
    command.envs(variables.iter().copied());
    command
}

fn database() -> String {
    format!("sqlite:{}", temporary_file().display())
}

/// Does something to the users, as an administrator with a database tool would.
fn sql(url: &str, statement: &'static str) {
    let url = url.to_owned();
    jwt_knox_tests::world::on_another_thread(async move {
        use sea_orm::ConnectionTrait;
        let connection = sea_orm::Database::connect(url).await.unwrap();
        let result = connection.execute_unprepared(statement).await.unwrap();
        assert!(result.rows_affected() > 0, "{statement}");
    });
}

#[test]
fn a_login_lives_through_a_restart_and_ends_with_its_user() {
    for name in PROGRAMS {
        let url = database();
        let variables = [("DATABASE_URL", url.as_str()), ("KNOX_SECRET", SECRET)];
        let program = Server::start(name, &variables);
        assert!(!program.output.contains("random key"));
        let (alice, bob) = (program.login("alice", "wonderland"), program.login("bob", "builder"));
        let me = Call::get("/me").bearer(&alice).send(program.address);
        assert_eq!(me.status, 200);
        assert_eq!(me.json()["subject"], forge::claims(&alice)["sub"]);
        assert_eq!(me.json()["subject"].as_str().unwrap().len(), 36);
        assert_eq!(Call::get("/me").send(program.address).status, 401);
        assert_eq!(Call::login("alice", "builder").send(program.address).status, 401);
        assert_eq!(Call::get("/debug_verify").bearer(&alice).send(program.address).status, 404);
        program.interrupt();

        let program = Server::start(name, &variables);
        assert_eq!((program.verify(&alice), program.verify(&bob)), (204, 204), "{name}");
        sql(&url, "UPDATE users SET active = 0 WHERE username = 'alice'");
        sql(&url, "DELETE FROM users WHERE username = 'bob'");
        assert_eq!((program.verify(&alice), program.verify(&bob)), (401, 401), "{name}");
        assert_eq!(Call::login("alice", "wonderland").send(program.address).status, 401);
        sql(&url, "UPDATE users SET active = 1 WHERE username = 'alice'");
        assert_eq!(program.verify(&alice), 204);
        assert_eq!(Call::post("/logout").bearer(&alice).send(program.address).status, 204);
        assert_eq!(program.verify(&alice), 401);
    }
}

#[test]
fn the_database_holds_no_token() {
    let file = temporary_file();
    let url = format!("sqlite:{}", file.display());
    let program = Server::start("axum", &[("DATABASE_URL", &url), ("KNOX_SECRET", SECRET)]);
    let token = program.login("alice", "wonderland");
    let secret = forge::claims(&token)["jti"].as_str().unwrap().to_owned();
    program.interrupt();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend(std::fs::read(file.with_extension("sqlite-wal")).unwrap_or_default());
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("sha256:"), "the record is there");
    assert!(!holds(&secret) && !holds(&token) && !holds("wonderland"));
}

#[test]
fn the_settings_do_what_they_say() {
    for name in PROGRAMS {
        let url = database();
        let program = Server::start(
            name,
            &[
                ("DATABASE_URL", &url),
                ("KNOX_LIMIT", "deny:3"),
                ("KNOX_LIFETIME_SECONDS", "3600"),
                ("KNOX_DEBUG_VERIFY", "1"),
            ],
        );
        assert!(program.output.contains("KNOX_SECRET is not set"), "{name}: {}", program.output);
        let address = program.address;
        let logins: Vec<_> =
            (0..64).map(|_| std::thread::spawn(move || Call::login("alice", "wonderland").send(address))).collect();
        let replies: Vec<_> = logins.into_iter().map(|login| login.join().unwrap()).collect();
        let granted: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(granted.len(), 3, "{name}: {replies:?}");
        assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 403)), "{name}: {replies:?}");
        assert_eq!(granted[0].json()["expires_in"], json!(3600));
        let debug = Call::get("/debug_verify").bearer(&granted[0].token()).send(address);
        assert_eq!(debug.status, 200, "{name}");
    }
}

#[test]
fn a_token_that_is_rotated_stays_valid_for_as_long_as_is_set() {
    for name in PROGRAMS {
        for (seconds, old_status) in [("60", 204), ("0", 401)] {
            let url = database();
            let program = Server::start(name, &[("DATABASE_URL", &url), ("KNOX_ROTATION_GRACE_SECONDS", seconds)]);
            let old = program.login("alice", "wonderland");
            let new = Call::post("/rotate").bearer(&old).send(program.address).token();
            assert_eq!(program.verify(&new), 204, "{name}");
            assert_eq!(program.verify(&old), old_status, "{name} after {seconds} seconds of grace");
        }
    }
}

#[test]
fn a_program_may_read_and_not_look_after_sessions() {
    for name in PROGRAMS {
        let url = database();
        let program = Server::start(name, &[("DATABASE_URL", &url)]);
        sql(&url, "UPDATE users SET username = 'svc-report' WHERE username = 'bob'");
        let token = program.login("svc-report", "builder");
        assert_eq!(forge::claims(&token)["scope"], "read");
        let status = |call: Call| call.bearer(&token).send(program.address).status;
        assert_eq!(status(Call::get("/me")), 200, "{name}");
        assert_eq!(status(Call::get("/verify")), 204, "{name}");
        for call in
            [Call::get("/sessions"), Call::post("/logout_other"), Call::post("/logout_all"), Call::post("/rotate")]
        {
            assert_eq!(status(call), 403, "{name}");
        }
        assert_eq!(status(Call::post("/logout")), 204, "{name}");
    }
}

/// Two servers on one database and one Redis: what one ends, the other sees at once, or within the time that it may
/// remember.
#[test]
#[cfg_attr(not(knox_redis), ignore = "KNOX_TEST_REDIS_URL is not set")]
fn sessions_may_be_in_redis_and_answers_be_remembered() {
    let redis = std::env::var("KNOX_TEST_REDIS_URL").unwrap();
    for name in PROGRAMS {
        let url = database();
        let start = |max_age| {
            let variables = [
                ("DATABASE_URL", url.as_str()),
                ("KNOX_SECRET", SECRET),
                ("KNOX_STORE_URL", &redis),
                ("KNOX_CACHE_MAX_AGE_MS", max_age),
            ];
            Server::start(name, &variables)
        };
        let (strict, lax) = (start("0"), start("3600000"));
        let token = strict.login("alice", "wonderland");
        assert_eq!((strict.verify(&token), lax.verify(&token)), (204, 204), "{name}");
        assert_eq!(Call::post("/logout").bearer(&token).send(strict.address).status, 204, "{name}");
        assert_eq!((strict.verify(&token), lax.verify(&token)), (401, 204), "{name}: the second one may be late");

        // What a server ends itself, it sees at once.
        let token = lax.login("alice", "wonderland");
        assert_eq!(lax.verify(&token), 204, "{name}");
        assert_eq!(Call::post("/logout_all").bearer(&token).send(lax.address).status, 204, "{name}");
        assert_eq!((lax.verify(&token), strict.verify(&token)), (401, 401), "{name}");
    }
}
