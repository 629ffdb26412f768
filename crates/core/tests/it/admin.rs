//! What an operator does, without a signing key.

use std::sync::{Arc, Mutex};

use jwt_knox::*;

use crate::fixture::{Fixture, expires_after, seconds, subject};

#[tokio::test]
async fn an_admin_lists_revokes_and_purges_without_a_key() {
    let fixture = Fixture::with_lifetime(expires_after(100));
    let admin = KnoxAdmin::new(fixture.store.clone()).clock(fixture.clock.clone());
    let first = fixture.login("alice").await;
    fixture.set(1);
    let second = fixture.login("alice").await;
    let bobs = fixture.login("bob").await;
    let alice = subject("alice");
    assert_eq!(admin.sessions(&alice).await.unwrap(), [second.session.clone(), first.session.clone()]);
    assert_eq!(admin.sessions(&alice).await.unwrap(), fixture.knox.sessions(&alice).await.unwrap());

    assert!(admin.revoke(&second.session.session_ref()).await.unwrap().is_revoked());
    assert!(!admin.revoke(&second.session.session_ref()).await.unwrap().is_revoked());
    assert_eq!(fixture.rejection(second.token.expose()).await, Rejection::Revoked);
    assert!(fixture.is_valid(&first).await);
    assert_eq!(admin.revoke_all(&alice).await.unwrap(), 1);
    assert_eq!(fixture.rejection(first.token.expose()).await, Rejection::Revoked);

    assert!(fixture.is_valid(&bobs).await);
    assert_eq!(admin.purge_expired().await.unwrap(), 0);
    fixture.set(101);
    assert_eq!(admin.sessions(&subject("bob")).await.unwrap(), []);
    assert_eq!(admin.purge_expired().await.unwrap(), 1);
}

#[tokio::test]
async fn an_admin_counts_with_the_leeway_of_the_servers() {
    let fixture = Fixture::with(|builder| builder.lifetime(expires_after(100)).leeway(seconds(10)));
    let strict = KnoxAdmin::new(fixture.store.clone()).clock(fixture.clock.clone());
    let lenient = strict.clone().leeway(seconds(10)).unwrap();
    fixture.login("alice").await;
    let alice = subject("alice");
    for (second, expected) in [(99, [1, 1, 1]), (109, [0, 1, 1]), (110, [0, 0, 0])] {
        fixture.set(second);
        for (admin, expected) in [&strict, &lenient, fixture.knox.admin()].into_iter().zip(expected) {
            assert_eq!(admin.sessions(&alice).await.unwrap().len(), expected, "{second}");
        }
    }
    assert_eq!(lenient.purge_expired().await.unwrap(), 1);
    assert_eq!(strict.leeway(seconds(601)).err(), Some(ConfigError::LeewayTooLong));
}

#[tokio::test]
async fn an_admin_has_the_observer_of_its_handle_or_a_separate_one() {
    fn audit() -> (Arc<Mutex<Vec<String>>>, impl Observer) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = lines.clone();
        (lines, observer_fn(move |event| log.lock().unwrap().push(event.as_str().to_owned())))
    }
    let (of_handle, observer) = audit();
    let fixture = Fixture::with(|builder| builder.observer(observer));
    let issued = fixture.login("alice").await;
    assert!(fixture.knox.admin().revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    fixture.knox.admin().revoke_all(&issued.session.subject).await.unwrap();
    assert_eq!(*of_handle.lock().unwrap(), ["issued", "revoked"], "revoking what is not there is no event");

    let (separate, observer) = audit();
    let admin = KnoxAdmin::new(fixture.store.clone()).clock(fixture.clock.clone()).observer(observer);
    fixture.login("alice").await;
    admin.revoke_all(&issued.session.subject).await.unwrap();
    admin.purge_expired().await.unwrap();
    assert_eq!(*separate.lock().unwrap(), ["revoked", "purged"]);
    assert_eq!(*of_handle.lock().unwrap(), ["issued", "revoked", "issued"]);
}
