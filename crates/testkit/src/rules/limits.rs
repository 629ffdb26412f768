//! How many live records a subject may have.

use std::sync::Arc;

use jiff::Timestamp;
use jwt_knox::{InsertOutcome, TokenLimit, TokenRecord, TokenStore};

use crate::fixture::{Probe, at, digest_beginning_with, ids, just_after, labelled, login, login_until, subject};

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
    for limit in [TokenLimit::evict_oldest(1), TokenLimit::evict_longest_unused(1)] {
        let subject = subject();
        let (first, late) = (login(&subject, 100), login(&subject, 50));
        assert_eq!(store.insert(&first, Some(limit), at(100)).await, ADDED, "evict: there is room up to the limit");
        let outcome = store.insert(&late, Some(limit), at(100)).await;
        assert_eq!(outcome, InsertOutcome::Inserted { evicted: 1 }, "evict: one too many evicts one");
        assert_eq!(
            ids(&store.list(&subject, at(101)).await),
            [late.id()],
            "evict: `Inserted` means that the new record is there, whenever it was created"
        );
    }
}

/// A limit by last use ends the login that was not used for longest: by `last_used_at`, or `created_at` where there is
/// none, and of two equal ones that with the smaller id.
pub async fn a_limit_by_use_ends_the_longest_unused(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(TokenLimit::evict_longest_unused(5));
    let born = |first, moment: Timestamp| TokenRecord::new(subject.clone(), digest_beginning_with(first), moment);
    let by_use = [
        (born(0xf0, at(50)), None),
        (born(0x10, at(60)), None),
        (born(0x80, at(0)), Some(at(60))),
        (born(0x70, at(10)), Some(just_after(at(60)))),
        (born(0x00, at(20)), Some(at(90))),
    ];
    for index in [4, 2, 0, 3, 1] {
        let outcome = store.insert(&by_use[index].0, limit, at(70)).await;
        assert_eq!(outcome, ADDED, "evict: there is room up to the limit");
    }
    for (record, used) in &by_use {
        if let Some(used) = used {
            assert!(store.touch(&record.key(), *used, None).await, "touch: a later use of a live record is written");
        }
    }

    for (index, (victim, _)) in by_use.iter().enumerate() {
        let newcomer = login(&subject, 100 + index as i64);
        let outcome = store.insert(&newcomer, limit, at(200)).await;
        assert_eq!(outcome, InsertOutcome::Inserted { evicted: 1 }, "evict: one too many evicts one");
        let what = "evict: the longest unused goes, by last_used_at or else created_at, and then by id";
        assert_eq!(store.find(&victim.key()).await, None, "{what}");
        for (other, _) in &by_use[index + 1..] {
            assert!(store.find(&other.key()).await.is_some(), "{what}, and no other");
        }
        assert!(store.has(&newcomer).await, "evict: the new record is there");
    }
}

/// A limit that replaces the same label ends the live logins with the label of the new one, byte for byte, and no
/// others.
pub async fn a_login_replaces_those_of_the_same_label(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (subject, stranger) = (subject(), subject());
    let limit = Some(TokenLimit::deny(20).replacing_same_label());
    let labelled = |label, created| labelled(&subject, label, created);
    let labels = ["Café", "café", "Café ", " Café", "Cafe\u{301}", "Cafe", "☕"];
    let others: Vec<TokenRecord> =
        labels[1..].iter().map(|label| labelled(label, 0)).chain([login(&subject, 0)]).collect();
    let mut foreign = labelled(labels[0], 0);
    foreign.subject = stranger;
    let mut over = labelled(labels[0], 0);
    over.expires_at = Some(at(9));
    // Two, since they may have come in without such a limit.
    let same = [labelled(labels[0], 1), labelled(labels[0], 2)];
    store.add_all(others.iter().chain(&same).chain([&over, &foreign])).await;

    let new = labelled(labels[0], 3);
    let outcome = store.insert(&new, limit, at(10)).await;
    let expected = InsertOutcome::Inserted { evicted: 2 };
    assert_eq!(
        outcome, expected,
        "label: the live records with the same label are replaced and counted, and no others"
    );
    for record in &same {
        assert_eq!(store.find(&record.key()).await, None, "label: a record with the same label is replaced");
    }
    for record in others.iter().chain([&new]) {
        assert!(store.has(record).await, "label: {:?} is not the same label byte for byte", record.label);
    }
    assert!(store.has(&foreign).await, "label: the records of other subjects are not replaced");

    let outcome = store.insert(&login(&subject, 4), limit, at(10)).await;
    assert_eq!(outcome, ADDED, "label: a record without a label replaces none");
    let outcome = store.insert(&labelled(labels[0], 5), Some(TokenLimit::deny(20)), at(10)).await;
    assert_eq!(outcome, ADDED, "label: another limit replaces none");
}

/// Replacing comes before the limit, which applies to what is left; and a record that is denied replaces nothing.
pub async fn replacing_comes_before_the_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let labelled = |label, created| labelled(&subject, label, created);
    let records = [labelled("phone", 0), labelled("laptop", 1), labelled("tablet", 2), labelled("watch", 3)];
    store.add_all(&records).await;

    let phone = labelled("phone", 10);
    let outcome = store.insert(&phone, Some(TokenLimit::deny(4).replacing_same_label()), at(20)).await;
    let expected = InsertOutcome::Inserted { evicted: 1 };
    assert_eq!(outcome, expected, "label: what is replaced makes room at a denying limit");

    let before = store.list(&subject, at(20)).await;
    let denied = store.insert(&labelled("phone", 11), Some(TokenLimit::deny(3).replacing_same_label()), at(20)).await;
    assert_eq!(denied, InsertOutcome::LimitReached, "deny: three others are too many at a limit of 3");
    assert_eq!(store.list(&subject, at(20)).await, before, "label: a record that is denied replaces nothing");

    // The oldest is the one that is replaced, so that the next one must go too.
    let laptop = labelled("laptop", 12);
    let outcome = store.insert(&laptop, Some(TokenLimit::evict_oldest(3).replacing_same_label()), at(20)).await;
    assert_eq!(
        outcome,
        InsertOutcome::Inserted { evicted: 2 },
        "label: what is replaced and what is evicted are counted together"
    );
    let listed = ids(&store.list(&subject, at(20)).await);
    assert_eq!(listed, [laptop.id(), phone.id(), records[3].id()], "label: the limit applies to what is left");
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
    for limit in [TokenLimit::deny(1), TokenLimit::evict_oldest(1), TokenLimit::evict_longest_unused(1)] {
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
    for limit in [TokenLimit::deny(2), TokenLimit::evict_oldest(2), TokenLimit::evict_longest_unused(2)] {
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
