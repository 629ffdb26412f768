//! What a store keeps of a session, and what others may see of it.

use std::time::Duration;

use jwt_knox::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{START, at, subject};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_record_is_the_same_after_a_round_trip_through_json(record in record()) {
        let json = record.to_json().unwrap();
        prop_assert_eq!(SessionRecord::from_json(&json).unwrap(), record);
    }
}

fn record() -> impl Strategy<Value = SessionRecord> {
    let time = || Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_second() * 1_000_000;
    let time = move || time().prop_map(|microsecond| Timestamp::from_microsecond(microsecond).unwrap());
    let times = (time(), prop::option::of(time()), prop::option::of(time()), prop::option::of(time()));
    let strings = (prop::option::of(any::<String>()), prop::option::of(any::<String>()));
    let idle = prop::option::of(any::<u64>().prop_map(Duration::from_secs));
    let secrets = ("[0-9a-f]{32}", digest(), prop::option::of(previous()), prop::option::of("[0-9a-f]{64}"));
    let attributes = prop::collection::btree_map(any::<String>(), any::<String>(), 0..4);
    ("\\PC{1,60}", secrets, times, idle, strings, attributes).prop_map(
        |(subject, (id, digest, previous, claims), times, idle, (scope, label), attributes)| {
            let mut record = SessionRecord::new(Subject::new(subject).unwrap(), digest, times.0);
            record.id = id.parse().unwrap();
            record.previous = previous;
            record.claims = claims.map(|claims| claims.parse().unwrap());
            record.expires_at = times.1;
            record.last_used_at = times.2;
            record.absolute_expires_at = times.3;
            record.idle_timeout = idle;
            record.scope = scope;
            record.label = label;
            record.attributes = attributes;
            record
        },
    )
}

fn digest() -> impl Strategy<Value = TokenDigest> {
    prop_oneof!["sha256:[0-9a-f]{64}", "sha512:[0-9a-f]{128}", "sha512-of-hex:[0-9a-f]{128}"]
        .prop_map(|digest| digest.parse().unwrap())
}

fn previous() -> impl Strategy<Value = PreviousSecret> {
    let time = Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_second() * 1_000_000;
    (digest(), "[0-9a-f]{32}", time)
        .prop_map(|(digest, nonce, until)| format!("{digest} {nonce} {until}").parse().unwrap())
}

/// A record with every field set.
fn full_record() -> SessionRecord {
    let digest = format!("sha256:{}{}", "ab".repeat(16), "cd".repeat(16)).parse().unwrap();
    let mut record = SessionRecord::new(subject("alice"), digest, at(START));
    record.id = "01".repeat(16).parse().unwrap();
    record.previous = Some(previous_text().parse().unwrap());
    record.claims = Some("ef".repeat(32).parse().unwrap());
    record.expires_at = Some(at(START + 60));
    record.last_used_at = Some(at(START + 1));
    record.absolute_expires_at = Some(at(START + 3600));
    record.idle_timeout = Some(Duration::from_secs(60));
    record.scope = Some("read write".to_owned());
    record.label = Some("Firefox".to_owned());
    record.attributes.insert("ip".to_owned(), "192.0.2.1".to_owned());
    record
}

fn previous_text() -> String {
    format!("sha256:{} {} {}", "23".repeat(32), "45".repeat(16), START * 1_000_000)
}

/// Records outlive a version of the library, so their form is fixed.
#[test]
fn a_record_has_a_fixed_form_as_json() {
    let json: Value = serde_json::from_str(&full_record().to_json().unwrap()).unwrap();
    let start = START * 1_000_000;
    let expected = json!({
        "v": 1,
        "subject": "alice",
        "id": "01".repeat(16),
        "previous": previous_text(),
        "claims": "ef".repeat(32),
        "digest": format!("sha256:{}{}", "ab".repeat(16), "cd".repeat(16)),
        "created_at": start,
        "expires_at": start + 60_000_000,
        "last_used_at": start + 1_000_000,
        "absolute_expires_at": start + 3_600_000_000_i64,
        "idle_seconds": 60,
        "scope": "read write",
        "label": "Firefox",
        "attributes": {"ip": "192.0.2.1"},
    });
    assert_eq!(json, expected);
}

#[test]
fn rejects_json_that_is_not_a_record() {
    let valid: Value = serde_json::from_str(&full_record().to_json().unwrap()).unwrap();
    for (name, value) in [
        ("v", json!(0)),
        ("v", json!(2)),
        ("v", json!(null)),
        ("subject", json!("")),
        ("subject", json!("a\0")),
        ("subject", json!(1)),
        ("id", json!("01")),
        ("id", json!(null)),
        ("previous", json!("")),
        ("previous", json!(format!("{} ", previous_text()))),
        ("claims", json!("ef")),
        ("digest", json!("sha256:ab")),
        ("digest", json!("ab".repeat(32))),
        ("created_at", json!(i64::MAX)),
        ("created_at", json!("2027-01-15T08:00:00Z")),
        ("created_at", json!(null)),
        ("expires_at", json!(i64::MIN)),
        ("idle_seconds", json!(-1)),
        ("attributes", json!({"ip": 1})),
    ] {
        let mut json = valid.clone();
        json[name] = value.clone();
        assert!(SessionRecord::from_json(&json.to_string()).is_err(), "{name}: {value}");
    }
    let valid = valid.to_string();
    for json in ["", "null", "[]", "{}", &valid[1..], &format!("{valid}x")] {
        assert!(SessionRecord::from_json(json).is_err(), "{json}");
    }
    assert!(SessionRecord::from_json(&valid).is_ok());
}

#[test]
fn the_public_view_of_a_session_has_neither_digest_nor_attributes() {
    let mut record = full_record();
    let session = SessionInfo::from(&record);
    let json = serde_json::to_value(&session).unwrap();
    let expected = json!({
        "id": "01".repeat(16),
        "label": "Firefox",
        "created_at": "2027-01-15T08:00:00Z",
        "last_used_at": "2027-01-15T08:00:01Z",
        "expires_at": "2027-01-15T08:01:00Z",
    });
    assert_eq!(json, expected);
    for kept in ["abab", "cdcd", "2323", "4545", "efef", "192.0.2.1"] {
        assert!(!format!("{json} {session:?}").contains(kept), "{kept}");
    }
    let debug = format!("{record:?}");
    assert!(!debug.contains("2323") && !debug.contains("4545"), "the nonce is half of a secret: {debug}");

    (record.label, record.last_used_at, record.expires_at) = (None, None, None);
    let json = serde_json::to_value(SessionInfo::from(&record)).unwrap();
    assert_eq!(
        (&json["label"], &json["last_used_at"], &json["expires_at"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}
