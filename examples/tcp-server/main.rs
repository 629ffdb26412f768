//! Starts the server: `cargo run --example tcp_server`.

#![allow(clippy::print_stdout)]

use std::{env, error::Error, time::Duration};

use example_tcp_server::serve;
use jwt_knox::{Knox, MemoryStore, SigningKey};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned());
    let recheck = env::var("RECHECK_MILLISECONDS").map_or(Ok(30_000), |millis| millis.parse())?;
    // Sessions in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let knox = Knox::builder(SigningKey::hs256(key)?)
        .store(MemoryStore::new())
        .recheck_interval(Duration::from_millis(recheck))
        .build()?;

    let listener = TcpListener::bind(listen).await?;
    println!("Listening on {}", listener.local_addr()?);
    serve(listener, knox).await;
    Ok(())
}
