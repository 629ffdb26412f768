//! A server to send requests to, and what its answers have in common.

use std::net::SocketAddr;

use jwt_knox_http::ProblemCode;
use jwt_knox_tests::{
    Call, Framework, Reply, Server, StoreKind, World,
    world::{Gate, STORE_SECRET},
};
use serde_json::Value;

/// A world and a server in it.
pub(crate) struct Fixture {
    pub(crate) framework: Framework,
    pub(crate) kind: StoreKind,
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
}

impl Fixture {
    pub(crate) fn new(framework: Framework, kind: StoreKind) -> Self {
        Self::of(framework, kind, World::new(kind))
    }

    pub(crate) fn of(framework: Framework, kind: StoreKind, world: World) -> Self {
        let address = Server::start(framework, world.knox.clone()).address;
        Self { framework, kind, world, address }
    }

    /// Another server of the same kind, in a world with other settings.
    pub(crate) fn with(&self, world: World) -> Self {
        Self::of(self.framework, self.kind, world)
    }

    pub(crate) fn login(&self, username: &str, password: &str) -> String {
        self.send(&Call::login(username, password)).token()
    }

    pub(crate) fn alice(&self) -> String {
        self.login("alice", "wonderland")
    }

    /// A login of alice that the gate does not hold.
    pub(crate) fn alice_past(&self, gate: &Gate) -> String {
        gate.let_through(|| self.alice())
    }

    pub(crate) fn send(&self, call: &Call) -> Reply {
        call.send(self.address)
    }

    pub(crate) fn status(&self, call: &Call) -> u16 {
        self.send(call).status
    }

    pub(crate) fn verify(&self, token: &str) -> u16 {
        self.status(&Call::get("/verify").bearer(token))
    }

    pub(crate) fn sessions(&self, token: &str) -> Vec<Value> {
        let reply = self.send(&Call::get("/sessions").bearer(token));
        assert_eq!(reply.status, 200);
        reply.json().as_array().unwrap().clone()
    }
}

/// A problem (RFC 9457) with that status, which no cache keeps and which tells nothing that it should not.
pub(crate) fn assert_problem(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {reply:?}");
    }
    let code = ProblemCode::ALL.iter().find(|code| problem["code"] == code.as_str());
    assert_eq!(code.map(|code| code.status()), Some(status), "{reply:?}");
    assert!(!reply.body.contains("hunter2") && !reply.body.contains(STORE_SECRET), "{reply:?}");
}

/// The same, with that code.
pub(crate) fn assert_code(reply: &Reply, code: ProblemCode) {
    assert_problem(reply, code.status());
    assert_eq!(reply.json()["code"], code.as_str(), "{reply:?}");
}

/// 401 for want of a token.
pub(crate) fn assert_missing(reply: &Reply) {
    assert_code(reply, ProblemCode::MissingToken);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
}

/// 401 for a token that is not good.
pub(crate) fn assert_invalid(reply: &Reply) {
    assert_code(reply, ProblemCode::InvalidToken);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api", error="invalid_token""#));
}
