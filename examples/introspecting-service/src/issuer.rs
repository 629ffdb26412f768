//! The other server, which logs users in and answers questions about their tokens. It stands for one that is somewhere
//! else.

use std::future::ready;

use axum::Router;
use jwt_knox_axum::{
    KnoxHttp, LoginError, OAuthClient,
    jwt_knox::{Algorithm, Clock, Knox, MemoryStore, NewSession, SigningKey},
    login_fn, routes,
};

use crate::{Failure, ID, profile};

/// An issuer that this service may ask, by the secret of that hash. Its users are alice (password: wonderland), who may
/// order, and bob (password: builder), who may not.
///
/// # Errors
///
/// [`Failure`] if `hash` is none.
pub fn issuer(hash: &str, clock: impl Clock) -> Result<Router, Failure> {
    // Nobody else needs the key, so it need not be published.
    let key = SigningKey::generate(Algorithm::EdDsa)?;
    let knox = Knox::builder(key).profile(profile()?).store(MemoryStore::new()).clock(clock).build()?;
    let login = login_fn(|credentials| {
        ready(match (credentials.username(), credentials.password()) {
            ("alice", "wonderland") => NewSession::new(1).scopes(["orders:write"]).map_err(LoginError::from),
            ("bob", "builder") => Ok(NewSession::new(2)),
            _ => Err(LoginError::InvalidCredentials),
        })
    });
    let knox = KnoxHttp::builder(knox).login(login).oauth_clients([OAuthClient::new(ID, hash)?]).build()?;
    Ok(routes(knox))
}
