//! What `rotate` changes, and what it leaves.

use std::{sync::Arc, time::Duration};

use jwt_knox::{InsertOutcome, SessionRecord, SessionRef, TokenStore};

use crate::fixture::{
    ADDED, Probe, at, claims_digest, deny, evict_oldest, evicting, just_after, just_before, rotated, rotation, session,
    session_until, subject,
};

/// `rotate` writes the new digest and the previous secret, if the session still has the digest that is rotated away.
pub async fn rotate_changes_the_secret_once(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (old, other) = (session_until(&subject, 0, 600), session_until(&subject, 1, 600));
    store.add_all([&old, &other]).await;
    let key = old.session_ref();
    let (mut first, second) = (rotation(&old, 2), rotation(&old, 3));
    first.expires_at = Some(at(900));
    assert!(store.rotate(&key, &first).await, "rotate: a session with that digest is rotated");
    let new = rotated(&old, &first);
    assert_eq!(
        store.find(&key).await.as_ref(),
        Some(&new),
        "rotate: the digest and the previous secret are written, and the time of use and a later expiry"
    );
    assert!(store.has(&other).await, "rotate: the subject's other sessions do not change");

    // Either answer is right.
    let _was_there = store.rotate(&key, &first).await;
    assert!(store.has(&new).await, "rotate: the same rotation once more changes nothing");
    assert!(!store.rotate(&key, &second).await, "rotate: with a digest that was rotated away, it is `false`");
    assert!(store.has(&new).await, "rotate: `false` means that nothing has changed");
    let mut foreign = rotation(&other, 3);
    foreign.expires_at = Some(at(999));
    assert!(!store.rotate(&key, &foreign).await, "rotate: with the digest of another session, it is `false`");
    assert!(store.has(&new).await, "rotate: `false` means that nothing has changed");
    assert!(store.has(&other).await, "rotate: the subject's other sessions do not change");

    // The next one, from the new digest.
    let third = rotation(&new, 4);
    assert!(store.rotate(&key, &third).await, "rotate: a session that was rotated is rotated again");
    let newest = rotated(&new, &third);
    for old in [&old, &new] {
        assert!(
            !store.rotate(&key, &rotation(old, 5)).await,
            "rotate: with a digest that was rotated away, it is `false`"
        );
    }
    let listed = store.list(&subject, at(6)).await;
    assert_eq!(listed, [other, newest], "rotate: as many sessions are active as before, and list gives the new digest");
}

/// `rotate` of a session that is not there is `false` and makes none.
pub async fn rotate_of_a_missing_session_changes_nothing(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (owner, nobody) = (subject(), subject());
    let missing = [session(&owner, 0), session(&nobody, 0)];
    let gone = [(); 3].map(|()| session(&subject(), 0));
    store.add(&session(&owner, 1)).await;
    store.add_all(&gone).await;
    store.end_all(&gone).await;

    for record in missing.iter().chain(&gone) {
        let before = store.list(&record.subject, at(2)).await;
        let mut rotation = rotation(record, 2);
        rotation.expires_at = Some(at(900));
        assert!(
            !store.rotate(&record.session_ref(), &rotation).await,
            "rotate: a session that is not there is `false`"
        );
        assert_eq!(store.find(&record.session_ref()).await, None, "rotate: a session that is not there is not made");
        assert_eq!(store.list(&record.subject, at(2)).await, before, "rotate: `false` means that nothing has changed");
    }
}

