//! How many active sessions a subject may have.

use std::sync::Arc;

use jwt_knox::{InsertOutcome, SessionRecord, Timestamp, TokenStore};

use crate::fixture::{
    ADDED, Probe, at, deny, digest_beginning_with, evict_least_recently_used, evict_oldest, evicting, ids, just_after,
    labelled, session, session_until, subject,
};

/// A denying limit accepts so many sessions and no more, and changes nothing when it rejects one.
pub async fn a_denying_limit_rejects_one_too_many(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(deny(3));
    let records: Vec<SessionRecord> = (0..3).map(|created| session(&subject, created)).collect();
    for record in &records {
        assert_eq!(store.insert(record, limit, at(10)).await, ADDED, "deny: there is room up to the limit");
    }
    let extra = session(&subject, 5);
    assert_eq!(
        store.insert(&extra, limit, at(10)).await,
        InsertOutcome::LimitReached,
        "deny: one too many is rejected"
    );
    assert_eq!(store.find(&extra.session_ref()).await, None, "deny: a rejected record is not there");
    for record in &records {
        assert!(store.has(record).await, "deny: a rejected record changes nothing");
    }
    assert!(store.remove(&records[1].session_ref()).await, "remove: a record that was there is `true`");
    assert_eq!(store.insert(&extra, limit, at(10)).await, ADDED, "deny: a removed record makes room");
}

/// An evicting limit ends the oldest: by `created_at`, and of two equal ones that with the smaller id.
pub async fn an_evicting_limit_ends_the_oldest(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(evict_oldest(4));
    let created = |first, time: Timestamp| SessionRecord::new(subject.clone(), digest_beginning_with(first), time);
    let by_age = [created(0xf0, at(0)), created(0xe0, just_after(at(0))), created(0x11, at(60)), created(0x88, at(60))];
    // In the order neither of their age nor of their ids.
    for index in [2, 1, 3, 0] {
        assert_eq!(store.insert(&by_age[index], limit, at(99)).await, ADDED, "evict: there is room up to the limit");
    }
    // A use makes a session no younger.
    assert!(
        store.touch(&by_age[0].session_ref(), at(98), None).await,
        "touch: a later use of an active session is written"
    );

    for (index, evicted) in by_age.iter().enumerate() {
        let newcomer = session(&subject, 100 + index as i64);
        let outcome = store.insert(&newcomer, limit, at(200)).await;
        assert_eq!(
            outcome,
            evicting([evicted]),
            "evict: one too many evicts one, the oldest, by created_at and then by id"
        );
        assert_eq!(
            store.find(&evicted.session_ref()).await,
            None,
            "evict: the oldest goes, by created_at and then by id"
        );
        for other in &by_age[index + 1..] {
            assert!(
                store.find(&other.session_ref()).await.is_some(),
                "evict: only the oldest goes, by created_at and then by id"
            );
        }
        assert!(store.has(&newcomer).await, "evict: the new record is there");
    }
}

/// The new record is never the one that is evicted, even if the clock of its server is behind.
pub async fn an_evicting_limit_inserts_the_new_session(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [evict_oldest(1), evict_least_recently_used(1)] {
        let subject = subject();
        let (first, late) = (session(&subject, 100), session(&subject, 50));
        assert_eq!(store.insert(&first, Some(limit), at(100)).await, ADDED, "evict: there is room up to the limit");
        let outcome = store.insert(&late, Some(limit), at(100)).await;
        assert_eq!(outcome, evicting([&first]), "evict: one too many evicts one of the others");
        assert_eq!(
            ids(&store.list(&subject, at(101)).await),
            [late.id],
            "evict: `Inserted` means that the new record is there, whenever it was created"
        );
    }
}

