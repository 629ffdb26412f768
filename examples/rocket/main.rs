//! Starts the server: `cargo run --example rocket`, then follow what it prints.

use std::{net::SocketAddr, time::Duration};

use example_rocket::{Failure, app, connect, settings::Settings};
use rocket::{Config, config::LogLevel, fairing::AdHoc};
use tracing_subscriber::filter::LevelFilter;

#[rocket::main]
async fn main() -> Result<(), Failure> {
    let settings = Settings::from_env()?;
    let config = Config {
        address: settings.listen.ip(),
        port: settings.listen.port(),
        log_level: LogLevel::Critical,
        ..Config::default()
    };
    let knox = connect(settings).await?;
    // Warnings and errors, with their causes. This is where to look when a client gets a 503. Not before now: a driver
    // logs what it does not understand in the URL of the database, and that may be a piece of the password.
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    // Expired sessions stay in the database until they are purged.
    tokio::spawn(knox.purge_every(Duration::from_secs(3600)));

    // Rocket ends it on Ctrl-C.
    let announce = AdHoc::on_liftoff("announce", |rocket| {
        Box::pin(async { announce(SocketAddr::new(rocket.config().address, rocket.config().port)) })
    });
    app(config, knox)?.attach(announce).launch().await?;
    Ok(())
}

/// Prints what to try once the server listens on `address`.
fn announce(address: SocketAddr) {
    #![allow(clippy::print_stdout)]
    println!(
        r#"Listening on http://{address}. Ctrl-C ends it. Try, in another terminal:

  # Log in. The users are alice (password: wonderland) and bob (password: builder).
  TOKEN=$(curl -s -u alice:wonderland -X POST http://{address}/get_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

  # Or start it with KNOX_COOKIES=1, and open http://{address} in a browser.

  # Verify, see who you are, list your sessions
  curl -i -H "Authorization: Bearer $TOKEN" http://{address}/verify
  curl -H "Authorization: Bearer $TOKEN" http://{address}/me
  curl -H "Authorization: Bearer $TOKEN" http://{address}/sessions

  # Log out. The token is revoked at once, although it has not expired.
  curl -i -H "Authorization: Bearer $TOKEN" -X POST http://{address}/logout
  curl -i -H "Authorization: Bearer $TOKEN" http://{address}/verify
"#
    );
}
