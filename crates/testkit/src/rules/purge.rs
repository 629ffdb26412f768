//! What `remove_expired` takes away. It sees the whole store, so these rules live in a time of their own, soon after
//! 1970.

use std::sync::Arc;

use jwt_knox::{TokenRecord, TokenStore};
use tokio::{sync::Mutex, task::yield_now};

use crate::fixture::{Probe, at, both_at_once, era, login, login_long_over, login_until, since_1970, subject};

/// Held by the rule that purges. Another one at the same time would take its records away.
pub(super) static PURGING: Mutex<()> = Mutex::const_new(());

/// How often a rule is tried that a purge in another process can disturb.
const TRIES: usize = 5;

/// No more records than this can be there from earlier runs.
const MOST_CALLS: usize = 100_000;

/// Calls `remove_expired` until it has nothing more to do.
async fn purge(store: &Probe, era: i64, batch: u32) {
    for _ in 0..MOST_CALLS {
        let removed = store.remove_expired(since_1970(era), batch).await;
        assert!(removed <= u64::from(batch), "remove_expired: a call removes at most {batch} records, not {removed}");
        if removed < u64::from(batch) {
            return;
        }
    }
    panic!("remove_expired: it never says that it is through");
}

async fn how_many_are_there(store: &Probe, records: &[TokenRecord]) -> usize {
    let mut count = 0;
    for record in records {
        count += usize::from(store.find(&record.key()).await.is_some());
    }
    count
}

/// `remove_expired` removes what is over, from its deadline on, and nothing that is live.
pub async fn remove_expired_removes_only_what_is_over(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (subject, era) = (subject(), era());
    let over =
        [login_long_over(&subject, era), login_long_over(&subject, era - 1), login_long_over(&subject, era - 3600)];
    let mut endless = login(&subject, 0);
    endless.created_at = since_1970(era - 3600);
    let live = [login_until(&subject, 0, 600), login(&subject, 0), endless];
    store.add_all(over.iter().chain(&live)).await;
    purge(&store, era, 100).await;
    assert_eq!(how_many_are_there(&store, &over).await, 0, "remove_expired: what is over goes, from its deadline on");
    for record in &live {
        assert!(
            store.has(record).await,
            "remove_expired: what is live stays as it is, and so does what has no deadline"
        );
    }

    // One that is live for a moment yet. A store that drops records by its own clock, or another process, may take it.
    for attempt in 1..=TRIES {
        let soon = login_long_over(&subject, era + 1);
        store.add(&soon).await;
        let was_there = store.has(&soon).await;
        purge(&store, era, 100).await;
        if !was_there || store.has(&soon).await {
            break;
        }
        assert!(attempt < TRIES, "remove_expired: a record stays until its deadline has come");
    }
}

/// `remove_expired` removes at most a batch, and comes to an end.
pub async fn remove_expired_keeps_to_its_batch(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    for attempt in 1..=TRIES {
        let (subject, era) = (subject(), era());
        purge(&store, era, 100).await;
        let over: Vec<TokenRecord> = (0..8).map(|age| login_long_over(&subject, era - age)).collect();
        store.add_all(&over).await;
        let there = how_many_are_there(&store, &over).await;
        let removed = store.remove_expired(since_1970(era), 3).await;
        assert!(removed <= 3, "remove_expired: a call removes at most a batch of 3 records, not {removed}");
        let left = how_many_are_there(&store, &over).await;
        purge(&store, era, 3).await;
        let rest = how_many_are_there(&store, &over).await;
        assert_eq!(rest, 0, "remove_expired: fewer than a batch means that nothing is left");
        // A store that drops records by its own clock returns 0, and has had none of them.
        if left + removed as usize == there && (removed == 3 || there == 0) {
            return;
        }
        assert!(
            attempt < TRIES,
            "remove_expired: of {there} records that are over, a batch of 3 left {left} and said {removed}"
        );
    }
}

/// A purge in batches loses no login that happens meanwhile.
pub async fn remove_expired_loses_no_login_that_happens_meanwhile(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (subject, era) = (subject(), era());
    let over: Vec<TokenRecord> = (0..40).map(|age| login_long_over(&subject, era - age)).collect();
    store.add_all(&over).await;

    let (purging, adding, owner) = (store.clone(), store.clone(), subject.clone());
    let ((), live) = both_at_once(
        async move {
            for _ in 0..10 {
                purge(&purging, era, 5).await;
            }
        },
        async move {
            let mut live = Vec::new();
            for index in 0..40 {
                let record = if index % 2 == 0 { login(&owner, index) } else { login_until(&owner, index, 600) };
                adding.add(&record).await;
                live.push(record);
            }
            live
        },
    )
    .await;
    purge(&store, era, 5).await;
    for record in &live {
        assert!(store.has(record).await, "remove_expired: a login that happens during the purge stays");
    }
    assert_eq!(
        store.list(&subject, at(100)).await.len(),
        live.len(),
        "remove_expired: the list is that of the live logins"
    );
    assert_eq!(
        how_many_are_there(&store, &over).await,
        0,
        "remove_expired: fewer than a batch means that nothing is left"
    );
}

/// A use that slides the deadline of a login and meets a purge for which it is over: the login is used or purged, not
/// both. Two servers need not agree on the time to the second.
pub async fn remove_expired_spares_a_login_that_is_used_meanwhile(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    for round in 0..40 {
        let era = era();
        let record = login_long_over(&subject(), era);
        store.add(&record).await;
        let (purging, using, key) = (store.clone(), store.clone(), record.key());
        let (_, noted) = both_at_once(
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                purging.remove_expired(since_1970(era), 100).await
            },
            async move { using.touch(&key, since_1970(era - 1), Some(at(600))).await },
        )
        .await;
        let is_there = store.find(&record.key()).await.is_some();
        assert_eq!(
            is_there, noted,
            "remove_expired: a login whose deadline moves meanwhile is used or purged, not both"
        );
    }
}
