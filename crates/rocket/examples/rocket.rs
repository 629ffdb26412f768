//! A server with users in a database, revocable logins and one route of its own.
//!
//! `cargo run --example rocket`, then follow what it prints.

use std::net::SocketAddr;

use jwt_knox_quickstart::{Failure, announce, prepare};
use jwt_knox_rocket::{KnoxAuth, fairing, jwks_route, routes};
use rocket::{Config, fairing::AdHoc, get, response::content::RawJson};
use serde_json::json;

/// Who sends the request? Without a good token this does not run, and the client gets a 401.
#[get("/me")]
fn me(auth: KnoxAuth) -> RawJson<String> {
    RawJson(json!({"subject": auth.subject().as_str(), "token_id": auth.token_id().as_str()}).to_string())
}

#[rocket::main]
async fn main() -> Result<(), Failure> {
    // The database, the users and the key; see the crate `quickstart`.
    let quickstart = prepare().await?;

    let config = Config {
        address: quickstart.listen.ip(),
        port: quickstart.listen.port(),
        log_level: rocket::config::LogLevel::Critical,
        ..Config::default()
    };
    // Ctrl-C ends it without our doing.
    rocket::custom(config)
        // The handle for the guards, and catchers that answer for them.
        .attach(fairing(quickstart.knox.clone()))
        .attach(AdHoc::on_liftoff("announce", |rocket| {
            Box::pin(async { announce(SocketAddr::new(rocket.config().address, rocket.config().port)) })
        }))
        .mount("/", rocket::routes![me])
        // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
        .mount("/", routes(quickstart.knox.clone()))
        // /.well-known/jwks.json: an empty list, since the quickstart signs with HMAC
        .mount("/", jwks_route(quickstart.knox))
        .launch()
        .await?;
    Ok(())
}
