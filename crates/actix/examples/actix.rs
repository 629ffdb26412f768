//! A server with users in a database, revocable logins and one route of its own.
//!
//! `cargo run --example actix`, then follow what it prints.

use actix_web::{App, HttpServer, web};
use jwt_knox_actix::{KnoxAuth, jwks_route, routes};
use jwt_knox_quickstart::{Failure, announce, prepare};
use serde_json::{Value, json};

/// Who sends the request? Without a good token this does not run, and the client gets a 401.
async fn me(auth: KnoxAuth) -> web::Json<Value> {
    web::Json(json!({"subject": auth.subject().as_str(), "token_id": auth.token_id().as_str()}))
}

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    // The database, the users and the key; see the crate `quickstart`.
    let quickstart = prepare().await?;

    let knox = quickstart.knox;
    let server = HttpServer::new(move || {
        App::new()
            // Where the guards look for it.
            .app_data(web::Data::new(knox.clone()))
            .route("/me", web::get().to(me))
            // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
            .configure(routes(knox.clone()))
            // /.well-known/jwks.json: an empty list, since the quickstart signs with HMAC
            .configure(jwks_route(knox.clone()))
    });

    // Ctrl-C ends it without our doing.
    let server = server.bind(quickstart.listen)?;
    server.addrs().into_iter().for_each(announce);
    server.run().await?;
    Ok(())
}
