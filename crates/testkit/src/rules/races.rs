//! What holds when calls run at the same time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jwt_knox::{InsertOutcome, SessionId, SessionLimit, SessionRecord, SessionRef, Subject, TokenStore};
use tokio::task::yield_now;

use super::purge::PURGING;
use crate::fixture::{
    ADDED, Probe, all_at_once, all_evicted, at, both_at_once, count, deny, era, evict_least_recently_used,
    evict_oldest, evicting, ids, labelled, rotated, rotation, session, session_long_expired, session_until, since_1970,
    subject,
};

/// How often two calls are run against each other.
const ROUNDS: usize = 40;

/// Of 64 parallel logins at a denying limit of 3, exactly 3 succeed.
pub async fn parallel_logins_keep_to_a_denying_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (_, outcomes) = log_in_at_once(&store, &subject, deny(3)).await;
    let active = store.list(&subject, at(100)).await.len();
    assert_eq!(active, 3, "limit: 64 parallel logins at a denying limit of 3 leave exactly 3 active sessions");
    let added = count(&outcomes, &ADDED);
    assert_eq!(added, 3, "limit: of 64 parallel logins at a denying limit of 3, exactly 3 succeed");
    let rejected = count(&outcomes, &InsertOutcome::LimitReached);
    assert_eq!(rejected, 61, "limit: of 64 parallel logins at a denying limit of 3, all others are rejected");
}

/// 64 parallel logins at an evicting limit of 3 leave exactly 3.
pub async fn parallel_logins_keep_to_an_evicting_limit(store: Arc<dyn TokenStore>) {
    keeps_to_an_evicting_limit(Probe(store), evict_oldest(3)).await;
}

/// 64 parallel logins at a limit of 3 by last use leave exactly 3.
pub async fn parallel_logins_keep_to_a_limit_by_use(store: Arc<dyn TokenStore>) {
    keeps_to_an_evicting_limit(Probe(store), evict_least_recently_used(3)).await;
}

async fn keeps_to_an_evicting_limit(store: Probe, limit: SessionLimit) {
    let subject = subject();
    let (all, outcomes) = log_in_at_once(&store, &subject, limit).await;
    let active = ids(&store.list(&subject, at(100)).await);
    assert_eq!(active.len(), 3, "limit: 64 parallel logins at an evicting limit of 3 leave exactly 3 active sessions");
    assert_eq!(
        all_evicted(&outcomes),
        all_but(&all, &active),
        "limit: each session that was evicted is listed once, by the login that evicted it"
    );
}

/// Those of `all` that are not in `active`, in order.
fn all_but(all: &[SessionId], active: &[SessionId]) -> Vec<SessionId> {
    let mut gone: Vec<SessionId> = all.iter().filter(|id| !active.contains(id)).copied().collect();
    gone.sort_unstable();
    gone
}

/// The ids of 64 sessions, and the outcomes of inserting them.
async fn log_in_at_once(store: &Probe, subject: &Subject, limit: SessionLimit) -> (Vec<SessionId>, Vec<InsertOutcome>) {
    let outcomes = all_at_once(64, |index| {
        let (store, record) = (store.clone(), session(subject, index as i64 % 8));
        async move { (record.id, store.insert(&record, Some(limit), at(100)).await) }
    });
    outcomes.await.into_iter().unzip()
}

/// Of 32 parallel logins with the same label exactly one is left.
pub async fn parallel_logins_of_one_label_leave_one(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let other = labelled(&subject, "laptop", 0);
    store.add(&other).await;
    let limit = Some(deny(40).one_per_label());
    let outcomes = all_at_once(32, |index| {
        let (store, record) = (store.clone(), labelled(&subject, "phone", index as i64 % 8));
        async move { (record.id, store.insert(&record, limit, at(100)).await) }
    });
    let (all, outcomes): (Vec<SessionId>, Vec<InsertOutcome>) = outcomes.await.into_iter().unzip();
    let listed = store.list(&subject, at(100)).await;
    let phones = ids(listed.iter().filter(|record| record.label.as_deref() == Some("phone")));
    assert_eq!(phones.len(), 1, "label: 32 parallel logins with the same label leave exactly one active session of it");
    assert!(store.has(&other).await, "label: a session with another label stays");
    assert_eq!(
        all_evicted(&outcomes),
        all_but(&all, &phones),
        "label: each session that was replaced is listed once, by the login that replaced it"
    );
}