/// A limit by last use ends the least recently used session: by `last_used_at`, or `created_at` where there is none,
/// and of two equal ones that with the smaller id.
pub async fn a_limit_by_use_ends_the_least_recently_used(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let limit = Some(evict_least_recently_used(5));
    let created = |first, time: Timestamp| SessionRecord::new(subject.clone(), digest_beginning_with(first), time);
    let by_use = [
        (created(0xf0, at(50)), None),
        (created(0x10, at(60)), None),
        (created(0x80, at(0)), Some(at(60))),
        (created(0x70, at(10)), Some(just_after(at(60)))),
        (created(0x00, at(20)), Some(at(90))),
    ];
    for index in [4, 2, 0, 3, 1] {
        let outcome = store.insert(&by_use[index].0, limit, at(70)).await;
        assert_eq!(outcome, ADDED, "evict: there is room up to the limit");
    }
    for (record, used) in &by_use {
        if let Some(used) = used {
            assert!(
                store.touch(&record.session_ref(), *used, None).await,
                "touch: a later use of an active session is written"
            );
        }
    }

    for (index, (evicted, _)) in by_use.iter().enumerate() {
        let newcomer = session(&subject, 100 + index as i64);
        let outcome = store.insert(&newcomer, limit, at(200)).await;
        let what = "evict: the least recently used goes, by last_used_at or else created_at, and then by id";
        assert_eq!(outcome, evicting([evicted]), "{what}");
        assert_eq!(store.find(&evicted.session_ref()).await, None, "{what}");
        for (other, _) in &by_use[index + 1..] {
            assert!(store.find(&other.session_ref()).await.is_some(), "{what}, and no other");
        }
        assert!(store.has(&newcomer).await, "evict: the new record is there");
    }
}

/// A limit of one session per label ends the active sessions with the label of the new one, byte for byte, and no
/// others.
pub async fn a_login_replaces_the_sessions_of_the_same_label(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (subject, stranger) = (subject(), subject());
    let limit = Some(deny(20).one_per_label());
    let labelled = |label, created| labelled(&subject, label, created);
    let labels = ["Café", "café", "Café ", " Café", "Cafe\u{301}", "Cafe", "☕"];
    let others: Vec<SessionRecord> =
        labels[1..].iter().map(|label| labelled(label, 0)).chain([session(&subject, 0)]).collect();
    let mut of_stranger = labelled(labels[0], 0);
    of_stranger.subject = stranger;
    let mut expired = labelled(labels[0], 0);
    expired.expires_at = Some(at(9));
    // Two, since they may have been inserted without such a limit.
    let same = [labelled(labels[0], 1), labelled(labels[0], 2)];
    store.add_all(others.iter().chain(&same).chain([&expired, &of_stranger])).await;

    let new = labelled(labels[0], 3);
    let outcome = store.insert(&new, limit, at(10)).await;
    assert_eq!(
        outcome,
        evicting(&same),
        "label: the active sessions with the same label are replaced and listed, and no others"
    );
    for record in &same {
        assert_eq!(store.find(&record.session_ref()).await, None, "label: a session with the same label is replaced");
    }
    for record in others.iter().chain([&new]) {
        assert!(store.has(record).await, "label: {:?} is not the same label byte for byte", record.label);
    }
    assert!(store.has(&of_stranger).await, "label: the sessions of other subjects are not replaced");

    let outcome = store.insert(&session(&subject, 4), limit, at(10)).await;
    assert_eq!(outcome, ADDED, "label: a session without a label replaces none");
    let outcome = store.insert(&labelled(labels[0], 5), Some(deny(20)), at(10)).await;
    assert_eq!(outcome, ADDED, "label: another limit replaces none");
}

/// Replacing comes before the limit, which applies to what is left; and a record that is rejected replaces nothing.
pub async fn replacing_comes_before_the_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let labelled = |label, created| labelled(&subject, label, created);
    let records = [labelled("phone", 0), labelled("laptop", 1), labelled("tablet", 2), labelled("watch", 3)];
    store.add_all(&records).await;

    let phone = labelled("phone", 10);
    let outcome = store.insert(&phone, Some(deny(4).one_per_label()), at(20)).await;
    assert_eq!(outcome, evicting(&records[..1]), "label: what is replaced makes room at a denying limit");

    let before = store.list(&subject, at(20)).await;
    let rejected = store.insert(&labelled("phone", 11), Some(deny(3).one_per_label()), at(20)).await;
    assert_eq!(rejected, InsertOutcome::LimitReached, "deny: three others are too many at a limit of 3");
    assert_eq!(store.list(&subject, at(20)).await, before, "label: a record that is rejected replaces nothing");

    // The oldest is the one that is replaced, so the next one must go too.
    let laptop = labelled("laptop", 12);
    let outcome = store.insert(&laptop, Some(evict_oldest(3).one_per_label()), at(20)).await;
    assert_eq!(outcome, evicting(&records[1..3]), "label: what is replaced and what is evicted are listed together");
    let listed = ids(&store.list(&subject, at(20)).await);
    assert_eq!(listed, [laptop.id, phone.id, records[3].id], "label: the limit applies to what is left");
}

