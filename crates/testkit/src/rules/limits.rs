//! How many live records a subject may have.

use std::sync::Arc;

use jiff::Timestamp;
use jwt_knox::{InsertOutcome, TokenLimit, TokenRecord, TokenStore};

use crate::fixture::{Probe, at, digest_beginning_with, ids, just_after, login, login_until, subject};

const ADDED: InsertOutcome = InsertOutcome::Inserted { evicted: 0 };

/// A denying limit lets so many in and no more, and changes nothing when it denies.
pub async fn a_denying_limit_refuses_one_too_many(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(TokenLimit::deny(3));
    let records: Vec<TokenRecord> = (0..3).map(|created| login(&subject, created)).collect();
    for record in &records {
        assert_eq!(store.insert(record, limit, at(10)).await, ADDED, "deny: there is room up to the limit");
    }
    let extra = login(&subject, 5);
    assert_eq!(store.insert(&extra, limit, at(10)).await, InsertOutcome::LimitReached, "deny: one too many is denied");
    assert_eq!(store.find(&extra.key()).await, None, "deny: a denied record is not there");
    for record in &records {
        assert!(store.has(record).await, "deny: a denied record changes nothing");
    }
    assert!(store.remove(&records[1].key()).await, "remove: a record that was there is `true`");
    assert_eq!(store.insert(&extra, limit, at(10)).await, ADDED, "deny: a removed record makes room");
}

/// An evicting limit ends the oldest: by `created_at`, and of two equal ones that with the smaller id.
pub async fn an_evicting_limit_ends_the_oldest(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(TokenLimit::evict_oldest(4));
    let born = |first, moment: Timestamp| TokenRecord::new(subject.clone(), digest_beginning_with(first), moment);
    let by_age = [born(0xf0, at(0)), born(0xe0, just_after(at(0))), born(0x11, at(60)), born(0x88, at(60))];
    // Neither in the order of their age nor in that of their ids.
    for index in [2, 1, 3, 0] {
        assert_eq!(store.insert(&by_age[index], limit, at(99)).await, ADDED, "evict: there is room up to the limit");
    }
    // A use makes a login no younger.
    assert!(store.touch(&by_age[0].key(), at(98), None).await, "touch: a later use of a live record is written");

    for (index, victim) in by_age.iter().enumerate() {
        let newcomer = login(&subject, 100 + index as i64);
        let outcome = store.insert(&newcomer, limit, at(200)).await;
        assert_eq!(outcome, InsertOutcome::Inserted { evicted: 1 }, "evict: one too many evicts one");
        assert_eq!(store.find(&victim.key()).await, None, "evict: the oldest goes, by created_at and then by id");
        for other in &by_age[index + 1..] {
            assert!(
                store.find(&other.key()).await.is_some(),
                "evict: only the oldest goes, by created_at and then by id"
            );
        }
        assert!(store.has(&newcomer).await, "evict: the new record is there");
    }
}

/// The record that is let in is never the one evicted, even if the clock of its server is behind.
pub async fn an_evicting_limit_lets_the_new_record_in(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(TokenLimit::evict_oldest(1));
    let (first, late) = (login(&subject, 100), login(&subject, 50));
    assert_eq!(store.insert(&first, limit, at(100)).await, ADDED, "evict: there is room up to the limit");
    let outcome = store.insert(&late, limit, at(100)).await;
    assert_eq!(outcome, InsertOutcome::Inserted { evicted: 1 }, "evict: one too many evicts one");
    assert_eq!(
        ids(&store.list(&subject, at(101)).await),
        [late.id()],
        "evict: `Inserted` means that the new record is there, whenever it was created"
    );
}

/// A limit lower than the number of live records evicts down to it, or denies and changes nothing.
pub async fn a_lowered_limit_applies_to_the_next_login(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let records: Vec<TokenRecord> = (0..5).map(|created| login(&subject, created)).collect();
    store.add_all(&records).await;
    let new = login(&subject, 10);
    let denied = store.insert(&new, Some(TokenLimit::deny(2)), at(20)).await;
    assert_eq!(denied, InsertOutcome::LimitReached, "deny: a lowered limit denies");
    assert_eq!(store.list(&subject, at(20)).await.len(), 5, "deny: a lowered limit removes nothing");

    let outcome = store.insert(&new, Some(TokenLimit::evict_oldest(2)), at(20)).await;
    assert_eq!(outcome, InsertOutcome::Inserted { evicted: 4 }, "evict: a lowered limit evicts down to it");
    let listed = ids(&store.list(&subject, at(20)).await);
    assert_eq!(listed, [new.id(), records[4].id()], "evict: a lowered limit keeps the newest");
}

/// A limit counts the records of the one subject.
pub async fn a_limit_counts_its_own_subject_only(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [TokenLimit::deny(1), TokenLimit::evict_oldest(1)] {
        let (mine, yours) = (login(&subject(), 0), login(&subject(), 0));
        for record in [&mine, &yours] {
            let outcome = store.insert(record, Some(limit), at(1)).await;
            assert_eq!(outcome, ADDED, "limit: the records of other subjects do not count");
        }
        assert!(store.has(&mine).await, "limit: the records of other subjects are not evicted");
    }
}

/// Records that are over count in no limit, and are not reported as evicted.
pub async fn expired_records_count_in_no_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [TokenLimit::deny(2), TokenLimit::evict_oldest(2)] {
        let subject = subject();
        let over = [login_until(&subject, 50, 100), login_until(&subject, 51, 99)];
        let live = login_until(&subject, 0, 101);
        store.add_all(over.iter().chain([&live])).await;
        let new = login(&subject, 100);
        let outcome = store.insert(&new, Some(limit), at(100)).await;
        assert_eq!(outcome, ADDED, "limit: a record that is over does not count, from its deadline on");
        let listed = ids(&store.list(&subject, at(100)).await);
        assert_eq!(listed, [new.id(), live.id()], "limit: a record that is over does not push out one that is live");
    }
}

/// Without a limit, logins are just added.
pub async fn without_a_limit_nothing_is_evicted(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let records: Vec<TokenRecord> = (0..40).map(|created| login(&subject, created)).collect();
    store.add_all(&records).await;
    assert_eq!(store.list(&subject, at(99)).await.len(), 40, "insert: without a limit all records stay");
}
