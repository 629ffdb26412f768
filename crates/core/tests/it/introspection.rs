//! Asking the issuer whether a token is active.

use std::{
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use jwt_knox::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    fixture::{START, at, seconds},
    log::warnings_of,
    waiting::{done, key, poll, time_limit, verdict},
};

const ISSUER: &str = "https://auth.example.com";

/// A server that issues tokens and is asked about them.
struct Issuer {
    knox: Knox,
    ring: KeyRing,
    asked: AtomicU64,
    reply: Mutex<Reply>,
    /// Whether a reply has to wait after it is made.
    is_held: watch::Sender<bool>,
}

#[derive(Clone)]
enum Reply {
    /// What is so.
    Truth,
    /// What is so, with those members, or without them if they are `null`.
    With(Value),
    Body(u16, Vec<u8>),
    Down,
    Panics,
}

impl Issuer {
    fn new(profile: TokenProfile, clock: ManualClock) -> Arc<Self> {
        let ring = KeyRing::new(key("old"));
        let knox = Knox::builder(ring.clone()).profile(profile).store(MemoryStore::new()).clock(clock);
        let knox = knox.lifetime(Lifetime::expires_after(seconds(3600)).unwrap()).build().unwrap();
        let (asked, reply, is_held) = (AtomicU64::new(0), Mutex::new(Reply::Truth), watch::Sender::new(false));
        Arc::new(Self { knox, ring, asked, reply, is_held })
    }

    fn token(&self) -> String {
        self.issue(NewSession::new(1).scopes(["read", "write"]).unwrap())
    }

    fn issue(&self, session: NewSession) -> String {
        done(self.knox.issue(session)).unwrap().token.expose().to_owned()
    }

    fn log_out(&self, token: &str) {
        let session = done(self.knox.authenticate(token)).unwrap().session_ref();
        assert!(done(self.knox.revoke(&session)).unwrap().is_revoked());
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    fn replies(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Lets replies wait, or go.
    fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// What `/introspect` says.
    fn truth(&self, token: &str) -> Value {
        let Ok(auth) = done(self.knox.authenticate_passively(token)) else { return json!({"active": false}) };
        json!({
            "active": true, "sub": auth.subject(), "sid": auth.session_id(), "scope": auth.session().scope,
            "exp": auth.session().expires_at.map(Timestamp::as_second), "iat": START, "iss": ISSUER, "aud": "orders",
            "token_type": "Bearer",
        })
    }
}

#[async_trait]
impl IntrospectionEndpoint for Issuer {
    async fn introspect(&self, request: IntrospectionRequest) -> Result<IntrospectionResponse, StoreError> {
        self.asked.fetch_add(1, SeqCst);
        let mut truth = self.truth(request.body().strip_prefix("token=").unwrap());
        let reply = self.reply.lock().unwrap().clone();
        self.is_held.subscribe().wait_for(|is_held| !is_held).await.unwrap();
        match reply {
            Reply::Truth => {}
            Reply::With(Value::Object(members)) => {
                let truth = truth.as_object_mut().unwrap();
                truth.extend(members);
                truth.retain(|_, value| !value.is_null());
            }
            Reply::With(_) => unreachable!(),
            Reply::Body(status, body) => return Ok(IntrospectionResponse::new(status, body)),
            Reply::Down => return Err(StoreError::new("connection refused")),
            Reply::Panics => panic!("the issuer of a test panics"),
        }
        Ok(IntrospectionResponse::new(200, truth.to_string()))
    }
}

/// An issuer, and a service that asks it.
struct World {
    issuer: Arc<Issuer>,
    verifier: Verifier,
    clock: ManualClock,
    /// Whether all time limits are over.
    is_over: watch::Sender<bool>,
}

impl World {
    fn new(max_age: u64) -> Self {
        Self::with(|builder| builder.max_age(seconds(max_age)))
    }

    fn with(settings: impl FnOnce(IntrospectorBuilder) -> IntrospectorBuilder) -> Self {
        Self::with_profile(profile(), settings)
    }

    fn with_profile(profile: TokenProfile, settings: impl FnOnce(IntrospectorBuilder) -> IntrospectorBuilder) -> Self {
        let clock = ManualClock::new(at(START));
        let issuer = Issuer::new(profile.clone(), clock.clone());
        let (limit, is_over) = time_limit();
        let introspector = settings(Introspector::builder(issuer.clone()).time_limit(limit)).build();
        let verifier = Verifier::introspecting(introspector, profile).clock(clock.clone());
        Self { issuer, verifier, clock, is_over }
    }

    /// What the service says of a token, if it says it at once.
    fn says(&self, token: &str) -> &'static str {
        verdict(&done(self.verifier.authenticate(token)))
    }

    fn authenticate<'a>(&'a self, token: &'a str) -> Pin<Box<impl Future<Output = &'static str> + 'a>> {
        Box::pin(async move { verdict(&self.verifier.authenticate(token).await) })
    }

