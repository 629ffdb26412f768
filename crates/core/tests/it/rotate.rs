//! Rotation: a session gets a new secret.

use std::time::Duration;

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, START, at, claims, expires_after, seconds, subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_session_keeps_all_but_its_secret_and_one_rotation_wins() {
    let fixture = Fixture::new();
    let new = NewSession::new(subject("alice"))
        .label("Firefox")
        .attribute("ip", "192.0.2.1")
        .claims(&json!({"role": "editor"}))
        .unwrap()
        .scopes(["read"])
        .unwrap();
    let old = fixture.knox.issue(new).await.unwrap();
    fixture.set(1000);
    let auth = fixture.authenticate(&old).await;
    let rotations: Vec<_> = (0..32)
        .map(|_| {
            let (knox, auth) = (fixture.knox.clone(), auth.clone());
            tokio::spawn(async move { knox.rotate(&auth).await })
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        match rotation.await.unwrap() {
            Ok(issued) => winners.push(issued),
            Err(IssueError::Rejected(Rejection::Revoked)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let new = &winners[0];
    assert_eq!(fixture.rejection(old.token.expose()).await, Rejection::Revoked);
    let rotated = fixture.authenticate(new).await;
    assert_eq!(rotated.session().created_at, old.session.created_at);
    assert_eq!(rotated.session().expires_at, old.session.expires_at);
    assert_eq!(rotated.session().label, old.session.label);
    assert_eq!(rotated.session().attributes, old.session.attributes);
    assert_eq!(claims(new)["exp"], claims(&old)["exp"]);
    assert_eq!(claims(new)["role"], "editor");
    assert!(rotated.has_scope("read"));
    assert_ne!(claims(new)["jti"], claims(&old)["jti"]);
    assert_ne!(rotated.session_id(), old.session.id());
    assert_eq!(fixture.knox.sessions(auth.subject()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rotation_counts_as_use_and_needs_an_active_session() {
    let lifetime = expires_after(1000).or_idle_after(seconds(300)).unwrap();
    let fixture = Fixture::with(|builder| builder.lifetime(lifetime).touch_interval(Duration::MAX));
    let mut issued = fixture.login("alice").await;
    for second in [200, 400, 600, 800] {
        fixture.set(second);
        let auth = fixture.authenticate(&issued).await;
        issued = fixture.knox.rotate(&auth).await.unwrap();
    }
    assert_eq!(issued.session.expires_at, Some(at(START + 1000)));
    let auth = fixture.authenticate(&issued).await;
    fixture.set(1000);
    assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Rejected(Rejection::Revoked))));
}

#[tokio::test]
async fn rejects_a_rotation_that_would_grant_more_than_the_login() {
    let fixture = Fixture::new();
    let changes: [fn(&mut SessionRecord); 4] = [
        |record| record.scope = Some("read admin".to_owned()),
        |record| record.scope = None,
        |record| record.absolute_expires_at = Some(at(START + 1_000_000)),
        |record| record.absolute_expires_at = None,
    ];
    for change in changes {
        let issued = fixture.knox.issue(NewSession::new(subject("alice")).scopes(["read"]).unwrap()).await.unwrap();
        let auth = fixture.authenticate(&issued).await;
        fixture.tamper(&issued, change).await;
        assert!(matches!(fixture.knox.rotate(&auth).await, Err(IssueError::Rejected(Rejection::Revoked))));
    }
}
