//! A proxy in front of a database, which can hold back what the server says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// Passes bytes on in both directions, until it is told to hold those of the server.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Closes when a client begins a transaction.
    Armed,
    Closed,
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn wait_until(&self, is_right: impl Fn(State) -> bool) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !is_right(*state)).unwrap());
    }
}

impl Proxy {
    /// A proxy in front of that server.
    pub fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), gate: Arc::default() };
        let gate = Arc::clone(&proxy.gate);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let requests = Arc::clone(&gate);
                thread::spawn(move || {
                    pass_on(client, to_server, |bytes| {
                        let mut state = requests.state.lock().unwrap();
                        if *state == State::Armed && bytes.windows(5).any(|part| part == b"BEGIN") {
                            *state = State::Closed;
                            requests.changed.notify_all();
                        }
                    });
                });
                let answers = Arc::clone(&gate);
                thread::spawn(move || {
                    pass_on(server, to_client, |_| answers.wait_until(|state| state != State::Closed));
                });
            }
        });
        proxy
    }

    /// Holds back all answers from the next `BEGIN` on.
    pub fn hold_from_next_begin(&self) {
        self.gate.set(State::Armed);
    }

    /// Waits until answers are held back.
    pub fn wait_until_held(&self) {
        self.gate.wait_until(|state| state == State::Closed);
    }

    /// Passes on what was held back, and what comes.
    pub fn release(&self) {
        self.gate.set(State::Open);
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        before(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
