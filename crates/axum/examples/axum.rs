//! A server with users in a database, revocable logins and one route of its own.
//!
//! `cargo run --example axum`, then follow what it prints.

use axum::{Json, Router, extract::FromRef, routing::get};
use jwt_knox_axum::{KnoxAuth, KnoxHttp, jwks_route, routes};
use jwt_knox_quickstart::{Failure, announce, prepare};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The state of the application. It may hold anything, as long as it gives a `KnoxHttp`.
#[derive(Clone, FromRef)]
struct AppState {
    knox: KnoxHttp,
}

/// Who sends the request? Without a good token this does not run, and the client gets a 401.
async fn me(auth: KnoxAuth) -> Json<Value> {
    Json(json!({"subject": auth.subject().as_str(), "token_id": auth.token_id().as_str()}))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // The database, the users and the key; see the crate `quickstart`.
    let quickstart = prepare().await?;

    let app = Router::new()
        .route("/me", get(me))
        // /get_token, /verify, /logout, /logout_other, /logout_all, /rotate, /sessions
        .merge(routes(quickstart.knox.clone()))
        // /.well-known/jwks.json: an empty list, since the quickstart signs with HMAC
        .merge(jwks_route(quickstart.knox.clone()))
        .with_state(AppState { knox: quickstart.knox });

    let listener = TcpListener::bind(quickstart.listen).await?;
    announce(listener.local_addr()?);
    let ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app).with_graceful_shutdown(ctrl_c).await?;
    Ok(())
}
