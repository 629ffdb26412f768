//! Starts the server: `cargo run --example websocket`, then follow what it prints.

use std::{env, error::Error, net::SocketAddr};

use example_websocket::app;
use jwt_knox_axum::jwt_knox::{Knox, MemoryStore, SigningKey};
use tokio::{net::TcpListener, sync::broadcast};

/// How many messages a connection may lag behind.
const BACKLOG: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned());
    // Sessions in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).build()?;
    let app = app(knox, broadcast::Sender::new(BACKLOG))?;

    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Prints what to try once the server listens on `address`.
fn announce(address: SocketAddr) {
    #![allow(clippy::print_stdout)]
    println!(
        r#"Listening on http://{address}. Open it in a browser, in two windows.
The users are alice (password: wonderland) and bob (password: builder).

Or in a terminal, with `websocat`, a client for WebSocket:

  TOKEN=$(curl -s -u alice:wonderland -X POST http://{address}/get_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  websocat -H "Authorization: Bearer $TOKEN" ws://{address}/chat

  # In another one with the same TOKEN: log out. The connection ends at once.
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{address}/logout
"#
    );
}
