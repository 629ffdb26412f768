//! Starts both servers: `cargo run --example behind_proxy`. Then start a proxy with one of the files beside this one.

#![allow(clippy::print_stdout)]

use std::{env, error::Error, future::IntoFuture};

use example_behind_proxy::{app, auth};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Sessions in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let listen = |variable, default: &str| env::var(variable).unwrap_or_else(|_| default.to_owned());
    let auth_listener = TcpListener::bind(listen("AUTH_LISTEN", "127.0.0.1:3000")).await?;
    let app_listener = TcpListener::bind(listen("APP_LISTEN", "127.0.0.1:4000")).await?;
    println!("jwt-knox listens on {}", auth_listener.local_addr()?);
    println!("the application listens on {}", app_listener.local_addr()?);
    println!();
    println!("With a proxy on port 8080:");
    println!("  curl -X POST -u alice:wonderland http://127.0.0.1:8080/auth/get_token");
    println!("  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8080/");
    let (auth, app) = (axum::serve(auth_listener, auth(&key)?), axum::serve(app_listener, app()));
    tokio::try_join!(auth.into_future(), app.into_future())?;
    Ok(())
}