    fn asked(&self) -> u64 {
        self.issuer.asked()
    }
}

fn profile() -> TokenProfile {
    TokenProfile::new().issuer(ISSUER).unwrap().audience("orders").unwrap()
}

#[test]
fn an_active_token_is_what_it_says_and_when_it_was_active() {
    let world = World::new(0);
    let new = NewSession::new(7).scopes(["read"]).unwrap().claims(&json!({"role": "editor"})).unwrap();
    let jwt = world.issuer.issue(new);
    world.clock.advance(seconds(10));
    let token = done(world.verifier.authenticate(&jwt)).unwrap();
    let auth = done(world.issuer.knox.authenticate(&jwt)).unwrap();
    assert_eq!(token.session_ref(), auth.session_ref());
    assert_eq!((token.active_at(), token.expires_at()), (Some(at(START + 10)), Some(at(START + 3600))));
    assert!(token.has_scope("read") && token.require_scope("write").is_err());
    let claims: Value = token.claims().unwrap();
    assert_eq!((&claims["role"], &claims["jti"]), (&json!("editor"), &Value::Null));
    // By keys alone, nobody says that it is active.
    let keys = Verifier::new(world.issuer.ring.to_key_set(), profile()).clock(world.clock.clone());
    assert_eq!(keys.verify(&jwt).unwrap().active_at(), None);
}

#[test]
fn without_a_max_age_each_request_asks_and_a_logout_counts_at_once() {
    let world = World::new(0);
    let token = world.issuer.token();
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 2));
    world.issuer.log_out(&token);
    assert_eq!((world.says(&token), world.asked()), ("inactive", 3));
}

#[test]
fn with_a_max_age_a_logout_counts_when_it_is_over_and_not_later() {
    let world = World::new(5);
    let (token, other) = (world.issuer.token(), world.issuer.token());
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.issuer.log_out(&token);
    world.clock.set(at(START + 4));
    assert_eq!((world.says(&token), world.asked()), ("valid", 1));
    assert_eq!((world.says(&other), world.asked()), ("valid", 2));
    world.clock.set(at(START + 5));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("inactive", "inactive", 4));
    assert_eq!((world.says(&other), world.asked()), ("valid", 4));
    // A clock that was set back says nothing of how old an answer is.
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&other), world.asked()), ("valid", 5));
}

#[test]
fn an_answer_from_a_clock_that_was_ahead_does_not_count_again() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.clock.set(at(START + 600));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.issuer.replies(Reply::Down);
    world.clock.set(at(START));
    assert_eq!(world.says(&token), "cannot tell");
    world.clock.set(at(START + 600));
    assert_eq!((world.says(&token), world.asked()), ("cannot tell", 3));
    // Nor one that was too old.
    world.issuer.replies(Reply::Truth);
    assert_eq!(world.says(&token), "valid");
    world.issuer.replies(Reply::Down);
    world.clock.set(at(START + 605));
    assert_eq!(world.says(&token), "cannot tell");
    world.clock.set(at(START + 601));
    assert_eq!(world.says(&token), "cannot tell");
}

/// It counts from before the question, since the session may end while the answer is on its way.
#[test]
fn the_time_that_an_answer_takes_counts() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut request = world.authenticate(&token);
    assert!(poll(&mut request).is_pending());
    world.issuer.log_out(&token);
    world.clock.advance(seconds(4));
    world.issuer.hold(false);
    assert_eq!((poll(&mut request), world.says(&token)), (Poll::Ready("valid"), "valid"));
    world.clock.advance(seconds(1));
    assert_eq!((world.says(&token), world.asked()), ("inactive", 2));
}

