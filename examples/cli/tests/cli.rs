//! The example program `cli`, as its user runs it: a process for each command, and a SQLite file that outlives them.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use jwt_knox_test_program::command;
use sea_orm::{ConnectionTrait, Database};

const COMMANDS: [&[&str]; 5] = [&["whoami"], &["devices"], &["logout"], &["logout", "--others"], &["logout", "--all"]];

/// A folder with a database, for one test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("jwt-knox-cli-{name}-{}", std::process::id()));
        // One that a killed run has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn token_file(&self, device: &str) -> PathBuf {
        self.0.join(format!("{device}.token"))
    }

    fn database(&self) -> PathBuf {
        self.0.join("cli.sqlite")
    }

    fn url(&self) -> String {
        format!("sqlite:{}?mode=rwc", self.database().display())
    }

    fn command(&self, device: &str, arguments: &[&str]) -> Command {
        let mut command = command("cli");
        command
            .args(arguments)
            .env("KNOX_SECRET", "a secret of the tests of the example")
            .env("DATABASE_URL", self.url())
            .env("TOKEN_FILE", self.token_file(device))
            .env("HOSTNAME", device)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What the program prints, if it succeeds.
    fn run(&self, device: &str, arguments: &[&str]) -> Result<String, String> {
        let (code, text) = finish(self.command(device, arguments), "wonderland");
        if code == 0 { Ok(text) } else { Err(text) }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The exit code, and the last line that the program prints: to standard output if the code is 0, otherwise to standard
/// error.
fn finish(mut command: Command, password: &str) -> (i32, String) {
    let mut child = command.spawn().unwrap();
    // A command that reads no password may be gone already.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = String::from_utf8(if status.success() { stdout } else { stderr }).unwrap();
    (status.code().unwrap(), text.trim_end().trim_start_matches("Password: ").to_owned())
}

#[test]
fn a_session_outlives_the_process_until_it_is_ended() {
    let home = Home::new("login");
    assert_eq!(home.run("laptop", &["whoami"]), Err("not logged in".to_owned()));
    assert_eq!(home.run("laptop", &["login", "bob"]), Err("the name or the password is wrong".to_owned()));
    assert_eq!(home.run("laptop", &["login", "alice"]), Ok("hello alice".to_owned()));
    assert_eq!(home.run("laptop", &["whoami"]), Ok("user-1".to_owned()));
    assert!(home.run("laptop", &["login", "alice"]).unwrap_err().contains("already"));

    let token = fs::read_to_string(home.token_file("laptop")).unwrap();
    assert_eq!(home.run("laptop", &["logout"]), Ok("bye".to_owned()));
    assert_eq!(home.run("laptop", &["whoami"]), Err("not logged in".to_owned()));
    fs::write(home.token_file("laptop"), token).unwrap();
    assert_eq!(
        home.run("laptop", &["whoami"]),
        Err("the token was revoked or never issued".to_owned()),
        "a copy of the token is worth nothing"
    );
    assert_eq!(home.run("laptop", &["login", "alice"]), Ok("hello alice".to_owned()));
}

#[test]
fn one_device_ends_the_sessions_of_others() {
    let home = Home::new("devices");
    for device in ["laptop", "desktop", "phone", "tablet"] {
        home.run(device, &["login", "alice"]).unwrap();
    }
    let devices = home.run("laptop", &["devices"]).unwrap();
    let lines: Vec<_> = devices.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.starts_with('*') == line.contains("laptop")), "{devices}");

    let phone = lines.iter().find(|line| line.contains("phone")).unwrap().split_whitespace().next().unwrap();
    assert_eq!(home.run("laptop", &["logout", phone]), Ok("1 ended".to_owned()));
    assert_eq!(home.run("laptop", &["logout", phone]), Err("there is no such device".to_owned()));
    assert!(home.run("phone", &["whoami"]).is_err());
    assert_eq!(home.run("laptop", &["logout", "--others"]), Ok("2 ended".to_owned()));
    assert!(home.run("desktop", &["whoami"]).is_err());
    assert_eq!(home.run("desktop", &["login", "alice"]), Ok("hello alice".to_owned()));
    assert_eq!(home.run("laptop", &["logout", "--all"]), Ok("2 ended".to_owned()));
    assert!(home.run("desktop", &["whoami"]).is_err());
    assert!(!home.token_file("laptop").exists());
}

