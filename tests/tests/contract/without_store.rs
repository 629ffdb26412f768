//! A service without the store, which verifies by the keys.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use jwt_knox::{
    Algorithm, Clock, KeyRing, KeySet, KnoxBuilder, Lifetime, NewSession, SigningKey, Subject, SubjectStatus,
    Timestamp, TokenProfile, Verifier,
};
use jwt_knox_http::{Cookies, KnoxHttpBuilder, ProblemCode, VerifierHttp, VerifierHttpBuilder};
use jwt_knox_tests::{
    Call, Reply, VerifyingServer, World, forge,
    world::{START, on_another_thread},
};
use serde_json::{Value, json};

use crate::{
    cookies::with_cookies,
    fixture::{Fixture, assert_code, assert_invalid, assert_missing},
};

/// Sends calls to a server without a store, which is on the same framework and verifies by the key of the world.
fn without_store<S>(fixture: &Fixture, settings: S) -> impl Fn(&Call) -> Reply + use<S>
where
    S: FnOnce(VerifierHttpBuilder) -> VerifierHttpBuilder,
{
    let verifier = VerifierHttp::builder(fixture.world.knox.verifier());
    let address = VerifyingServer::start(fixture.framework, settings(verifier).build().unwrap()).address;
    move |call| call.send(address)
}

/// The routes that need a token both with a store and without.
pub(crate) const GUARDED: [&str; 8] =
    ["/me", "/admin", "/thrice", "/role", "/project", "/guarded/hello", "/guarded_admin/hello", "/guarded_me"];

/// Both servers answer the same to this call.
pub(crate) fn assert_alike(fixture: &Fixture, send: impl Fn(&Call) -> Reply, call: &Call) -> Reply {
    let (with_store, without) = (fixture.send(call), send(call));
    assert_eq!(with_store.contract(), without.contract(), "{call:?}");
    without
}

fn without_the_store_the_same_mistakes_get_the_same_answers(fixture: &Fixture) {
    assert_same_answers(fixture, without_store(fixture, |http| http));
}

