//! What is accepted without the store is not taken for a session.

use jwt_knox_axum::{
    GuardedToken, RequireAuth, VerifiedToken, VerifierHttp,
    http::Recent,
    jwt_knox::Authenticated,
};

fn revoke(_: &Authenticated) {}

fn handler(token: VerifiedToken) {
    revoke(&token);
}

fn layer(verifier: VerifierHttp) {
    RequireAuth::new(verifier);
}

fn recent(_: GuardedToken<Recent<300>>) {}

fn main() {}