/// A limit lower than the number of active sessions evicts down to it, or rejects and changes nothing.
pub async fn a_lowered_limit_applies_to_the_next_login(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let records: Vec<SessionRecord> = (0..5).map(|created| session(&subject, created)).collect();
    store.add_all(&records).await;
    let new = session(&subject, 10);
    let rejected = store.insert(&new, Some(deny(2)), at(20)).await;
    assert_eq!(rejected, InsertOutcome::LimitReached, "deny: a lowered limit rejects");
    assert_eq!(store.list(&subject, at(20)).await.len(), 5, "deny: a lowered limit removes nothing");

    let outcome = store.insert(&new, Some(evict_oldest(2)), at(20)).await;
    assert_eq!(outcome, evicting(&records[..4]), "evict: a lowered limit evicts down to it");
    let listed = ids(&store.list(&subject, at(20)).await);
    assert_eq!(listed, [new.id, records[4].id], "evict: a lowered limit keeps the newest");
}

/// A limit counts the sessions of the one subject.
pub async fn a_limit_counts_one_subject_only(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [deny(1), evict_oldest(1), evict_least_recently_used(1)] {
        let (mine, yours) = (session(&subject(), 0), session(&subject(), 0));
        for record in [&mine, &yours] {
            let outcome = store.insert(record, Some(limit), at(1)).await;
            assert_eq!(outcome, ADDED, "limit: the sessions of other subjects do not count");
        }
        assert!(store.has(&mine).await, "limit: the sessions of other subjects are not evicted");
    }
}

/// Expired sessions count in no limit, and are not reported as evicted.
pub async fn expired_sessions_count_in_no_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [deny(2), evict_oldest(2), evict_least_recently_used(2)] {
        let subject = subject();
        let expired = [session_until(&subject, 50, 100), session_until(&subject, 51, 99)];
        let active = session_until(&subject, 0, 101);
        store.add_all(expired.iter().chain([&active])).await;
        let new = session(&subject, 100);
        let outcome = store.insert(&new, Some(limit), at(100)).await;
        assert_eq!(outcome, ADDED, "limit: an expired session does not count, from its expiry on");
        let listed = ids(&store.list(&subject, at(100)).await);
        assert_eq!(listed, [new.id, active.id], "limit: an expired session does not push out an active one");
    }
}

/// An eviction lists the active sessions that it has removed, each once, and no others: those that are too many, those
/// with the same label, and those that are both.
pub async fn eviction_names_the_sessions(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (subject, stranger) = (subject(), subject());
    let mut expired = labelled(&subject, "phone", 0);
    expired.expires_at = Some(at(50));
    let records = [
        labelled(&subject, "phone", 1),
        labelled(&subject, "laptop", 2),
        session(&subject, 3),
        labelled(&subject, "phone", 4),
        session(&subject, 5),
        session(&subject, 6),
    ];
    store.add_all(records.iter().chain([&expired, &labelled(&stranger, "phone", 1)])).await;
    // The oldest that is left is the one that was used last.
    assert!(store.touch(&records[1].session_ref(), at(60), None).await, "touch: a session that is there is written");

    let mut there: Vec<SessionRecord> = store.list(&subject, at(70)).await;
    let steps = [
        (labelled(&subject, "phone", 10), evict_least_recently_used(4).one_per_label(), vec![0, 3, 2]),
        (session(&subject, 11), evict_oldest(4), vec![1]),
        (labelled(&subject, "phone", 12), evict_oldest(9), vec![]),
        (session(&subject, 13), deny(6), vec![]),
        (labelled(&subject, "watch", 14), evict_oldest(6).one_per_label(), vec![4]),
    ];
    for (new, limit, gone) in steps {
        let expected = evicting(gone.iter().map(|index| &records[*index]));
        let outcome = store.insert(&new, Some(limit), at(70)).await;
        assert_eq!(outcome, expected, "evict: the ids are those of the active sessions that go, each once; {limit:?}");
        there.retain(|record| !gone.iter().any(|index| records[*index].id == record.id));
        there.insert(0, new);
        let listed = store.list(&subject, at(70)).await;
        assert_eq!(ids(&listed), ids(&there), "evict: what is listed as evicted is gone, and nothing else; {limit:?}");
    }
}

/// Without a limit, sessions are just added.
pub async fn without_a_limit_nothing_is_evicted(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let records: Vec<SessionRecord> = (0..40).map(|created| session(&subject, created)).collect();
    store.add_all(&records).await;
    assert_eq!(store.list(&subject, at(99)).await.len(), 40, "insert: without a limit all sessions stay");
}
