//! An engine that a script starts, and talks to.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::task::block_in_place;

/// The processes of an engine. They end when this is dropped, or with the tests: the script ends with its input.
#[derive(Debug)]
pub struct Engine {
    script: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    settings: HashMap<String, String>,
}

impl Engine {
    /// Starts the engine of that name, and waits until it is ready.
    pub fn start(name: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
        let mut script = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (script.stdin.take(), BufReader::new(script.stdout.take().unwrap()));
        let mut engine = Self { script, input, output, settings: HashMap::new() };
        loop {
            let line = engine.line();
            if line == "ready" {
                return engine;
            }
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("unexpected: {line}\n{}", engine.rest()));
            engine.settings.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What the script said of itself before it was ready.
    pub fn setting(&self, name: &str) -> &str {
        &self.settings[name]
    }

    /// A setting that is a list of ports.
    pub fn ports(&self, name: &str) -> Vec<u16> {
        self.setting(name).split_whitespace().map(|port| port.parse().unwrap()).collect()
    }

    /// Has the script do something, and gives what it prints.
    pub fn tell(&mut self, command: &str) -> String {
        block_in_place(|| {
            writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
            let mut printed = Vec::new();
            loop {
                match self.line() {
                    line if line == "ok" => return printed.join("\n"),
                    line if line == "failed" => panic!("`{command}` failed: {}", printed.join("\n")),
                    line => printed.push(line),
                }
            }
        })
    }

    /// What the script prints until its end, which this is.
    fn rest(&mut self) -> String {
        self.input = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).unwrap();
        assert!(length > 0, "the script of the engine has ended");
        line.trim_end().to_owned()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.script.wait();
    }
}

/// Checks again and again; how long an engine takes is unknown.
pub async fn wait_until(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
