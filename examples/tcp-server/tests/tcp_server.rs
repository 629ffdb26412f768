//! The server, as a reader runs it: a real process, real sockets.
//!
//! `cargo test` builds the examples of a package together with its tests.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use example_tcp_server::serve;
use jwt_knox::{Knox, MemoryStore, SessionRecord, SigningKey, StoreError, SubjectCheck, SubjectStatus, async_trait};
use jwt_knox_test_program::{Program, command};

/// How long a test waits for what must come at once. A test that passes does not wait that long.
const PATIENCE: Duration = Duration::from_secs(20);

const RECHECK: Duration = Duration::from_millis(10);

/// The TCP server as a process.
struct Server {
    _program: Program,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let milliseconds = RECHECK.as_millis().to_string();
        let variables = [("LISTEN", "127.0.0.1:0"), ("RECHECK_MILLISECONDS", &*milliseconds)];
        let mut program = Program::start(command("tcp_server").envs(variables));
        let address = program.line().strip_prefix("Listening on ").unwrap().parse().unwrap();
        Self { _program: program, address }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Connects, logs in, and gives the token as well.
    fn login(address: SocketAddr, name: &str, password: &str) -> (Self, String) {
        let mut client = Self::connect(address);
        let answer = client.ask(&format!("login {name} {password}"));
        let token = answer.strip_prefix("token ").unwrap().to_owned();
        assert!(client.line().unwrap().starts_with("hello "));
        (client, token)
    }

    fn with_token(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::connect(address);
        assert!(client.ask(&format!("token {token}")).starts_with("hello "));
        client
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        self.line().unwrap()
    }

    /// The next line; `None` if the server has closed the connection.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// Waits for the server to close the connection, with this last line.
    fn ends_with(&mut self, farewell: &str) {
        assert_eq!(self.line().as_deref(), Some(farewell));
        assert_eq!(self.line(), None);
    }

    fn stays(&mut self) {
        assert_eq!(self.ask("still here"), "you said still here");
    }
}

#[test]
fn valid_tokens_only_are_accepted() {
    let server = Server::start();
    let (mut alice, token) = Client::login(server.address, "alice", "wonderland");
    assert_eq!(alice.ask("whoami"), "user-1");
    assert_eq!(Client::with_token(server.address, &token).ask("whoami"), "user-1");
    for line in ["login alice builder", "token a.b.c", &format!("token {token}x"), "hello", ""] {
        let mut stranger = Client::connect(server.address);
        assert_eq!(stranger.ask(line), "rejected", "{line}");
        assert_eq!(stranger.line(), None, "{line}");
    }
    let mut flood = Client::connect(server.address);
    flood.0.get_mut().write_all("x".repeat(10_000).as_bytes()).unwrap();
    // The server may close before it has read all, and that is a reset.
    assert!(matches!(flood.0.read_line(&mut String::new()), Ok(0) | Err(_)));
    alice.stays();
}

#[test]
fn the_connections_of_sessions_that_end_are_closed() {
    let server = Server::start();
    let login = |name, password| Client::login(server.address, name, password);
    let (mut bob, _) = login("bob", "builder");

    // One session with two connections, and another session.
    let (mut first, token) = login("alice", "wonderland");
    let mut second = Client::with_token(server.address, &token);
    let (mut other, _) = login("alice", "wonderland");
    assert_eq!(first.ask("logout"), "bye");
    assert_eq!(first.line(), None);
    second.ends_with("the session has ended");
    other.stays();
    assert_eq!(Client::connect(server.address).ask(&format!("token {token}")), "rejected");

    let (mut third, _) = login("alice", "wonderland");
    assert_eq!(other.ask("logout_others"), "1 ended");
    third.ends_with("the session has ended");
    other.stays();

    let (mut fourth, _) = login("alice", "wonderland");
    assert_eq!(fourth.ask("logout_all"), "bye");
    other.ends_with("the session has ended");
    bob.stays();
}

/// Users that cannot be read for a while. A store that is down has the same effect.
#[derive(Default)]
struct Users {
    /// How many questions get no answer from now on.
    outage: AtomicU32,
    answered: AtomicU32,
    hangs: bool,
}

impl Users {
    const FOREVER: u32 = u32::MAX;
}

#[async_trait]
impl SubjectCheck for Users {
    async fn check(&self, _: &SessionRecord) -> Result<SubjectStatus, StoreError> {
        if self.outage.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            self.answered.fetch_add(1, SeqCst);
            return Ok(SubjectStatus::Active);
        }
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(StoreError::new("password=hunter2").in_store("users"))
    }
}

/// The same server inside the test, which controls the users.
fn serve_with(users: &Arc<Users>) -> SocketAddr {
    let knox = Knox::builder(SigningKey::hs256([7; 32]).unwrap())
        .store(MemoryStore::new())
        .subject_check(users.clone())
        .time_limit(RECHECK)
        .recheck_interval(RECHECK)
        .build()
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            serve(tokio::net::TcpListener::from_std(listener).unwrap(), knox).await;
        });
    });
    address
}

#[test]
fn connections_survive_a_short_outage_and_not_a_long_one() {
    for hangs in [false, true] {
        let users = Arc::new(Users { hangs, ..Users::default() });
        let address = serve_with(&users);
        let (mut client, token) = Client::login(address, "alice", "wonderland");
        let answered = users.answered.load(SeqCst);
        users.outage.store(2, SeqCst);
        let start = Instant::now();
        while users.outage.load(SeqCst) > 0 || users.answered.load(SeqCst) == answered {
            assert!(start.elapsed() < PATIENCE);
            client.stays();
        }
        client.stays();

        users.outage.store(Users::FOREVER, SeqCst);
        client.ends_with("try again later");
        assert_eq!(Client::connect(address).ask(&format!("token {token}")), "try again later");
        assert_eq!(Client::connect(address).ask("login alice wonderland"), "try again later");
        users.outage.store(0, SeqCst);
        Client::with_token(address, &token).stays();
    }
}
