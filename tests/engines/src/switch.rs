//! An address that stays while the server behind it changes, as a virtual IP address or a load balancer has.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// Passes new connections on to the server that it is set to. Connections that are open stay where they are.
#[derive(Debug, Clone)]
pub struct Switch {
    /// Where it listens.
    pub address: SocketAddr,
    server: Arc<Mutex<u16>>,
}

impl Switch {
    /// A switch that is set to the server at that port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let switch = Self { address: listener.local_addr().unwrap(), server: Arc::new(Mutex::new(port)) };
        let server = Arc::clone(&switch.server);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = *server.lock().unwrap();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    // An error is the end of the connection, for both.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        switch
    }

    /// Sets it to another server.
    pub fn set(&self, port: u16) {
        *self.server.lock().unwrap() = port;
    }
}
