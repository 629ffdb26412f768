//! What goes in comes out again: fields, keys, lists, and what `touch` changes.

use std::{sync::Arc, time::Duration};

use jwt_knox::{Subject, TokenLimit, TokenRecord, TokenStore};

use crate::fixture::{
    Probe, at, digest, digest_beginning_with, ids, just_after, login, login_until, long_digest, subject,
    subject_called, unique,
};

/// `find` and `list` give back every field as it was inserted.
pub async fn a_record_comes_back_whole(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let mut full = TokenRecord::new(subject.clone(), long_digest(), just_after(at(0)));
    full.expires_at = Some(just_after(at(600)));
    full.last_used_at = Some(just_after(just_after(at(60))));
    full.deadline = Some(at(1000).checked_sub(Duration::from_micros(1)).unwrap_or(at(1000)));
    full.idle_timeout = Some(Duration::from_secs(540));
    full.scope = Some("read write https://example.com/scope".to_owned());
    full.label = Some("ﬀ€😀é".chars().cycle().take(TokenRecord::MAX_LABEL_CHARS).collect());
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
    full.attributes.insert("long".to_owned(), "0123456789".repeat(200));
    let bare = login(&subject, 1);

    store.add_all([&full, &bare]).await;
    assert_eq!(
        store.find(&full.key()).await.as_ref(),
        Some(&full),
        "find: every field comes back as it was inserted, timestamps with all their microseconds"
    );
    assert_eq!(
        store.find(&bare.key()).await.as_ref(),
        Some(&bare),
        "find: a field that was not there when the record was inserted is not there afterwards"
    );
    assert_eq!(store.list(&subject, at(2)).await, [bare, full], "list: every field comes back as it was inserted");
}

/// A deadline may lie a hundred years ahead, past the year 2038 in which timestamps of 32 bits end.
pub async fn moments_far_ahead_are_kept(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let century = 100 * 366 * 24 * 3600;
    let mut record = login_until(&subject(), 0, century);
    record.deadline = Some(just_after(at(2 * century)));
    store.add(&record).await;
    assert_eq!(
        store.find(&record.key()).await.as_ref(),
        Some(&record),
        "find: a moment a hundred years ahead comes back as it was inserted"
    );
    assert!(
        store.touch(&record.key(), at(century - 1), Some(at(century + 1))).await,
        "touch: a later use of a live record is written, in a hundred years as well"
    );
    record.last_used_at = Some(at(century - 1));
    record.expires_at = Some(at(century + 1));
    assert_eq!(
        store.list(&record.subject, at(century)).await,
        [record.clone()],
        "list: what is live in a hundred years is listed then, with all its fields"
    );
    assert_eq!(store.list(&record.subject, at(century + 1)).await, [], "list: what ends in a hundred years ends then");
}

/// `find` gives `None` for what is not there, and `list` gives nothing.
pub async fn an_unknown_record_is_not_found(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (known, unknown) = (subject(), subject());
    store.add(&login(&known, 0)).await;
    assert_eq!(store.find(&login(&known, 0).key()).await, None, "find: an id that nobody inserted is not found");
    assert_eq!(store.find(&login(&unknown, 0).key()).await, None, "find: a subject without logins has no record");
    assert_eq!(store.list(&unknown, at(0)).await, [], "list: a subject without logins has an empty list");
}

