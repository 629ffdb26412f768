//! Runs the example programs as a reader does: each in a process of its own.

// This is test code, which may fail by panicking.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::{
    env,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

/// The program of an example. `cargo test` builds the examples of a package together with its tests.
#[must_use]
pub fn command(example: &str) -> Command {
    // target/debug/deps/… is the test; target/debug/examples/… the program.
    let folder = env::current_exe().unwrap().parent().unwrap().with_file_name("examples");
    let path = folder.join(format!("{example}{}", env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built; run `cargo build --workspace --examples` before", path.display());
    Command::new(path)
}

/// The program of an example server, on a free port, whatever is set in the environment.
#[must_use]
pub fn server_command(example: &str) -> Command {
    let mut command = command(example);
    for variable in [
        "DATABASE_URL",
        "KNOX_SECRET",
        "KNOX_LIMIT",
        "KNOX_LIFETIME_SECONDS",
        "KNOX_ROTATION_GRACE_SECONDS",
        "KNOX_DEBUG_VERIFY",
        "KNOX_COOKIES",
        "KNOX_STORE_URL",
        "KNOX_CACHE_MAX_AGE_MS",
        "KNOX_FEED",
    ] {
        command.env_remove(variable);
    }
    command.env("LISTEN", "127.0.0.1:0");
    command
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Program {
    process: Child,
    /// Open until the end: the program could not print the rest of its lines otherwise.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line that it prints, or has printed.
    pub fn line(&mut self) -> String {
        self.lines.next().unwrap_or_else(|| panic!("the program has ended: {:?}", self.process.wait())).unwrap()
    }

    /// The rest of the next line that begins with `start`.
    pub fn after(&mut self, start: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