/// The server behind `send` answers every token as the one with the store does, and no token too.
pub(crate) fn assert_same_answers(fixture: &Fixture, send: impl Fn(&Call) -> Reply) {
    let alike = |call: &Call| assert_alike(fixture, &send, call);
    let token = fixture.alice();
    let with = |path: &str, value: &[u8]| Call::get(path).header("Authorization", value);
    for path in GUARDED.iter().chain(&["/maybe"]) {
        for value in [
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            "Bearer a.b.c".to_owned(),
            "Bearer ...".to_owned(),
            format!("Bearer {token} x"),
            format!("Bearer {token}A"),
            format!("Bearer {}", &token[..token.len() - 1]),
            format!("Bearer {}", "a".repeat(12_000)),
            format!("Bearer {}", forge::token(r#"{"alg":"none"}"#, &forge::claims(&token).to_string())),
            format!("Bearer {}", forge::token(r#"{"alg":"HS256","kid":"x"}"#, &forge::claims(&token).to_string())),
            format!("Bearer {}", forge::with_claims(&token, &json!({"exp": START}))),
            format!("Bearer {}", forge::with_claims(&token, &json!({"nbf": START + 61}))),
            format!("Bearer {}", forge::with_claims(&token, &json!({"iss": "x"}))),
            format!("Bearer {}", forge::with_claims(&token, &json!({"aud": "x"}))),
            format!("Bearer {}", forge::with_claims(&token, &json!({"jti": null}))),
        ] {
            assert_invalid(&alike(&with(path, value.as_bytes())));
        }
        assert_invalid(&alike(&Call::get(path).bearer(&token).bearer(&token)));
        // Rocket drops such a header, and then it is no credential.
        alike(&with(path, b"Bearer \xff\xfe"));
    }
    for path in GUARDED {
        assert_missing(&alike(&Call::get(path)));
        for value in ["", "Basic eA==", token.as_str(), "Bearer:x"] {
            assert_missing(&alike(&with(path, value.as_bytes())));
        }
    }
    for path in ["/admin", "/thrice", "/guarded_admin/hello", "/project"] {
        assert_code(&alike(&Call::get(path).bearer(&token)), ProblemCode::InsufficientScope);
    }
    assert_invalid(&alike(&Call::get("/role").bearer(&token)));
    // And a valid token the same success.
    let root = fixture.login("root", "toor");
    for path in ["/me", "/maybe", "/admin", "/thrice", "/guarded/hello", "/guarded_admin/hello", "/guarded_me"] {
        assert_eq!(alike(&Call::get(path).bearer(&root)).status, 200, "{path}");
    }
    for call in [Call::get("/maybe"), with("/maybe", b"Basic eA==")] {
        assert_eq!(alike(&call).body, "nobody");
    }
    let new = NewSession::new(Subject::new("alice").unwrap()).scopes(["project:7:write"]).unwrap();
    let new = new.claims(&json!({"role": "editor"})).unwrap();
    let knox = fixture.world.knox.clone();
    let full = on_another_thread(async move { knox.issue(new).await.unwrap().token.expose().to_owned() });
    assert_eq!(alike(&Call::get("/role").bearer(&full)).body, "editor");
    assert_eq!(alike(&Call::get("/project").bearer(&full)).status, 200);
    fixture.world.set_clock(36_000);
    for path in GUARDED {
        assert_invalid(&alike(&Call::get(path).bearer(&root)));
    }
}

fn without_the_store_a_revoked_token_is_accepted_until_it_expires(fixture: &Fixture) {
    let send = without_store(fixture, |http| http);
    let token = fixture.alice();
    fixture.send(&Call::post("/logout").bearer(&token));
    fixture.world.users.set("alice", SubjectStatus::Inactive);
    fixture.world.store.take_finds();
    fixture.world.store.set_down(true);
    fixture.world.set_clock(35_999);
    for path in ["/me", "/maybe", "/guarded/hello", "/guarded_me"] {
        assert_eq!(send(&Call::get(path).bearer(&token)).status, 200, "{path}");
    }
    assert_eq!(fixture.world.store.take_finds(), 0);
    fixture.world.set_clock(36_000);
    for path in ["/me", "/maybe", "/guarded/hello", "/guarded_me"] {
        assert_invalid(&send(&Call::get(path).bearer(&token)));
    }
}

/// Nothing would ever end it there.
fn without_the_store_a_token_without_expiry_is_rejected(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.lifetime(Lifetime::never());
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let token = fixture.alice();
    assert_eq!(fixture.status(&Call::get("/me").bearer(&token)), 200);
    assert_invalid(&without_store(&fixture, |http| http)(&Call::get("/me").bearer(&token)));
}

fn without_the_store_the_settings_are_the_same(fixture: &Fixture) {
    fn problem(problem: &jwt_knox_http::HttpRejection) -> Value {
        json!({"error": problem.code(), "message": problem.detail()})
    }
    let settings = |http: KnoxHttpBuilder| http.scheme("Token").realm("my api").header("X-Auth-Token").problem(problem);
    let fixture = fixture.with(World::with(fixture.kind, |core| core, settings));
    let send =
        without_store(&fixture, |http| http.scheme("Token").realm("my api").header("X-Auth-Token").problem(problem));
    let alike = |call: &Call| assert_alike(&fixture, &send, call);
    let json = r#"{"username":"alice","password":"wonderland"}"#;
    let token = fixture.send(&Call::json_login(json)).token();
    let with = |path: &str, value: &str| Call::get(path).header("x-auth-token", value);
    assert_eq!(alike(&with("/me", &format!("token {token}"))).status, 200);
    for path in GUARDED {
        for (call, challenge) in [
            (Call::get(path), r#"Token realm="my api""#),
            (Call::get(path).bearer(&token), r#"Token realm="my api""#),
            (with(path, &format!("Bearer {token}")), r#"Token realm="my api""#),
            (with(path, "Token a.b.c"), r#"Token realm="my api", error="invalid_token""#),
        ] {
            let reply = alike(&call);
            assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(challenge)));
            assert_eq!(reply.json().as_object().unwrap().len(), 2, "{reply:?}");
        }
    }
    let reply = alike(&with("/admin", &format!("Token {token}")));
    assert_eq!((reply.status, &reply.json()["error"]), (403, &json!("insufficient_scope")));
}

fn without_the_store_a_cookie_needs_the_same_proof_of_origin(fixture: &Fixture) {
    let send = without_store(fixture, |http| http.cookies(Cookies::new().allow_origin("https://app.example")));
    let fixture = with_cookies(fixture, |core| core);
    // The same key, so the cookie of the one is good for the other.
    let cookie = fixture.cookie();
    let change = || Call::post("/change").header("Cookie", format!("__Host-session={cookie}"));
    let alike = |call: &Call| assert_alike(&fixture, &send, call);
    assert_eq!(alike(&Call::get("/me").cookie(&cookie)).status, 200);
    assert_eq!(alike(&change().header("Sec-Fetch-Site", "same-origin")).status, 200);
    assert_eq!(alike(&change().header("Origin", "https://app.example")).status, 200);
    for call in [
        change(),
        change().header("Sec-Fetch-Site", "cross-site"),
        change().header("Origin", "https://evil.example"),
        Call::get("/me").header("Cookie", format!("__Host-session={cookie}")).header("Upgrade", "websocket"),
        Call::get("/maybe").header("Cookie", format!("__Host-session={cookie}")).header("Upgrade", "websocket"),
    ] {
        assert_code(&alike(&call), ProblemCode::CrossOrigin);
    }
    assert_invalid(&alike(&Call::get("/me").cookie("a.b.c")));
    assert_invalid(&alike(&Call::get("/maybe").cookie("a.b.c")));
    assert_missing(&alike(&Call::get("/me").header("Authorization", "Basic eA==").cookie(&cookie)));
}

/// Counts how often it is asked, which a verifier does once for each token.
#[derive(Clone)]
struct Counting<C>(C, Arc<AtomicU64>);

impl<C: Clock> Clock for Counting<C> {
    fn now(&self) -> Timestamp {
        self.1.fetch_add(1, SeqCst);
        self.0.now()
    }
}

fn without_the_store_a_request_is_verified_once(fixture: &Fixture) {
    let root = fixture.login("root", "toor");
    let count = Arc::new(AtomicU64::new(0));
    let clock = Counting(fixture.world.clock.clone(), count.clone());
    let verifier = VerifierHttp::builder(fixture.world.knox.verifier().clock(clock)).build().unwrap();
    let address = VerifyingServer::start(fixture.framework, verifier).address;
    for path in ["/thrice", "/guarded_me", "/me", "/admin"] {
        count.store(0, SeqCst);
        assert_eq!(Call::get(path).bearer(&root).send(address).status, 200, "{path}");
        assert_eq!(count.load(SeqCst), 1, "{path}");
    }
}

fn without_the_store_the_keys_are_those_that_were_fetched_last(fixture: &Fixture) {
    let key = |algorithm, id| SigningKey::generate(algorithm).unwrap().with_key_id(id).unwrap();
    let ring = KeyRing::new(key(Algorithm::EdDsa, "old"));
    let fixture = fixture.with(World::with_keys(fixture.kind, ring.clone(), |core| core, |http| http));
    let fetch = || fixture.send(&Call::get("/.well-known/jwks.json")).body;
    let keys = KeySet::from_jwks(&fetch()).unwrap();
    let verifier = Verifier::new(keys.clone(), TokenProfile::new()).clock(fixture.world.clock.clone());
    let verifier = VerifierHttp::builder(verifier).build().unwrap();
    let address = VerifyingServer::start(fixture.framework, verifier).address;
    let me = |token: &str| Call::get("/me").bearer(token).send(address);

    let before = fixture.alice();
    assert_eq!(me(&before).status, 200);
    ring.stage(key(Algorithm::Es256, "new")).unwrap();
    ring.promote("new").unwrap();
    let after = fixture.alice();
    assert_eq!(me(&before).status, 200);
    assert_invalid(&me(&after));
    keys.update_from_jwks(&fetch()).unwrap();
    assert_eq!((me(&before).status, me(&after).status), (200, 200));
    ring.retire("old").unwrap();
    keys.update_from_jwks(&fetch()).unwrap();
    assert_invalid(&me(&before));
    // A set without a key is none, and the present ones stay.
    assert!(keys.update_from_jwks(r#"{"keys":[]}"#).is_err());
    assert_eq!(me(&after).status, 200);
    assert_invalid(&me(&before));
}

contract! {
    without_the_store_the_same_mistakes_get_the_same_answers
    without_the_store_a_revoked_token_is_accepted_until_it_expires
    without_the_store_a_token_without_expiry_is_rejected
    without_the_store_the_settings_are_the_same
    without_the_store_a_cookie_needs_the_same_proof_of_origin
    without_the_store_a_request_is_verified_once
    without_the_store_the_keys_are_those_that_were_fetched_last
}
