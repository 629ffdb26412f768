//! The application without a store on Rocket.

use jwt_knox_rocket::{KnoxRejection, MaybeToken, RequireToken, ScopedToken, TokenClaims, VerifiedToken, fairing};
use rocket::{State, get, post};

use super::{Admin, Role, SocketAddr, VerifierHttp, greeting, maybe_greeting, project_scope};
use crate::serve;

#[get("/me")]
fn me(token: VerifiedToken) -> String {
    greeting(&token)
}

#[post("/change")]
fn change(token: VerifiedToken) -> String {
    greeting(&token)
}

#[get("/maybe")]
fn maybe(token: MaybeToken) -> String {
    maybe_greeting(token.0.as_ref())
}

#[get("/swallow")]
fn swallow(token: Option<VerifiedToken>) -> String {
    maybe_greeting(token.as_deref())
}

#[get("/admin")]
fn admin(token: ScopedToken<Admin>) -> String {
    greeting(&token)
}

#[get("/thrice")]
fn thrice(first: VerifiedToken, second: MaybeToken, third: ScopedToken<Admin>) -> String {
    format!("{} {} {}", first.subject(), maybe_greeting(second.0.as_ref()), third.subject())
}

#[get("/role")]
fn role(claims: TokenClaims<Role>) -> String {
    claims.0.role
}

#[get("/project")]
fn project(verifier: &State<VerifierHttp>, token: VerifiedToken) -> Result<String, KnoxRejection> {
    verifier.require_scope(&token, &project_scope())?;
    Ok(greeting(&token))
}

#[get("/guarded_me")]
fn guarded_me(token: VerifiedToken) -> String {
    greeting(&token)
}

#[get("/hello")]
fn hello() -> &'static str {
    "hello"
}

pub(super) fn start(verifier: VerifierHttp) -> SocketAddr {
    let guard = RequireToken::new(verifier.clone());
    serve::rocket(move |rocket| {
        rocket
            .attach(fairing(verifier))
            .mount("/", rocket::routes![me, change, maybe, swallow, admin, thrice, role, project])
            .mount("/", guard.protect(rocket::routes![guarded_me]))
            .mount("/guarded", guard.protect(rocket::routes![hello]))
            .mount("/guarded_admin", guard.with_scope::<Admin>().protect(rocket::routes![hello]))
    })
}
