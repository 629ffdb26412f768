//! A Redis server that dies and comes back: errors in between, and then service as before, automatically.

#![allow(clippy::unwrap_used)]

mod redis_server;

use std::time::Duration;

use jwt_knox::{AuthenticateError, IssueError, Knox, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis_server::Server;

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_server_that_is_down_is_an_error_and_service_resumes() {
    let mut server = Server::start(false);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    // With the defaults, a command waits through several attempts to connect.
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
    assert!(knox.revoke(&ended.session.session_ref()).await.unwrap().is_revoked());

    server.kill();
    for token in [&kept, &ended] {
        let outcome = knox.authenticate(token.token.expose()).await;
        assert!(matches!(outcome, Err(AuthenticateError::Store(_))), "{outcome:?}");
    }
    assert!(matches!(knox.issue(subject.clone()).await, Err(IssueError::Store(_))));
    assert!(knox.revoke(&kept.session.session_ref()).await.is_err());
    assert!(knox.revoke_all(&subject).await.is_err());
    assert!(knox.sessions(&subject).await.is_err());

    server.restart();
    // The connection comes back automatically; how soon is up to the client.
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
    assert!(matches!(outcome, Err(AuthenticateError::Rejected(_))), "what was revoked stays revoked: {outcome:?}");
}
