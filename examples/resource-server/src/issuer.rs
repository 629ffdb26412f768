//! The other server, which logs users in and publishes its keys. It stands for one that is somewhere else.

use std::{future::ready, time::Duration};

use axum::Router;
use jwt_knox_axum::{
    KnoxHttp, LoginError, jwks_route,
    jwt_knox::{Clock, KeyRing, Knox, Lifetime, MemoryStore, NewSession},
    login_fn, routes,
};

use crate::{Failure, profile};

/// An issuer that signs with the keys of `ring`. Its users are alice (password: wonderland), who may order, and bob
/// (password: builder), who may not.
///
/// # Errors
///
/// None, with these settings.
pub fn issuer(ring: KeyRing, clock: impl Clock) -> Result<Router, Failure> {
    let knox = Knox::builder(ring)
        .profile(profile()?)
        // A logout does not reach other services, so tokens are short there.
        .lifetime(Lifetime::expires_after(Duration::from_secs(15 * 60))?)
        .store(MemoryStore::new())
        .clock(clock)
        .build()?;
    let login = login_fn(|credentials| {
        ready(match (credentials.username(), credentials.password()) {
            ("alice", "wonderland") => NewSession::new(1).scopes(["orders:write"]).map_err(LoginError::from),
            ("bob", "builder") => Ok(NewSession::new(2)),
            _ => Err(LoginError::InvalidCredentials),
        })
    });
    let knox = KnoxHttp::builder(knox).login(login).build()?;
    Ok(routes(knox.clone()).merge(jwks_route(knox)))
}
