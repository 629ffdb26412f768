//! Databases for tests: one of a test's own on a server that runs already, and a PostgreSQL server of its own, to be
//! killed.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::Subject;
use jwt_knox_redis::{RedisFeed, RedisStore};
use jwt_knox_sea_orm::{Migrator, MigratorTrait, SeaOrmStore};
use redis::aio::ConnectionManager;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use crate::world::on_another_thread;

/// The value of a variable. The tests that need it are ignored where it is not set.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// A name that no other test uses.
fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("jwt_knox_tests_{}_{}", std::process::id(), NUMBER.fetch_add(1, Relaxed))
}

/// Connections that live on a runtime of their own, so that any server may use them.
fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(Duration::from_secs(20)).sqlx_logging(false);
    on_another_thread(async move { Database::connect(options).await.unwrap() })
}

fn execute(url: &str, statement: String) {
    let connection = connect(url, 1);
    on_another_thread(async move {
        connection.execute_unprepared(&statement).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Makes the tables, once: two that did so at the same moment would get in each other's way.
fn migrate(connection: DatabaseConnection) {
    on_another_thread(async move {
        Migrator::up(&connection, None).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// A database, on the server that a variable names. It goes when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    server: String,
    name: String,
    drop: &'static str,
}

impl TestDatabase {
    /// On the server of `KNOX_TEST_POSTGRES_URL`.
    pub fn postgres() -> Self {
        Self::empty_postgres("").migrated()
    }

    /// On the server of `KNOX_TEST_MYSQL_URL`.
    pub fn mysql() -> Self {
        Self::empty_mysql("").migrated()
    }

    /// As [`postgres`](Self::postgres), without the tables, and made with these options.
    pub fn empty_postgres(options: &str) -> Self {
        // Servers under test run to the end of the process, and keep their connections.
        Self::new(variable("KNOX_TEST_POSTGRES_URL"), options, "WITH (FORCE)")
    }

    /// As [`mysql`](Self::mysql), without the tables, and made with these options.
    pub fn empty_mysql(options: &str) -> Self {
        Self::new(variable("KNOX_TEST_MYSQL_URL"), options, "")
    }

    fn new(server: String, options: &str, drop: &'static str) -> Self {
        let name = unique_name();
        execute(&server, format!("DROP DATABASE IF EXISTS {name}"));
        execute(&server, format!("CREATE DATABASE {name} {options}"));
        Self { server, name, drop }
    }

    fn migrated(self) -> Self {
        migrate(self.connect(1));
        self
    }

    /// A store with connections of its own, as another process would have.
    pub fn store(&self) -> SeaOrmStore {
        SeaOrmStore::new(self.connect(4))
    }

    /// A store whose connections go through a proxy.
    pub fn store_through(&self, proxy: SocketAddr, connections: u32) -> SeaOrmStore {
        let url = self.url().replace(&self.host_and_port(), &proxy.to_string());
        SeaOrmStore::new(connect(&url, connections))
    }

    /// The address of the server.
    pub fn server(&self) -> SocketAddr {
        self.host_and_port().parse().unwrap()
    }

    /// As in `postgres://user@127.0.0.1:5432/name`.
    fn host_and_port(&self) -> String {
        let (_, rest) = self.server.split_once("://").unwrap();
        let (authority, _) = rest.split_once('/').unwrap();
        authority.rsplit('@').next().unwrap().to_owned()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        let (address, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = address.rsplit_once('/').unwrap();
        format!("{host}/{}?{options}", self.name)
    }

    /// So many connections to it.
    pub fn connect(&self, connections: u32) -> DatabaseConnection {
        connect(&self.url(), connections)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        execute(&self.server, format!("DROP DATABASE {} {}", self.name, self.drop));
    }
}

/// The keys of a test on the Redis server of `KNOX_TEST_REDIS_URL`. They go when this is dropped.
#[derive(Debug)]
pub struct TestKeys {
    client: redis::Client,
    prefix: String,
}

impl TestKeys {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "it needs a server")]
    pub fn new() -> Self {
        let client = redis::Client::open(variable("KNOX_TEST_REDIS_URL")).unwrap();
        Self { client, prefix: unique_name() }
    }

    /// A store with a connection of its own, as another process would have.
    pub fn store(&self) -> RedisStore<ConnectionManager> {
        RedisStore::with_prefix(self.connection(), &self.prefix)
    }

    /// A feed of what is announced of them.
    pub fn feed(&self) -> RedisFeed {
        RedisFeed::with_prefix([self.client.clone()], &self.prefix)
    }

    /// A connection.
    pub fn connection(&self) -> ConnectionManager {
        let client = self.client.clone();
        on_another_thread(async move { client.get_connection_manager().await.unwrap() })
    }

    /// The key of a subject in that store.
    pub fn key(&self, subject: &Subject) -> String {
        format!("{}:{{{}}}", self.prefix, Base64UrlUnpadded::encode_string(subject.as_str().as_bytes()))
    }
}

impl Drop for TestKeys {
    fn drop(&mut self) {
        let (client, pattern) = (self.client.clone(), format!("{}:*", self.prefix));
        on_another_thread(async move {
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
            if !keys.is_empty() {
                let _: () = redis::cmd("DEL").arg(keys).query_async(&mut connection).await.unwrap();
            }
        });
    }
}

/// A PostgreSQL server of a test's own, in a folder and on a port of its own. It dies with the test.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Postgres {
    /// Starts one with the tables in it.
    pub fn start() -> Self {
        let programs = programs().unwrap_or_else(|| panic!("the programs of a PostgreSQL server are not installed"));
        let folder = env::temp_dir().join(unique_name());
        // One that a killed run has left.
        let _ = fs::remove_dir_all(&folder);
        let mut initdb = as_postgres(&programs.join("initdb"));
        initdb.args(["--auth", "trust", "--username", "postgres", "--no-sync", "--pgdata"]).arg(&folder);
        let output = initdb.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&programs, &folder, port);
        let server = Self { programs, folder, port, child };
        server.wait_until_up();
        migrate(connect(&server.url(), 1));
        server
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends all of its processes at once, as the kernel does when memory runs out.
    pub fn kill(&mut self) {
        // Those that the first one leaves behind would end a moment later, and might answer until then.
        self.signal("KILL");
        self.child.wait().unwrap();
        self.wait_until_down();
    }

    /// Lets it hang: it takes connections and requests, and answers none.
    pub fn freeze(&mut self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal("CONT");
        self.wait_until_up();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        // The first one comes first, so that no more are born. One that has ended by itself is as good.
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &id.to_string()]).args(children.split_whitespace()).stderr(Stdio::null());
        let _ = kill.status();
    }

    /// Stops it without waiting for anybody and without writing anything down.
    pub fn stop_at_once(&mut self) {
        let mut stop = as_postgres(&self.programs.join("pg_ctl"));
        stop.args(["stop", "--silent", "--mode", "immediate", "--pgdata"]).arg(&self.folder);
        assert!(stop.stdout(Stdio::null()).status().unwrap().success());
        self.child.wait().unwrap();
        self.wait_until_down();
    }

    /// Ends the connections of all others. The server stays.
    pub fn end_connections(&self) {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
        execute(&self.url(), format!("{all} AND backend_type = 'client backend'"));
    }

    /// Starts it again, on the same port and with what it had written down.
    pub fn restart(&mut self) {
        self.child = spawn(&self.programs, &self.folder, self.port);
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        wait_until("PostgreSQL answers", || {
            let mut ready = Command::new(self.programs.join("pg_isready"));
            ready.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
            ready.status().unwrap().success()
        });
    }

    fn wait_until_down(&self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        wait_until("PostgreSQL is gone", || TcpStream::connect(address).is_err());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // If it hangs, its children would not notice that it is gone.
        self.signal("KILL");
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder of the newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists() && folder.join("postgres").exists()).max()
}

/// A program that dies with the thread that starts it. PostgreSQL does not run as root, so it then runs as its own
/// user.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let user = Command::new("id").arg("--user").output().unwrap();
    if user.stdout.trim_ascii() == b"0" {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(program).current_dir(env::temp_dir());
    command
}

fn spawn(programs: &Path, folder: &Path, port: u16) -> Child {
    let mut command = as_postgres(&programs.join("postgres"));
    command.arg("-D").arg(folder).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "unix_socket_directories="]).stdout(Stdio::null()).stderr(Stdio::null());
    // It dies with the thread that started it, so that thread stays to the end of the tests.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send(command.spawn().unwrap()).unwrap();
        loop {
            thread::park();
        }
    });
    receiver.recv().unwrap()
}

/// Looks again and again; starting a server takes as long as it takes.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("{what}: not within 30 seconds");
}
