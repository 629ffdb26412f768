//! What holds when the caller goes away: a client hangs up, a time limit fires.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use jwt_knox::{InsertOutcome, SessionRecord, Subject};
use tokio::task::yield_now;

use super::purge::{PURGING, TRIES, purge};
use crate::{
    Opener,
    fixture::{
        ADDED, Probe, at, era, evict_oldest, evicting, rotated, rotation, session, session_long_expired, session_until,
        since_1970, subject,
    },
};

/// How often a call is polled at most before it is dropped.
const POLLS: usize = 40;

/// The pause after a poll, in which a database may answer. A timer of Tokio would take longer.
const PAUSE: Duration = Duration::from_micros(200);

/// A call that is dropped half way, however far it has come, does all or nothing, and harms no later call: what is
/// answered afterwards through the same handle is so for every handle.
pub async fn a_call_that_is_dropped_harms_no_later_one(open: Opener) {
    let handles = Handles { one: Probe(open.open().await), other: Probe(open.open().await) };
    for kind in
        [Kind::InsertAtLimit, Kind::Insert, Kind::Rotate, Kind::Touch, Kind::SetLabel, Kind::Remove, Kind::RemoveAll]
    {
        a_call_on_a_subject(&handles, kind).await;
    }
    a_purge(&handles).await;
}

/// Two handles on the same data.
struct Handles {
    /// The one whose calls are dropped.
    one: Probe,
    /// The one that tells what has happened.
    other: Probe,
}

/// The calls that write to one subject. A call that only reads leaves nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    InsertAtLimit,
    Insert,
    Rotate,
    Touch,
    SetLabel,
    Remove,
    RemoveAll,
}

type Calling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call that has not begun yet.
struct Call {
    subject: Subject,
    future: Calling,
    /// The list of the subject if the call has done nothing.
    before: Vec<SessionRecord>,
    /// The list of the subject if the call has done all.
    after: Vec<SessionRecord>,
}

/// When the sessions are revoked by a call that is dropped. They began before it.
const REVOKED: i64 = 50;

impl Call {
    async fn prepare(handles: &Handles, kind: Kind) -> Self {
        let subject = subject();
        let [old, other] = [session_until(&subject, 0, 600), session_until(&subject, 1, 600)];
        handles.other.add_all([&old, &other]).await;
        let mut before = vec![other.clone(), old.clone()];
        let (store, key) = (handles.one.clone(), old.session_ref());
        let (future, after): (Calling, _) = match kind {
            Kind::InsertAtLimit => {
                let new = session(&subject, 10);
                let after = vec![new.clone(), other];
                let call = async move {
                    let outcome = store.insert(&new, Some(evict_oldest(2)), at(20)).await;
                    assert_eq!(outcome, evicting([&old]), "evict: one too many evicts one");
                };
                (Box::pin(call), after)
            }
            Kind::Insert => {
                let new = session(&subject, 10);
                let after = vec![new.clone(), other, old];
                (Box::pin(async move { store.add(&new).await }), after)
            }
            Kind::Rotate => {
                let mut rotation = rotation(&old, 20);
                rotation.expires_at = Some(at(700));
                let after = vec![other, rotated(&old, &rotation)];
                let call = async move {
                    assert!(store.rotate(&key, &rotation).await, "rotate: a session with that digest is rotated");
                };
                (Box::pin(call), after)
            }
            Kind::Touch => {
                let mut used = old;
                used.last_used_at = Some(at(20));
                used.expires_at = Some(at(700));
                let call = async move {
                    let written = store.touch(&key, at(20), Some(at(700))).await;
                    assert!(written, "touch: a later use of an active session is written");
                };
                (Box::pin(call), vec![other, used])
            }
            Kind::SetLabel => {
                let mut renamed = old;
                renamed.label = Some("tablet".to_owned());
                let call = async move {
                    let written = store.set_label(&key, Some("tablet"), at(20)).await;
                    assert!(written, "set_label: the label of an active session is written");
                };
                (Box::pin(call), vec![other, renamed])
            }
            Kind::Remove => {
                let call = async move {
                    assert!(store.remove(&key).await, "remove: a record that was there is `true`");
                };
                (Box::pin(call), vec![other])
            }
            Kind::RemoveAll => {
                let third = session_until(&subject, 2, 600);
                handles.other.add(&third).await;
                before.insert(0, third);
                let spared = other.id;
                let call = async move {
                    let removed = store.remove_all(&key.subject, Some(&spared), at(REVOKED)).await;
                    assert_eq!(removed, 2, "remove_all: the exception is not counted");
                };
                (Box::pin(call), vec![other])
            }
        };
        Self { subject, future, before, after }
    }
}

/// Drops a call of one kind after each number of polls.
async fn a_call_on_a_subject(handles: &Handles, kind: Kind) {
    let mut bystander = session(&subject(), 0);
    handles.other.add(&bystander).await;
    let mut subjects = Vec::new();
    for polls in 0..POLLS {
        let Call { subject, future, before, after } = Call::prepare(handles, kind).await;
        let is_done = poll(future, polls).await;
        let call = format!("{kind:?}, dropped after {polls} polls");
        later_calls_are_kept(handles, &mut bystander, polls, &call).await;

        let mut allowed = vec![after];
        if !is_done {
            allowed.push(before);
        }
        if kind == Kind::RemoveAll {
            allowed = those_that_match_a_login(handles, &subject, allowed, &call).await;
        }
        is_one_of(handles, &subject, &allowed, &call).await;

        // Nobody can tell whether a part of the call still runs. What it does now must come to nothing.
        handles.other.remove_all(&subject, None, at(2 * REVOKED)).await;
        for store in [&handles.one, &handles.other] {
            let listed = store.list(&subject, at(99)).await;
            assert_eq!(
                listed,
                [],
                "dropped: nothing is left after remove_all, also after a call that is dropped: {call}"
            );
        }
        subjects.push(subject);
    }
    for subject in &subjects {
        let listed = handles.other.list(subject, at(99)).await;
        assert_eq!(
            listed,
            [],
            "dropped: nothing comes back after remove_all, also from a call that is dropped: {kind:?}"
        );
    }
}

