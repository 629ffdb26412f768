//! What a store must do that outlives the process, or that several processes share.

use jwt_knox::{InsertOutcome, SessionRecord};

use crate::{
    Opener,
    fixture::{Probe, all_at_once, at, deny, evict_oldest, session, session_until, subject},
};

/// A client that opens the store again sees every record that was committed before, and none that was removed.
pub async fn reopening_sees_every_committed_record(open: Opener) {
    let subject = subject();
    let mut records: Vec<SessionRecord> = (0..8).map(|created| session_until(&subject, created, 600)).collect();
    let removed = session(&subject, 9);
    {
        let store = Probe(open.open().await);
        store.add_all(records.iter().chain([&removed])).await;
        assert!(
            store.touch(&records[0].session_ref(), at(20), Some(at(900))).await,
            "touch: an active session is written"
        );
        let new = session(&subject, 8);
        assert!(store.replace(&records[7].session_ref(), &new).await, "replace: a record that is there is replaced");
        records[7] = new;
        assert!(store.remove(&removed.session_ref()).await, "remove: a record that was there is `true`");
    }
    records[0].last_used_at = Some(at(20));
    records[0].expires_at = Some(at(900));
    records.reverse();

    let store = Probe(open.open().await);
    let listed = store.list(&subject, at(21)).await;
    assert_eq!(listed, records, "durability: the store must show the same records when it is opened again");
    assert_eq!(store.find(&removed.session_ref()).await, None, "durability: a removed record stays removed");
}

/// What is removed through one handle is gone for the other at once.
pub async fn a_removal_is_seen_through_every_handle(open: Opener) {
    let (one, other) = (Probe(open.open().await), Probe(open.open().await));
    let subject = subject();
    for _ in 0..8 {
        let records: Vec<SessionRecord> = (0..4).map(|created| session(&subject, created)).collect();
        one.add_all(&records).await;
        for record in &records {
            assert!(other.has(record).await, "two handles: what one has inserted, the other finds");
        }
        assert!(one.remove(&records[0].session_ref()).await, "remove: a record that was there is `true`");
        assert_eq!(
            other.find(&records[0].session_ref()).await,
            None,
            "two handles: what one has removed, the other does not find"
        );
        assert!(
            other.replace(&records[1].session_ref(), &session(&subject, 5)).await,
            "replace: a record that is there is replaced"
        );
        assert_eq!(
            one.find(&records[1].session_ref()).await,
            None,
            "two handles: what one has replaced, the other does not find"
        );
        assert_eq!(one.remove_all(&subject, None, at(9)).await, 3, "two handles: remove_all counts what both inserted");
        assert_eq!(other.list(&subject, at(9)).await, [], "two handles: after remove_all the other lists nothing");
    }
}

/// A limit holds over two handles.
pub async fn a_limit_holds_over_two_handles(open: Opener) {
    let handles = [Probe(open.open().await), Probe(open.open().await)];
    for limit in [deny(3), evict_oldest(3)] {
        let subject = subject();
        let outcomes = all_at_once(32, |index| {
            let (store, record) = (handles[index % 2].clone(), session(&subject, index as i64));
            async move { store.insert(&record, Some(limit), at(100)).await }
        })
        .await;
        for store in &handles {
            let active = store.list(&subject, at(100)).await.len();
            assert_eq!(active, 3, "two handles: 32 parallel logins at {limit:?} leave exactly 3 active sessions");
        }
        let rejected = outcomes.iter().filter(|outcome| **outcome == InsertOutcome::LimitReached).count();
        let expected = if limit == deny(3) { 29 } else { 0 };
        assert_eq!(rejected, expected, "two handles: at {limit:?} the outcomes add up");
    }
}

/// Of parallel rotations of one session through two handles exactly one wins.
pub async fn a_rotation_has_one_winner_over_two_handles(open: Opener) {
    let handles = [Probe(open.open().await), Probe(open.open().await)];
    let old = session(&subject(), 0);
    handles[0].add(&old).await;
    let outcomes = all_at_once(16, |index| {
        let (store, old, new) = (handles[index % 2].clone(), old.session_ref(), session(&old.subject, 1));
        async move { store.replace(&old, &new).await }
    })
    .await;
    let winners = outcomes.iter().filter(|won| **won).count();
    assert_eq!(winners, 1, "two handles: of parallel replaces of one record exactly one wins");
    assert_eq!(
        handles[1].list(&old.subject, at(2)).await.len(),
        1,
        "two handles: a replaced record leaves one in its place"
    );
}