/// `rotate` moves neither the time of use nor the expiry back, and gives no expiry to a session without one.
pub async fn rotate_never_moves_times_back(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = session_until(&subject(), 0, 600);
    store.add(&record).await;
    for (used, expires, last_used_at, expires_at) in [
        (at(20), None, at(20), at(600)),
        (at(10), None, at(20), at(600)),
        (at(20), Some(at(600)), at(20), at(600)),
        (just_before(at(20)), Some(just_before(at(600))), at(20), at(600)),
        (just_after(at(20)), Some(at(30)), just_after(at(20)), at(600)),
        (at(15), Some(just_after(at(600))), just_after(at(20)), just_after(at(600))),
        (at(30), Some(at(700)), at(30), at(700)),
        (at(31), None, at(31), at(700)),
    ] {
        let mut rotation = rotation(&record, 0);
        rotation.last_used_at = used;
        rotation.expires_at = expires;
        assert!(store.rotate(&record.session_ref(), &rotation).await, "rotate: a session with that digest is rotated");
        record.digest = rotation.digest;
        record.previous = Some(rotation.previous);
        record.last_used_at = Some(last_used_at);
        record.expires_at = Some(expires_at);
        assert_eq!(
            store.find(&record.session_ref()).await.as_ref(),
            Some(&record),
            "rotate: the time of use and the expiry move only forwards, and the secret changes either way"
        );
    }
    assert_eq!(store.list(&record.subject, at(699)).await, [record.clone()], "rotate: list goes by the new expiry");
    assert_eq!(store.list(&record.subject, at(700)).await, [], "rotate: list goes by the new expiry");

    let unlimited = session(&subject(), 0);
    store.add(&unlimited).await;
    let mut rotation = rotation(&unlimited, 10);
    rotation.expires_at = Some(at(600));
    assert!(store.rotate(&unlimited.session_ref(), &rotation).await, "rotate: a session with that digest is rotated");
    let found = store.find(&unlimited.session_ref()).await;
    assert_eq!(
        found.as_ref().map(|found| found.expires_at),
        Some(None),
        "rotate: a session without an expiry never gets one"
    );
    assert_eq!(found, Some(rotated(&unlimited, &rotation)), "rotate: the secret and the time of use are written");
}

/// A session that is rotated, once and again, keeps its id and everything else; its key is the same for all operations.
pub async fn a_rotated_session_keeps_its_id_and_all_else(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let mut record = session_until(&subject, 0, 600);
    record.absolute_expires_at = Some(at(9000));
    record.idle_timeout = Some(Duration::from_secs(600));
    record.scope = Some("read write".to_owned());
    record.claims = Some(claims_digest());
    record.label = Some("laptop".to_owned());
    record.attributes = [("ip".to_owned(), "127.0.0.1".to_owned())].into();
    let key = record.session_ref();
    store.add(&record).await;
    for used in [10, 11, 12] {
        let rotation = rotation(&record, used);
        assert!(store.rotate(&key, &rotation).await, "rotate: a session with that digest is rotated");
        record = rotated(&record, &rotation);
        assert_eq!(
            store.find(&key).await.as_ref(),
            Some(&record),
            "rotate: the session is found by its id and keeps all that a rotation does not change"
        );
        assert_eq!(
            store.find(&of_the_digest(&record)).await,
            None,
            "rotate: no session is there by the id that would follow from the new digest"
        );
        assert_eq!(
            store.list(&subject, at(20)).await,
            [record.clone()],
            "rotate: the session is listed once, by its id"
        );
    }

    assert!(store.touch(&key, at(30), Some(at(700))).await, "touch: a session that was rotated is written by its id");
    record.last_used_at = Some(at(30));
    record.expires_at = Some(at(700));
    assert!(store.has(&record).await, "touch: the secret of a session that was rotated stays");

    // The key is taken, by the session as it is now.
    let mut again = session(&subject, 1);
    again.id = record.id;
    assert!(store.0.insert(again, None, at(31)).await.is_err(), "insert: the id of a rotated session is taken");
    assert!(store.has(&record).await, "insert: a key that is taken changes nothing in the record that has it");

    // It counts as the one session that it is, and its age is that of the login.
    let new = session(&subject, 5);
    let outcome = store.insert(&new, Some(deny(1)), at(31)).await;
    assert_eq!(outcome, InsertOutcome::LimitReached, "limit: a session that was rotated counts");
    let outcome = store.insert(&new, Some(evict_oldest(2)), at(31)).await;
    assert_eq!(outcome, ADDED, "limit: a session that was rotated counts as one");
    let outcome = store.insert(&session(&subject, 4), Some(evict_oldest(2)), at(31)).await;
    assert_eq!(outcome, evicting([&record]), "evict: a session that was rotated is as old as before");
    assert_eq!(store.find(&key).await, None, "evict: a session that was rotated goes, by its id");

    let mut record = session(&subject, 40);
    store.add(&record).await;
    let rotation = rotation(&record, 41);
    assert!(store.rotate(&record.session_ref(), &rotation).await, "rotate: a session with that digest is rotated");
    record = rotated(&record, &rotation);
    assert!(store.remove(&record.session_ref()).await, "remove: a session that was rotated goes, by its id");
    assert!(!store.list(&subject, at(50)).await.contains(&record), "remove: what is removed is not in the list");
}

/// The key that the session would have if its id followed from its digest.
fn of_the_digest(record: &SessionRecord) -> SessionRef {
    SessionRef::new(record.subject.clone(), record.digest.session_id())
}