/// Of 16 parallel inserts of the same record exactly one succeeds, and the others are errors and change nothing.
pub async fn parallel_inserts_of_one_record_have_one_winner(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for limit in [None, Some(deny(9)), Some(evict_oldest(2))] {
        let subject = subject();
        let (other, record) = (session(&subject, 0), session(&subject, 1));
        store.add(&other).await;
        let outcomes = all_at_once(16, |index| {
            let (store, mut record) = (store.clone(), record.clone());
            record.label = Some(index.to_string());
            async move { store.0.insert(record.clone(), limit, at(10)).await.ok().map(|outcome| (record, outcome)) }
        })
        .await;
        let (winners, outcomes): (Vec<SessionRecord>, Vec<InsertOutcome>) = outcomes.into_iter().flatten().unzip();
        assert_eq!(outcomes, [ADDED], "insert: of parallel calls with the same key exactly one succeeds; {limit:?}");
        assert_eq!(
            store.list(&subject, at(10)).await,
            [winners[0].clone(), other],
            "insert: parallel calls with the same key leave what the winner has written; {limit:?}"
        );
    }
}

/// A use that meets an eviction by last use either comes first and saves the session, or finds it gone. A rotation is a
/// use as well.
pub async fn a_recorded_use_saves_from_eviction(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let limit = Some(evict_least_recently_used(2));
    for round in 0..ROUNDS {
        let subject = subject();
        let records = [session(&subject, 0), session(&subject, 1)];
        store.add_all(&records).await;
        let (using, adding, old) = (store.clone(), store.clone(), records[0].clone());
        let (used, outcome) = both_at_once(
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                if round % 8 < 4 {
                    using.touch(&old.session_ref(), at(20), None).await
                } else {
                    using.rotate(&old.session_ref(), &rotation(&old, 20)).await
                }
            },
            async move { adding.insert(&session(&subject, 10), limit, at(20)).await },
        )
        .await;
        let saved = store.find(&records[0].session_ref()).await.is_some();
        assert_eq!(saved, used, "evict: a session is evicted by its last use, also if that comes in the meantime");
        let evicted = &records[usize::from(used)];
        assert_eq!(outcome, evicting([evicted]), "evict: one too many evicts the least recently used");
    }
}

/// A removal that meets an eviction: no session is counted by both.
pub async fn a_session_is_removed_or_evicted_and_not_both(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let limit = Some(evict_oldest(2));
    for round in 0..ROUNDS {
        let subject = subject();
        let records = [session(&subject, 0), session(&subject, 1)];
        store.add_all(&records).await;
        let (removing, adding, key, owner) = (store.clone(), store.clone(), records[0].session_ref(), subject.clone());
        let (removed, outcome) = both_at_once(
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                removing.remove(&key).await
            },
            async move { adding.insert(&session(&owner, 10), limit, at(20)).await },
        )
        .await;
        let expected = if removed { ADDED } else { evicting(&records[..1]) };
        assert_eq!(outcome, expected, "evict: a session that is removed in the meantime is not counted as evicted too");
        let left = store.list(&subject, at(20)).await.len();
        assert_eq!(left, 2, "evict: a removal that meets a login at a limit of 2 leaves exactly 2 active sessions");
    }
}

