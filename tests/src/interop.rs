//! The programs that the interoperability tests talk to: PyJWT, jose, a Django site with the real drf-jwt-knox, and those
//! that read OpenAPI documents.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Call, Reply, forge};

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
        let address = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("no address: {line}"));
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
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { stdin: child.stdin.take().unwrap(), stdout: BufReader::new(child.stdout.take().unwrap()), child }
    }

    fn write_line(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{:?} has ended", self.child);
        line
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
    command.args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(document).output().unwrap()
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
    command.output().unwrap()
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
            let output = command.output().unwrap();
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
        command.arg(&self.0).arg(format!("http://{server}")).output().unwrap()
    }
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
