//! The application without a store on Axum.

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use jwt_knox_axum::{KnoxRejection, RequireToken, ScopedToken, TokenClaims, VerifiedToken};

use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
use crate::serve;

async fn me(token: VerifiedToken) -> String {
    greeting(&token)
}

async fn maybe(token: Option<VerifiedToken>) -> String {
    maybe_greeting(token.as_deref())
}

async fn admin(token: ScopedToken<Admin>) -> String {
    greeting(&token)
}

async fn thrice(first: VerifiedToken, second: Option<VerifiedToken>, third: ScopedToken<Admin>) -> String {
    format!("{} {} {}", first.subject(), maybe_greeting(second.as_deref()), third.subject())
}

async fn role(TokenClaims(Role { role }): TokenClaims<Role>) -> String {
    role
}

async fn project(State(verifier): State<VerifierHttp>, token: VerifiedToken) -> Result<String, KnoxRejection> {
    verifier.require_scope(&token, &project_scope())?;
    Ok(greeting(&token))
}

pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
    let hello = || Router::new().route("/hello", get(|| async { "hello" }));
    let guard = RequireToken::new(verifier.clone());
    let app = Router::new()
        .route("/me", get(me))
        .route("/change", post(me))
        .route("/maybe", get(maybe))
        .route("/admin", get(admin))
        .route("/thrice", get(thrice))
        .route("/role", get(role))
        .route("/project", get(project))
        .nest("/guarded", hello().layer(guard.clone()))
        .nest("/guarded_admin", hello().layer(guard.clone().scope("admin").unwrap()))
        .route("/guarded_me", get(me).layer(guard))
        .with_state(verifier);
    serve::axum(app)
}