#[test]
fn no_answer_is_used_after_its_expiry() {
    let world = World::new(1000);
    let token = world.issuer.token();
    // The session has an idle timeout.
    world.issuer.replies(Reply::With(json!({"exp": START + 3})));
    world.clock.set(at(START + 2));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&token), world.asked()), ("expired", 2));
    // It was used elsewhere.
    world.issuer.replies(Reply::With(json!({"exp": START + 9})));
    assert_eq!((world.says(&token), world.asked()), ("valid", 3));
    // Nor after that of the token.
    world.issuer.replies(Reply::With(json!({"exp": START + 9000})));
    world.clock.set(at(START + 3600));
    assert_eq!((world.says(&token), world.asked()), ("expired", 3));
}

#[test]
fn the_earlier_expiry_counts_that_of_the_token_or_that_of_the_answer() {
    let world = World::new(0);
    let token = world.issuer.token();
    let expiry = || done(world.verifier.authenticate(&token)).unwrap().expires_at();
    for (exp, expected) in [(json!(START + 9), 9), (json!(START + 9000), 3600), (Value::Null, 3600)] {
        world.issuer.replies(Reply::With(json!({"exp": exp})));
        assert_eq!(expiry(), Some(at(START + expected)));
    }
    let endless = world.issuer.issue(NewSession::new(1).lifetime(Lifetime::never()));
    world.issuer.replies(Reply::Body(200, format!(r#"{{"active":true,"sub":"1","exp":{}}}"#, START + 9).into()));
    assert_eq!(done(world.verifier.authenticate(&endless)).unwrap().expires_at(), Some(at(START + 9)));
}

#[test]
fn a_token_that_expires_while_the_issuer_is_asked_is_expired() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.replies(Reply::With(json!({"exp": START + 9000})));
    world.issuer.hold(true);
    let mut request = world.authenticate(&token);
    assert!(poll(&mut request).is_pending());
    world.clock.set(at(START + 3600));
    world.issuer.hold(false);
    assert_eq!(poll(&mut request), Poll::Ready("expired"));
}

/// Asking again costs little, and the session may have been used.
#[test]
fn the_leeway_does_not_prolong_an_answer_that_is_remembered() {
    let profile = profile().leeway(seconds(60)).unwrap();
    let world = World::with_profile(profile, |builder| builder.max_age(seconds(1000)));
    let token = world.issuer.token();
    world.issuer.replies(Reply::With(json!({"exp": START + 3})));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 3));
    world.clock.set(at(START + 63));
    assert_eq!((world.says(&token), world.asked()), ("expired", 4));
}

/// What one of them has found the same as in its token, another one reads elsewhere in it.
#[test]
fn verifiers_with_other_profiles_share_no_answer() {
    let world = World::new(0);
    let new = NewSession::new(1).scopes(["read"]).unwrap();
    let token = world.issuer.issue(new.claims(&json!({"username": "2", "permissions": "admin"})).unwrap());
    let introspector = Introspector::builder(world.issuer.clone()).max_age(seconds(1000)).build();
    let verdict_by = |names: ClaimNames| {
        let profile = profile().format(TokenFormat::default().claim_names(names).unwrap());
        let verifier = Verifier::introspecting(introspector.clone(), profile).clock(world.clock.clone());
        verdict(&done(verifier.authenticate(&token)))
    };
    for _ in 0..2 {
        assert_eq!(verdict_by(ClaimNames::default()), "valid");
        assert_eq!(verdict_by(ClaimNames { subject: "username".into(), ..ClaimNames::default() }), "cannot tell");
        assert_eq!(verdict_by(ClaimNames { scope: "permissions".into(), ..ClaimNames::default() }), "cannot tell");
    }
    assert_eq!(world.asked(), 5);
}

