//! What goes in comes out again: fields, keys, lists, and what `touch` changes.

use std::{sync::Arc, time::Duration};

use jwt_knox::{InsertOutcome, MAX_LISTED, PreviousSecret, SessionRecord, SessionRef, Subject, Timestamp, TokenStore};

use crate::fixture::{
    ADDED, Probe, all_at_once, at, claims_digest, deny, digest, digest_beginning_with, evict_oldest, evicting, id, ids,
    just_after, just_before, long_digest, previous_secret, rotated, rotation, session, session_until, subject,
    subject_called, unique,
};

/// `find` and `list` give back every field as it was inserted.
pub async fn a_record_comes_back_whole(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let mut full = SessionRecord::new(subject.clone(), long_digest(), just_after(at(0)));
    // As that of a session that was rotated: it follows from neither digest.
    full.id = id();
    full.previous = Some(longest_previous_secret());
    full.expires_at = Some(just_after(at(600)));
    full.last_used_at = Some(just_after(just_after(at(60))));
    full.absolute_expires_at = Some(just_before(at(1000)));
    full.idle_timeout = Some(Duration::from_secs(540));
    // As long as tokens have room for, and more than a column of 255 characters or 4,000 bytes.
    full.scope = Some(format!("read write https://example.com/scope {}", ["scope:of:many"; 300].join(" ")));
    full.claims = Some(claims_digest());
    full.label = Some("ﬀ€😀é".chars().cycle().take(SessionRecord::MAX_LABEL_CHARS).collect());
    full.attributes = [
        ("", "an empty name"),
        ("empty", ""),
        ("quotes", r#"' " ` \ \\ \" $1 ? :name {} '; DROP TABLE"#),
        ("control", "line one\r\nline two\ttabbed"),
        ("unicode", "e\u{301} é 😀 \u{200d} \u{202e} 日本語"),
        ("ключ", "значение"),
        ("null", "null"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for name in ["long", "longer", "longest"] {
        full.attributes.insert(name.to_owned(), "01234567".repeat(512));
    }
    let bare = session(&subject, 1);

    store.add_all([&full, &bare]).await;
    assert_eq!(
        store.find(&full.session_ref()).await.as_ref(),
        Some(&full),
        "find: every field comes back as it was inserted, timestamps with all their microseconds"
    );
    assert_eq!(
        store.find(&bare.session_ref()).await.as_ref(),
        Some(&bare),
        "find: a field that was not there when the record was inserted is not there afterwards"
    );
    assert_eq!(store.list(&subject, at(2)).await, [bare, full], "list: every field comes back as it was inserted");
}

/// Of the kind of hash with the longest text, and with the time that has the longest one.
fn longest_previous_secret() -> PreviousSecret {
    previous_secret(&long_digest(), Timestamp::MIN)
}

/// An expiry may lie a hundred years ahead, past the year 2038 in which timestamps of 32 bits end.
pub async fn times_far_ahead_are_kept(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let century = 100 * 366 * 24 * 3600;
    let mut record = session_until(&subject(), 0, century);
    record.absolute_expires_at = Some(just_after(at(2 * century)));
    store.add(&record).await;
    assert_eq!(
        store.find(&record.session_ref()).await.as_ref(),
        Some(&record),
        "find: a time a hundred years ahead comes back as it was inserted"
    );
    assert!(
        store.touch(&record.session_ref(), at(century - 1), Some(at(century + 1))).await,
        "touch: a later use of an active session is written, in a hundred years as well"
    );
    record.last_used_at = Some(at(century - 1));
    record.expires_at = Some(at(century + 1));
    let mut later = rotation(&record, century);
    later.expires_at = Some(at(century + 2));
    assert!(
        store.rotate(&record.session_ref(), &later).await,
        "rotate: a session with that digest is rotated, in a hundred years as well"
    );
    record = rotated(&record, &later);
    assert_eq!(
        store.list(&record.subject, at(century + 1)).await,
        [record.clone()],
        "list: what is active in a hundred years is listed then, with all its fields"
    );
    assert_eq!(
        store.list(&record.subject, at(century + 2)).await,
        [],
        "list: what expires in a hundred years expires then"
    );
}

/// `find` gives `None` for what is not there, and `list` gives nothing.
pub async fn an_unknown_record_is_not_found(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (known, unknown) = (subject(), subject());
    store.add(&session(&known, 0)).await;
    assert_eq!(
        store.find(&session(&known, 0).session_ref()).await,
        None,
        "find: an id that nobody inserted is not found"
    );
    assert_eq!(
        store.find(&session(&unknown, 0).session_ref()).await,
        None,
        "find: a subject without sessions has no record"
    );
    assert_eq!(store.list(&unknown, at(0)).await, [], "list: a subject without sessions has an empty list");
}

/// Inserting a key that is taken is an error and changes nothing.
pub async fn a_record_is_inserted_once(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (other, first) = (session(&subject, 0), session(&subject, 1));
    store.add_all([&other, &first]).await;

    let mut again = first.clone();
    again.label = Some("again".to_owned());
    // The id makes the key, whatever the digest is.
    let mut with_another_digest = again.clone();
    with_another_digest.digest = digest();
    for again in [again, with_another_digest] {
        for limit in [None, Some(deny(9)), Some(evict_oldest(9)), Some(evict_oldest(1))] {
            let outcome = store.0.insert(again.clone(), limit, at(2)).await;
            assert!(
                outcome.is_err(),
                "insert: a key that is taken is an error, but with limit {limit:?} it was {outcome:?}"
            );
            assert!(store.has(&first).await, "insert: a key that is taken changes nothing in the record that has it");
            assert!(store.has(&other).await, "insert: a key that is taken evicts no other record");
        }
    }
}

/// Subjects compare byte for byte: case, blanks, accents, wildcards and quotes tell them apart, up to 255 bytes.
pub async fn subjects_compare_byte_for_byte(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let base = unique();
    let filled = |end: &str, with: &str| {
        let mut name = format!("{base}-");
        while name.len() + with.len() + end.len() <= Subject::MAX_BYTES {
            name.push_str(with);
        }
        name + end
    };
    let mut names: Vec<String> = [
        "alice",
        "Alice",
        "ALICE",
        "alice ",
        "alice  ",
        "alic",
        "alice\u{a0}",
        "alice\u{200b}",
        "alicé",
        "alice\u{301}",
        "ﬁ",
        "fi",
        "ß",
        "ss",
        "ı",
        "i",
        "İ",
        "😀",
        "😁",
        "%",
        "_",
        "%alice",
        "alic_",
        "*",
        "?",
        "[a]",
        "a",
        "'",
        "''",
        "\"",
        "\\",
        "\\\\",
        "' OR '1'='1",
        "'; DROP TABLE users; --",
        "$1",
        ":a",
        "{a}",
        "a:b",
        "a/b",
        "0",
        "00",
        "0.0",
    ]
    .map(|name| format!("{base}-{name}"))
    .into();
    names.extend([base.clone(), format!(" {base}"), base.to_uppercase(), filled("a", "x"), filled("b", "x")]);
    names.extend([filled("", "é"), filled("e", "é"), filled("", "😀")]);

    // One digest for all, so that nothing but the subject tells the records apart.
    let digest = digest();
    let records: Vec<SessionRecord> = names
        .into_iter()
        .map(|name| {
            let mut record = SessionRecord::new(subject_called(name), digest.clone(), at(0));
            record.label = Some(format!("the session of {:?}", record.subject));
            record
        })
        .collect();
    for record in &records {
        // A limit of one session: that of another subject would be one too many.
        let outcome = store.0.insert(record.clone(), Some(deny(1)), at(0)).await;
        assert!(
            matches!(&outcome, Ok(outcome) if *outcome == ADDED),
            "subjects compare byte for byte: {:?} has no session yet, but insert said {outcome:?}",
            record.subject
        );
    }
    for record in &records {
        assert!(
            store.has(record).await,
            "subjects compare byte for byte: find must give the record of {:?}",
            record.subject
        );
        assert_eq!(
            store.list(&record.subject, at(1)).await,
            std::slice::from_ref(record),
            "subjects compare byte for byte: list must give the record of {:?} only",
            record.subject
        );
    }
    for (index, record) in records.iter().enumerate() {
        let removed = if index % 2 == 0 {
            store.remove_all(&record.subject, None, at(1)).await
        } else {
            u64::from(store.remove(&record.session_ref()).await)
        };
        assert_eq!(removed, 1, "subjects compare byte for byte: removing for {:?} removes one record", record.subject);
        if let Some(next) = records.get(index + 1) {
            assert!(
                store.has(next).await,
                "subjects compare byte for byte: removing for {:?} removed the record of {:?}",
                record.subject,
                next.subject
            );
        }
    }
}

/// Two subjects may have a record with the same id; what is done to one leaves the other alone.
pub async fn ids_of_different_subjects_do_not_mix(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mine = session_until(&subject(), 0, 600);
    let mut yours = SessionRecord::new(subject(), mine.digest.clone(), at(5));
    yours.expires_at = Some(at(700));
    yours.label = Some("yours".to_owned());
    store.add_all([&mine, &yours]).await;
    assert!(store.has(&mine).await && store.has(&yours).await, "ids belong to a subject: both records must be there");

    assert!(store.touch(&mine.session_ref(), at(10), Some(at(900))).await, "touch: an active session is written");
    assert!(
        store.has(&yours).await,
        "ids belong to a subject: touch changed another subject's record with the same id"
    );
    assert!(
        store.rotate(&mine.session_ref(), &rotation(&mine, 20)).await,
        "rotate: a session with that digest is rotated"
    );
    assert!(
        store.has(&yours).await,
        "ids belong to a subject: rotate changed another subject's record with the same id"
    );
    assert!(store.remove(&mine.session_ref()).await, "remove: a record that was there is `true`");
    assert!(store.has(&yours).await, "ids belong to a subject: remove took another subject's record with the same id");
}

/// `list` is sorted by `created_at` and then by id, both descending.
pub async fn list_is_newest_first(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let created = |first, time| SessionRecord::new(subject.clone(), digest_beginning_with(first), time);
    let records = [
        created(0x90, at(0)),
        created(0x20, just_after(at(0))),
        created(0x10, at(60)),
        created(0x7f, at(60)),
        created(0xa0, at(60)),
        created(0x01, at(3600)),
    ];
    store.add_all([3, 5, 0, 4, 2, 1].map(|index| &records[index])).await;
    let mut expected = ids(&records);
    expected.reverse();
    let listed = ids(&store.list(&subject, at(4000)).await);
    assert_eq!(listed, expected, "list: newest first, by created_at and then by id, both descending");
}

/// `list` gives the active sessions of one subject and no others.
pub async fn list_gives_the_active_sessions_of_one_subject(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (mine, yours) = (subject(), subject());
    let records = [session_until(&mine, 0, 100), session_until(&mine, 1, 200), session(&mine, 2)];
    store.add_all(&records).await;
    store.add(&session(&yours, 0)).await;
    for (now, active) in
        [(at(99), 3), (at(100), 2), (just_after(at(100)), 2), (at(199), 2), (at(200), 1), (at(9999), 1)]
    {
        let mut expected = ids(&records[3 - active..]);
        expected.reverse();
        let listed = ids(&store.list(&mine, now).await);
        assert_eq!(
            listed, expected,
            "list: all active sessions of the subject and no others; at its expiry a session has expired"
        );
    }
}

/// `list` gives at most a thousand sessions, the newest; limits and `remove_all` see the others as well.
pub async fn list_gives_the_newest_thousand(store: Arc<dyn TokenStore>) {
    const TASKS: usize = 15;
    let store = Probe(store);
    let subject = subject();
    let by_age: Vec<SessionRecord> =
        (0..MAX_LISTED + 5).map(|created| session(&subject, 10 * created as i64)).collect();
    // The newest of all, but not active.
    let expired = [session_until(&subject, 20_000, 20_100), session_until(&subject, 20_001, 20_100)];
    all_at_once(TASKS, |first| store.add_all(by_age.iter().skip(first).step_by(TASKS))).await;
    store.add_all(&expired).await;

    let now = at(30_000);
    let listed = ids(&store.list(&subject, now).await);
    assert_eq!(listed.len(), MAX_LISTED, "list: at most {MAX_LISTED} sessions, and as many if there are more");
    // Without the ids in the message: there are too many.
    assert!(listed == ids(by_age[5..].iter().rev()), "list: the newest {MAX_LISTED} active sessions, newest first");

    let new = session(&subject, 25_000);
    let outcome = store.insert(&new, Some(deny(MAX_LISTED as u32 + 5)), now).await;
    assert_eq!(outcome, InsertOutcome::LimitReached, "limit: sessions that are too many for the list count as well");
    let outcome = store.insert(&new, Some(evict_oldest(MAX_LISTED as u32 + 4)), now).await;
    assert_eq!(outcome, evicting(&by_age[..2]), "limit: sessions that are too many for the list are evicted as well");
    assert_eq!(
        store.remove_all(&subject, None, now).await,
        MAX_LISTED as u64 + 4,
        "remove_all: sessions that are too many for the list end and count as well"
    );
    assert_eq!(store.list(&subject, now).await, [], "remove_all: nothing is left in the list");
}

/// `touch` sets `last_used_at` and changes nothing else.
pub async fn touch_records_the_use(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (mut record, bystander) = (session_until(&subject, 0, 600), session_until(&subject, 0, 600));
    record.label = Some("laptop".to_owned());
    store.add_all([&record, &bystander]).await;
    for time in [just_after(at(10)), just_after(just_after(at(10))), at(11)] {
        assert!(
            store.touch(&record.session_ref(), time, None).await,
            "touch: a later use of an active session is written"
        );
        record.last_used_at = Some(time);
        assert_eq!(
            store.find(&record.session_ref()).await.as_ref(),
            Some(&record),
            "touch: last_used_at is the time of use, and without a new expiry nothing else changes"
        );
    }
    assert!(store.has(&bystander).await, "touch: the subject's other records do not change");
}

/// `touch` writes an expiry only if it is later than the old one.
pub async fn touch_moves_the_expiry_only_forwards(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = session_until(&subject(), 0, 600);
    store.add(&record).await;
    for (used, asked, expected) in [
        (10, at(700), at(700)),
        (11, at(650), at(700)),
        (12, at(20), at(700)),
        (13, just_after(at(700)), just_after(at(700))),
    ] {
        assert!(
            store.touch(&record.session_ref(), at(used), Some(asked)).await,
            "touch: a later use of an active session is written"
        );
        record.last_used_at = Some(at(used));
        record.expires_at = Some(expected);
        assert_eq!(
            store.find(&record.session_ref()).await.as_ref(),
            Some(&record),
            "touch: the expiry moves only forwards, and the use is recorded either way"
        );
    }
    assert_eq!(store.list(&record.subject, at(700)).await, [record], "touch: list goes by the new expiry");
}

/// `touch` never gives an expiry to a session without one.
pub async fn touch_gives_no_expiry_to_a_session_without_one(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = session(&subject(), 0);
    store.add(&record).await;
    assert!(
        store.touch(&record.session_ref(), at(10), Some(at(600))).await,
        "touch: a later use of an active session is written"
    );
    record.last_used_at = Some(at(10));
    assert_eq!(
        store.find(&record.session_ref()).await.as_ref(),
        Some(&record),
        "touch: a session without an expiry never gets one, and the use is recorded"
    );
}

/// A `touch` at or before the last use writes nothing: a session is written only if it was last used before that.
pub async fn an_older_touch_is_rejected(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = session_until(&subject(), 0, 600);
    store.add(&record).await;
    let first = just_after(at(20));
    assert!(
        store.touch(&record.session_ref(), first, None).await,
        "touch: a later use of an active session is written"
    );
    record.last_used_at = Some(first);
    for (time, what) in [(at(20), "a use before the last one"), (first, "a use at the time of the last one")] {
        for expires_at in [None, Some(at(900))] {
            let written = store.touch(&record.session_ref(), time, expires_at).await;
            assert!(!written, "touch: {what} is not written");
            assert!(store.has(&record).await, "touch: {what} changes nothing, not even the expiry");
        }
    }
}

/// `touch` neither makes a record nor brings one back: one that is missing, removed, evicted, revoked or expired stays
/// so.
pub async fn touch_needs_an_active_session(store: Arc<dyn TokenStore>) {
    needs_an_active_session(Probe(store), "touch", |store, key, now| async move {
        store.touch(&key, now, Some(at(900))).await
    })
    .await;
}

/// Checks that `write`, which is given a session and a time, writes only to active ones.
pub(super) async fn needs_an_active_session<F>(
    store: Probe,
    operation: &str,
    write: impl Fn(Probe, SessionRef, Timestamp) -> F,
) where
    F: Future<Output = bool>,
{
    let write = |record: &SessionRecord, now| write(store.clone(), record.session_ref(), now);
    let owner = subject();
    let missing = session(&owner, 0);
    assert!(!write(&missing, at(1)).await, "{operation}: a missing record is not written");
    assert_eq!(store.find(&missing.session_ref()).await, None, "{operation}: a missing record is not made");

    let gone = [(); 3].map(|()| session_until(&subject(), 0, 600));
    store.add_all(&gone).await;
    store.end_all(&gone).await;
    for gone in &gone {
        assert!(!write(gone, at(2)).await, "{operation}: a revoked session is not written");
        assert_eq!(store.find(&gone.session_ref()).await, None, "{operation}: a revoked session is not brought back");
    }

    let expired = session_until(&owner, 0, 100);
    store.add(&expired).await;
    for now in [at(100), at(101)] {
        assert!(!write(&expired, now).await, "{operation}: an expired session is not written");
        if let Some(found) = store.find(&expired.session_ref()).await {
            assert_eq!(found, expired, "{operation}: an expired session does not change");
        }
    }
    assert_eq!(store.list(&owner, at(101)).await, [], "{operation}: an expired session is not brought back");
}
