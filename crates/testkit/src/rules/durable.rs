//! What a store must do that outlives the process, or that several processes share.

use jwt_knox::{InsertOutcome, SessionRecord};

use crate::{
    Opener,
    fixture::{
        ADDED, Probe, all_at_once, at, count, deny, evict_oldest, rotated, rotation, session, session_until, subject,
    },
};

/// A client that opens the store again sees every record and revocation that was committed before, and no record that
/// was removed.
pub async fn reopening_sees_every_committed_record(open: Opener) {
    let subject = subject();
    let mut records: Vec<SessionRecord> = (0..8).map(|created| session_until(&subject, created, 600)).collect();
    let (removed, revoked) = (session(&subject, 9), session(&crate::fixture::subject(), 0));
    {
        let store = Probe(open.open().await);
        store.add_all(records.iter().chain([&removed])).await;
        assert!(
            store.touch(&records[0].session_ref(), at(20), Some(at(900))).await,
            "touch: an active session is written"
        );
        let rotation = rotation(&records[7], 20);
        assert!(
            store.rotate(&records[7].session_ref(), &rotation).await,
            "rotate: a session with that digest is rotated"
        );
        records[7] = rotated(&records[7], &rotation);
        assert!(store.remove(&removed.session_ref()).await, "remove: a record that was there is `true`");
        store.add(&revoked).await;
        assert_eq!(store.remove_all(&revoked.subject, None, at(10)).await, 1, "remove_all: the session was active");
    }
    records[0].last_used_at = Some(at(20));
    records[0].expires_at = Some(at(900));
    records.reverse();

    let store = Probe(open.open().await);
    let listed = store.list(&subject, at(21)).await;
    assert_eq!(listed, records, "durability: the store must show the same records when it is opened again");
    assert_eq!(store.find(&removed.session_ref()).await, None, "durability: a removed record stays removed");
    assert_eq!(store.find(&revoked.session_ref()).await, None, "durability: a revoked session stays revoked");
    assert_eq!(
        store.insert(&session(&revoked.subject, 9), None, at(20)).await,
        InsertOutcome::Superseded,
        "durability: remove_all is remembered when the store is opened again"
    );
}

/// What is removed or rotated through one handle is so for the other at once.
pub async fn a_removal_is_seen_through_every_handle(open: Opener) {
    let (one, other) = (Probe(open.open().await), Probe(open.open().await));
    let subject = subject();
    for round in 0..8 {
        // After the last remove_all.
        let began = 10 * round;
        let records: Vec<SessionRecord> = (0..4).map(|created| session(&subject, began + created)).collect();
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
        let rotation = rotation(&records[1], began + 5);
        assert!(
            other.rotate(&records[1].session_ref(), &rotation).await,
            "rotate: a session with that digest is rotated"
        );
        assert!(
            one.has(&rotated(&records[1], &rotation)).await,
            "two handles: what one has rotated, the other finds with its new digest"
        );
        let now = at(began + 9);
        assert_eq!(one.remove_all(&subject, None, now).await, 3, "two handles: remove_all counts what both inserted");
        assert_eq!(other.list(&subject, now).await, [], "two handles: after remove_all the other lists nothing");
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
        let expected = if limit == deny(3) { 29 } else { 0 };
        let rejected = count(&outcomes, &InsertOutcome::LimitReached);
        assert_eq!(rejected, expected, "two handles: at {limit:?} the outcomes add up");
        assert_eq!(count(&outcomes, &ADDED), 3, "two handles: at {limit:?} the outcomes add up");
    }
}

/// Of parallel rotations of one session through two handles exactly one wins.
pub async fn a_rotation_has_one_winner_over_two_handles(open: Opener) {
    let handles = [Probe(open.open().await), Probe(open.open().await)];
    for _ in 0..4 {
        let old = session(&subject(), 0);
        handles[0].add(&old).await;
        assert!(handles[1].has(&old).await, "two handles: what one has inserted, the other finds");
        let outcomes = all_at_once(32, |index| {
            let (store, key) = (handles[index % 2].clone(), old.session_ref());
            let rotation = rotation(&old, 10 + index as i64);
            async move { store.rotate(&key, &rotation).await.then_some(rotation) }
        })
        .await;
        let winners: Vec<SessionRecord> = outcomes.iter().flatten().map(|rotation| rotated(&old, rotation)).collect();
        assert_eq!(winners.len(), 1, "two handles: of parallel rotations of one session exactly one wins");
        for store in &handles {
            let listed = store.list(&old.subject, at(100)).await;
            assert_eq!(listed, winners, "two handles: parallel rotations leave what the winner has written");
        }
    }
}

/// `remove_all` through one handle supersedes logins that began before it through every handle, also those under way.
pub async fn a_revocation_supersedes_logins_of_every_handle(open: Opener) {
    let handles = [Probe(open.open().await), Probe(open.open().await)];
    let later = Probe(open.open().await);
    for round in 0..8 {
        let subject = subject();
        let outcomes = all_at_once(8, |index| {
            let (store, record) = (handles[index % 2].clone(), session(&subject, 40 + index as i64));
            async move {
                if index == round {
                    store.remove_all(&record.subject, None, at(50)).await;
                    return InsertOutcome::Superseded;
                }
                store.insert(&record, None, at(60)).await
            }
        })
        .await;
        let added = count(&outcomes, &ADDED);
        let superseded = count(&outcomes, &InsertOutcome::Superseded);
        assert_eq!(added + superseded, 8, "two handles: a login that meets remove_all is added or superseded");
        for store in handles.iter().chain([&later]) {
            assert_eq!(
                store.insert(&session(&subject, 49), None, at(60)).await,
                InsertOutcome::Superseded,
                "two handles: remove_all through one supersedes earlier logins through the other"
            );
        }
        for store in handles.iter().chain([&later]) {
            assert_eq!(
                store.list(&subject, at(60)).await,
                [],
                "two handles: after remove_all no session is there that began before it"
            );
        }
        for store in &handles {
            let outcome = store.insert(&session(&subject, 50), None, at(60)).await;
            assert_eq!(outcome, ADDED, "two handles: a login that began at the time of remove_all is accepted");
        }
    }
}