/// The subject has another name in the token, which has no `sid`; the answer has the names of RFC 7662.
#[test]
fn tokens_as_those_of_drf_jwt_knox_are_asked_about() {
    let profile = profile().format(TokenFormat::drf_jwt_knox().without_session_id());
    let world = World::with_profile(profile, |builder| builder.max_age(seconds(5)));
    let alice = || NewSession::new(Subject::new("alice").unwrap()).scopes(["read"]).unwrap();
    let jwt = world.issuer.issue(alice());
    let token = done(world.verifier.authenticate(&jwt)).unwrap();
    let auth = done(world.issuer.knox.authenticate(&jwt)).unwrap();
    assert_eq!((token.session_ref(), token.subject().as_str()), (auth.session_ref(), "alice"));
    let claims: Value = token.claims().unwrap();
    assert_eq!((&claims["username"], &claims["sub"], &claims["sid"]), (&json!("alice"), &Value::Null, &Value::Null));
    assert_eq!((world.says(&jwt), world.asked()), ("valid", 1));
    let jwt = world.issuer.issue(alice());
    for (members, verdict) in [
        (json!({"sub": "bob"}), "cannot tell"),
        (json!({"sub": null, "username": "alice"}), "cannot tell"),
        (json!({"sid": token.session_id()}), "cannot tell"),
        (json!({"sid": null, "username": "bob"}), "valid"),
    ] {
        world.issuer.replies(Reply::With(members));
        assert_eq!(world.says(&jwt), verdict);
    }
    let other = World::new(0);
    assert_eq!((other.says(&jwt), other.asked()), ("malformed", 0));
}

#[test]
fn that_a_token_is_inactive_is_not_remembered() {
    let world = World::new(1000);
    let token = world.issuer.token();
    world.issuer.replies(Reply::Body(200, br#"{"active":false}"#.into()));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("inactive", "inactive", 2));
    world.issuer.replies(Reply::Truth);
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 3));
}

#[test]
fn invented_tokens_push_no_good_one_out() {
    let world = World::with(|builder| builder.max_age(seconds(1000)).max_entries(16));
    let token = world.issuer.token();
    assert_eq!(world.says(&token), "valid");
    let (claims, signature) = token.split_at(token.rfind('.').unwrap());
    for number in 0..1000 {
        assert_eq!(world.says(&format!("{claims}.{number:04}{}", &signature[5..])), "inactive");
    }
    assert_eq!((world.says(&token), world.asked()), ("valid", 1001));
    let none = World::with(|builder| builder.max_age(seconds(1000)).max_entries(0));
    let token = none.issuer.token();
    assert_eq!((none.says(&token), none.says(&token), none.asked()), ("valid", "valid", 2));
}

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

#[test]
fn a_thousand_requests_with_one_token_ask_once() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut requests: Vec<_> = (0..1000).map(|_| world.authenticate(&token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    // The one that asks is among those that go away.
    drop(requests.drain(..500));
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.issuer.hold(false);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("valid"));
    }
    assert_eq!(world.asked(), 1);
}

/// The question that is under way began before they came, so its answer may be older than their requests.
#[test]
fn without_a_max_age_parallel_requests_share_the_next_question() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    assert!(poll(&mut first).is_pending());
    world.issuer.log_out(&token);
    let mut others: Vec<_> = (0..100).map(|_| world.authenticate(&token)).collect();
    for request in &mut others {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 1);
    world.issuer.hold(false);
    assert_eq!(poll(&mut first), Poll::Ready("valid"));
    for request in &mut others {
        assert_eq!(poll(request), Poll::Ready("inactive"));
    }
    assert_eq!(world.asked(), 2);
}

/// With a `max_age`, a question that takes longer than that is too old as well.
#[test]
fn a_question_that_takes_long_is_not_joined() {
    let world = World::new(2);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    assert!(poll(&mut first).is_pending());
    world.clock.advance(seconds(1));
    let mut second = world.authenticate(&token);
    assert!(poll(&mut second).is_pending());
    world.issuer.log_out(&token);
    world.clock.advance(seconds(1));
    let mut third = world.authenticate(&token);
    assert!(poll(&mut third).is_pending());
    world.issuer.hold(false);
    assert_eq!((poll(&mut first), poll(&mut second)), (Poll::Ready("valid"), Poll::Ready("valid")));
    assert_eq!((poll(&mut third), world.asked()), (Poll::Ready("inactive"), 2));
    assert_eq!(world.says(&token), "inactive");
}