#[tokio::test]
async fn an_operator_needs_no_key() {
    let home = Home::new("operator");
    for device in ["laptop", "phone", "tablet"] {
        home.run(device, &["login", "alice"]).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = home.command("server", arguments);
        command.env_remove("KNOX_SECRET");
        let (code, text) = finish(command, "");
        if code == 0 { Ok(text) } else { Err(text) }
    };
    assert_eq!(run(&["whoami"]), Err("KNOX_SECRET is not set".to_owned()));
    let sessions = run(&["sessions", "user-1"]).unwrap();
    assert_eq!(sessions.lines().count(), 3);
    let phone = sessions.lines().find(|line| line.contains("phone")).unwrap().split_whitespace().next().unwrap();
    assert_eq!(run(&["revoke", "user-2", phone]), Err("there is no such session".to_owned()));
    assert_eq!(run(&["revoke", "user-1", phone]), Ok("1 revoked".to_owned()));
    assert!(home.run("phone", &["whoami"]).is_err());
    assert!(home.run("laptop", &["whoami"]).is_ok());

    let database = Database::connect(home.url()).await.unwrap();
    let expire = "UPDATE jwt_knox_sessions SET expires_at = '2020-01-01 00:00:00' WHERE label = 'tablet'";
    database.execute_unprepared(expire).await.unwrap();
    assert_eq!(run(&["purge"]), Ok("1 purged".to_owned()));
    assert_eq!(run(&["revoke", "user-1", "--all"]), Ok("1 revoked".to_owned()));
    assert_eq!(run(&["sessions", "user-1"]), Ok(String::new()));
}

#[test]
fn the_password_of_the_database_is_not_shown() {
    let home = Home::new("password");
    for url in ["nosuch://alice:hunter2@127.0.0.1/x", "postgres//alice:hunter2@127.0.0.1/x"] {
        let mut command = home.command("laptop", &["whoami"]);
        command.env("DATABASE_URL", url);
        assert_eq!(finish(command, ""), (1, "there is no driver for the URL in DATABASE_URL".to_owned()));
    }
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_token() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let home = Home::new("mode");
    // Files that are there under these names, for all to read, must not pass their mode on to the token.
    for file in [home.token_file("laptop"), home.token_file("laptop").with_extension("new")] {
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    }
    home.run("laptop", &["login", "alice"]).unwrap();
    assert_eq!(fs::metadata(home.token_file("laptop")).unwrap().mode() & 0o777, 0o600);

    let token = fs::read(home.token_file("laptop")).unwrap();
    let database = fs::read(home.database()).unwrap();
    let holds = |text: &[u8]| database.windows(text.len()).any(|window| window == text);
    assert!(holds(b"sha256:") && !holds(&token));
}

#[tokio::test]
async fn a_store_that_cannot_answer_logs_nobody_out() {
    let home = Home::new("outage");
    home.run("laptop", &["login", "alice"]).unwrap();
    for command in COMMANDS {
        let mut command = home.command("laptop", command);
        command.env("DATABASE_URL", "sqlite:/no/such/folder/cli.sqlite");
        let (code, text) = finish(command, "");
        assert_eq!(code, 75, "{text}");
    }
    // The database answers, and the store cannot.
    let database = Database::connect(home.url()).await.unwrap();
    database.execute_unprepared("ALTER TABLE jwt_knox_sessions RENAME TO aside").await.unwrap();
    for command in COMMANDS {
        let (code, text) = finish(home.command("laptop", command), "");
        assert_eq!((code, text.as_str()), (75, "the SeaORM store could not answer"));
    }
    database.execute_unprepared("ALTER TABLE aside RENAME TO jwt_knox_sessions").await.unwrap();
    assert_eq!(home.run("laptop", &["whoami"]), Ok("user-1".to_owned()));
}

#[test]
fn it_explains_its_usage() {
    let home = Home::new("usage");
    for arguments in [[].as_slice(), &["login"], &["dance"], &["logout", "--all", "now"]] {
        assert!(home.run("laptop", arguments).unwrap_err().starts_with("one of: login NAME"), "{arguments:?}");
    }
    let mut command = home.command("laptop", &["whoami"]);
    command.env("KNOX_SECRET", "too short");
    assert!(finish(command, "").1.contains("at least 32 bytes"));
}
