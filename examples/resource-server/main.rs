//! Starts an issuer and the service: `cargo run --example resource_server`, then follow what it prints.

use std::net::SocketAddr;

use example_resource_server::{Failure, app, issuer::issuer, jwks::Jwks, profile};
use jwt_knox_axum::{
    VerifierHttp,
    jwt_knox::{Algorithm, KeyRing, RemoteKeySet, SigningKey, SystemClock, Verifier},
};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    let issuer_at = start_issuer().await?;

    // From here on it is the service, which knows the issuer's address and no key. It fetches the keys with the first
    // token.
    let jwks = Jwks::new(format!("http://{issuer_at}/.well-known/jwks.json"))?;
    let keys = RemoteKeySet::builder(jwks).build()?;
    let verifier = VerifierHttp::builder(Verifier::remote(keys, profile()?)).build()?;

    let listener = TcpListener::bind("127.0.0.1:8001").await?;
    announce(issuer_at, listener.local_addr()?);
    axum::serve(listener, app(verifier)).await?;
    Ok(())
}

/// Starts the other server, in production another program.
async fn start_issuer() -> Result<SocketAddr, Failure> {
    let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa)?);
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    let address = listener.local_addr()?;
    let app = issuer(ring, SystemClock)?;
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

  # Log out. The issuer rejects the token at once; the service accepts it until its `exp`.
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{issuer}/logout
  curl -i -H "Authorization: Bearer $TOKEN" http://{issuer}/verify
  curl -i -H "Authorization: Bearer $TOKEN" http://{service}/orders
"#
    );
}