#[test]
fn a_caller_that_goes_away_leaves_the_question_to_the_next() {
    for max_age in [0, 5] {
        let world = World::new(max_age);
        let token = world.issuer.token();
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..3).map(|_| world.authenticate(&token)).collect();
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        drop(requests.remove(0));
        let asked = if max_age == 0 { 2 } else { 1 };
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        assert_eq!(world.asked(), asked);
        world.issuer.hold(false);
        for request in &mut requests {
            assert_eq!(poll(request), Poll::Ready("valid"));
        }
        assert_eq!(world.asked(), asked);

        // If all go away, the question goes with them.
        world.clock.advance(seconds(5));
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..3).map(|_| world.authenticate(&token)).collect();
        for request in &mut requests {
            assert!(poll(request).is_pending());
        }
        drop(requests);
        world.issuer.hold(false);
        world.issuer.log_out(&token);
        assert_eq!((world.says(&token), world.asked()), ("inactive", asked + 2));
    }
}

/// One that waits, and goes away, must not let the next one past the one that is under way.
#[test]
fn a_question_that_nobody_waits_for_keeps_the_order() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut first = world.authenticate(&token);
    let mut second = world.authenticate(&token);
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
    drop(second);
    let mut third = world.authenticate(&token);
    assert!(poll(&mut third).is_pending());
    assert_eq!(world.asked(), 1);
    world.issuer.hold(false);
    assert_eq!((poll(&mut first), world.asked()), (Poll::Ready("valid"), 1));
    assert_eq!((poll(&mut third), world.asked()), (Poll::Ready("valid"), 2));
}

/// It has been sent, and one who waits for the question before it has not been polled yet.
#[test]
fn a_question_that_nobody_waits_for_keeps_nobody_waiting() {
    let world = World::new(2);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let (mut first, mut waiting) = (world.authenticate(&token), world.authenticate(&token));
    assert!(poll(&mut first).is_pending() && poll(&mut waiting).is_pending());
    world.clock.advance(seconds(2));
    let mut second = world.authenticate(&token);
    assert!(poll(&mut second).is_pending());
    world.issuer.hold(false);
    assert_eq!(poll(&mut first), Poll::Ready("valid"));
    world.issuer.hold(true);
    assert!(poll(&mut second).is_pending());
    assert_eq!(world.asked(), 2);
    drop(second);
    world.issuer.hold(false);
    world.clock.advance(seconds(2));
    let mut third = world.authenticate(&token);
    assert_eq!((poll(&mut third), poll(&mut waiting)), (Poll::Ready("valid"), Poll::Ready("valid")));
    assert_eq!(world.asked(), 3);
}

/// On several threads, in whatever order they get.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_come_and_go_keep_nobody_waiting() {
    for max_age in [0, 5] {
        let clock = ManualClock::new(at(START));
        let issuer = Issuer::new(profile(), clock.clone());
        let endpoint = introspection_endpoint_fn({
            let issuer = issuer.clone();
            move |request| {
                let issuer = issuer.clone();
                async move {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    issuer.introspect(request).await
                }
            }
        });
        let introspector =
            Introspector::builder(endpoint).max_age(seconds(max_age)).max_concurrent_requests(NonZeroUsize::MIN);
        let introspector = introspector.time_limit(TimeLimit::new(seconds(300)).unwrap()).build();
        let verifier = Verifier::introspecting(introspector, profile()).clock(clock);
        let tokens: Vec<String> = (0..3).map(|_| issuer.token()).collect();
        let mut requests = Vec::new();
        for number in 0..3000 {
            let (verifier, token) = (verifier.clone(), tokens[number % 3].clone());
            requests.push(tokio::spawn(async move { verdict(&verifier.authenticate(&token).await) }));
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
            if number % 2 == 1 {
                requests.swap_remove(number / 4).abort();
            }
        }
        for request in requests {
            assert_eq!(request.await.unwrap(), "valid");
        }
        assert!((3..3000).contains(&issuer.asked()), "{}", issuer.asked());
    }
}

