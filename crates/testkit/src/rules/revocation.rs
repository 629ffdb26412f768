//! What `remove` and `remove_all` take away, and what they leave.

use std::sync::Arc;

use jwt_knox::{InsertOutcome, SessionRecord, Timestamp, TokenStore};

use crate::fixture::{
    ADDED, Probe, at, deny, digest, evict_least_recently_used, evict_oldest, evicting, ids, just_after, just_before,
    labelled, session, session_until, subject,
};

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
    assert_eq!(ids(&store.list(&subject, at(1)).await), [stays.id], "remove: what is removed is not in the list");
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
    let removed = store.remove_all(&subject, Some(&spared.id), at(10)).await;
    assert!(store.has(spared).await, "remove_all: the exception stays as it was");
    assert_eq!(removed, 2, "remove_all: the exception is not counted");
    assert_eq!(ids(&store.list(&subject, at(10)).await), [spared.id], "remove_all: only the exception stays");

    let stranger = session(&subject, 0).id;
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
    assert_eq!(store.remove_all(&mine.subject, Some(&mine.id), at(1)).await, 1, "remove_all: counts one subject only");
    assert!(store.has(&yours).await, "remove_all: leaves other subjects alone");
    assert_eq!(store.remove_all(&mine.subject, None, at(1)).await, 1, "remove_all: counts one subject only");
    assert!(store.has(&yours).await, "remove_all: leaves other subjects alone");
}

/// A login that began before the last `remove_all` of its subject is superseded, and one that began at that time or
/// after it is not.
pub async fn a_login_that_began_before_remove_all_is_superseded(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (mine, yours) = (subject(), subject());
    let spared = session(&mine, 5);
    store.add_all([&session(&mine, 0), &spared, &session(&yours, 0)]).await;

    let mut revoked_at = at(10);
    assert_eq!(
        store.remove_all(&mine, None, revoked_at).await,
        2,
        "remove_all: the count is that of the active sessions"
    );
    supersedes(&store, &spared, revoked_at, "after remove_all").await;

    // That its last session is gone changes nothing.
    for record in store.list(&mine, revoked_at).await {
        assert!(store.remove(&record.session_ref()).await, "remove: a record that was there is `true`");
    }
    supersedes(&store, &spared, revoked_at, "after remove_all and the removal of the last session").await;

    // An earlier one, as by a server whose clock is behind.
    store.remove_all(&mine, None, at(7)).await;
    supersedes(&store, &spared, revoked_at, "after remove_all with a later time and one with an earlier time").await;

    // With an exception, which stays.
    revoked_at = just_after(at(20));
    let spared = session(&mine, 15);
    store.add(&spared).await;
    store.remove_all(&mine, Some(&spared.id), revoked_at).await;
    supersedes(&store, &spared, revoked_at, "after remove_all with an exception").await;
    assert!(store.has(&spared).await, "remove_all: the exception stays as it was");

    // Of a subject that has none. No session, nothing to end: and yet a login may be under way.
    let nobody = session(&subject(), 0);
    assert_eq!(store.remove_all(&nobody.subject, None, at(30)).await, 0, "remove_all: there was nothing to remove");
    supersedes(&store, &nobody, at(30), "after remove_all of a subject without sessions").await;

    let outcome = store.insert(&session(&yours, 1), None, at(40)).await;
    assert_eq!(outcome, ADDED, "superseded: remove_all of one subject concerns no other subject");
    assert_eq!(store.list(&yours, at(40)).await.len(), 2, "superseded: remove_all of one subject concerns no other");
}

/// Tries logins of the subject of `model` that began around `revoked_at`.
async fn supersedes(store: &Probe, model: &SessionRecord, revoked_at: Timestamp, when: &str) {
    let began = |time| SessionRecord::new(model.subject.clone(), digest(), time);
    let before = store.list(&model.subject, revoked_at).await;
    for (time, what) in [(at(-3600), "an hour"), (at(6), "a while"), (just_before(revoked_at), "a microsecond")] {
        let late = began(time);
        // Judged by when it began, not by when it is inserted.
        for now in [time, revoked_at, at(100)] {
            assert_eq!(
                store.insert(&late, None, now).await,
                InsertOutcome::Superseded,
                "superseded: {when}, a login that began {what} before it is rejected"
            );
        }
        assert_eq!(store.find(&late.session_ref()).await, None, "superseded: a login that is rejected is not there");
    }
    let listed = store.list(&model.subject, revoked_at).await;
    assert_eq!(listed, before, "superseded: a login that is rejected is not in the list");
    for (time, what) in [(revoked_at, "at the same time"), (just_after(revoked_at), "a microsecond later")] {
        let new = began(time);
        assert_eq!(
            store.insert(&new, None, time).await,
            ADDED,
            "superseded: {when}, a login that began {what} is accepted"
        );
        assert!(store.has(&new).await, "superseded: a login that is accepted is there");
    }
}

/// A login that is superseded changes nothing, whatever the limit: it evicts and replaces no session, and is not said
/// to be beyond the limit.
pub async fn a_superseded_login_changes_nothing(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [
        deny(1),
        deny(9),
        evict_oldest(1),
        evict_least_recently_used(1),
        deny(9).one_per_label(),
        evict_oldest(1).one_per_label(),
    ] {
        let subject = subject();
        let spared = labelled(&subject, "phone", 0);
        store.add(&spared).await;
        assert_eq!(store.remove_all(&subject, Some(&spared.id), at(10)).await, 0, "remove_all: the exception stays");
        let since = labelled(&subject, "laptop", 10);
        store.add(&since).await;
        let late = labelled(&subject, "phone", 9);
        assert_eq!(
            store.insert(&late, Some(limit), at(20)).await,
            InsertOutcome::Superseded,
            "superseded: a login that began before remove_all is rejected for that, whatever the limit; {limit:?}"
        );
        assert_eq!(
            store.list(&subject, at(20)).await,
            [since.clone(), spared.clone()],
            "superseded: a login that is rejected changes nothing; {limit:?}"
        );
        assert_eq!(store.find(&late.session_ref()).await, None, "superseded: a login that is rejected is not there");
    }

    // The limit sees no difference afterwards.
    let subject = subject();
    assert_eq!(store.remove_all(&subject, None, at(10)).await, 0, "remove_all: there was nothing to remove");
    let limit = Some(evict_oldest(1));
    assert_eq!(
        store.insert(&session(&subject, 9), limit, at(20)).await,
        InsertOutcome::Superseded,
        "superseded: a login that began before remove_all is rejected"
    );
    let (first, second) = (session(&subject, 10), session(&subject, 11));
    let outcome = store.insert(&first, limit, at(20)).await;
    assert_eq!(outcome, ADDED, "superseded: a login that is rejected counts in no limit");
    let outcome = store.insert(&second, limit, at(20)).await;
    assert_eq!(outcome, evicting([&first]), "evict: one too many evicts one, also after remove_all");
}
