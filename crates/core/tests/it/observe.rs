//! What an observer is told.

use std::sync::{Arc, Mutex};

use jwt_knox::*;

use crate::fixture::{Fixture, State, expires_after, line, secret, subject};

/// What no event may say.
fn secrets_of(issued: &Issued) -> [String; 3] {
    [secret(issued), issued.session.digest.to_string(), issued.token.expose().to_owned()]
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
        secrets.lock().unwrap().extend(secrets_of(&issued));
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
        [
            "issued alice",
            "issued alice",
            "issued alice",
            "issued alice",
            "revoked alice 1 evicted, 1 ids, spared: false"
        ]
    );
    fixture.rejection(first.token.expose()).await;
    fixture.rejection("garbage").await;
    assert_eq!(told(), ["rejected revoked alice", "rejected malformed"]);

    let issued = login("bob").await;
    fixture.set(100);
    let auth = fixture.authenticate(&issued).await;
    let rotated = fixture.knox.rotate(&auth).await.unwrap();
    secrets.lock().unwrap().extend(secrets_of(&rotated));
    let auth = fixture.authenticate(&rotated).await;
    assert_eq!(told(), ["issued bob", "touched bob", "rotated bob"]);
    login("bob").await;
    fixture.knox.revoke_others(&auth).await.unwrap();
    fixture.knox.revoke_others(&auth).await.unwrap();
    assert_eq!(fixture.knox.revoke(&auth.session_ref()).await.unwrap(), Revocation::Revoked);
    assert_eq!(fixture.knox.revoke(&auth.session_ref()).await.unwrap(), Revocation::NotFound);
    fixture.knox.revoke_all(&subject("alice")).await.unwrap();
    let expected = [
        "issued bob",
        "revoked bob 1 others, 0 ids, spared: true",
        "revoked bob 1 one, 1 ids, spared: false",
        "revoked alice 3 all, 0 ids, spared: false",
    ];
    assert_eq!(told(), expected, "revoking what is not there is no event");
    let stolen = login("bob").await;
    let rotated = fixture.rotate(&stolen).await;
    secrets.lock().unwrap().extend(secrets_of(&rotated));
    fixture.set(200);
    assert_eq!(fixture.rejection(stolen.token.expose()).await, Rejection::Reused);
    let expected = ["reused bob", "revoked bob 1 reused, 1 ids, spared: false", "rejected reused bob"];
    assert_eq!(told(), [&["issued bob", "touched bob", "rotated bob"] as &[_], &expected].concat());
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

#[tokio::test]
async fn an_observer_is_told_of_rejected_logins() {
    let audit = crate::fixture::Audit::default();
    let limit = SessionLimit::deny(1).unwrap();
    let fixture = Fixture::with(|builder| builder.observer(audit.observer()).limit(limit));
    fixture.login("alice").await;
    audit.take();
    assert!(fixture.knox.issue(subject("alice")).await.is_err());
    assert_eq!(audit.take(), ["login_rejected alice limit_reached"]);
    for status in [SubjectStatus::Inactive, SubjectStatus::Unknown] {
        fixture.users.are(status);
        assert!(fixture.knox.issue(subject("bob")).await.is_err());
    }
    assert_eq!(audit.take(), ["login_rejected bob subject_inactive", "login_rejected bob subject_unknown"]);
    fixture.knox.report_rejected_login(None);
    fixture.knox.report_rejected_login(Some(&subject("carol")));
    assert_eq!(audit.take(), ["login_rejected credentials", "login_rejected carol credentials"]);
    // What could not be decided was not rejected.
    fixture.users.are(None);
    assert!(fixture.knox.issue(subject("bob")).await.is_err());
    fixture.users.are(SubjectStatus::Active);
    fixture.store_is(|_| State::Fails);
    assert!(fixture.knox.issue(subject("bob")).await.is_err());
    assert_eq!(audit.take(), [""; 0]);
}

