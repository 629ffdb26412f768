//! The programs that the interoperability tests talk to: PyJWT, jose, a Django site with the real drf-jwt-knox, and
//! those that read OpenAPI documents.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Call, Reply, forge};

/// How long one of these programs may take to do what it is there for.
const LIMIT: Duration = Duration::from_secs(600);

/// How long one of them may take to answer a line.
const LINE_LIMIT: Duration = Duration::from_secs(120);

/// Another library of JSON Web Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// Python's PyJWT.
    PyJwt,
    /// The package jose of the npm registry.
    Jose,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PyJwt, Self::Jose];
}

/// A [`Library`] that answers questions. They are described at the head of `tests/interop/pyjwt_peer.py`.
#[derive(Debug)]
pub struct Peer(Program);

impl Peer {
    /// Starts it.
    pub fn start(library: Library) -> Self {
        Self(Program::start(match library {
            Library::PyJwt => python("pyjwt_peer.py"),
            Library::Jose => node("jose_peer.mjs"),
        }))
    }

    /// All of them.
    pub fn all() -> Vec<(Library, Self)> {
        Library::ALL.into_iter().map(|library| (library, Self::start(library))).collect()
    }

    /// Has a request answered, or says why it was rejected.
    ///
    /// # Errors
    ///
    /// What the library says of what it rejects.
    pub fn ask(&mut self, request: &Value) -> Result<Value, String> {
        self.0.write_line(&request.to_string());
        let answer: Value = serde_json::from_str(&self.0.read_line()).unwrap();
        if answer["ok"] == json!(true) { Ok(answer) } else { Err(answer["error"].as_str().unwrap().to_owned()) }
    }
}

/// The version of django-rest-knox that drf-jwt-knox runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnoxVersion {
    /// Hashes the text of a secret.
    Five,
    /// Hashes the bytes that a secret stands for.
    Four,
}

/// A Django site with the real drf-jwt-knox, at `/`, and django-rest-knox, at `/knox/`. It ends when it is dropped.
#[derive(Debug)]
pub struct DjangoSite {
    _program: Program,
    /// Where it listens.
    pub address: SocketAddr,
}

impl DjangoSite {
    /// Starts it on a SQLite file, or on the PostgreSQL database of that URL, in which it makes its tables and users.
    /// `settings` are its environment variables.
    pub fn start(version: KnoxVersion, database: impl AsRef<OsStr>, settings: &[(&str, &str)]) -> Self {
        let mut command = python("django_site.py");
        command.arg(database.as_ref()).envs(settings.iter().copied());
        if version == KnoxVersion::Four {
            command.env("PYTHONPATH", installed().join("knox4"));
        }
        let mut program = Program::start(command);
        let line = program.read_line();
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("no address: {line}"));
        Self { address: address.parse().unwrap(), _program: program }
    }

    /// Begins a session at `/knox/login/`, the only one over HTTP that expires. Gives a token with its secret, as
    /// drf-jwt-knox would have signed it, and when the session expires.
    pub fn log_in_at_knox(&self, username: &str, password: &str) -> (String, Timestamp) {
        let session = Call::basic("/knox/login/", username, password).send(self.address).json();
        let claims = json!({"username": username, "iat": Timestamp::now().as_second(), "jti": session["token"]});
        let expiry = session["expiry"].as_str().unwrap().parse().unwrap();
        (forge::token(forge::HEADER, &claims.to_string()), expiry)
    }
}

/// The token of an answer to a login, in drf-jwt-knox's body.
pub fn drf_jwt_knox_token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["token"].as_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

/// A child process that is talked to line by line.
#[derive(Debug)]
struct Program {
    child: Child,
    stdin: ChildStdin,
    /// Behind a lock only so that threads may share what holds this.
    lines: Mutex<Receiver<String>>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { stdin: child.stdin.take().unwrap(), lines: Mutex::new(lines), child }
    }

    fn write_line(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn read_line(&mut self) -> String {
        let line = self.lines.get_mut().unwrap().recv_timeout(LINE_LIMIT);
        line.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => panic!("{:?} has not answered within {LINE_LIMIT:?}", self.child),
            RecvTimeoutError::Disconnected => panic!("{:?} has ended", self.child),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has openapi-spec-validator read a document.
pub fn validate_openapi(document: &Path) -> Output {
    let mut command = interpreter(venv("python"), "python.stamp");
    command.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(document);
    output(command, LIMIT)
}

/// Has schemathesis hold that server against a document. It keeps its files in that folder.
pub fn schemathesis(document: &Path, server: SocketAddr, folder: &Path) -> Output {
    let mut command = interpreter(venv("python"), "python.stamp");
    command
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "--no-color", "--config-file"])
        .arg(source("schemathesis.toml"))
        .arg("run")
        .arg(document)
        .args(["--url", &format!("http://{server}")])
        .env("PYTHONPATH", source(""))
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder);
    output(command, LIMIT)
}