/// Inserting a key that is taken is an error and changes nothing.
pub async fn a_record_is_inserted_once(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (other, first) = (login(&subject, 0), login(&subject, 1));
    store.add_all([&other, &first]).await;

    let mut again = first.clone();
    again.label = Some("again".to_owned());
    for limit in [None, Some(TokenLimit::deny(9)), Some(TokenLimit::evict_oldest(9)), Some(TokenLimit::evict_oldest(1))]
    {
        let outcome = store.0.insert(again.clone(), limit, at(2)).await;
        assert!(
            outcome.is_err(),
            "insert: a key that is taken is an error, but with limit {limit:?} it was {outcome:?}"
        );
        assert!(store.has(&first).await, "insert: a key that is taken changes nothing in the record that has it");
        assert!(store.has(&other).await, "insert: a key that is taken evicts no other record");
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
    let records: Vec<TokenRecord> = names
        .into_iter()
        .map(|name| {
            let mut record = TokenRecord::new(subject_called(name), digest.clone(), at(0));
            record.label = Some(format!("the login of {:?}", record.subject));
            record
        })
        .collect();
    for record in &records {
        // A limit of one login: another subject's would be one too many.
        let outcome = store.0.insert(record.clone(), Some(TokenLimit::deny(1)), at(0)).await;
        assert!(
            matches!(outcome, Ok(jwt_knox::InsertOutcome::Inserted { evicted: 0 })),
            "subjects compare byte for byte: {:?} has no login yet, but insert said {outcome:?}",
            record.subject
        );
    }
    for record in &records {
        assert!(
            store.has(record).await,
            "subjects compare byte for byte: find must give {:?} its own record",
            record.subject
        );
        assert_eq!(
            store.list(&record.subject, at(1)).await,
            std::slice::from_ref(record),
            "subjects compare byte for byte: list must give {:?} its own record only",
            record.subject
        );
    }
    for (index, record) in records.iter().enumerate() {
        let removed = if index % 2 == 0 {
            store.remove_all(&record.subject, None, at(1)).await
        } else {
            u64::from(store.remove(&record.key()).await)
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

/// Two subjects may have a record of the same id; what is done to one leaves the other alone.
pub async fn ids_of_different_subjects_do_not_mix(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mine = login_until(&subject(), 0, 600);
    let mut yours = TokenRecord::new(subject(), mine.digest.clone(), at(5));
    yours.expires_at = Some(at(700));
    yours.label = Some("yours".to_owned());
    store.add_all([&mine, &yours]).await;
    assert!(store.has(&mine).await && store.has(&yours).await, "ids belong to a subject: both records must be there");

    assert!(store.touch(&mine.key(), at(10), Some(at(900))).await, "touch: a live record takes the note of its use");
    assert!(store.has(&yours).await, "ids belong to a subject: touch changed another subject's record of the same id");
    assert!(store.replace(&mine.key(), &login(&mine.subject, 6)).await, "replace: a record that is there is replaced");
    assert!(
        store.has(&yours).await,
        "ids belong to a subject: replace changed another subject's record of the same id"
    );
    assert!(!store.remove(&mine.key()).await, "remove: a record that was replaced is not there any more");
    assert!(store.has(&yours).await, "ids belong to a subject: remove took another subject's record of the same id");
}

/// `list` is sorted by `created_at` and then by id, both descending.
pub async fn list_is_newest_first(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let born = |first, moment| TokenRecord::new(subject.clone(), digest_beginning_with(first), moment);
    let records = [
        born(0x90, at(0)),
        born(0x20, just_after(at(0))),
        born(0x10, at(60)),
        born(0x7f, at(60)),
        born(0xa0, at(60)),
        born(0x01, at(3600)),
    ];
    store.add_all([3, 5, 0, 4, 2, 1].map(|index| &records[index])).await;
    let mut expected = ids(&records);
    expected.reverse();
    let listed = ids(&store.list(&subject, at(4000)).await);
    assert_eq!(listed, expected, "list: newest first, by created_at and then by id, both descending");
}

/// `list` gives the live records of one subject and no others.
pub async fn list_gives_the_live_records_of_one_subject(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let (mine, yours) = (subject(), subject());
    let records = [login_until(&mine, 0, 100), login_until(&mine, 1, 200), login(&mine, 2)];
    store.add_all(&records).await;
    store.add(&login(&yours, 0)).await;
    for (now, live) in [(at(99), 3), (at(100), 2), (just_after(at(100)), 2), (at(199), 2), (at(200), 1), (at(9999), 1)]
    {
        let mut expected = ids(&records[3 - live..]);
        expected.reverse();
        let listed = ids(&store.list(&mine, now).await);
        assert_eq!(
            listed, expected,
            "list: all live records of the subject and no others; the deadline is not part of it"
        );
    }
}

/// `touch` sets `last_used_at` and changes nothing else.
pub async fn touch_notes_the_use(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let (mut record, bystander) = (login_until(&subject, 0, 600), login_until(&subject, 0, 600));
    record.label = Some("laptop".to_owned());
    store.add_all([&record, &bystander]).await;
    for moment in [just_after(at(10)), just_after(just_after(at(10))), at(11)] {
        assert!(store.touch(&record.key(), moment, None).await, "touch: a later use of a live record is written");
        record.last_used_at = Some(moment);
        assert_eq!(
            store.find(&record.key()).await.as_ref(),
            Some(&record),
            "touch: last_used_at is the moment of use, and without a new deadline nothing else changes"
        );
    }
    assert!(store.has(&bystander).await, "touch: the subject's other records do not change");
}

/// `touch` writes a deadline only if it is later than the old one.
pub async fn touch_moves_the_deadline_only_forwards(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = login_until(&subject(), 0, 600);
    store.add(&record).await;
    for (used, asked, expected) in [
        (10, at(700), at(700)),
        (11, at(650), at(700)),
        (12, at(20), at(700)),
        (13, just_after(at(700)), just_after(at(700))),
    ] {
        assert!(
            store.touch(&record.key(), at(used), Some(asked)).await,
            "touch: a later use of a live record is written"
        );
        record.last_used_at = Some(at(used));
        record.expires_at = Some(expected);
        assert_eq!(
            store.find(&record.key()).await.as_ref(),
            Some(&record),
            "touch: the deadline moves only forwards, and the use is noted either way"
        );
    }
    assert_eq!(store.list(&record.subject, at(700)).await, [record], "touch: list goes by the new deadline");
}

/// `touch` never gives a deadline to a record without one.
pub async fn touch_gives_no_deadline_to_a_record_without_one(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = login(&subject(), 0);
    store.add(&record).await;
    assert!(store.touch(&record.key(), at(10), Some(at(600))).await, "touch: a later use of a live record is written");
    record.last_used_at = Some(at(10));
    assert_eq!(
        store.find(&record.key()).await.as_ref(),
        Some(&record),
        "touch: a record without a deadline never gets one, and the use is noted"
    );
}

/// A `touch` that comes after a later one writes nothing.
pub async fn an_older_touch_is_refused(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let mut record = login_until(&subject(), 0, 600);
    store.add(&record).await;
    assert!(store.touch(&record.key(), at(20), None).await, "touch: a later use of a live record is written");
    record.last_used_at = Some(at(20));
    for deadline in [None, Some(at(900))] {
        assert!(!store.touch(&record.key(), at(19), deadline).await, "touch: a use before the last one is not written");
        assert!(store.has(&record).await, "touch: a use before the last one changes nothing, not even the deadline");
    }
}

/// `touch` neither makes a record nor brings one back: one that is missing, removed, replaced or over stays so.
pub async fn touch_needs_a_live_record(store: Arc<dyn TokenStore>) {
    let store = Probe(store);
    let subject = subject();
    let missing = login(&subject, 0);
    assert!(!store.touch(&missing.key(), at(1), Some(at(600))).await, "touch: a missing record is not written");
    assert_eq!(store.find(&missing.key()).await, None, "touch: a missing record is not made");

    let (removed, replaced) = (login_until(&subject, 0, 600), login_until(&subject, 0, 600));
    store.add_all([&removed, &replaced]).await;
    assert!(store.remove(&removed.key()).await, "remove: a record that is there is removed");
    assert!(store.replace(&replaced.key(), &login(&subject, 1)).await, "replace: a record that is there is replaced");
    for gone in [removed, replaced] {
        assert!(!store.touch(&gone.key(), at(2), Some(at(900))).await, "touch: a revoked record is not written");
        assert_eq!(store.find(&gone.key()).await, None, "touch: a revoked record is not brought back");
    }

    let over = login_until(&subject, 0, 100);
    store.add(&over).await;
    for used in [at(100), at(101)] {
        assert!(!store.touch(&over.key(), used, Some(at(900))).await, "touch: a record that is over is not written");
        if let Some(found) = store.find(&over.key()).await {
            assert_eq!(found, over, "touch: a record that is over does not change");
        }
    }
    let listed = ids(&store.list(&subject, at(101)).await);
    assert!(!listed.contains(&over.id()), "touch: a record that is over is not brought back");
}