/// Of 32 parallel rotations of one session exactly one wins.
pub async fn parallel_rotations_have_one_winner(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for _ in 0..4 {
        let old = session_until(&subject(), 0, 600);
        store.add(&old).await;
        let outcomes = all_at_once(32, |index| {
            let (store, key, mut rotation) = (store.clone(), old.session_ref(), rotation(&old, 10 + index as i64));
            rotation.expires_at = Some(at(700 + index as i64));
            async move { store.rotate(&key, &rotation).await.then_some(rotation) }
        })
        .await;
        let winners: Vec<SessionRecord> = outcomes.iter().flatten().map(|rotation| rotated(&old, rotation)).collect();
        assert_eq!(winners.len(), 1, "rotate: of parallel calls with the same previous digest exactly one wins");
        let listed = store.list(&old.subject, at(100)).await;
        assert_eq!(
            listed, winners,
            "rotate: parallel calls leave what the winner has written, and nothing of the others"
        );
    }
}

/// Of 16 parallel removals of one record exactly one says that it removed it.
pub async fn parallel_removals_have_one_winner(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for _ in 0..8 {
        let record = session(&subject(), 0);
        store.add(&record).await;
        let outcomes = all_at_once(16, |_| {
            let (store, key) = (store.clone(), record.session_ref());
            async move { store.remove(&key).await }
        })
        .await;
        let winners = outcomes.iter().filter(|removed| **removed).count();
        assert_eq!(winners, 1, "remove: of parallel calls exactly one removed the record");
        assert_eq!(store.find(&record.session_ref()).await, None, "remove: what is removed is not found any more");
    }
}

/// A use that meets a logout does not bring the session back.
pub async fn a_touch_revives_nothing(store: Arc<dyn TokenStore>) {
    revives_nothing(Probe(store), "touch", |store, key| async move {
        for used in 1..4 {
            store.touch(&key, at(used), Some(at(600 + used))).await;
        }
    })
    .await;
}

/// A new label that meets a logout does not bring the session back.
pub async fn a_new_label_revives_nothing(store: Arc<dyn TokenStore>) {
    revives_nothing(Probe(store), "set_label", |store, key| async move {
        for label in ["phone", "tablet", "laptop"] {
            store.set_label(&key, Some(label), at(1)).await;
        }
    })
    .await;
}

async fn revives_nothing<F>(store: Probe, operation: &str, calls: impl Fn(Probe, SessionRef) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for round in 0..ROUNDS {
        let record = session_until(&subject(), 0, 600);
        store.add(&record).await;
        let (calling, removing, gone) = (calls(store.clone(), record.session_ref()), store.clone(), record.clone());
        let (_, removed) = both_at_once(calling, async move {
            for _ in 0..round % 4 {
                yield_now().await;
            }
            if round % 2 == 0 {
                u64::from(removing.remove(&gone.session_ref()).await)
            } else {
                removing.remove_all(&gone.subject, None, at(1)).await
            }
        })
        .await;
        assert_eq!(removed, 1, "{operation}: a logout at the same time removes the record");
        assert_eq!(
            store.find(&record.session_ref()).await,
            None,
            "{operation}: a call during a logout does not bring the record back"
        );
        let listed = store.list(&record.subject, at(5)).await;
        assert_eq!(listed, [], "{operation}: a call during a logout does not fill the list");
    }
}

/// A new label that meets a use and a rotation undoes neither: all three come out.
pub async fn a_new_label_undoes_no_rotation(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for round in 0..ROUNDS {
        let record = session_until(&subject(), 0, 600);
        store.add(&record).await;
        let mut rotation = rotation(&record, 20);
        rotation.expires_at = Some(at(700));
        let mut expected = rotated(&record, &rotation);
        expected.label = Some("tablet".to_owned());
        let (labelling, rotating, key, session) =
            (store.clone(), store.clone(), record.session_ref(), record.session_ref());
        let (written, rotated) =
            both_at_once(async move { labelling.set_label(&key, Some("tablet"), at(1)).await }, async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                rotating.touch(&session, at(10), Some(at(650))).await;
                rotating.rotate(&session, &rotation).await
            })
            .await;
        assert!(written, "set_label: the label of an active session is written, also during a rotation");
        assert!(rotated, "rotate: a session that is given a label meanwhile is rotated");
        assert_eq!(
            store.find(&record.session_ref()).await,
            Some(expected),
            "set_label: a rotation at the same time stays, and so does the label"
        );
    }
}

