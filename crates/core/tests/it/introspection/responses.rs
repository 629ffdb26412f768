//! What counts as an answer, and what is asked about.

use jwt_knox::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    fixture::{START, seconds},
    waiting::{done, key},
};

use super::{ISSUER, Reply, World};

/// Whatever else an issuer answers, it is neither a yes nor a no.
#[test]
fn what_is_no_answer_cannot_tell_and_is_not_remembered() {
    let world = World::new(1000);
    let token = world.issuer.token();
    let truth = world.issuer.truth(&token).to_string();
    let body = |body: &str| Reply::Body(200, body.into());
    let mut replies = vec![
        Reply::Down,
        Reply::Panics,
        body(""),
        body("<html>It works!</html>"),
        body("[true]"),
        body("null"),
        body("{}"),
        body(r#"{"active":true}"#),
        body(r#"{"active":"false"}"#),
        body(r#"{"active":false,"active":true}"#),
        body(&format!("{truth}{truth}")),
        body(&truth.replace(r#""active":true"#, r#""active":true,"active":true"#)),
        body(&format!("{truth}{}", " ".repeat(IntrospectionResponse::MAX_BODY_BYTES))),
        Reply::Body(200, b"{\"active\":true,\"sub\":\"1\",\"x\":\"\xff\"}".into()),
    ];
    replies.extend(
        [201, 204, 302, 400, 401, 403, 404, 429, 500, 503].map(|status| Reply::Body(status, truth.clone().into())),
    );
    let wrong = [
        ("active", json!([null, 1, "true", "True", [true]])),
        ("token_type", json!(["DPoP", "mac", "", 1])),
        ("sub", json!([null, "2", "", " 1", 1])),
        ("sid", json!(["00112233445566778899aabbccddeeff", "", 1])),
        ("scope", json!([null, "", "read", "read write admin", "Read write", ["read", "write"]])),
        ("iss", json!(["https://evil.example", "", 1])),
        ("aud", json!(["billing", [], ["orders", "billing"], "", 1])),
        ("exp", json!(["soon", 1e300, true])),
        ("nbf", json!(["soon", {}])),
    ];
    for (name, values) in &wrong {
        replies.extend(values.as_array().unwrap().iter().map(|value| Reply::With(json!({*name: value}))));
    }
    let count = replies.len() as u64;
    for reply in replies {
        let told = match &reply {
            Reply::Body(status, body) => format!("{status} {:.80}", String::from_utf8_lossy(body)),
            Reply::With(members) => members.to_string(),
            _ => String::new(),
        };
        world.issuer.replies(reply);
        assert_eq!(world.says(&token), "cannot tell", "{told}");
    }
    assert_eq!(world.asked(), count);
    world.issuer.replies(Reply::Truth);
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", count + 1));
}

#[test]
fn answers_are_read_in_every_spelling_of_the_rfc() {
    let world = World::new(0);
    let token = world.issuer.token();
    for members in [
        json!({"token_type": "bearer"}),
        json!({"token_type": null}),
        json!({"sid": null, "iss": null, "aud": null, "iat": null}),
        json!({"exp": null}),
        json!({"exp": START as f64 + 0.5, "nbf": START}),
        json!({"aud": ["orders"]}),
        json!({"scope": "write  read"}),
        json!({"username": "alice", "client_id": "orders", "more": {"x": [1, null]}}),
    ] {
        world.issuer.replies(Reply::With(members.clone()));
        assert_eq!(world.says(&token), "valid", "{members}");
    }
    world.issuer.replies(Reply::With(json!({"active": false, "sub": 1})));
    assert_eq!(world.says(&token), "inactive");
    for (members, reason) in [(json!({"exp": START}), "expired"), (json!({"nbf": START + 1}), "not_yet_valid")] {
        world.issuer.replies(Reply::With(members));
        assert_eq!(world.says(&token), reason);
    }
    let world = World::with(|builder| builder.token_type("Token"));
    let token = world.issuer.token();
    assert_eq!(world.says(&token), "cannot tell");
    world.issuer.replies(Reply::With(json!({"token_type": "token"})));
    assert_eq!(world.says(&token), "valid");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_bytes_are_taken_for_an_answer(body in any::<Vec<u8>>(), text in "\\PC*", token in "\\PC*") {
        let world = World::new(1000);
        let jwt = world.issuer.token();
        for reply in [Reply::Body(200, body), Reply::Body(200, text.into())] {
            world.issuer.replies(reply);
            prop_assert_eq!(world.says(&jwt), "cannot tell");
        }
        prop_assert_eq!(world.says(&token), "malformed");
    }

    #[test]
    fn an_answer_is_a_yes_if_it_is_true_in_all_that_is_compared(
        status in prop_oneof![4 => Just(200), 1 => any::<u16>()],
        changes in prop::collection::vec((member(), value()), 0..4),
    ) {
        let world = World::new(1000);
        let jwt = world.issuer.token();
        let truth = world.issuer.truth(&jwt);
        let mut answer = truth.clone();
        for (name, value) in changes {
            match value {
                Change::Remove => drop(answer.as_object_mut().unwrap().remove(name)),
                Change::Wrap => answer[name] = json!([answer[name]]),
                Change::Extend(text) => answer[name] = json!(format!("{}{text}", answer[name].as_str().unwrap_or(""))),
                Change::Set(value) => answer[name] = value,
            }
        }
        world.issuer.replies(Reply::Body(status, answer.to_string().into()));
        let is_yes = status == 200 && is_true(&answer, &truth);
        prop_assert_eq!(world.says(&jwt) == "valid", is_yes, "{} {}", status, answer);
        // Nothing else is remembered.
        world.issuer.replies(Reply::Down);
        prop_assert_eq!(world.says(&jwt), if is_yes { "valid" } else { "cannot tell" });
    }
}

/// What becomes of a member of an answer.
#[derive(Debug, Clone)]
enum Change {
    Remove,
    Wrap,
    Extend(String),
    Set(Value),
}

fn member() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "active",
        "sub",
        "sid",
        "scope",
        "iss",
        "aud",
        "token_type",
        "exp",
        "nbf",
        "iat",
        "username",
        "more",
    ])
}

fn value() -> impl Strategy<Value = Change> {
    let texts =
        ["", "1", "2", "orders", "billing", "Bearer", "bearer", "DPoP", "read write", "write read read", ISSUER];
    prop_oneof![
        2 => Just(Change::Remove),
        1 => Just(Change::Wrap),
        1 => "[ -~]{0,2}".prop_map(Change::Extend),
        3 => prop::sample::select(texts.to_vec()).prop_map(|text| Change::Set(json!(text))),
        1 => any::<bool>().prop_map(|value| Change::Set(json!(value))),
        1 => (-2..3_i64).prop_map(|second| Change::Set(json!(START + second))),
        1 => prop::collection::vec(prop::sample::select(texts.to_vec()), 0..3).prop_map(|texts| Change::Set(json!(texts))),
        1 => Just(Change::Set(Value::Null)),
    ]
}

/// Whether an answer says that the token is active now, and nothing else of it than the truth.
fn is_true(answer: &Value, truth: &Value) -> bool {
    let is_absent = |name: &str| answer.get(name).is_none();
    let is_same = |name: &str| answer.get(name) == truth.get(name);
    let words = |text: &Value| {
        let mut words: Vec<_> = text.as_str().unwrap_or("").split(' ').filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    };
    let is_audience = match answer.get("aud") {
        None => true,
        Some(Value::Array(list)) => !list.is_empty() && list.iter().all(|one| *one == truth["aud"]),
        Some(one) => *one == truth["aud"],
    };
    let time = |name: &str| answer[name].as_i64();
    is_same("active")
        && is_same("sub")
        && ["sid", "iss"].iter().all(|name| is_absent(name) || is_same(name))
        && words(&answer["scope"]) == words(&truth["scope"])
        && is_audience
        && (is_absent("token_type") || answer["token_type"].as_str().is_some_and(|it| it.to_lowercase() == "bearer"))
        && (is_absent("exp") || time("exp").is_some_and(|second| second > START))
        && (is_absent("nbf") || time("nbf").is_some_and(|second| second <= START))
}

#[test]
fn what_cannot_be_a_token_of_the_issuer_is_not_asked_about() {
    let world = World::new(0);
    let token = world.issuer.token();
    let other = Knox::builder(key("old")).store(MemoryStore::new()).clock(world.clock.clone()).build().unwrap();
    let foreign = done(other.issue(1)).unwrap();
    for (jwt, reason) in [
        ("", "malformed"),
        ("a.b.c", "malformed"),
        ("...", "malformed"),
        (&*"a".repeat(10_000), "malformed"),
        (&*format!("{token}="), "malformed"),
        (&*format!("{token}&active=true"), "malformed"),
        (&*format!("{token}\r\n"), "malformed"),
        (&*format!("{token}.x"), "malformed"),
        (&token[..=token.rfind('.').unwrap()], "malformed"),
        (foreign.token.expose(), "wrong_issuer"),
    ] {
        assert_eq!(world.says(jwt), reason, "{jwt:.80}");
    }
    world.clock.advance(seconds(3600));
    assert_eq!((world.says(&token), world.asked()), ("expired", 0));
}
