//! The helpers for the tests of applications.

#![allow(clippy::unwrap_used)]

use std::future::ready;

use jwt_knox::{
    AuthenticateError, IssueError, Knox, KnoxBuilder, MemoryStore, NewSession, Operation, SigningKey, StoreError,
    Subject,
};
use jwt_knox_testkit::app::{FaultStore, Faults, bearer};

fn knox(store: FaultStore<MemoryStore>) -> KnoxBuilder {
    Knox::builder(SigningKey::hs256("a key of the tests, long enough for HS256").unwrap()).store(store)
}

#[tokio::test]
async fn bearer_gives_a_header_that_authenticates() {
    let knox = knox(Faults::new().wrap(MemoryStore::new())).build().unwrap();
    for (header, subject, scope) in [
        (bearer(&knox, 42).await, "42", None),
        (bearer(&knox, Subject::new("alice").unwrap()).await, "alice", None),
        (
            bearer(&knox, NewSession::new(Subject::new("root").unwrap()).scopes(["admin", "read"]).unwrap()).await,
            "root",
            Some("admin read"),
        ),
    ] {
        let authenticated = knox.authenticate(header.strip_prefix("Bearer ").unwrap()).await.unwrap();
        assert_eq!(*authenticated.subject(), subject);
        assert_eq!(authenticated.session().scope.as_deref(), scope);
    }
}

#[tokio::test]
#[should_panic(expected = "the session could not be issued")]
async fn bearer_panics_if_there_is_no_session() {
    let faults = Faults::new();
    faults.set_down(true);
    bearer(&knox(faults.wrap(MemoryStore::new())).build().unwrap(), 42).await;
}

/// What the error and its sources say.
fn with_sources(error: &StoreError) -> String {
    format!("{error:?}")
}

#[tokio::test]
async fn a_store_that_is_down_fails_and_comes_back() {
    let faults = Faults::with_message("password=hunter2");
    let knox = knox(faults.wrap(MemoryStore::new())).build().unwrap();
    let issued = knox.issue(42).await.unwrap();

    faults.set_down(true);
    let Err(AuthenticateError::Store(error)) = knox.authenticate(issued.token.expose()).await else {
        panic!("a store that is down cannot answer")
    };
    assert!(with_sources(&error).contains("password=hunter2"), "{error:?}");
    assert!(!error.to_string().contains("password=hunter2"), "{error}");
    assert!(!format!("{faults:?}").contains("password=hunter2"), "{faults:?}");
    assert!(knox.revoke(&issued.session.session_ref()).await.is_err());

    faults.set_down(false);
    assert!(knox.authenticate(issued.token.expose()).await.is_ok(), "a call that fails does not reach the store");
}

#[tokio::test]
async fn a_store_that_hangs_never_answers() {
    let faults = Faults::new();
    // The time is up as soon as a call does not return at once.
    let knox = knox(faults.wrap(MemoryStore::new())).timer(|_| ready(())).build().unwrap();
    let issued = knox.issue(42).await.unwrap();

    faults.set_hanging(true);
    faults.set_down(true);
    let Err(IssueError::Store(error)) = knox.issue(42).await else { panic!("a store that hangs cannot answer") };
    assert!(with_sources(&error).contains("timed out"), "{error:?}");

    faults.set_hanging(false);
    faults.set_down(false);
    let sessions = knox.sessions(&Subject::from(42)).await.unwrap();
    assert_eq!(sessions, [issued.session], "a call that hangs does not reach the store");
}

#[tokio::test]
async fn calls_are_counted_by_operation() {
    let faults = Faults::new();
    let knox = knox(faults.wrap(MemoryStore::new())).build().unwrap();
    let issued = knox.issue(42).await.unwrap();
    for _ in 0..3 {
        knox.authenticate(issued.token.expose()).await.unwrap();
    }
    faults.set_down(true);
    assert!(knox.authenticate(issued.token.expose()).await.is_err());

    assert_eq!(faults.take_calls(Operation::Insert), 1);
    assert_eq!(faults.take_calls(Operation::Find), 4, "a call that fails is counted too");
    assert_eq!(faults.take_calls(Operation::Find), 0, "the count starts again when it is taken");
    assert_eq!(faults.take_calls(Operation::RemoveAll), 0);
}
