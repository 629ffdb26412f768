//! Custom claims of any shape: what is issued is accepted, also after rotations.
//!
//! The record keeps a digest of the claims as they are read back. So a number that changes when it is written and read
//! would log its user out.

use jwt_knox::*;
use proptest::{prelude::*, test_runner::TestCaseResult};
use serde_json::{Value, json, value::RawValue};

use crate::fixture::Fixture;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn claims_of_any_shape_survive_issue_authenticate_and_rotate(claims in object("x", json_text().boxed())) {
        survive(&claims)?;
    }

    #[test]
    fn numbers_survive(numbers in prop::collection::vec(number(), 1..40)) {
        survive(&format!(r#"{{"x":[{}]}}"#, numbers.join(",")))?;
    }
}

#[test]
fn numbers_that_are_easily_read_wrong_survive() {
    for number in [
        "0.1",
        "-0",
        "-0.0",
        "1.0",
        "1e0",
        "100000000000000000000000",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "340282366920938463463374607431768211455",
        "9007199254740993",
        "9007199254740993.0",
        "0.30000000000000004",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "5e-324",
        "4.9406564584124654e-324",
        "1e-400",
        "1.7976931348623157e308",
        "6.0221407599999999e23",
        "123456789.12345678901234567890123456789",
    ] {
        survive(&format!(r#"{{"x":{number}}}"#)).unwrap();
    }
}

/// The text, as deep as it can be read, is also accepted.
#[test]
fn claims_that_are_as_deep_as_they_may_be_survive() {
    let mut deepest = 0;
    for depth in 100..140 {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let text = format!(r#"{{"x":{}1{}}}"#, open.repeat(depth), close.repeat(depth));
            deepest = deepest.max(if survive(&text).unwrap() { depth } else { 0 });
        }
    }
    assert!((100..139).contains(&deepest), "{deepest}");
}

/// `false`: they are no claims, and the one who sets them learns it.
fn survive(claims: &str) -> Result<bool, TestCaseError> {
    let raw = RawValue::from_string(claims.to_owned()).unwrap();
    let new = match NewSession::new(1).claims(&raw) {
        Ok(new) => new,
        Err(ClaimsError::NotSerializable(_)) => return Ok(false),
        Err(error) => panic!("{error}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(new, &serde_json::from_str(claims).unwrap()))?;
    Ok(true)
}

async fn check(new: NewSession, expected: &Value) -> TestCaseResult {
    let fixture = Fixture::new();
    let mut issued = fixture.knox.issue(new).await.unwrap();
    for rotations in 0..4 {
        let auth = match fixture.knox.authenticate(issued.token.expose()).await {
            Ok(auth) => auth,
            Err(error) => return Err(TestCaseError::fail(format!("after {rotations} rotations: {error}"))),
        };
        let Ok(Value::Object(mut claims)) = auth.claims::<Value>() else { panic!("claims are an object") };
        claims.retain(|name, _| !["sub", "sid", "iat", "exp"].contains(&name.as_str()));
        prop_assert_eq!(&Value::Object(claims), expected, "after {} rotations", rotations);
        prop_assert!(fixture.knox.recheck(&auth).await.is_ok());
        issued = fixture.knox.rotate(&auth).await.unwrap();
    }
    Ok(())
}

/// JSON as it may come from anywhere, not only as this library writes it.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|bool| bool.to_string()),
        number(),
        any::<String>().prop_map(|string| json!(string).to_string()),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(|values| format!("[ {}]", values.join(" ,")));
        prop_oneof![list, object("", inner)]
    })
}

/// An object whose names begin with `prefix`, so that they are not those of the library.
fn object(prefix: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let member = (any::<String>(), value);
    let members = prop::collection::btree_map(member.0, member.1, 0..6);
    members
        .prop_map(move |members| {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{}:{value}", json!(format!("{prefix}{name}")))).collect();
            format!("{{{}}}", members.join(","))
        })
        .boxed()
}

fn number() -> impl Strategy<Value = String> {
    let float = any::<f64>().prop_filter("JSON has no such number", |float| float.is_finite());
    prop_oneof![
        float.prop_map(|float| json!(float).to_string()),
        float_of_few_digits(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i128>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?",
    ]
}

/// As prices and coordinates are.
fn float_of_few_digits() -> impl Strategy<Value = String> {
    (any::<i32>(), 0..10_u32)
        .prop_map(|(number, digits)| (f64::from(number) / f64::from(10_u32).powi(digits as i32)).to_string())
}
