//! A service that asks another server whether tokens are active, without a store and without keys.
//!
//! `cargo run --example introspecting_service` starts it, with a server beside it that issues tokens. [`app`] and
//! [`introspection`] are what to copy.

pub mod introspection;
pub mod issuer;

use std::error::Error;

use axum::{Router, routing::get};
use jwt_knox_axum::{
    RequireToken, ScopedToken, VerifiedToken, VerifierHttp,
    jwt_knox::{ConfigError, TokenProfile},
    scopes,
};

/// Why it does not start.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What the issuer knows this service by.
pub const ID: &str = "orders";

scopes! {
    /// May order.
    pub Order = "orders:write";
}

/// What the tokens have in common that are for this service. The issuer has the same.
///
/// # Errors
///
/// None: no name is empty.
pub fn profile() -> Result<TokenProfile, ConfigError> {
    TokenProfile::new().issuer("https://auth.example.com")?.audience("orders")
}

/// The routes. With a handle that asks the issuer, a revoked token is accepted for its `max_age` at most. While the
/// issuer cannot be asked, a request with a token is answered with 503.
pub fn app(verifier: VerifierHttp) -> Router {
    let reports = Router::new()
        .route("/sales", get(|| async { "42 sold\n" }))
        .route_layer(RequireToken::new(verifier.clone()).with_scope::<Order>());
    Router::new()
        .route("/", get(greet))
        .route("/orders", get(orders).post(order))
        .nest("/reports", reports)
        .with_state(verifier)
}

/// `None` without a token. A bad one is a 401 here too.
async fn greet(token: Option<VerifiedToken>) -> String {
    match token {
        Some(token) => format!("Hello, {}\n", token.subject()),
        None => "Hello, stranger\n".to_owned(),
    }
}

async fn orders(token: VerifiedToken) -> String {
    format!("The orders of {}\n", token.subject())
}

/// Needs a token with the scope `orders:write`, or the client gets a 403.
async fn order(token: ScopedToken<Order>) -> String {
    format!("Ordered, {}\n", token.subject())
}
