//! What an observer is told.

use std::sync::{Arc, Mutex};

use jwt_knox::*;

use crate::fixture::{Fixture, State, expires_after, subject};

fn line(event: &Event<'_>) -> String {
    match event {
        Event::Issued { session, .. } => format!("issued {}", session.subject),
        Event::Rejected { reason, .. } => format!("rejected {}", reason.as_str()),
        Event::Renewed { session, .. } => format!("renewed {}", session.subject),
        Event::Rotated { old, new, .. } => format!("rotated {} {}", old.subject, old.id != new.id),
        Event::Revoked { subject, id, count, cause, .. } => {
            format!("revoked {subject} {count} {cause} {}", id.is_some())
        }
        Event::Purged { count, .. } => format!("purged {count}"),
        event => panic!("this test does not know {event:?}"),
    }
}

#[tokio::test]
async fn an_observer_is_told_of_everything_and_of_no_secret() {
    let audit = Arc::new(Mutex::new(Vec::new()));
    let log = audit.clone();
    let observer = observer_fn(move |event| {
        let line = line(event);
        assert!(line.starts_with(event.as_str()));
        log.lock().unwrap().push((line, format!("{event:?}")));
    });
    let fixture = Fixture::with(|builder| {
        builder.observer(observer).limit(SessionLimit::evict_oldest(3).unwrap()).lifetime(expires_after(1000))
    });
    let secrets = Mutex::new(Vec::new());
    let login = async |name| {
        let issued = fixture.login(name).await;
        let secret = crate::fixture::claims(&issued)["jti"].as_str().unwrap().to_owned();
        secrets.lock().unwrap().extend([secret, issued.session.digest.to_string(), issued.token.expose().to_owned()]);
        issued
    };
    let told = || -> Vec<String> {
        let events = std::mem::take(&mut *audit.lock().unwrap());
        for secret in secrets.lock().unwrap().iter() {
            assert!(events.iter().all(|(_, debug)| !debug.contains(secret)), "{events:?}");
        }
        events.into_iter().map(|(line, _)| line).collect()
    };
    let first = login("alice").await;
    fixture.set(1);
    for _ in 0..3 {
        login("alice").await;
    }
    assert_eq!(
        told(),
        ["issued alice", "issued alice", "issued alice", "issued alice", "revoked alice 1 evicted false"]
    );
    fixture.rejection(first.token.expose()).await;
    fixture.rejection("garbage").await;
    assert_eq!(told(), ["rejected revoked", "rejected malformed"]);

    let issued = login("bob").await;
    fixture.set(100);
    let auth = fixture.authenticate(&issued).await;
    let rotated = fixture.knox.rotate(&auth).await.unwrap();
    let auth = fixture.authenticate(&rotated).await;
    assert_eq!(told(), ["issued bob", "renewed bob", "rotated bob true"]);
    login("bob").await;
    fixture.knox.revoke_others(&auth).await.unwrap();
    fixture.knox.revoke_others(&auth).await.unwrap();
    fixture.knox.revoke(&auth.session_ref()).await.unwrap();
    fixture.knox.revoke(&auth.session_ref()).await.unwrap();
    fixture.knox.revoke_all(&subject("alice")).await.unwrap();
    let expected = ["issued bob", "revoked bob 1 others true", "revoked bob 1 one true", "revoked alice 3 all false"];
    assert_eq!(told(), expected, "revoking what is not there is no event");
    login("bob").await;
    fixture.set(2000);
    fixture.knox.purge_expired().await.unwrap();
    assert_eq!(told(), ["issued bob", "purged 1"]);

    // What could not be decided is none of these.
    fixture.store_is(|_| State::Fails);
    assert!(fixture.knox.authenticate(rotated.token.expose()).await.is_err());
    assert!(fixture.knox.revoke(&auth.session_ref()).await.is_err());
    assert_eq!(told(), ["rejected expired"], "only the token that had expired");
}
