//! A server that dies and comes back: errors in between, and then service as before, by itself.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::Duration;

use common::Server;
use jwt_knox::{AuthenticateError, IssueError, Knox, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_an_error_and_service_resumes() {
    if !Server::is_available() {
        return;
    }
    let mut server = Server::start(false);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    // Without bounds of its own, a command waits through several attempts to connect.
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(100))
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)));
    let store = RedisStore::new(ConnectionManager::new_with_config(client, config).await.unwrap());
    let key = SigningKey::hs256("a key of the outage tests, long enough").unwrap();
    let knox = Knox::builder(key).store(store).build().unwrap();
    let subject = Subject::new("alice").unwrap();
    let kept = knox.issue(subject.clone()).await.unwrap();
    let ended = knox.issue(subject.clone()).await.unwrap();
    assert!(knox.revoke(&ended.record.key()).await.unwrap());

    server.kill();
    for token in [&kept, &ended] {
        let outcome = knox.authenticate(token.token.expose()).await;
        assert!(matches!(outcome, Err(AuthenticateError::Store(_))), "{outcome:?}");
    }
    assert!(matches!(knox.issue(subject.clone()).await, Err(IssueError::Store(_))));
    assert!(knox.revoke(&kept.record.key()).await.is_err());
    assert!(knox.revoke_all(&subject).await.is_err());
    assert!(knox.tokens(&subject).await.is_err());

    server.restart();
    // The connection is made again by itself; how soon is its affair.
    let mut outcome = knox.authenticate(kept.token.expose()).await;
    for _ in 0..200 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        outcome = knox.authenticate(kept.token.expose()).await;
    }
    assert!(outcome.is_ok(), "service resumes: {outcome:?}");
    let outcome = knox.authenticate(ended.token.expose()).await;
    assert!(matches!(outcome, Err(AuthenticateError::Refused(_))), "what was revoked stays revoked: {outcome:?}");
}
