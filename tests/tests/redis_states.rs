//! Redis servers that do not take every command: memory or disk is full, replicas are missing, or the server is a
//! replica itself. What ends sessions goes on as long as the server writes at all, and no answer is old.

#![allow(clippy::unwrap_used)]

mod redis_server;

use std::fs;

use jwt_knox::{AuthenticateError, IssueError, Issued, Knox, SigningKey, Subject};
use jwt_knox_redis::RedisStore;
use jwt_knox_tests::log::Log;
use redis_server::{Server, redis_cli, wait_until};

async fn knox(server: &Server) -> Knox {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let store = RedisStore::new(client.get_connection_manager().await.unwrap());
    let key = SigningKey::hs256("a key of the tests of states, long enough").unwrap();
    Knox::builder(key).store(store).build().unwrap()
}

async fn log_in(knox: &Knox) -> Issued {
    knox.issue(Subject::from(42)).await.unwrap()
}

fn set(server: &Server, name: &str, value: &str) {
    assert_eq!(redis_cli(server.port, &["config", "set", name, value]).trim(), "OK");
}

/// Everything is an error, and none of them says that a token or a session is not there.
async fn nothing_is_answered(knox: &Knox, issued: &Issued) {
    let subject = Subject::from(42);
    let outcome = knox.authenticate(issued.token.expose()).await;
    assert!(matches!(outcome, Err(AuthenticateError::Store(_))), "authenticate: {outcome:?}");
    assert!(knox.sessions(&subject).await.is_err(), "list");
    assert!(matches!(knox.issue(subject.clone()).await, Err(IssueError::Store(_))), "issue");
    assert!(knox.revoke(&issued.session.session_ref()).await.is_err(), "revoke");
    assert!(knox.revoke_all(&subject).await.is_err(), "revoke_all");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn when_memory_is_full_only_logins_fail() {
    let server = Server::start(false);
    let knox = knox(&server).await;
    let (kept, ended, rotated) = (log_in(&knox).await, log_in(&knox).await, log_in(&knox).await);
    set(&server, "maxmemory", "1");

    assert!(matches!(knox.issue(Subject::from(42)).await, Err(IssueError::Store(_))), "nothing may be added");
    let authenticated = knox.authenticate(kept.token.expose()).await.unwrap();
    assert!(authenticated.session().last_used_at.is_some(), "the use is recorded");
    let sessions = knox.sessions(&Subject::from(42)).await.unwrap();
    assert_eq!(sessions.len(), 3);
    let newest = sessions.iter().find(|session| session.id == kept.session.id).unwrap();
    assert!(newest.last_used_at.is_some(), "the use is in the store");
    let authenticated = knox.authenticate(rotated.token.expose()).await.unwrap();
    let rotated = knox.rotate(&authenticated).await.unwrap();
    assert!(knox.authenticate(rotated.token.expose()).await.is_ok());
    assert!(knox.revoke(&ended.session.session_ref()).await.unwrap().is_revoked());
    assert!(knox.authenticate(ended.token.expose()).await.is_err());
    let began_at = knox.now();
    assert_eq!(knox.revoke_all(&Subject::from(42)).await.unwrap(), 2);
    assert!(knox.authenticate(kept.token.expose()).await.is_err());

    set(&server, "maxmemory", "0");
    let late = jwt_knox::NewSession::new(42).began_at(began_at);
    assert!(matches!(knox.issue(late).await, Err(IssueError::Superseded)), "the revocation was written down");
    log_in(&knox).await;
}

/// A snapshot that fails makes Redis reject writes (`stop-writes-on-bgsave-error`).
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn when_the_disk_fails_tokens_are_still_accepted() {
    let server = Server::start(false);
    let knox = knox(&server).await;
    let issued = log_in(&knox).await;
    set(&server, "save", "3600 1000000");
    // Something in the place of the snapshot.
    fs::create_dir(server.folder.join("dump.rdb")).unwrap();
    redis_cli(server.port, &["bgsave"]);
    wait_until("the snapshot fails", || {
        redis_cli(server.port, &["info", "persistence"]).contains("rdb_last_bgsave_status:err")
    });

    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
    assert_eq!(knox.sessions(&Subject::from(42)).await.unwrap().len(), 1);
    assert!(matches!(knox.issue(Subject::from(42)).await, Err(IssueError::Store(_))));
    assert!(knox.revoke(&issued.session.session_ref()).await.is_err(), "what cannot be written is no answer");

    fs::remove_dir(server.folder.join("dump.rdb")).unwrap();
    redis_cli(server.port, &["bgsave"]);
    wait_until("the snapshot is made", || {
        redis_cli(server.port, &["info", "persistence"]).contains("rdb_last_bgsave_status:ok")
    });
    assert!(knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
}

/// A primary that has lost its replicas may have been replaced by one of them. What it knows may be old.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_primary_without_the_replicas_that_it_needs_answers_nothing() {
    let server = Server::start(false);
    let knox = knox(&server).await;
    let issued = log_in(&knox).await;
    set(&server, "min-replicas-to-write", "1");
    nothing_is_answered(&knox, &issued).await;
    set(&server, "min-replicas-to-write", "0");
    assert!(knox.authenticate(issued.token.expose()).await.is_ok());
}

/// The connection stays open while its server becomes a replica, and later the primary.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_server_that_became_a_replica_answers_nothing() {
    let (first, second) = (Server::start(false), Server::start(false));
    let (on_first, on_second) = (knox(&first).await, knox(&second).await);
    let issued = log_in(&on_first).await;
    redis_cli(second.port, &["replicaof", "127.0.0.1", &first.port.to_string()]);
    wait_until("the replica has the session", || {
        redis_cli(second.port, &["info", "replication"]).contains("master_link_status:up")
            && redis_cli(second.port, &["dbsize"]).trim() == "1"
    });

    nothing_is_answered(&on_second, &issued).await;
    assert!(on_first.authenticate(issued.token.expose()).await.is_ok());
    redis_cli(second.port, &["replicaof", "no", "one"]);
    // The answer before has closed the connection; it is opened again automatically.
    let mut outcome = on_second.authenticate(issued.token.expose()).await;
    for _ in 0..200 {
        if outcome.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        outcome = on_second.authenticate(issued.token.expose()).await;
    }
    assert!(outcome.is_ok(), "service resumes: {outcome:?}");
    assert!(on_second.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
}

#[tokio::test]
#[cfg_attr(not(knox_redis_server), ignore = "redis-server is not installed")]
async fn a_server_that_evicts_keys_is_warned_of_once() {
    let log = Log::default();
    let _guard = log.of_this_thread();
    let server = Server::start(false);
    let of_safe = knox(&server).await;
    log_in(&of_safe).await;
    assert!(!log.text().contains("evict"), "{}", log.text());

    set(&server, "maxmemory-policy", "volatile-lru");
    let of_unsafe = knox(&server).await;
    log_in(&of_unsafe).await;
    log_in(&of_unsafe).await;
    let text = log.text();
    assert_eq!(text.matches("WARN").count(), 1, "{text}");
    assert!(text.contains("evicts keys") && text.contains("policy=\"volatile-lru\""), "{text}");
}