/// Polls a call so many times, and drops it. Whether it was done.
async fn poll(mut call: Calling, times: usize) -> bool {
    for _ in 0..times {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await {
            return true;
        }
        yield_now().await;
        std::thread::sleep(PAUSE);
    }
    false
}

/// Writes through the handle whose call was dropped, and looks through the other one.
async fn later_calls_are_kept(handles: &Handles, bystander: &mut SessionRecord, polls: usize, call: &str) {
    let Handles { one, other } = handles;
    let fresh = session(&subject(), 0);
    one.add(&fresh).await;
    assert!(
        other.has(&fresh).await,
        "dropped: what is inserted after a call that was dropped is there for all: {call}"
    );
    assert!(one.remove(&fresh.session_ref()).await, "remove: a record that was there is `true`");
    assert_eq!(
        other.find(&fresh.session_ref()).await,
        None,
        "dropped: what is removed after a call that was dropped is gone for all: {call}"
    );
    let used = at(1 + polls as i64);
    assert!(
        one.touch(&bystander.session_ref(), used, None).await,
        "touch: a later use of an active session is written"
    );
    bystander.last_used_at = Some(used);
    assert!(
        other.has(bystander).await,
        "dropped: a use that is recorded after a call that was dropped is recorded for all: {call}"
    );
}

/// What the list may be if `remove_all` was dropped, and perhaps still runs. A login that began before tells whether
/// its time is remembered: then the sessions must be gone as well.
async fn those_that_match_a_login(
    handles: &Handles,
    subject: &Subject,
    mut allowed: Vec<Vec<SessionRecord>>,
    call: &str,
) -> Vec<Vec<SessionRecord>> {
    let login = session(subject, REVOKED - 1);
    let outcome = handles.other.insert(&login, None, at(REVOKED + 1)).await;
    if outcome == InsertOutcome::Superseded {
        allowed.truncate(1);
        return allowed;
    }
    assert_eq!(outcome, ADDED, "dropped: a login that meets remove_all is added or superseded: {call}");
    let before = allowed.get_mut(1);
    let Some(before) = before else { panic!("dropped: remove_all that was answered is remembered: {call}") };
    before.insert(0, login);
    allowed
}

/// Checks that the list of the subject is one of `allowed`, and that `find` agrees with it.
async fn is_one_of(handles: &Handles, subject: &Subject, allowed: &[Vec<SessionRecord>], call: &str) {
    let store = &handles.other;
    let listed = store.list(subject, at(99)).await;
    assert!(
        allowed.contains(&listed),
        "dropped: a call that is dropped does all or nothing, but {call} left {listed:#?}, and not one of {allowed:#?}"
    );
    let mut known: Vec<&SessionRecord> = allowed.iter().flatten().collect();
    known.sort_by_key(|record| std::cmp::Reverse((record.created_at, record.id)));
    known.dedup_by_key(|record| record.id);
    let mut found = Vec::new();
    for record in known {
        found.extend(store.find(&record.session_ref()).await);
    }
    // If the call is carried out at this very time, one of them has seen it and the other has not.
    if store.list(subject, at(99)).await == listed {
        assert_eq!(found, listed, "dropped: find and list agree after a call that is dropped: {call}");
    }
}

/// Drops a purge after each number of polls. Another process that purges may take away some of the records.
async fn a_purge(handles: &Handles) {
    let _alone = PURGING.lock().await;
    let Handles { one, other } = handles;
    let era = era();
    let mut bystander = session(&subject(), 0);
    other.add(&bystander).await;
    let mut halves = 0;
    for polls in 0..POLLS {
        // What is left of earlier calls would come first.
        purge(other, era, 1000).await;
        let subject = subject();
        let expired: Vec<SessionRecord> = (0..6).map(|age| session_long_expired(&subject, era - age)).collect();
        other.add_all(&expired).await;
        // At a time at which they had not expired yet. A store that drops records by its own clock has none of them.
        let count = async || other.list(&subject, since_1970(era - 30)).await.len();
        let before = count().await;
        let store = one.clone();
        let call = async move {
            store.remove_expired(since_1970(era), 1000).await;
        };
        let is_done = poll(Box::pin(call), polls).await;
        later_calls_are_kept(handles, &mut bystander, polls, &format!("RemoveExpired, dropped after {polls} polls"))
            .await;

        let is_whole = |left| left == 0 || (left == before && !is_done);
        let mut left = count().await;
        for _ in 0..100 {
            if is_whole(left) {
                break;
            }
            // A part of it may still run.
            tokio::time::sleep(Duration::from_millis(2)).await;
            left = count().await;
        }
        halves += usize::from(!is_whole(left));
        assert!(
            halves <= TRIES,
            "dropped: a call that is dropped does all or nothing, but RemoveExpired left {left} of {before} records"
        );
    }
    purge(other, era, 1000).await;
}
