//! What `remove_expired` takes away. It sees the whole store, so these rules use a separate time, soon after 1970.

use std::sync::Arc;

use jwt_knox::{InsertOutcome, SessionRecord, TokenStore};
use tokio::{sync::Mutex, task::yield_now};

use crate::fixture::{Probe, at, both_at_once, era, session, session_long_expired, session_until, since_1970, subject};

/// Held by a rule that purges. Another one at the same time would take its records away.
pub(super) static PURGING: Mutex<()> = Mutex::const_new(());

/// How often a rule is tried that a purge in another process can disturb.
pub(super) const TRIES: usize = 5;

/// No more records than this can be there from earlier runs.
const MOST_CALLS: usize = 100_000;

/// Calls `remove_expired` until it has nothing more to do.
pub(super) async fn purge(store: &Probe, era: i64, batch: u32) {
    for _ in 0..MOST_CALLS {
        let removed = store.remove_expired(since_1970(era), batch).await;
        assert!(removed <= u64::from(batch), "remove_expired: a call removes at most {batch} records, not {removed}");
        if removed < u64::from(batch) {
            return;
        }
    }
    panic!("remove_expired: it never says that it is done");
}

async fn how_many_are_there(store: &Probe, records: &[SessionRecord]) -> usize {
    let mut count = 0;
    for record in records {
        count += usize::from(store.find(&record.session_ref()).await.is_some());
    }
    count
}

/// `remove_expired` removes what has expired, from its expiry on, and nothing that is active.
pub async fn remove_expired_removes_only_what_has_expired(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (subject, era) = (subject(), era());
    let expired = [
        session_long_expired(&subject, era),
        session_long_expired(&subject, era - 1),
        session_long_expired(&subject, era - 3600),
    ];
    let mut unlimited = session(&subject, 0);
    unlimited.created_at = since_1970(era - 3600);
    let active = [session_until(&subject, 0, 600), session(&subject, 0), unlimited];
    store.add_all(expired.iter().chain(&active)).await;
    purge(&store, era, 100).await;
    assert_eq!(
        how_many_are_there(&store, &expired).await,
        0,
        "remove_expired: what has expired goes, from its expiry on"
    );
    for record in &active {
        assert!(
            store.has(record).await,
            "remove_expired: what is active stays as it is, and so does what never expires"
        );
    }

    // One that is still active. A store that drops records by its own clock, or another process, may take it.
    for attempt in 1..=TRIES {
        let soon = session_long_expired(&subject, era + 1);
        store.add(&soon).await;
        let was_there = store.has(&soon).await;
        purge(&store, era, 100).await;
        if !was_there || store.has(&soon).await {
            break;
        }
        assert!(attempt < TRIES, "remove_expired: a record stays until its expiry");
    }
}

/// `remove_expired` removes at most a batch, and comes to an end.
pub async fn remove_expired_keeps_to_its_batch(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    for attempt in 1..=TRIES {
        let (subject, era) = (subject(), era());
        purge(&store, era, 100).await;
        let expired: Vec<SessionRecord> = (0..8).map(|age| session_long_expired(&subject, era - age)).collect();
        store.add_all(&expired).await;
        let there = how_many_are_there(&store, &expired).await;
        let removed = store.remove_expired(since_1970(era), 3).await;
        assert!(removed <= 3, "remove_expired: a call removes at most a batch of 3 records, not {removed}");
        let left = how_many_are_there(&store, &expired).await;
        purge(&store, era, 3).await;
        let rest = how_many_are_there(&store, &expired).await;
        assert_eq!(rest, 0, "remove_expired: fewer than a batch means that nothing is left");
        // A store that drops records by its own clock returns 0, and has had none of them.
        if left + removed as usize == there && (removed == 3 || there == 0) {
            return;
        }
        assert!(
            attempt < TRIES,
            "remove_expired: of {there} expired records, a batch of 3 left {left} and said {removed}"
        );
    }
}

/// A purge in batches loses no session that begins in the meantime.
pub async fn remove_expired_loses_no_parallel_login(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (subject, era) = (subject(), era());
    let expired: Vec<SessionRecord> = (0..40).map(|age| session_long_expired(&subject, era - age)).collect();
    store.add_all(&expired).await;

    let (purging, adding, owner) = (store.clone(), store.clone(), subject.clone());
    let ((), active) = both_at_once(
        async move {
            for _ in 0..10 {
                purge(&purging, era, 5).await;
            }
        },
        async move {
            let mut active = Vec::new();
            for index in 0..40 {
                let record = if index % 2 == 0 { session(&owner, index) } else { session_until(&owner, index, 600) };
                adding.add(&record).await;
                active.push(record);
            }
            active
        },
    )
    .await;
    purge(&store, era, 5).await;
    for record in &active {
        assert!(store.has(record).await, "remove_expired: a session that begins during the purge stays");
    }
    assert_eq!(
        store.list(&subject, at(100)).await.len(),
        active.len(),
        "remove_expired: the list is that of the active sessions"
    );
    assert_eq!(
        how_many_are_there(&store, &expired).await,
        0,
        "remove_expired: fewer than a batch means that nothing is left"
    );
}

/// A use that moves the expiry of a session and meets a purge for which it has expired: the session is used or purged,
/// not both. Two servers need not agree on the time to the second.
pub async fn remove_expired_spares_a_session_that_is_used_in_parallel(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    for round in 0..40 {
        let era = era();
        let record = session_long_expired(&subject(), era);
        store.add(&record).await;
        let (purging, using, key) = (store.clone(), store.clone(), record.session_ref());
        let (_, used) = both_at_once(
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                purging.remove_expired(since_1970(era), 100).await
            },
            async move { using.touch(&key, since_1970(era - 1), Some(at(600))).await },
        )
        .await;
        let is_there = store.find(&record.session_ref()).await.is_some();
        assert_eq!(
            is_there, used,
            "remove_expired: a session whose expiry moves in the meantime is used or purged, not both"
        );
    }
}

/// A purge forgets no `remove_all` of the last day: a login that began before it is still superseded.
pub async fn remove_expired_forgets_no_revocation(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (subject, era) = (subject(), era());
    // A day ago, but for a second.
    let revoked = era - 24 * 3600 + 1;
    store.add(&session_long_expired(&subject, revoked)).await;
    store.remove_all(&subject, None, since_1970(revoked)).await;
    purge(&store, era, 100).await;
    let mut late = session(&subject, 0);
    late.created_at = since_1970(revoked - 1);
    assert_eq!(
        store.insert(&late, None, since_1970(era)).await,
        InsertOutcome::Superseded,
        "superseded: remove_all is remembered for a day, whatever is purged in that time"
    );
    assert_eq!(store.find(&late.session_ref()).await, None, "superseded: a login that is rejected is not there");
}
