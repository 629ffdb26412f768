//! Clients that keep a server busy.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// Connections that stay open, and send one request after the other on each. They do as little as possible beside that,
/// so that what is measured is the server.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    connections: Vec<TcpStream>,
    request: Vec<u8>,
    /// How long each answer is, in bytes.
    answer: usize,
}

impl Load {
    /// Connects so often to a server, whose answer to `GET path` with these headers is of the status `status`.
    ///
    /// # Panics
    ///
    /// If it is another one, or none.
    #[must_use]
    pub fn new(connections: usize, server: SocketAddr, path: &str, headers: &[(&str, &str)], status: u16) -> Self {
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let (connections, answer) = runtime.block_on(async {
            let (count, mut connections) = (connections, Vec::new());
            let mut answer = 0;
            for _ in 0..count {
                let mut connection = TcpStream::connect(server).await.unwrap();
                connection.set_nodelay(true).unwrap();
                connection.write_all(request.as_bytes()).await.unwrap();
                answer = length(&mut connection, status).await;
                connections.push(connection);
            }
            (connections, answer)
        });
        Self { runtime, connections, request: request.into_bytes(), answer }
    }

    /// How long it takes until `requests` of them are answered, sent over all connections at once.
    pub fn send(&mut self, requests: u64) -> Duration {
        let Self { runtime, connections, request, answer } = self;
        let start = Instant::now();
        let connections = std::mem::take(connections);
        let connections = runtime.block_on(async {
            let (open, mut tasks) = (connections.len() as u64, JoinSet::new());
            for (number, mut connection) in connections.into_iter().enumerate() {
                let (request, mut buffer) = (request.clone(), vec![0; *answer]);
                let share = requests / open + u64::from((number as u64) < requests % open);
                tasks.spawn(async move {
                    for _ in 0..share {
                        connection.write_all(&request).await.unwrap();
                        connection.read_exact(&mut buffer).await.unwrap();
                    }
                    connection
                });
            }
            tasks.join_all().await
        });
        let time = start.elapsed();
        self.connections = connections;
        time
    }
}

/// The length of the answer that comes, which must be of that status.
async fn length(connection: &mut TcpStream, status: u16) -> usize {
    let mut read = Vec::new();
    loop {
        assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "the server has closed the connection");
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{text}");
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == announced.map_or(0, |length| length.parse().unwrap()) {
            return read.len();
        }
    }
}