/// A client that @hey-api/openapi-ts has made of a document, and what it does, compiled by tsc.
#[derive(Debug)]
pub struct GeneratedClient(PathBuf);

impl GeneratedClient {
    /// Makes it, in a folder of `target/interop`.
    ///
    /// # Errors
    ///
    /// What the generator or the compiler says.
    pub fn new(document: &Path) -> Result<Self, Output> {
        let folder = installed().join("openapi_client");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let run = |program: &str, arguments: &[&OsStr]| {
            let mut command = interpreter("node".into(), "node.stamp");
            command.arg(installed().join("node_modules").join(program)).args(arguments).current_dir(&folder);
            let output = output(command, LIMIT);
            if output.status.success() { Ok(()) } else { Err(output) }
        };
        let document = document.as_os_str();
        let generate = ["--input".as_ref(), document, "--output".as_ref(), "generated".as_ref()];
        run(
            "@hey-api/openapi-ts/bin/run.js",
            &[&generate[..], &["--client".as_ref(), "@hey-api/client-fetch".as_ref()]].concat(),
        )?;
        std::fs::copy(source("openapi_client.ts"), folder.join("client.ts")).unwrap();
        let options = "--strict --target es2022 --module commonjs client.ts";
        run("typescript/bin/tsc", &options.split(' ').map(OsStr::new).collect::<Vec<_>>())?;
        Ok(Self(folder.join("client.js")))
    }

    /// Lets it talk to that server.
    pub fn run(&self, server: SocketAddr) -> Output {
        let mut command = interpreter("node".into(), "node.stamp");
        command.arg(&self.0).arg(format!("http://{server}"));
        output(command, LIMIT)
    }
}

/// Runs a program to its end. Ends it and panics with what it has written if that takes longer.
fn output(mut command: Command, limit: Duration) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, receiver) = mpsc::channel();
    forward(child.stdout.take().unwrap(), 0, sender.clone());
    forward(child.stderr.take().unwrap(), 1, sender);
    let (mut written, end) = ([Vec::new(), Vec::new()], Instant::now() + limit);
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((stream, bytes)) => written[stream].extend(bytes),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                let [stdout, stderr] = written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                panic!("{command:?} has not ended within {limit:?}: {stdout}{stderr}");
            }
        }
    }
    let [stdout, stderr] = written;
    Output { status: child.wait().unwrap(), stdout, stderr }
}

/// Sends what a program writes to one of its streams, with the number of that.
fn forward(mut stream: impl Read + Send + 'static, number: usize, sender: Sender<(usize, Vec<u8>)>) {
    thread::spawn(move || {
        let mut bytes = [0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut bytes)
            && sender.send((number, bytes[..count].to_vec())).is_ok()
        {}
    });
}

fn python(script: &str) -> Command {
    program(venv("python"), "python.stamp", script)
}

fn node(script: &str) -> Command {
    program("node".into(), "node.stamp", script)
}

fn program(interpreter: PathBuf, stamp: &str, script: &str) -> Command {
    let mut command = self::interpreter(interpreter, stamp);
    command.arg(source(script));
    command
}

fn interpreter(interpreter: PathBuf, stamp: &str) -> Command {
    assert!(installed().join(stamp).exists(), "tests/interop/install.sh has not been run");
    Command::new(interpreter)
}

/// A program for Python.
fn venv(name: &str) -> PathBuf {
    installed().join("venv/bin").join(name)
}

/// A file of `tests/interop`.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// Where `tests/interop/install.sh` installs.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_writes_is_kept() {
        let output = output(shell("echo yes; echo no >&2; exit 3"), LIMIT);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((&*output.stdout, &*output.stderr), (&b"yes\n"[..], &b"no\n"[..]));
    }

    #[test]
    #[should_panic(expected = "has not ended within 5s: begun")]
    fn a_program_that_does_not_end_fails_with_what_it_has_written() {
        output(shell("echo begun; exec sleep 600"), Duration::from_secs(5));
    }
}