#[test]
fn an_issuer_that_hangs_cannot_tell() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut requests: Vec<_> = (0..10).map(|_| world.authenticate(&token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.is_over.send_replace(true);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("cannot tell"));
    }
    assert_eq!(world.asked(), 1);
    drop(requests);
    assert_eq!((world.says(&token), world.asked()), ("cannot tell", 2));
    world.issuer.hold(false);
    assert_eq!((world.says(&token), world.asked()), ("valid", 3));
    // What was active a moment ago is known, and nothing else is.
    world.issuer.replies(Reply::Down);
    assert_eq!((world.says(&token), world.says(&world.issuer.token())), ("valid", "cannot tell"));
    world.clock.advance(seconds(5));
    assert_eq!(world.says(&token), "cannot tell");
}

#[test]
fn so_many_questions_are_under_way_and_no_more() {
    let world = World::with(|builder| builder.max_concurrent_requests(NonZeroUsize::new(2).unwrap()));
    let tokens: Vec<String> = (0..4).map(|_| world.issuer.token()).collect();
    world.issuer.hold(true);
    let mut requests: Vec<_> = tokens.iter().map(|token| world.authenticate(token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 2);
    // One that goes away makes room.
    drop(requests.remove(0));
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    assert_eq!(world.asked(), 3);
    world.issuer.hold(false);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("valid"));
    }
    assert_eq!(world.asked(), 4);
    // Nor is there room for ever while the issuer hangs.
    world.issuer.hold(true);
    let mut requests: Vec<_> = tokens.iter().map(|token| world.authenticate(token)).collect();
    for request in &mut requests {
        assert!(poll(request).is_pending());
    }
    world.is_over.send_replace(true);
    for request in &mut requests {
        assert_eq!(poll(request), Poll::Ready("cannot tell"));
    }
    world.issuer.hold(false);
    assert_eq!(world.says(&tokens[0]), "valid");
}

/// Whether a future was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A runtime polls only what is woken.
#[test]
fn requests_that_end_together_let_as_many_others_go() {
    let world = World::with(|builder| builder.max_concurrent_requests(NonZeroUsize::new(2).unwrap()));
    let tokens: Vec<String> = (0..4).map(|_| world.issuer.token()).collect();
    let mut requests: Vec<_> =
        tokens.iter().map(|token| (world.authenticate(token), Arc::new(Woken(AtomicBool::new(true))))).collect();
    let mut poll_woken = || {
        let mut valid = 0;
        while let Some((request, woken)) = requests.iter_mut().find(|(_, woken)| woken.0.swap(false, SeqCst)) {
            let waker = Waker::from(woken.clone());
            if request.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready("valid") {
                valid += 1;
                // Both that were asked about end before another one is polled.
                if valid == 2 {
                    world.issuer.hold(true);
                }
            }
        }
        valid
    };
    world.issuer.hold(true);
    assert_eq!((poll_woken(), world.asked()), (0, 2));
    world.issuer.hold(false);
    assert_eq!((poll_woken(), world.asked()), (2, 4));
    world.issuer.hold(false);
    assert_eq!((poll_woken(), world.asked()), (2, 4));
}

#[test]
fn with_keys_only_tokens_of_the_issuer_are_asked_about() {
    let world = World::new(5);
    let keys = world.issuer.ring.to_key_set();
    let introspector = Introspector::builder(world.issuer.clone()).max_age(seconds(5)).build();
    let verifier = Verifier::new(keys.clone(), profile()).with_introspector(introspector).clock(world.clock.clone());
    let says = |token: &str| verdict(&done(verifier.authenticate(token)));
    let token = world.issuer.token();
    let forger = Knox::builder(key("old")).profile(profile()).store(MemoryStore::new()).clock(world.clock.clone());
    let forged = done(forger.build().unwrap().issue(1)).unwrap();
    assert_eq!((says(forged.token.expose()), world.asked()), ("invalid_signature", 0));
    assert_eq!((says(&token), says(&token), world.asked()), ("valid", "valid", 1));
    assert!(done(verifier.authenticate(&token)).unwrap().active_at().is_some());
    // It has to be waited for.
    assert_eq!(verifier.verify(&token).unwrap_err(), Rejection::NotIntrospected);
    assert_eq!(world.verifier.verify(&token).unwrap_err(), Rejection::NotIntrospected);
    assert_eq!(verifier.verify(b"\xff").unwrap_err(), Rejection::NotIntrospected);
    let outcome = done(world.verifier.authenticate(b"\xff"));
    assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Malformed(_)))), "{outcome:?}");
    assert_eq!(world.asked(), 1, "what is no token is not asked about");
    // A key counts for as long as it is there, whatever is remembered.
    keys.update_from_jwks(&KeyRing::new(key("new")).jwks()).unwrap();
    assert_eq!((says(&token), world.asked()), ("unknown_key", 1));
}