/// Sessions that begin during a logout of all are removed whole or there whole, and those before it are gone.
pub async fn a_session_is_removed_whole_or_there_whole(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for _ in 0..ROUNDS / 4 {
        let Meeting { before, during, .. } = logins_meet_remove_all(&store).await;
        let Some(subject) = before.first().map(|record| &record.subject) else { return };
        for record in &before {
            assert_eq!(
                store.find(&record.session_ref()).await,
                None,
                "remove_all: a record that was there before is gone"
            );
        }
        let listed = store.list(subject, at(100)).await;
        for record in &during {
            let found = store.find(&record.session_ref()).await;
            let in_list = listed.contains(record);
            assert_eq!(
                found.as_ref() == Some(record),
                in_list,
                "remove_all: a session that begins in the meantime is removed whole or there whole, for find and list alike"
            );
            assert_eq!(
                found.is_some(),
                in_list,
                "remove_all: a session that begins in the meantime is there whole or not at all"
            );
        }
        assert!(listed.iter().all(|record| during.contains(record)), "list: gives only what was inserted");
    }
}

/// `remove_all` counts each active session that it ends, also one that begins in the meantime.
pub async fn remove_all_counts_every_session_it_ends(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for _ in 0..ROUNDS / 4 {
        let Meeting { before, during, removed } = logins_meet_remove_all(&store).await;
        let Some(subject) = before.first().map(|record| &record.subject) else { return };
        let left = store.list(subject, at(100)).await.len();
        assert_eq!(
            removed as usize + left,
            before.len() + during.len(),
            "remove_all: the count is that of the active sessions it has ended, also of those that began in the meantime"
        );
    }
}

struct Meeting {
    before: Vec<SessionRecord>,
    during: Vec<SessionRecord>,
    removed: u64,
}

async fn logins_meet_remove_all(store: &Probe) -> Meeting {
    let subject = subject();
    let before: Vec<SessionRecord> = (0..8).map(|created| session(&subject, created)).collect();
    store.add_all(&before).await;
    let results = all_at_once(9, |index| {
        let (store, subject) = (store.clone(), subject.clone());
        async move {
            if index == 4 {
                return (Vec::new(), store.remove_all(&subject, None, at(50)).await);
            }
            // At the time of the logout and later: one that began before it would be superseded.
            let records: Vec<SessionRecord> = (0..4).map(|created| session(&subject, 50 + created)).collect();
            store.add_all(&records).await;
            (records, 0)
        }
    })
    .await;
    let removed = results.iter().map(|(_, removed)| removed).sum();
    Meeting { before, during: results.into_iter().flat_map(|(records, _)| records).collect(), removed }
}

/// A login that is under way during a logout of all, and began before it, never survives it: it is rejected, or ends
/// with the others.
pub async fn a_login_under_way_never_survives_remove_all(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for round in 0..ROUNDS / 2 {
        let subject = subject();
        let before = session(&subject, 0);
        store.add(&before).await;
        let limit = [None, Some(deny(20)), Some(evict_oldest(20)), Some(deny(20).one_per_label())][round % 4];
        let results = all_at_once(9, |index| {
            let (store, subject) = (store.clone(), subject.clone());
            async move {
                for _ in 0..round / 4 {
                    yield_now().await;
                }
                if index == 4 {
                    return Err(store.remove_all(&subject, None, at(50)).await);
                }
                let began = session(&subject, 41 + index as i64);
                Ok(store.insert(&began, limit, at(60)).await)
            }
        })
        .await;
        let removed: u64 = results.iter().filter_map(|result| result.as_ref().err()).sum();
        let outcomes: Vec<InsertOutcome> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(
            store.list(&subject, at(60)).await,
            [],
            "superseded: after remove_all no session is there that began before it, whatever was under way"
        );
        let added = count(&outcomes, &ADDED);
        let superseded = count(&outcomes, &InsertOutcome::Superseded);
        assert_eq!(
            added + superseded,
            outcomes.len(),
            "superseded: a login that meets remove_all is added or superseded: {outcomes:?}"
        );
        assert_eq!(
            removed as usize,
            1 + added,
            "remove_all: the count is that of the sessions that were added before it"
        );
    }
}

