//! Starts the server: `cargo run --example oauth` says which settings it needs.

#![allow(clippy::print_stdout)]

use example_oauth::{
    app,
    provider::Provider,
    settings::{Failure, Settings},
    users::Users,
};
use jwt_knox_axum::{
    Cookies, KnoxHttp,
    jwt_knox::{Knox, MemoryStore, SigningKey},
};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // Warnings and errors, with their causes. This is where to look when a client gets a 503.
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    let settings = Settings::from_env()?;
    let (provider, users) = (Provider::new(settings.provider)?, Users::default());

    // Sessions and users in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()).subject_check(users.clone()).build()?;
    let knox = KnoxHttp::builder(knox).cookies(Cookies::new()).build()?;

    let listener = TcpListener::bind(settings.listen).await?;
    println!("Listening on {}. Open {} in a browser.", listener.local_addr()?, settings.public_url);
    let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app(knox, provider, users)).with_graceful_shutdown(ctrl_c).await?;
    Ok(())
}
