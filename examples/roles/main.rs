//! Starts the server: `cargo run --example roles`, then follow what it prints.

use std::{env, error::Error, net::SocketAddr};

use example_roles::{Role, User, Users, app, connect};
use jwt_knox_axum::jwt_knox::{Knox, MemoryStore, SigningKey};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8000".to_owned());
    // Sessions in memory end with the process, so the key may too.
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let users = Users::new([User::new(1, "alice", [Role::Admin]), User::new(2, "bob", [Role::Editor])]);
    let knox = connect(Knox::builder(SigningKey::hs256(key)?).store(MemoryStore::new()), users.clone())?;

    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?);
    axum::serve(listener, app(knox, users)).await?;
    Ok(())
}

/// Prints what to try once the server listens on `address`.
fn announce(address: SocketAddr) {
    #![allow(clippy::print_stdout)]
    println!(
        r#"Listening on http://{address}. Ctrl-C ends it. Try, in another terminal:

  # Log in as alice, who is an admin, and as bob, who is an editor.
  token() {{ curl -s -u "$1" -X POST http://{address}/get_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/'; }}
  ALICE=$(token alice:wonderland) BOB=$(token bob:builder)

  # Bob may publish.
  curl -i -H "Authorization: Bearer $BOB" -d 'Hello, world' http://{address}/articles

  # Alice takes the role away. Bob is logged in still, with the same token, and may publish no more.
  curl -i -H "Authorization: Bearer $ALICE" -X DELETE http://{address}/users/bob/roles/editor
  curl -i -H "Authorization: Bearer $BOB" -d 'Hello again' http://{address}/articles
  curl -H "Authorization: Bearer $BOB" http://{address}/me

  # Alice sets him inactive.
  curl -i -H "Authorization: Bearer $ALICE" -X DELETE http://{address}/users/bob
  curl -i -H "Authorization: Bearer $BOB" http://{address}/me
"#
    );
}
