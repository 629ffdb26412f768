//! What `remove`, `remove_all` and `replace` take away, and what they leave.

use std::sync::Arc;

use jwt_knox::TokenStore;

use crate::fixture::{Probe, at, ids, session, session_until, subject};

/// `remove` takes the one record away, and may be repeated.
pub async fn remove_is_precise_and_may_be_repeated(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (gone, stays) = (session_until(&subject, 0, 600), session_until(&subject, 0, 600));
    store.add_all([&gone, &stays]).await;
    assert!(store.remove(&gone.session_ref()).await, "remove: a record that was there is `true`");
    assert_eq!(store.find(&gone.session_ref()).await, None, "remove: what is removed is not found any more");
    assert!(!store.remove(&gone.session_ref()).await, "remove: doing it again is no error, and `false`");
    assert!(!store.remove(&session(&subject, 0).session_ref()).await, "remove: a record that never was is `false`");
    assert!(store.has(&stays).await, "remove: the subject's other records stay");
    assert_eq!(ids(&store.list(&subject, at(1)).await), [stays.id()], "remove: what is removed is not in the list");
}

/// `remove_all` ends all sessions of the subject and says how many were active.
pub async fn remove_all_ends_all_and_counts_the_active(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let active = [session(&subject, 0), session_until(&subject, 1, 600), session_until(&subject, 2, 101)];
    let expired = [session_until(&subject, 0, 100), session_until(&subject, 0, 50)];
    store.add_all(active.iter().chain(&expired)).await;
    assert_eq!(
        store.remove_all(&subject, None, at(100)).await,
        3,
        "remove_all: the count is that of the active sessions"
    );
    for record in active.iter().chain(&expired) {
        assert_eq!(store.find(&record.session_ref()).await, None, "remove_all: all records go, also expired ones");
    }
    assert_eq!(store.list(&subject, at(0)).await, [], "remove_all: nothing is left in the list");
    assert_eq!(store.remove_all(&subject, None, at(100)).await, 0, "remove_all: doing it again removes nothing");
}

/// `remove_all` spares the exception and nothing else.
pub async fn remove_all_spares_the_exception(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let records = [session(&subject, 0), session(&subject, 1), session_until(&subject, 2, 600)];
    store.add_all(&records).await;
    let spared = &records[1];
    let removed = store.remove_all(&subject, Some(&spared.id()), at(10)).await;
    assert!(store.has(spared).await, "remove_all: the exception stays as it was");
    assert_eq!(removed, 2, "remove_all: the exception is not counted");
    assert_eq!(ids(&store.list(&subject, at(10)).await), [spared.id()], "remove_all: only the exception stays");

    let stranger = session(&subject, 0).id();
    assert_eq!(
        store.remove_all(&subject, Some(&stranger), at(10)).await,
        1,
        "remove_all: an exception that is not there spares nothing"
    );
    assert_eq!(
        store.find(&spared.session_ref()).await,
        None,
        "remove_all: an exception that is not there spares nothing"
    );
    assert_eq!(store.find(&session(&subject, 0).session_ref()).await, None, "remove_all: an exception is not made");
}

/// `remove_all` leaves other subjects alone, even if they have a record with the same id.
pub async fn remove_all_leaves_other_subjects_alone(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (mine, yours) = (session(&subject(), 0), session(&subject(), 0));
    let mut same_id = yours.clone();
    same_id.subject = mine.subject.clone();
    store.add_all([&mine, &same_id, &yours]).await;
    assert_eq!(
        store.remove_all(&mine.subject, Some(&mine.id()), at(1)).await,
        1,
        "remove_all: counts one subject only"
    );
    assert!(store.has(&yours).await, "remove_all: leaves other subjects alone");
    assert_eq!(store.remove_all(&mine.subject, None, at(1)).await, 1, "remove_all: counts one subject only");
    assert!(store.has(&yours).await, "remove_all: leaves other subjects alone");
}

/// `replace` swaps one record for another, once.
pub async fn replace_swaps_a_record_once(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (old, other) = (session_until(&subject, 0, 600), session_until(&subject, 1, 600));
    store.add_all([&old, &other]).await;
    let (mut new, late) = (session_until(&subject, 2, 900), session(&subject, 3));
    new.label = Some("rotated".to_owned());
    new.last_used_at = Some(at(2));
    assert!(store.replace(&old.session_ref(), &new).await, "replace: a record that is there is replaced");
    assert_eq!(store.find(&old.session_ref()).await, None, "replace: the old record is gone");
    assert!(store.has(&new).await, "replace: the new record is there with all its fields");
    assert!(store.has(&other).await, "replace: the subject's other records stay");

    assert!(!store.replace(&old.session_ref(), &late).await, "replace: a record is replaced once");
    assert_eq!(store.find(&late.session_ref()).await, None, "replace: `false` means that nothing has changed");
    let listed = ids(&store.list(&subject, at(4)).await);
    assert_eq!(listed, [new.id(), other.id()], "replace: as many sessions are active as before");
}

/// `replace` of a record that is not there inserts nothing.
pub async fn replace_of_a_missing_record_inserts_nothing(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (subject, nobody) = (subject(), subject());
    let (removed, new) = (session(&subject, 0), session(&subject, 1));
    store.add(&removed).await;
    assert!(store.remove(&removed.session_ref()).await, "remove: a record that was there is `true`");
    for old in [removed.session_ref(), session(&subject, 0).session_ref()] {
        assert!(!store.replace(&old, &new).await, "replace: an old record that is not there is `false`");
        assert_eq!(store.find(&new.session_ref()).await, None, "replace: `false` means that nothing was inserted");
    }
    let new = session(&nobody, 1);
    assert!(
        !store.replace(&session(&nobody, 0).session_ref(), &new).await,
        "replace: a subject without sessions has none to replace"
    );
    assert_eq!(store.find(&new.session_ref()).await, None, "replace: `false` means that nothing was inserted");
}