/// The alarm that an operator wants: a token that was good once.
#[tokio::test]
async fn a_revoked_token_in_use_names_its_session() {
    let named = Arc::new(Mutex::new(Vec::new()));
    let log = named.clone();
    let observer = observer_fn(move |event| {
        if let Event::Rejected { .. } = event {
            log.lock().unwrap().push(event.clone());
        }
    });
    let fixture = Fixture::with(|builder| builder.observer(observer));
    let issued = fixture.login("alice").await;
    assert!(fixture.knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    fixture.rejection(issued.token.expose()).await;
    let tampered = format!("{}x", issued.token.expose());
    fixture.rejection(&tampered).await;
    // Events own what they say, so they can go to another thread.
    let events = std::thread::spawn(move || std::mem::take(&mut *named.lock().unwrap())).join().unwrap();
    let sessions: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Rejected { session, .. } => session.clone(),
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(sessions, [Some(issued.session.session_ref()), None]);
}

/// The ids of all sessions that events named, to close the connections of these.
#[tokio::test]
async fn an_event_says_which_sessions_were_revoked() {
    type Named = (RevocationCause, Vec<SessionId>, Option<SessionId>, u64);
    let named = Arc::new(Mutex::new(Vec::<Named>::new()));
    let log = named.clone();
    let observer = observer_fn(move |event| {
        if let Event::Revoked { ids, spared, count, cause, .. } = event {
            log.lock().unwrap().push((*cause, ids.clone(), *spared, *count));
        }
    });
    let told = || std::mem::take(&mut *named.lock().unwrap());
    let limit = SessionLimit::evict_oldest(2).unwrap().one_per_label();
    let fixture = Fixture::with(|builder| builder.observer(observer).limit(limit));
    let log_in = async |label: &str| fixture.knox.issue(NewSession::new(1).label(label)).await.unwrap();

    let phone = log_in("Phone").await;
    fixture.set(1);
    let laptop = log_in("Laptop").await;
    fixture.set(2);
    assert_eq!(told(), []);
    let new_phone = log_in("Phone").await;
    assert_eq!(told(), [(RevocationCause::Evicted, vec![phone.session.id], None, 1)], "it had the same label");
    fixture.set(3);
    let tablet = log_in("Tablet").await;
    assert_eq!(told(), [(RevocationCause::Evicted, vec![laptop.session.id], None, 1)], "it was the oldest");

    // A lower limit than before, as after a restart with other settings: more than one goes.
    let log = named.clone();
    let strict = fixture
        .server(SigningKey::hs256(crate::fixture::KEY).unwrap())
        .limit(SessionLimit::evict_oldest(1).unwrap())
        .observer(observer_fn(move |event| {
            if let Event::Revoked { ids, spared, count, cause, .. } = event {
                log.lock().unwrap().push((*cause, ids.clone(), *spared, *count));
            }
        }))
        .build()
        .unwrap();
    let last = strict.issue(1).await.unwrap();
    let mut events = told();
    events[0].1.sort();
    let mut evicted = vec![new_phone.session.id, tablet.session.id];
    evicted.sort();
    assert_eq!(events, [(RevocationCause::Evicted, evicted, None, 2)]);

    // The id is the one from before a rotation.
    let rotated = fixture.rotate(&last).await;
    let auth = fixture.authenticate(&rotated).await;
    log_in("Phone").await;
    fixture.knox.revoke_others(&auth).await.unwrap();
    assert!(fixture.knox.revoke(&auth.session_ref()).await.unwrap().is_revoked());
    assert_eq!(
        told(),
        [
            (RevocationCause::Others, vec![], Some(last.session.id), 1),
            (RevocationCause::One, vec![last.session.id], None, 1),
        ]
    );
}

#[tokio::test]
async fn an_observer_that_panics_keeps_nobody_from_the_result() {
    let fixture = Fixture::with(|builder| {
        builder
            .limit(SessionLimit::evict_oldest(2).unwrap())
            .lifetime(expires_after(1000))
            .observer(observer_fn(|event| panic!("{}", event.as_str())))
    });
    let alice = subject("alice");
    let first = fixture.login("alice").await;
    let second = fixture.login("alice").await;
    let third = fixture.login("alice").await;
    assert_eq!(fixture.knox.sessions(&alice).await.unwrap().len(), 2);
    assert_eq!(fixture.rejection("garbage").await.as_str(), "malformed");
    let survivor = if fixture.is_valid(&first).await { &first } else { &second };
    let rotated = fixture.rotate(survivor).await;
    let auth = fixture.authenticate(&rotated).await;
    assert_eq!(fixture.knox.revoke_others(&auth).await.unwrap(), 1);
    assert!(!fixture.is_valid(&third).await);
    fixture.set(10);
    assert_eq!(fixture.rejection(survivor.token.expose()).await, Rejection::Reused);
    assert_eq!(fixture.rejection(rotated.token.expose()).await, Rejection::Revoked, "it was revoked all the same");

    let issued = fixture.login("alice").await;
    assert!(fixture.knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    assert!(!fixture.is_valid(&issued).await);
    fixture.login("alice").await;
    assert_eq!(fixture.knox.revoke_all(&alice).await.unwrap(), 1);
    fixture.login("alice").await;
    fixture.set(2000);
    assert_eq!(fixture.knox.purge_expired().await.unwrap(), 1);
}