/// A rotation that meets a logout brings nothing back.
pub async fn a_rotation_revives_nothing(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for round in 0..ROUNDS {
        let record = session_until(&subject(), 0, 600);
        store.add(&record).await;
        let (rotating, removing, mut old, gone) = (store.clone(), store.clone(), record.clone(), record.clone());
        let (_, removed) = both_at_once(
            async move {
                for used in 1..4 {
                    let mut rotation = rotation(&old, used);
                    rotation.expires_at = Some(at(600 + used));
                    if !rotating.rotate(&old.session_ref(), &rotation).await {
                        return;
                    }
                    old = rotated(&old, &rotation);
                }
            },
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                if round % 8 < 4 {
                    u64::from(removing.remove(&gone.session_ref()).await)
                } else {
                    removing.remove_all(&gone.subject, None, at(1)).await
                }
            },
        )
        .await;
        assert_eq!(removed, 1, "rotate: a logout during a rotation removes the session");
        assert_eq!(
            store.find(&record.session_ref()).await,
            None,
            "rotate: a rotation during a logout does not bring the session back"
        );
        assert_eq!(
            store.list(&record.subject, at(5)).await,
            [],
            "rotate: a rotation during a logout does not fill the list"
        );
    }
}

/// Rotations that meet a logout of all, or of all others: the session that is spared goes on being rotated, and no
/// other is left.
pub async fn a_rotation_does_not_outlive_remove_all(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    for round in 0..ROUNDS {
        let subject = subject();
        let records: Vec<SessionRecord> = (0..3).map(|created| session(&subject, created)).collect();
        store.add_all(&records).await;
        let spared = (round % 2 == 0).then(|| records[(round / 2) % 3].id);
        let (rotating, removing, owner) = (store.clone(), store.clone(), subject.clone());
        let mut current = records.clone();
        let (current, removed) = both_at_once(
            async move {
                // One rotation after the other, until those that are not spared are gone.
                for used in 10..14 {
                    for record in &mut current {
                        let rotation = rotation(record, used);
                        if rotating.rotate(&record.session_ref(), &rotation).await {
                            *record = rotated(record, &rotation);
                        }
                    }
                }
                current
            },
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                removing.remove_all(&owner, spared.as_ref(), at(50)).await
            },
        )
        .await;
        let expected: Vec<SessionRecord> = current.into_iter().filter(|record| Some(record.id) == spared).collect();
        let ended = records.len() - expected.len();
        assert_eq!(removed as usize, ended, "remove_all: sessions that are rotated in the meantime end and count");
        assert_eq!(
            store.list(&subject, at(50)).await,
            expected,
            "remove_all: a session that is rotated in the meantime does not outlive it, and the exception stays as it is"
        );
    }
}

