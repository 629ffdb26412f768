//! Redis servers that the tests start themselves, from the installed `redis-server`.

// Each test file uses its share of this.
#![allow(dead_code, unreachable_pub)]

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A separate server, which writes everything to disk at once. It ends when this is dropped, or with the tests, since a
/// static is never dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: PathBuf,
    is_cluster: bool,
}

impl Server {
    /// Starts one.
    pub fn start(is_cluster: bool) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("jwt-knox-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let child = spawn(port, &folder, is_cluster);
        Self { child, port, folder, is_cluster }
    }

    /// Ends the server at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and with what it had written to disk.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder, self.is_cluster);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The server to start: `redis-server`, or the program in `KNOX_TEST_REDIS_SERVER`, such as that of Valkey.
fn program() -> String {
    std::env::var("KNOX_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn spawn(port: u16, folder: &std::path::Path, is_cluster: bool) -> Child {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", &program(), "--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .args(["--cluster-enabled", if is_cluster { "yes" } else { "no" }, "--cluster-node-timeout", "1000"])
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // The server dies with the thread that started it, so that thread stays until the end of the tests.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        sender.send(command.spawn().unwrap()).unwrap();
        loop {
            std::thread::park();
        }
    });
    let child = receiver.recv().unwrap();
    wait_until("the server answers", || redis_cli(port, &["ping"]).trim() == "PONG");
    child
}

/// Three nodes that share the slots.
pub fn start_cluster() -> Vec<Server> {
    let nodes: Vec<Server> = (0..3).map(|_| Server::start(true)).collect();
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.extend(["--cluster-replicas", "0", "--cluster-yes"]);
    redis_cli(nodes[0].port, &create);
    wait_until("the cluster is complete", || {
        nodes.iter().all(|node| redis_cli(node.port, &["cluster", "info"]).contains("cluster_state:ok"))
    });
    nodes
}

pub fn redis_cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks again and again; how long a server takes to start is unknown.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not within 30 seconds");
}

/// A free port, with the one 10,000 above it free as well, which a cluster node listens on too.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}