/// The issuer ends what has no expiry, as where the store is asked.
#[test]
fn a_token_without_expiry_is_valid_while_it_is_active() {
    let world = World::new(0);
    let token = world.issuer.issue(NewSession::new(1).lifetime(Lifetime::never()));
    world.issuer.replies(Reply::Body(200, br#"{"active":true,"sub":"1"}"#.into()));
    world.clock.advance(seconds(1_000_000));
    assert_eq!(done(world.verifier.authenticate(&token)).unwrap().expires_at(), None);
    world.issuer.replies(Reply::Body(200, br#"{"active":false}"#.into()));
    assert_eq!(world.says(&token), "inactive");
}

#[test]
fn a_failure_is_logged_once_however_many_requests_wait_for_it() {
    let world = World::new(5);
    let (token, other) = (world.issuer.token(), world.issuer.token());
    world.issuer.replies(Reply::Down);
    let endings: [fn(&World); 2] = [|world| world.issuer.hold(false), |world| _ = world.is_over.send_replace(true)];
    for ends in endings {
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..10).map(|_| world.authenticate(&token)).collect();
        requests.push(world.authenticate(&other));
        let log = warnings_of(|| {
            for request in &mut requests {
                assert!(poll(request).is_pending());
            }
            ends(&world);
            for request in &mut requests {
                assert_eq!(poll(request), Poll::Ready("cannot tell"));
            }
        });
        assert_eq!(log.lines().count(), 2, "{log}");
    }
}

#[test]
fn the_log_says_what_is_wrong_and_no_secret() {
    let world = World::new(0);
    let token = world.issuer.token();
    for (reply, message) in [
        (Reply::Down, "connection refused"),
        (
            Reply::Body(401, "my secret".into()),
            "the issuer answered 401: it rejected this service's client id and secret",
        ),
        (Reply::Body(302, "my secret".into()), "expected status 200, got 302"),
        (Reply::With(json!({"sub": "my secret"})), "the response is about another token: its `sub` differs"),
        (
            Reply::With(json!({"active": "my secret"})),
            "the response does not conform to RFC 7662: `active` is not a boolean",
        ),
    ] {
        world.issuer.replies(reply);
        let mut error = String::new();
        let log = warnings_of(|| error = format!("{:?}", done(world.verifier.authenticate(&token)).unwrap_err()));
        assert!(error.starts_with(&format!("no usable introspection response from the issuer: {message}")), "{error}");
        assert!(!error.contains("store"), "{error}");
        assert_eq!(log.lines().count(), 1, "{log}");
        for secret in token.split('.').chain(["my secret"]) {
            assert!(!log.contains(secret) && !error.contains(secret), "{log} {error}");
        }
    }
    world.issuer.replies(Reply::Truth);
    let shown = Arc::new(Mutex::new(String::new()));
    let told = shown.clone();
    let introspector = Introspector::builder(introspection_endpoint_fn(move |request: IntrospectionRequest| {
        *told.lock().unwrap() = format!("{request:?}");
        async { Ok(IntrospectionResponse::new(200, "my secret")) }
    }));
    let introspector = introspector.build();
    let verifier = Verifier::introspecting(introspector.clone(), profile()).clock(world.clock.clone());
    assert_eq!(verdict(&done(verifier.authenticate(&token))), "cannot tell");
    assert_eq!(*shown.lock().unwrap(), "IntrospectionRequest(redacted)");
    let reply = format!("{:?}", IntrospectionResponse::new(200, "my secret"));
    assert_eq!(reply, "IntrospectionResponse { status: 200, .. }");
    assert_eq!(format!("{introspector:?}"), "Introspector { max_age: 0ns, .. }");
    let valid = done(world.verifier.authenticate(&token)).unwrap();
    assert!(!format!("{valid:?} {verifier:?}").contains(token.rsplit('.').next().unwrap()));
}