/// A login at an evicting limit that meets a rotation leaves no more sessions than the limit allows, and a session that
/// is evicted is gone.
pub async fn a_rotation_does_not_slip_past_the_limit(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let limit = Some(evict_oldest(2));
    for round in 0..ROUNDS {
        let subject = subject();
        let records = [session(&subject, 0), session(&subject, 1)];
        store.add_all(&records).await;
        let (rotating, adding, new) = (store.clone(), store.clone(), session(&subject, 10));
        let (old, added) = (records[0].clone(), new.clone());
        let (_, outcome) = both_at_once(
            async move {
                for _ in 0..round % 4 {
                    yield_now().await;
                }
                rotating.rotate(&old.session_ref(), &rotation(&old, 5)).await
            },
            async move { adding.insert(&added, limit, at(50)).await },
        )
        .await;
        assert_eq!(
            outcome,
            evicting(&records[..1]),
            "evict: one too many evicts the oldest, whether it is rotated or not"
        );
        let active = ids(&store.list(&subject, at(50)).await);
        assert_eq!(
            active.len(),
            2,
            "limit: a rotation that meets a login at a limit of 2 leaves exactly 2 active sessions"
        );
        assert_eq!(
            active,
            [new.id, records[1].id],
            "evict: a rotation does not bring back the session that was evicted in the meantime"
        );
    }
}

/// Calls of all kinds for one subject at the same time: each is answered, and what is left at the end is consistent.
pub async fn calls_of_all_kinds_at_once_are_answered(store: Arc<dyn TokenStore>) {
    let _alone = PURGING.lock().await;
    let store = Probe(store);
    let (owner, era) = (subject(), era());
    let known = Arc::new(Mutex::new(VecDeque::new()));
    all_at_once(16, |index| {
        let (store, owner, known) = (store.clone(), owner.clone(), Arc::clone(&known));
        async move {
            for step in index..index + 20 {
                one_of_all_kinds(&store, &owner, era, &known, step).await;
            }
        }
    })
    .await;
    let listed = store.list(&owner, at(100)).await;
    for record in &listed {
        assert!(store.has(record).await, "list: what is listed is found");
    }
    let removed = store.remove_all(&owner, None, at(100)).await;
    assert_eq!(removed, listed.len() as u64, "remove_all: the count is that of the active sessions");
    assert_eq!(store.list(&owner, at(100)).await, [], "remove_all: after it there are none");
}

/// Sessions that were inserted, as they were last written, the latest last. Some are gone already.
type Known = Mutex<VecDeque<SessionRecord>>;

async fn one_of_all_kinds(store: &Probe, owner: &Subject, era: i64, known: &Known, step: usize) {
    let new = session_until(owner, step as i64, 600);
    let remember = |record: SessionRecord| lock(known).push_back(record);
    let oldest = || lock(known).pop_front();
    let newest = || lock(known).back().map(SessionRecord::session_ref);
    match step % 10 {
        0 => {
            store.add(&new).await;
            remember(new);
        }
        1 | 2 => {
            let limits = [evict_oldest(6), evict_least_recently_used(6)];
            let outcome = store.insert(&new, Some(limits[step % 2]), at(100)).await;
            assert!(
                matches!(outcome, InsertOutcome::Inserted { .. }),
                "limit: an evicting limit rejects no login, but one was {outcome:?}"
            );
            remember(new);
        }
        3 => {
            if let Some(key) = newest() {
                store.touch(&key, at(100 + step as i64), Some(at(700 + step as i64))).await;
            }
        }
        9 => {
            if let Some(mut record) = oldest() {
                record.label = Some(format!("step {step}"));
                if store.set_label(&record.session_ref(), record.label.as_deref(), at(100)).await {
                    remember(record);
                }
            }
        }
        4 => {
            if let Some(old) = oldest() {
                let rotation = rotation(&old, 100 + step as i64);
                if store.rotate(&old.session_ref(), &rotation).await {
                    remember(rotated(&old, &rotation));
                }
            }
        }
        5 => {
            if let Some(old) = oldest() {
                store.remove(&old.session_ref()).await;
            }
        }
        6 => store.add(&session_long_expired(owner, era)).await,
        7 => {
            store.remove_expired(since_1970(era), 3).await;
        }
        _ => {
            let spared = oldest().map(|record| record.id);
            // At a time before all of these sessions began, so that none of them is superseded.
            store.remove_all(owner, spared.as_ref(), since_1970(era - 3600)).await;
        }
    }
}

fn lock(known: &Known) -> MutexGuard<'_, VecDeque<SessionRecord>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
