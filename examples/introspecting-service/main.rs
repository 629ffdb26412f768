//! Starts an issuer and the service: `cargo run --example introspecting_service`, then follow what it prints.

use std::{net::SocketAddr, time::Duration};

use example_introspecting_service::{Failure, ID, app, introspection::Issuer, issuer::issuer, profile};
use jwt_knox_axum::{
    OAuthClientSecret, VerifierHttp,
    jwt_knox::{Introspector, SystemClock, Verifier},
};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    // In production it is made once. The settings of the service have it, and those of the issuer its hash.
    let secret = OAuthClientSecret::generate()?;
    let issuer_at = start_issuer(&secret.hash()).await?;

    // From here on it is the service, which knows the issuer's address and its own secret.
    let endpoint = Issuer::new(format!("http://{issuer_at}/introspect"), ID, secret)?;
    // A logout counts after two seconds at the latest. Without this line the issuer is asked for each request.
    let introspector = Introspector::builder(endpoint).max_age(Duration::from_secs(2)).build();
    // This issuer publishes no keys. With keys, `Verifier::remote(…).with_introspector(introspector)` is better: then
    // tokens that somebody has made up are rejected without asking.
    let verifier = VerifierHttp::builder(Verifier::introspecting(introspector, profile()?)).build()?;

    let listener = TcpListener::bind("127.0.0.1:8001").await?;
    announce(issuer_at, listener.local_addr()?);
    axum::serve(listener, app(verifier)).await?;
    Ok(())
}

/// Starts the other server, in production another program.
async fn start_issuer(hash: &str) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    let address = listener.local_addr()?;
    let app = issuer(hash, SystemClock)?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Prints what to try.
fn announce(issuer: SocketAddr, service: SocketAddr) {
    #![allow(clippy::print_stdout)]
    println!(
        r#"Issuer on http://{issuer}, service on http://{service}. Ctrl-C ends them. Try, in another terminal:

  # Log in at the issuer. alice (password: wonderland) may order, bob (password: builder) may not.
  TOKEN=$(curl -s -u alice:wonderland -X POST http://{issuer}/get_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

  # Use the token at the service.
  curl -i http://{service}/orders
  curl -i -H "Authorization: Bearer $TOKEN" http://{service}/orders
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{service}/orders

  # Log out. The service notices it after two seconds at the latest.
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{issuer}/logout
  sleep 2
  curl -i -H "Authorization: Bearer $TOKEN" http://{service}/orders
"#
    );
}
