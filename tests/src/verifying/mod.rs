//! The same guards where there is no store, on each framework and on a real socket.

mod on_actix;
mod on_axum;
mod on_hyper;
mod on_rocket;

use std::net::SocketAddr;

use jwt_knox::StatelessToken;
use jwt_knox_http::VerifierHttp;

use crate::server::{Admin, Framework, Role, project_scope};

/// A server without a store, which runs until the process ends.
///
/// Its routes are those of [`Server`](crate::Server) that it can have, and answer the same: `/me` and, for POST,
/// `/change`; `/maybe`, `/admin`, `/thrice`, `/role` and `/project`; `/guarded/hello`, `/guarded_admin/hello` and
/// `/guarded_me`. On Actix Web and Rocket also `/swallow`, which takes the framework's own `Option<VerifiedToken>`.
#[derive(Debug, Clone, Copy)]
pub struct VerifyingServer {
    /// Where it listens.
    pub address: SocketAddr,
}

impl VerifyingServer {
    /// Starts the application on a port that is free.
    pub fn start(framework: Framework, verifier: VerifierHttp) -> Self {
        let address = match framework {
            Framework::Axum => on_axum::start(verifier),
            Framework::Actix => on_actix::start(verifier),
            Framework::Rocket => on_rocket::start(verifier),
            Framework::Hyper => on_hyper::start(verifier),
        };
        Self { address }
    }
}

/// What `/me` and the like answer.
fn greeting(token: &StatelessToken) -> String {
    format!("{} {}", token.subject(), token.session_id())
}

/// What `/maybe` answers.
fn maybe_greeting(token: Option<&StatelessToken>) -> String {
    token.map_or_else(|| "nobody".to_owned(), greeting)
}
