//! Starts the server: `cargo run --example second_factor`, then follow what it prints.

#![allow(clippy::print_stdout)]

use std::{env, error::Error, net::SocketAddr};

use example_second_factor::{
    app, connect,
    passwords::{hash, passwords},
    second_factor::{SecondFactor, SecondFactors, random_secret},
    users::{User, Users},
};
use jwt_knox_axum::jwt_knox::{Knox, MemoryStore, SigningKey};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Warnings and errors, with their causes.
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned());
    let listen: SocketAddr = listen.parse().map_err(|_| "LISTEN must be of the form 127.0.0.1:8000")?;

    let user = |id, password| Ok::<_, Box<dyn Error>>(User { id, password_hash: hash(password)? });
    let users = [("alice".to_owned(), user(1, "wonderland")?), ("bob".to_owned(), user(2, "builder")?)];
    let secret = random_secret(20)?;
    let mut second_factor = SecondFactor::new(secret.clone())?;
    let recovery_code = second_factor.add_recovery_code()?;
    let codes = SecondFactors::default();
    codes.set_up(1, second_factor);

    // Sessions and users in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let knox = Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new());
    let knox = connect(knox, Users::from_iter(users), passwords()?, codes)?;

    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?, &secret.to_base32(), &recovery_code);
    let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app(knox)).with_graceful_shutdown(ctrl_c).await?;
    Ok(())
}

/// Prints what to try once the server listens on `address`. A server of your own shows these secrets to the user alone.
fn announce(address: SocketAddr, secret: &str, recovery_code: &str) {
    println!(
        r#"Listening on http://{address}. Ctrl-C ends it.

The key for the authenticator app of alice: {secret}
A recovery code of alice: {recovery_code}

Try, in another terminal:

  # The password is right, and a code is needed.
  curl -i -H 'Content-Type: application/json' -d '{{"username":"alice","password":"wonderland"}}' http://{address}/get_token

  # With the code of the app, or of `oathtool --totp --base32 {secret}`, in place of 123456.
  curl -i -H 'Content-Type: application/json' -d '{{"username":"alice","password":"wonderland","otp":"123456"}}' http://{address}/get_token

  # How you have logged in; and what needs a login with a second factor in the last five minutes.
  curl -H "Authorization: Bearer $TOKEN" http://{address}/me
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{address}/transfer

  # bob (password: builder) has no second factor.
  curl -i -u bob:builder -X POST http://{address}/get_token
"#
    );
}
