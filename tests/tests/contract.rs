//! The HTTP contract, over real sockets: every case on every framework, each with logins in memory and in SQLite.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jwt_knox::{
    Algorithm, Clock, Event, IntrospectionEndpoint, IntrospectionResponse, Introspector, IntrospectorBuilder, KeyRing,
    KeySet, KnoxBuilder, Lifetime, LoginRejectionCause, NewSession, ReuseAction, SessionLimit, SigningKey, StoreError,
    Subject, SubjectStatus, Timestamp, TokenProfile, Verifier, introspection_endpoint_fn, observer_fn,
};
use jwt_knox_http::{
    Client, ClientSecret, Cookies, Endpoint, KnoxHttpBuilder, ProblemCode, VerifierHttp, VerifierHttpBuilder,
};
use jwt_knox_tests::{
    Call, Framework, Reply, Server, StoreKind, VerifyingServer, World, forge,
    world::{Gate, OTP, START, STORE_SECRET, on_another_thread},
};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

/// A world and a server in it.
struct Fixture {
    framework: Framework,
    kind: StoreKind,
    world: World,
    address: SocketAddr,
}

impl Fixture {
    fn new(framework: Framework, kind: StoreKind) -> Self {
        Self::of(framework, kind, World::new(kind))
    }

    fn of(framework: Framework, kind: StoreKind, world: World) -> Self {
        let address = Server::start(framework, world.knox.clone()).address;
        Self { framework, kind, world, address }
    }

    /// Another server of the same kind, in a world with other settings.
    fn with(&self, world: World) -> Self {
        Self::of(self.framework, self.kind, world)
    }

    fn login(&self, username: &str, password: &str) -> String {
        self.send(&Call::login(username, password)).token()
    }

    fn alice(&self) -> String {
        self.login("alice", "wonderland")
    }

    /// A login of alice that the gate does not hold.
    fn alice_past(&self, gate: &Gate) -> String {
        gate.let_through(|| self.alice())
    }

    fn send(&self, call: &Call) -> Reply {
        call.send(self.address)
    }

    fn status(&self, call: &Call) -> u16 {
        self.send(call).status
    }

    fn verify(&self, token: &str) -> u16 {
        self.status(&Call::get("/verify").bearer(token))
    }

    fn sessions(&self, token: &str) -> Vec<Value> {
        let reply = self.send(&Call::get("/sessions").bearer(token));
        assert_eq!(reply.status, 200);
        reply.json().as_array().unwrap().clone()
    }
}

/// A problem (RFC 9457) with that status, which no cache keeps and which tells nothing that it should not.
fn assert_problem(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {reply:?}");
    }
    let code = ProblemCode::ALL.iter().find(|code| problem["code"] == code.as_str());
    assert_eq!(code.map(|code| code.status()), Some(status), "{reply:?}");
    assert!(!reply.body.contains("hunter2") && !reply.body.contains(STORE_SECRET), "{reply:?}");
}

/// The same, with that code.
fn assert_code(reply: &Reply, code: ProblemCode) {
    assert_problem(reply, code.status());
    assert_eq!(reply.json()["code"], code.as_str(), "{reply:?}");
}

/// 401 for want of a token.
fn assert_missing(reply: &Reply) {
    assert_code(reply, ProblemCode::MissingToken);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
}

/// 401 for a token that is not good.
fn assert_invalid(reply: &Reply) {
    assert_code(reply, ProblemCode::InvalidToken);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api", error="invalid_token""#));
}

fn logging_in_gives_a_token(fixture: &Fixture) {
    let calls = [
        Call::login("alice", "wonderland"),
        Call::json_login(r#"{"username":"alice","password":"wonderland"}"#),
        Call::json_login(r#"{"password":"wonderland","remember":true,"username":"\u0061lice"}"#),
    ];
    for call in calls {
        let reply = fixture.send(&call);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let body = reply.json();
        let mut members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["access_token", "expires_at", "expires_in", "session_id", "token_type"]);
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["expires_in"], 36_000);
        assert_eq!(body["expires_at"], "2027-01-15T18:00:00Z");
        assert_eq!(body["session_id"].as_str().unwrap().len(), 32);
        let claims = forge::claims(&reply.token());
        assert_eq!(claims["sub"], "alice");
        assert_eq!(claims["exp"], START + 36_000);
        assert_eq!(fixture.verify(&reply.token()), 204);
    }
}

fn a_login_without_valid_credentials_is_rejected(fixture: &Fixture) {
    let with_basic = r#"Bearer realm="api", Basic realm="api", charset="UTF-8""#;
    let basic = |value: &str| Call::post("/get_token").header("Authorization", value);
    for call in [
        Call::post("/get_token"),
        Call::login("alice", "wrong"),
        Call::login("nobody", "wonderland"),
        Call::login("alice", ""),
        Call::login("", "wonderland"),
        Call::login("", ""),
        Call::login("Alice", "wonderland"),
        Call::login("alice ", "wonderland"),
        Call::login("alice\0", "wonderland"),
        Call::login("alice", "wonderland\n"),
        Call::login(&"a".repeat(5000), "wonderland"),
        Call::login("alice", &"w".repeat(5000)),
        Call::login("' OR 1=1 --", "x"),
        basic("Basic"),
        basic("Basic "),
        basic("Basic ****"),
        basic("Basic YWxpY2U="),
        basic("Basic YWxpY2U6d29uZGVybGFuZA"),
        basic("Basic YWxp Y2U6d29uZGVybGFuZA=="),
        basic("Digest YWxpY2U6d29uZGVybGFuZA=="),
        basic("Basic YWxpY2U6d29uZGVybGFuZA==").header("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA=="),
    ] {
        let reply = fixture.send(&call);
        assert_problem(&reply, 401);
        assert_eq!(reply.header("www-authenticate"), Some(with_basic), "{call:?}");
    }
    // A page that logs in by JSON shows its own form; the browser must not put up a window of its own.
    for body in [
        r#"{"username":"alice","password":"wrong"}"#,
        r#"{"username":"nobody","password":"wonderland"}"#,
        r#"{"username":"","password":""}"#,
        r#"{"username":"alice\u0000","password":"wonderland"}"#,
    ] {
        let reply = fixture.send(&Call::json_login(body));
        assert_code(&reply, ProblemCode::InvalidCredentials);
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    }
    for body in [
        r#"["alice","wonderland"]"#,
        "{",
        "null",
        "[]",
        "\"\"",
        "{}",
        r#"{"username":"alice"}"#,
        r#"{"username":"alice","password":1}"#,
        r#"{"username":"\ud800","password":"x"}"#,
        r#"{"username":"alice","username":"bob","password":"x"}"#,
    ] {
        assert_problem(&fixture.send(&Call::json_login(body)), 400);
    }
    assert_problem(&fixture.send(&Call::json_login(b"{\"username\":\"\xff\",\"password\":\"x\"}")), 400);
    let deep = format!(r#"{{"username":{}"#, "[".repeat(4000));
    assert_problem(&fixture.send(&Call::json_login(deep)), 400);
    assert_problem(&fixture.send(&Call::json_login("x".repeat(8193))), 413);
    assert_problem(&fixture.send(&Call::json_login("x".repeat(100_000))), 413);
    let form = Call::post("/get_token").body("username=alice&password=wonderland");
    assert_problem(&fixture.send(&form), 415);
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    assert_problem(&fixture.send(&form), 415);
}

fn basic_credentials_count_and_the_body_beside_them_does_not(fixture: &Fixture) {
    let call = Call::login("alice", "wonderland").body("x".repeat(20_000));
    assert_eq!(forge::claims(&fixture.send(&call).token())["sub"], "alice");
    let call = Call::login("bob", "wrong")
        .header("Content-Type", "application/json")
        .body(r#"{"username":"alice","password":"wonderland"}"#);
    assert_problem(&fixture.send(&call), 401);
    // A client that still has an old token in its headers may log in again.
    let call = Call::json_login(r#"{"username":"alice","password":"wonderland"}"#).bearer("old.old.old");
    assert_eq!(fixture.status(&call), 200);
}

fn two_logins_give_two_tokens(fixture: &Fixture) {
    let (first, second) = (fixture.alice(), fixture.alice());
    assert_ne!(first, second);
    assert_ne!(forge::claims(&first)["jti"], forge::claims(&second)["jti"]);
    assert_eq!((fixture.verify(&first), fixture.verify(&second)), (204, 204));
}

fn verifying_says_yes_to_get_head_and_post(fixture: &Fixture) {
    let token = fixture.alice();
    for method in ["GET", "HEAD", "POST"] {
        let reply = fixture.send(&Call::new(method, "/verify").bearer(&token));
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{method}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("content-type"), None);
        let reply = fixture.send(&Call::new(method, "/verify"));
        assert_eq!(reply.status, 401, "{method}");
        assert_eq!(reply.body.is_empty(), method == "HEAD");
    }
}

fn the_header_is_read_by_the_rules(fixture: &Fixture) {
    let token = fixture.alice();
    let with = |value: &str| Call::get("/verify").header("Authorization", value);
    for value in [
        format!("Bearer {token}"),
        format!("bEaReR {token}"),
        format!("BEARER\t{token}"),
        format!("Bearer \t  {token}"),
        format!("  Bearer {token} \t "),
    ] {
        assert_eq!(fixture.status(&with(&value)), 204, "{value:?}");
    }
    for value in [
        "",
        " ",
        "Basic YWxpY2U6d29uZGVybGFuZA==",
        "Token abc",
        &token,
        &format!("Bearer:{token}"),
        &format!("Bearer={token}"),
        &format!("X-Bearer {token}"),
    ] {
        assert_missing(&fixture.send(&with(value)));
    }
    assert_missing(&fixture.send(&Call::get("/verify")));
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {token} x"),
        format!("Bearer x {token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token},"),
        format!("Bearer \"{token}\""),
        "Bearer null".to_owned(),
        "Bearer ...".to_owned(),
        "Bearer ..".to_owned(),
        format!("Bearer {}", "a".repeat(6000)),
        format!("Bearer {}", "a".repeat(12_000)),
        format!("Bearer {token}{}", "A".repeat(9000)),
    ] {
        assert_invalid(&fixture.send(&with(&value)));
    }
    let twice = Call::get("/verify").bearer(&token).bearer(&token);
    assert_invalid(&fixture.send(&twice));
    let mixed = Call::get("/verify").bearer(&token).header("authorization", "Basic eA==");
    assert_invalid(&fixture.send(&mixed));
    for bytes in [b"Bearer \xff\xfe".as_slice(), b"\xff\xfe", b"B\xe9arer x", b"Bearer \xc3\xa9.a.b"] {
        assert_problem(&fixture.send(&Call::get("/verify").header("Authorization", bytes)), 401);
    }
    // A token anywhere else is none.
    for call in [
        Call::get(&format!("/verify?access_token={token}")),
        Call::post("/verify")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("access_token={token}")),
        Call::get("/verify").header("Cookie", format!("access_token={token}")),
        Call::get("/verify").header("X-Authorization", format!("Bearer {token}")),
    ] {
        assert_missing(&fixture.send(&call));
    }
}

fn logging_out_ends_this_session_and_no_other(fixture: &Fixture) {
    let (mine, other) = (fixture.alice(), fixture.alice());
    let logout = Call::post("/logout").bearer(&mine);
    let reply = fixture.send(&logout);
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(fixture.verify(&mine), 401);
    assert_invalid(&fixture.send(&logout));
    for path in ["/logout_other", "/logout_all"] {
        assert_invalid(&fixture.send(&Call::post(path).bearer(&mine)));
    }
    assert_eq!(fixture.verify(&other), 204);
    assert_missing(&fixture.send(&Call::post("/logout")));
}

fn rotating_gives_a_new_token_for_the_same_session(fixture: &Fixture) {
    let agent = Call::login("root", "toor").header("User-Agent", "Firefox");
    let old = fixture.send(&agent).token();
    let before = fixture.sessions(&old);
    fixture.world.set_clock(600);
    assert_missing(&fixture.send(&Call::post("/rotate")));
    let reply = fixture.send(&Call::post("/rotate").bearer(&old));
    let new = reply.token();
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.json()["expires_in"], 36_000 - 600);
    assert_eq!(reply.json()["expires_at"], "2027-01-15T18:00:00Z");
    // The old token stays valid for the grace, and gives the same new secret again.
    assert_eq!((fixture.verify(&old), fixture.verify(&new)), (204, 204));
    let again = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    assert_eq!(forge::claims(&again)["jti"], forge::claims(&new)["jti"]);
    assert_ne!(forge::claims(&new)["jti"], forge::claims(&old)["jti"]);
    assert_eq!(fixture.status(&Call::get("/admin").bearer(&new)), 200);
    let after = fixture.sessions(&new);
    assert_eq!(after.len(), 1);
    for member in ["id", "label", "created_at", "expires_at"] {
        assert_eq!(after[0][member], before[0][member]);
    }
    assert_eq!(reply.json()["session_id"], before[0]["id"]);

    let address = fixture.address;
    let rotations: Vec<_> = (0..16)
        .map(|_| {
            let call = Call::post("/rotate").bearer(&new);
            std::thread::spawn(move || call.send(address))
        })
        .collect();
    let tokens: Vec<String> = rotations.into_iter().map(|rotation| rotation.join().unwrap().token()).collect();
    let secrets: BTreeSet<String> = tokens.iter().map(|token| forge::claims(token)["jti"].to_string()).collect();
    assert_eq!(secrets.len(), 1, "parallel rotations of one token give one new secret");
    assert!(tokens.iter().all(|token| fixture.verify(token) == 204));
}

fn a_token_that_was_rotated_away_ends_the_session_when_it_is_used_again(fixture: &Fixture) {
    let old = fixture.alice();
    let new = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    fixture.world.set_clock(9);
    assert_eq!((fixture.verify(&old), fixture.verify(&new)), (204, 204));
    fixture.world.set_clock(10);
    assert_eq!(fixture.verify(&new), 204);
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&old)));
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&new)));
}

fn without_a_grace_the_old_token_is_revoked_at_once(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.rotation_grace(Duration::ZERO).on_reuse(ReuseAction::Reject);
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let old = fixture.alice();
    let new = fixture.send(&Call::post("/rotate").bearer(&old)).token();
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&old)));
    assert_invalid(&fixture.send(&Call::post("/rotate").bearer(&old)));
    assert_eq!(fixture.verify(&new), 204);
}

fn a_logout_holds_however_often_the_token_was_rotated(fixture: &Fixture) {
    let first = fixture.alice();
    let second = fixture.send(&Call::post("/rotate").bearer(&first)).token();
    let third = fixture.send(&Call::post("/rotate").bearer(&second)).token();
    assert_eq!(fixture.status(&Call::post("/logout").bearer(&second)), 204);
    for token in [&first, &second, &third] {
        assert_invalid(&fixture.send(&Call::get("/verify").bearer(token)));
    }
}

fn a_login_under_way_does_not_survive_a_logout_everywhere(fixture: &Fixture) {
    let world = World::new(fixture.kind);
    let gate = world.users.hold_logins();
    let fixture = fixture.with(world);
    let (mine, address) = (fixture.alice_past(&gate), fixture.address);
    let late = std::thread::spawn(move || Call::login("alice", "wonderland").send(address));
    gate.wait_until_held();
    // The password is changed here, and then all sessions are revoked.
    fixture.world.set_clock(1);
    assert_eq!(fixture.status(&Call::post("/logout_all").bearer(&mine)), 204);
    gate.open();
    assert_problem(&late.join().unwrap(), 401);
    assert_eq!(fixture.verify(&fixture.alice()), 204);
}

fn expires_in_counts_from_the_token_and_not_from_the_login(fixture: &Fixture) {
    let world = World::new(fixture.kind);
    let gate = world.users.hold_logins();
    let fixture = fixture.with(world);
    let address = fixture.address;
    let late = std::thread::spawn(move || Call::login("alice", "wonderland").send(address));
    gate.wait_until_held();
    fixture.world.set_clock(7);
    gate.open();
    let reply = late.join().unwrap();
    assert_eq!(reply.json()["expires_in"], 36_000);
    let claims = forge::claims(&reply.token());
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START + 7), &json!(START + 36_007)));
    assert_eq!(fixture.sessions(&reply.token())[0]["created_at"], "2027-01-15T08:00:00Z");
    fixture.world.set_clock(10);
    let rotated = fixture.send(&Call::post("/rotate").bearer(&reply.token()));
    assert_eq!(rotated.json()["expires_in"], 35_997);
}

/// A token with scopes is confined to them: it may verify and log out, and needs the session scope for the rest.
fn a_narrow_token_is_confined(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| http.debug_verify(true);
    let fixture = fixture.with(World::with(fixture.kind, |core| core, settings));
    let routes = [
        ("GET", "/sessions"),
        ("GET", "/debug_verify"),
        ("DELETE", "/sessions/00112233445566778899aabbccddeeff"),
        ("PATCH", "/sessions/00112233445566778899aabbccddeeff"),
        ("POST", "/rotate"),
        ("POST", "/logout_other"),
        ("POST", "/logout_all"),
    ];
    let narrow = fixture.login("carol", "singer");
    assert_eq!(fixture.verify(&narrow), 204);
    for (method, path) in routes {
        let reply = fixture.send(&Call::new(method, path).bearer(&narrow).json(r#"{"label":"x"}"#));
        assert_problem(&reply, 403);
        let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="sessions""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge), "{path}");
    }
    assert_eq!(fixture.status(&Call::post("/logout").bearer(&narrow)), 204);
    assert_eq!(fixture.verify(&narrow), 401);

    for (name, password) in [("alice", "wonderland"), ("root", "toor")] {
        for (method, path) in routes {
            let token = fixture.login(name, password);
            let status = fixture.status(&Call::new(method, path).bearer(&token).json(r#"{"label":"x"}"#));
            assert!(matches!(status, 200 | 204 | 404), "{name} {path}: {status}");
        }
    }
}

fn logging_out_the_others_keeps_this_session(fixture: &Fixture) {
    let (mine, second, third) = (fixture.alice(), fixture.alice(), fixture.alice());
    let bobs = fixture.login("bob", "builder");
    let call = Call::post("/logout_other").bearer(&mine);
    let reply = fixture.send(&call);
    assert_eq!((reply.status, reply.json()), (200, json!({"deleted_sessions": 2})));
    assert_eq!(fixture.send(&call).json(), json!({"deleted_sessions": 0}));
    assert_eq!([&mine, &second, &third, &bobs].map(|token| fixture.verify(token)), [204, 401, 401, 204]);
}

fn logging_out_everywhere_ends_all_of_the_user(fixture: &Fixture) {
    let (mine, second) = (fixture.alice(), fixture.alice());
    let bobs = fixture.login("bob", "builder");
    assert_eq!(fixture.status(&Call::post("/logout_all").bearer(&mine)), 204);
    assert_eq!([&mine, &second, &bobs].map(|token| fixture.verify(token)), [401, 401, 204]);
    assert_eq!(fixture.verify(&fixture.alice()), 204);
}

fn the_list_of_sessions_is_ones_own(fixture: &Fixture) {
    let agent = Call::login("alice", "wonderland").header("User-Agent", "Firefox");
    let first = fixture.send(&agent).token();
    fixture.world.set_clock(60);
    let second = fixture.alice();
    let bobs = fixture.login("bob", "builder");
    let sessions = fixture.sessions(&second);
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0]["current"], true);
    assert_eq!(sessions[0]["created_at"], "2027-01-15T08:01:00Z");
    assert_eq!(
        sessions[1],
        json!({
            "id": sessions[1]["id"], "label": "Firefox", "created_at": "2027-01-15T08:00:00Z", "last_used_at": null,
            "expires_at": "2027-01-15T18:00:00Z", "current": false,
        })
    );

    let delete = |id: &str, token: &str| fixture.send(&Call::new("DELETE", &format!("/sessions/{id}")).bearer(token));
    let id = sessions[1]["id"].as_str().unwrap();
    assert_problem(&delete(id, &bobs), 404);
    assert_eq!(fixture.verify(&first), 204, "bob cannot end alice's login");
    assert_eq!(delete(id, &second).status, 204);
    assert_eq!(fixture.verify(&first), 401);
    assert_problem(&delete(id, &second), 404);
    for id in ["x", "%00", "%ff", "..%2f..", &"0".repeat(32), &"A".repeat(32), &"a".repeat(4000), "*"] {
        assert_problem(&delete(id, &second), 404);
    }
    assert_missing(&fixture.send(&Call::new("DELETE", &format!("/sessions/{id}"))));
    let own = sessions[0]["id"].as_str().unwrap();
    assert_eq!(delete(own, &second).status, 204);
    assert_eq!(fixture.verify(&second), 401);
}

fn a_session_can_be_given_a_name(fixture: &Fixture) {
    let agent = Call::login("alice", "wonderland").header("User-Agent", "Firefox");
    let (token, other) = (fixture.send(&agent).token(), fixture.alice());
    let bobs = fixture.login("bob", "builder");
    let before = fixture.sessions(&token).into_iter().find(|session| session["current"] == true).unwrap();
    let id = before["id"].as_str().unwrap().to_owned();
    let path = format!("/sessions/{id}");
    let rename = |path: &str, token: &str, body: &str| fixture.send(&Call::new("PATCH", path).bearer(token).json(body));

    for (token, body, label, current) in [
        (&other, r#"{"label":"Kitchen tablet"}"#, json!("Kitchen tablet"), false),
        (&token, r#"{"label":"Kitchen tablet"}"#, json!("Kitchen tablet"), true),
        (&token, r#"{"other":1,"label":" K\u00fcche\n\u202e "}"#, json!("Küche"), true),
        (&token, &json!({"label": "é".repeat(300)}).to_string(), json!("é".repeat(255)), true),
        (&token, r#"{"label":""}"#, Value::Null, true),
        (&token, r#"{"label":"phone"}"#, json!("phone"), true),
        (&token, r#"{"label":null}"#, Value::Null, true),
        (&token, r#"{"label":"phone"}"#, json!("phone"), true),
    ] {
        let reply = rename(&path, token, body);
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut expected = before.clone();
        (expected["label"], expected["current"]) = (label.clone(), json!(current));
        expected["last_used_at"] = reply.json()["last_used_at"].clone();
        assert_eq!(reply.json(), expected, "{body}");
        let listed = fixture.sessions(token).into_iter().find(|session| session["id"] == *id).unwrap();
        assert_eq!(listed["label"], label);
    }

    for body in [
        "",
        "{}",
        "[]",
        "null",
        r#""x""#,
        r#"{"label":1}"#,
        r#"{"label":["x"]}"#,
        "{",
        r#"{"label":"\ud800"}"#,
        r#"{"label":"a","label":"b"}"#,
    ] {
        assert_code(&rename(&path, &token, body), ProblemCode::InvalidRequest);
    }
    let plain = Call::new("PATCH", &path).bearer(&token).header("Content-Type", "text/plain").body(r#"{"label":"x"}"#);
    assert_code(&fixture.send(&plain), ProblemCode::UnsupportedMediaType);
    let long = json!({"label": "x".repeat(9000)}).to_string();
    assert_code(&rename(&path, &token, &long), ProblemCode::ContentTooLarge);

    let body = r#"{"label":"stolen"}"#;
    assert_missing(&fixture.send(&Call::new("PATCH", &path).json(body)));
    assert_problem(&rename(&path, &bobs, body), 404);
    for id in ["x", "%00", &"0".repeat(32), &"A".repeat(32)] {
        assert_problem(&rename(&format!("/sessions/{id}"), &token, body), 404);
    }
    fixture.world.store.set_down(true);
    assert_problem(&rename(&path, &token, body), 503);
    fixture.world.store.set_down(false);
    assert_eq!(fixture.status(&Call::post("/logout").bearer(&token)), 204);
    assert_problem(&rename(&path, &other, body), 404);
    assert!(fixture.sessions(&other).iter().all(|session| session["label"] != "stolen"));
}

fn the_use_of_a_session_shows_in_the_list(fixture: &Fixture) {
    let token = fixture.alice();
    fixture.world.set_clock(59);
    assert_eq!(fixture.sessions(&token)[0]["last_used_at"], "2027-01-15T08:00:59Z", "the first use shows at once");
    fixture.world.set_clock(958);
    assert_eq!(fixture.sessions(&token)[0]["last_used_at"], "2027-01-15T08:00:59Z", "later ones four times an hour");
    fixture.world.set_clock(959);
    assert_eq!(fixture.sessions(&token)[0]["last_used_at"], "2027-01-15T08:15:59Z");
}

fn a_label_is_the_user_agent_cut_and_cleaned(fixture: &Fixture) {
    let label = |agent: &[u8]| {
        let token = fixture.send(&Call::login("alice", "wonderland").header("User-Agent", agent)).token();
        let label =
            fixture.sessions(&token).iter().find(|session| session["current"] == true).unwrap()["label"].clone();
        assert_eq!(fixture.status(&Call::post("/logout").bearer(&token)), 204);
        label
    };
    assert_eq!(label("Firefox/ü 🦊".as_bytes()), "Firefox/ü 🦊");
    assert_eq!(label("é".repeat(300).as_bytes()), "é".repeat(255));
    assert_eq!(label(b"a\tb"), "ab");
    assert_eq!(label(b" "), Value::Null);
}

fn an_inactive_or_removed_user_is_out_at_once(fixture: &Fixture) {
    let token = fixture.alice();
    for status in [SubjectStatus::Inactive, SubjectStatus::Unknown] {
        fixture.world.users.set("alice", status);
        assert_invalid(&fixture.send(&Call::get("/verify").bearer(&token)));
        assert_invalid(&fixture.send(&Call::get("/me").bearer(&token)));
        assert_problem(&fixture.send(&Call::login("alice", "wonderland")), 401);
        fixture.world.users.set("alice", SubjectStatus::Active);
        assert_eq!(fixture.verify(&token), 204);
    }
}

/// The session must not be there when the user comes back.
fn an_inactive_user_can_log_out(fixture: &Fixture) {
    let logout = |token: &str| fixture.send(&Call::post("/logout").bearer(token));
    for status in [SubjectStatus::Inactive, SubjectStatus::Unknown] {
        let (mine, other) = (fixture.alice(), fixture.alice());
        fixture.world.users.set("alice", status);
        assert_invalid(&fixture.send(&Call::get("/logout").bearer(&other)));
        assert_invalid(&logout(&forge::with_claims(&other, &json!({"jti": "A".repeat(43)}))));
        assert_invalid(&logout(&mine));
        fixture.world.users.set("alice", SubjectStatus::Active);
        assert_eq!((fixture.verify(&mine), fixture.verify(&other)), (401, 204));
    }
    // Nobody can tell whether the user is active, and the store can end the session.
    let (mine, other) = (fixture.alice(), fixture.alice());
    fixture.world.users.set_down(true);
    assert_eq!((logout(&mine).status, fixture.verify(&other)), (204, 503));
    fixture.world.store.set_down(true);
    assert_eq!(logout(&other).status, 503);
    fixture.world.store.set_down(false);
    fixture.world.users.set_down(false);
    assert_eq!((fixture.verify(&mine), fixture.verify(&other)), (401, 204));

    let fixture = with_cookies(fixture, |core| core);
    let cookie = fixture.cookie();
    fixture.world.users.set("alice", SubjectStatus::Inactive);
    let foreign = Call::post("/logout").header("Cookie", format!("__Host-session={cookie}"));
    assert_code(&fixture.send(&foreign.header("Sec-Fetch-Site", "cross-site")), ProblemCode::CrossOrigin);
    fixture.world.users.set("alice", SubjectStatus::Active);
    assert_eq!(fixture.status(&Call::get("/me").cookie(&cookie)), 200);
    fixture.world.users.set("alice", SubjectStatus::Inactive);
    let reply = fixture.send(&Call::post("/logout").cookie(&cookie));
    assert_invalid(&reply);
    assert!(reply.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    fixture.world.users.set("alice", SubjectStatus::Active);
    assert_invalid(&fixture.send(&Call::get("/me").cookie(&cookie)));
}

fn every_invalid_token_gets_the_same_answer(fixture: &Fixture) {
    let token = fixture.alice();
    let revoked = fixture.alice();
    fixture.send(&Call::post("/logout").bearer(&revoked));
    fixture.login("bob", "builder");
    let answers = [
        revoked,
        forge::with_claims(&token, &json!({"jti": "A".repeat(43)})),
        forge::with_claims(&token, &json!({"sub": "bob"})),
        forge::with_claims(&token, &json!({"sub": "mallory"})),
        forge::with_claims(&token, &json!({"exp": START})),
        format!("{token}A"),
    ]
    .map(|bad| fixture.send(&Call::get("/verify").bearer(&bad)));
    for answer in &answers {
        assert_invalid(answer);
        assert_eq!(answer.contract(), answers[0].contract());
    }
}

fn a_token_lives_to_its_second(fixture: &Fixture) {
    let lifetime = Lifetime::expires_after(Duration::from_secs(100)).unwrap();
    let fixture = fixture.with(World::with(fixture.kind, |core| core.lifetime(lifetime), |http| http));
    let token = fixture.alice();
    fixture.world.set_clock(99);
    assert_eq!(fixture.verify(&token), 204);
    for second in [100, 101] {
        fixture.world.set_clock(second);
        assert_invalid(&fixture.send(&Call::get("/verify").bearer(&token)));
    }
}

fn a_changed_byte_anywhere_is_rejected(fixture: &Fixture) {
    let token = fixture.alice();
    for position in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let bad = String::from_utf8(bytes).unwrap();
        assert_eq!(fixture.verify(&bad), 401, "byte {position}");
    }
    fixture.world.store.take_finds();
    assert_eq!(fixture.verify(&token), 204);
}

fn no_forged_token_gets_in(fixture: &Fixture) {
    let token = fixture.alice();
    let payload = forge::claims(&token).to_string();
    assert_eq!(fixture.verify(&forge::token(forge::HEADER, &payload)), 204, "the forger works");
    let algs = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "hs256",
        "Hs256",
        "HS256 ",
        " HS256",
        "HS384",
        "HS512",
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
        "",
        "HS256\u{0}",
        "ＨＳ256",
    ];
    for alg in algs {
        let header = json!({"alg": alg, "typ": "JWT"}).to_string();
        assert_eq!(fixture.verify(&forge::token(&header, &payload)), 401, "{alg:?}");
        assert_eq!(fixture.verify(&format!("{}.", forge::unsigned(&header, &payload))), 401, "{alg:?}, unsigned");
        assert_eq!(fixture.verify(&forge::unsigned(&header, &payload)), 401, "{alg:?}, two segments");
    }
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":256}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","crit":["x"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","kid":"../../etc/passwd"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        "[]",
        "null",
        "",
        "{",
    ] {
        assert_eq!(fixture.verify(&forge::token(header, &payload)), 401, "{header}");
    }
    for changes in [
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"jti": ["a"]}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": "root"}),
        json!({"sub": "a\u{0}"}),
        json!({"sub": "x".repeat(300)}),
        json!({"exp": "never"}),
        json!({"exp": START}),
        json!({"exp": 1e300}),
        json!({"exp": -1}),
        json!({"nbf": START + 1}),
        json!({"iss": "x"}),
        json!({"aud": "x"}),
        json!({"aud": ["x"]}),
        json!({"aud": 1}),
        json!({"scope": "admin"}),
    ] {
        assert_eq!(fixture.verify(&forge::with_claims(&token, &changes)), 401, "{changes}");
    }
    for payload in ["", "null", "[]", "{}", r#"{"sub":"\ud800","jti":"x"}"#, &"[".repeat(5000)] {
        assert_eq!(fixture.verify(&forge::token(forge::HEADER, payload)), 401, "{payload:.20}");
    }
}

fn without_a_token_one_learns_of_no_method(fixture: &Fixture) {
    let token = fixture.alice();
    for (path, allow, wrong) in [
        ("/verify", "GET, HEAD, POST", "DELETE"),
        ("/logout", "POST", "GET"),
        ("/logout_other", "POST", "PUT"),
        ("/logout_all", "POST", "PATCH"),
        ("/rotate", "POST", "GET"),
        ("/sessions", "GET, HEAD", "POST"),
        ("/sessions/0123456789abcdef0123456789abcdef", "DELETE, PATCH", "GET"),
        ("/verify", "GET, HEAD, POST", "OPTIONS"),
    ] {
        assert_missing(&fixture.send(&Call::new(wrong, path)));
        let reply = fixture.send(&Call::new(wrong, path).bearer(&token));
        assert_problem(&reply, 405);
        assert_eq!(reply.header("allow"), Some(allow));
    }
    let reply = fixture.send(&Call::get("/get_token"));
    assert_problem(&reply, 405);
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_eq!(fixture.verify(&token), 204);
    for path in ["/verify/", "/get_token/", "/logout/", "/sessions/", "/nothing", "/sessions/a/b"] {
        assert_eq!(fixture.status(&Call::post(path).bearer(&token)), 404, "{path}");
    }
}

fn debugging_is_off_until_it_is_switched_on(fixture: &Fixture) {
    let token = fixture.alice();
    assert_eq!(fixture.status(&Call::get("/debug_verify").bearer(&token)), 404);
    let fixture = fixture.with(World::with(fixture.kind, |core| core, |http| http.debug_verify(true)));
    assert_missing(&fixture.send(&Call::get("/debug_verify")));
    let token = fixture.alice();
    let reply = fixture.send(&Call::get("/debug_verify").bearer(&token));
    assert_eq!(reply.status, 200);
    let secret = forge::claims(&token)["jti"].as_str().unwrap().to_owned();
    assert!(!reply.body.contains(&secret) && !reply.body.contains("sha256"), "{reply:?}");
    assert_eq!(reply.json()["claims"]["sub"], "alice");
    assert_eq!(reply.json()["record"]["subject"], "alice");
}

fn a_store_that_is_down_is_503_and_never_a_yes(fixture: &Fixture) {
    let token = fixture.alice();
    let calls = [
        Call::get("/verify").bearer(&token),
        Call::post("/logout_other").bearer(&token),
        Call::post("/logout_all").bearer(&token),
        Call::get("/sessions").bearer(&token),
        Call::new("DELETE", "/sessions/0123456789abcdef0123456789abcdef").bearer(&token),
        Call::new("PATCH", "/sessions/0123456789abcdef0123456789abcdef").bearer(&token).json(r#"{"label":"x"}"#),
        Call::get("/me").bearer(&token),
        Call::get("/maybe").bearer(&token),
        Call::get("/admin").bearer(&token),
        Call::get("/guarded/hello").bearer(&token),
        Call::login("alice", "wonderland"),
    ];
    let set_down: [&dyn Fn(bool); 2] =
        [&|is_down| fixture.world.store.set_down(is_down), &|is_down| fixture.world.users.set_down(is_down)];
    for (position, set_down) in set_down.into_iter().enumerate() {
        set_down(true);
        // A logout needs the store alone: `an_inactive_user_can_log_out`.
        let logout = (position == 0).then_some(Call::post("/logout").bearer(&token));
        for call in calls.iter().chain(&logout) {
            let reply = fixture.send(call);
            assert_problem(&reply, 503);
            assert_eq!(reply.header("retry-after"), Some("5"));
            assert_eq!(reply.header("www-authenticate"), None);
        }
        // What is rejected without the store still is.
        assert_missing(&fixture.send(&Call::get("/verify")));
        assert_invalid(&fixture.send(&Call::get("/verify").bearer("a.b.c")));
        assert_eq!(fixture.send(&Call::get("/maybe")).body, "nobody");
        set_down(false);
        assert_eq!(fixture.verify(&token), 204);
    }
}

fn a_limit_denies_or_evicts(fixture: &Fixture) {
    let world = World::with(fixture.kind, |core| core.limit(SessionLimit::deny(2).unwrap()), |http| http);
    let deny = fixture.with(world);
    let (first, second) = (deny.alice(), deny.alice());
    assert_problem(&deny.send(&Call::login("alice", "wonderland")), 403);
    assert_eq!((deny.verify(&first), deny.verify(&second)), (204, 204));
    deny.send(&Call::post("/logout").bearer(&first));
    assert_eq!(deny.verify(&deny.alice()), 204);

    let world = World::with(fixture.kind, |core| core.limit(SessionLimit::evict_oldest(2).unwrap()), |http| http);
    let evict = fixture.with(world);
    let mut tokens = Vec::new();
    for second in 0..3 {
        evict.world.set_clock(second);
        tokens.push(evict.alice());
    }
    assert_eq!(tokens.iter().map(|token| evict.verify(token)).collect::<Vec<_>>(), [401, 204, 204]);
}

/// All answers were lost, and the password is all that the user has left.
fn a_user_without_a_token_is_not_locked_out_at_the_limit(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| http.session_scope("admin");
    let world = World::with(fixture.kind, |core| core.limit(SessionLimit::deny(2).unwrap()), settings);
    let fixture = fixture.with(world);
    let phone = Call::login("alice", "wonderland").header("User-Agent", "Phone");
    let lost = fixture.send(&phone).token();
    fixture.world.set_clock(1);
    let kept = fixture.alice();
    let denied = fixture.send(&Call::login("alice", "wonderland"));
    assert_problem(&denied, 403);
    let sessions = denied.json()["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[1]["label"], &sessions[1]["current"]), (&json!("Phone"), &Value::Null));
    let id = sessions[1]["id"].as_str().unwrap();

    let login = |password: &str, id: &str| {
        let body = json!({"username": "alice", "password": password, "end_session": id});
        Call::json_login(body.to_string())
    };
    // Who does not have the password ends nothing and learns nothing.
    let wrong = fixture.send(&login("wrong", id));
    assert_problem(&wrong, 401);
    assert!(wrong.json()["sessions"].is_null());
    assert_eq!(fixture.verify(&lost), 204);
    // Nor is another one's session within reach.
    let bobs = fixture.login("bob", "builder");
    let bobs_id = fixture.sessions(&bobs)[0]["id"].as_str().unwrap().to_owned();
    assert_problem(&fixture.send(&login("wonderland", &bobs_id)), 403);
    assert_eq!(fixture.verify(&bobs), 204);

    let token = fixture.send(&login("wonderland", id)).token();
    assert_eq!([&token, &lost, &kept].map(|token| fixture.verify(token)), [204, 401, 204]);
    // With room for it, nothing has to end.
    fixture.send(&Call::post("/logout").bearer(&token));
    let kept_id = fixture.sessions(&kept)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(fixture.send(&login("wonderland", &kept_id)).status, 200);
    assert_eq!(fixture.verify(&kept), 204);

    // A login that is confined to scopes is not shown the sessions, and ends none.
    let narrow = [(); 2].map(|()| fixture.login("carol", "singer"));
    let denied = fixture.send(&Call::login("carol", "singer"));
    assert_problem(&denied, 403);
    assert!(denied.json()["sessions"].is_null(), "{denied:?}");
    let carols = forge::claims(&narrow[0])["sid"].as_str().unwrap().to_owned();
    let body = json!({"username": "carol", "password": "singer", "end_session": carols}).to_string();
    assert_problem(&fixture.send(&Call::json_login(body)), 403);
    assert_eq!(fixture.verify(&narrow[0]), 204);
}

fn some_routes_need_a_fresh_login(fixture: &Fixture) {
    let token = fixture.alice();
    for path in ["/recent", "/guarded_recent/hello"] {
        fixture.world.set_clock(300);
        assert_eq!(fixture.status(&Call::get(path).bearer(&token)), 200, "{path}");
        fixture.world.set_clock(301);
        let reply = fixture.send(&Call::get(path).bearer(&token));
        assert_problem(&reply, 401);
        let challenge = r#"Bearer realm="api", error="insufficient_user_authentication", max_age="300""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge), "{path}");
        assert_missing(&fixture.send(&Call::get(path)));
        assert_invalid(&fixture.send(&Call::get(path).bearer("a.b.c")));
        // A rotation is no login.
        let rotated = fixture.send(&Call::post("/rotate").bearer(&token)).token();
        assert_eq!(fixture.status(&Call::get(path).bearer(&rotated)), 401, "{path}");
        assert_eq!(fixture.status(&Call::get(path).bearer(&fixture.alice())), 200, "{path}");
    }
}

fn a_poll_is_no_use(fixture: &Fixture) {
    let lifetime = Lifetime::idle_after(Duration::from_secs(100)).unwrap();
    let fixture = fixture.with(World::with(fixture.kind, |core| core.lifetime(lifetime), |http| http));
    for path in ["/poll", "/guarded_poll/hello"] {
        fixture.world.set_clock(0);
        let token = fixture.alice();
        for second in [0, 50, 99] {
            fixture.world.set_clock(second);
            assert_eq!(fixture.status(&Call::get(path).bearer(&token)), 200, "{path}");
        }
        fixture.world.set_clock(100);
        assert_invalid(&fixture.send(&Call::get(path).bearer(&token)));
        assert_missing(&fixture.send(&Call::get(path)));
    }
}

fn a_session_without_an_expiry_has_none_in_the_answer(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.lifetime(Lifetime::never());
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let body = fixture.send(&Call::login("alice", "wonderland")).json();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "session_id", "token_type"]);
}

fn of_64_parallel_logins_at_a_limit_of_3_exactly_3_stay(fixture: &Fixture) {
    for (limit, statuses) in
        [(SessionLimit::deny(3).unwrap(), [3, 61]), (SessionLimit::evict_oldest(3).unwrap(), [64, 0])]
    {
        let fixture = fixture.with(World::with(fixture.kind, |core| core.limit(limit), |http| http));
        let address = fixture.address;
        let logins: Vec<_> =
            (0..64).map(|_| std::thread::spawn(move || Call::login("alice", "wonderland").send(address))).collect();
        let replies: Vec<Reply> = logins.into_iter().map(|login| login.join().unwrap()).collect();
        let count = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!([count(200), count(403)], statuses);
        let tokens: Vec<String> = replies.iter().filter(|reply| reply.status == 200).map(Reply::token).collect();
        let live: Vec<&String> = tokens.iter().filter(|token| fixture.verify(token) == 204).collect();
        assert_eq!(live.len(), 3);
        assert_eq!(fixture.sessions(live[0]).len(), 3);
    }
}

fn handlers_and_guards_reject_requests_without_a_token(fixture: &Fixture) {
    let token = fixture.alice();
    let greeting = fixture.send(&Call::get("/me").bearer(&token));
    assert_eq!(greeting.status, 200);
    assert!(greeting.body.starts_with("alice "));
    for path in ["/me", "/guarded/hello", "/guarded_me"] {
        assert_eq!(fixture.status(&Call::get(path).bearer(&token)), 200, "{path}");
        assert_missing(&fixture.send(&Call::get(path)));
        assert_invalid(&fixture.send(&Call::get(path).bearer("a.b.c")));
    }
}

fn optional_authentication_fails_closed(fixture: &Fixture) {
    let token = fixture.alice();
    assert_eq!(fixture.send(&Call::get("/maybe")).body, "nobody");
    assert_eq!(fixture.send(&Call::get("/maybe").header("Authorization", "Basic eA==")).body, "nobody");
    assert!(fixture.send(&Call::get("/maybe").bearer(&token)).body.starts_with("alice "));
    fixture.send(&Call::post("/logout").bearer(&token));
    assert_invalid(&fixture.send(&Call::get("/maybe").bearer(&token)));
    assert_invalid(&fixture.send(&Call::get("/maybe").header("Authorization", "Bearer")));
}

fn a_missing_scope_is_403(fixture: &Fixture) {
    let (alice, root) = (fixture.alice(), fixture.login("root", "toor"));
    assert_eq!(forge::claims(&root)["scope"], "admin read sessions");
    for path in ["/admin", "/guarded_admin/hello"] {
        assert_eq!(fixture.status(&Call::get(path).bearer(&root)), 200);
        let reply = fixture.send(&Call::get(path).bearer(&alice));
        assert_problem(&reply, 403);
        let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="admin""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
        assert_missing(&fixture.send(&Call::get(path)));
    }
}

fn a_question_mark_in_a_handler_gives_the_answers_of_the_contract(fixture: &Fixture) {
    let fixture =
        fixture.with(World::with(fixture.kind, |core| core.limit(SessionLimit::deny(3).unwrap()), |http| http));
    let issue = |new: NewSession| {
        let knox = fixture.world.knox.clone();
        on_another_thread(async move { knox.issue(new).await.unwrap().token.expose().to_owned() })
    };
    let new = || NewSession::new(Subject::new("alice").unwrap());
    let plain = issue(new());
    let full = issue(new().scopes(["project:7:write"]).unwrap().claims(&json!({"role": "editor"})).unwrap());
    let get = |path, token: &str| fixture.send(&Call::get(path).bearer(token));

    assert_eq!((get("/role", &full).status, get("/role", &full).body.as_str()), (200, "editor"));
    assert_invalid(&get("/role", &plain));
    assert_missing(&fixture.send(&Call::get("/role")));

    assert_eq!(get("/project", &full).status, 200);
    let reply = get("/project", &plain);
    assert_problem(&reply, 403);
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="project:7:write""#;
    assert_eq!(reply.header("www-authenticate"), Some(challenge));

    assert_eq!(get("/again", &plain).body.len(), 32);
    let reply = get("/again", &plain);
    assert_problem(&reply, 403);
    assert_eq!(reply.json()["detail"], "You already have 3 active sessions, the maximum. End one of them first.");

    assert_eq!(get("/leave", &plain).body, "3");
    assert_invalid(&get("/leave", &plain));
}

fn a_request_is_verified_once(fixture: &Fixture) {
    let root = fixture.login("root", "toor");
    for path in ["/thrice", "/guarded_me", "/me", "/admin", "/verify"] {
        fixture.world.store.take_finds();
        assert!(matches!(fixture.status(&Call::get(path).bearer(&root)), 200 | 204), "{path}");
        assert_eq!(fixture.world.store.take_finds(), 1, "{path}");
    }
}

fn realm_scheme_and_answer_are_open_to_change(fixture: &Fixture) {
    let fixture = fixture.with(World::with(
        fixture.kind,
        |core| core,
        |http| http.scheme("Token").realm("my api").token_response(|issued| json!({"token": issued.token.expose()})),
    ));
    let reply = fixture.send(&Call::login("alice", "wonderland"));
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(reply.json().as_object().unwrap().len(), 1);
    let verify = |value: &str| fixture.send(&Call::get("/verify").header("Authorization", value));
    assert_eq!(verify(&format!("token {token}")).status, 204);
    let rejected = verify(&format!("Bearer {token}"));
    assert_problem(&rejected, 401);
    assert_eq!(rejected.header("www-authenticate"), Some(r#"Token realm="my api""#));
}

fn every_problem_has_its_code(fixture: &Fixture) {
    let world = World::with(fixture.kind, |core| core.limit(SessionLimit::deny(1).unwrap()), |http| http);
    let fixture = fixture.with(world);
    let token = fixture.alice();
    let json = |body: &str| Call::json_login(body);
    for (call, code) in [
        (Call::get("/verify"), ProblemCode::MissingToken),
        (Call::get("/verify").bearer("a.b.c"), ProblemCode::InvalidToken),
        (Call::get("/admin").bearer(&token), ProblemCode::InsufficientScope),
        (Call::post("/get_token"), ProblemCode::MissingCredentials),
        (Call::login("alice", "wrong"), ProblemCode::InvalidCredentials),
        (Call::login("alice", "wonderland"), ProblemCode::LimitReached),
        (json("{}"), ProblemCode::InvalidRequest),
        (Call::new("DELETE", "/sessions/x").bearer(&token), ProblemCode::NotFound),
        (Call::new("DELETE", "/verify").bearer(&token), ProblemCode::MethodNotAllowed),
        (Call::get("/get_token"), ProblemCode::MethodNotAllowed),
        (json(&"x".repeat(9000)), ProblemCode::ContentTooLarge),
        (Call::post("/get_token").body("a=b"), ProblemCode::UnsupportedMediaType),
    ] {
        assert_code(&fixture.send(&call), code);
    }
    fixture.world.set_clock(301);
    assert_code(&fixture.send(&Call::get("/recent").bearer(&token)), ProblemCode::LoginTooOld);
    fixture.world.store.set_down(true);
    assert_code(&fixture.send(&Call::get("/me").bearer(&token)), ProblemCode::Unavailable);
}

/// One hook writes the bodies of guards and routes; status and headers stay.
fn an_application_writes_its_own_problems(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| {
        http.problem(|problem| {
            let after = problem.retry_after().map(|after| after.as_secs());
            json!({"error": problem.code(), "message": problem.detail(), "of": problem.status(), "after": after})
        })
    };
    let limit = |core: KnoxBuilder| core.limit(SessionLimit::deny(1).unwrap());
    let fixture = fixture.with(World::with(fixture.kind, limit, settings));
    let token = fixture.alice();
    let check = |call: &Call, status: u16, code: &str| {
        let reply = fixture.send(call);
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let body = reply.json();
        assert_eq!((&body["error"], &body["of"]), (&json!(code), &json!(status)), "{reply:?}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!(body.as_object().unwrap().len(), 4);
        reply
    };
    for path in ["/verify", "/me", "/guarded/hello", "/admin"] {
        let reply = check(&Call::get(path), 401, "missing_token");
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#), "{path}");
    }
    check(&Call::get("/maybe").bearer("a.b.c"), 401, "invalid_token");
    check(&Call::get("/guarded_admin/hello").bearer(&token), 403, "insufficient_scope");
    check(&Call::login("alice", "wrong"), 401, "invalid_credentials");
    check(&Call::login("alice", "wonderland"), 403, "limit_reached");
    check(&Call::json_login("{"), 400, "invalid_request");
    check(&Call::new("DELETE", "/sessions/x").bearer(&token), 404, "not_found");
    assert_eq!(check(&Call::get("/get_token"), 405, "method_not_allowed").header("allow"), Some("POST"));
    fixture.world.store.set_down(true);
    let reply = check(&Call::get("/me").bearer(&token), 503, "unavailable");
    assert_eq!((reply.header("retry-after"), &reply.json()["after"]), (Some("5"), &json!(5)));
}

fn an_own_login_gets_the_answers_of_get_token(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.limit(SessionLimit::deny(2).unwrap());
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let own = |user: &str| Call::post("/own_login").header("x-user", user).header("User-Agent", "Firefox");
    let reply = fixture.send(&own("alice"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let members: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["access_token", "expires_at", "expires_in", "session_id", "token_type"]);
    assert_eq!(fixture.sessions(&reply.token())[0]["label"], "Firefox");
    let second = fixture.send(&own("alice")).token();

    let denied = fixture.send(&own("alice"));
    assert_code(&denied, ProblemCode::LimitReached);
    let sessions = denied.json()["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let id = forge::claims(&second)["sid"].as_str().unwrap().to_owned();
    let third = fixture.send(&own("alice").header("x-end", &id)).token();
    assert_eq!((fixture.verify(&second), fixture.verify(&third)), (401, 204));

    fixture.world.users.set("bob", SubjectStatus::Inactive);
    let reply = fixture.send(&own("bob"));
    assert_code(&reply, ProblemCode::InvalidCredentials);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    assert_code(&fixture.send(&Call::post("/own_login")), ProblemCode::InvalidRequest);
    fixture.world.store.set_down(true);
    assert_code(&fixture.send(&own("carol")), ProblemCode::Unavailable);
}

fn a_rejected_own_login_is_reported_and_says_no_more_than_that(fixture: &Fixture) {
    let rejected = Arc::new(AtomicU64::new(0));
    let counted = rejected.clone();
    let observer = observer_fn(move |event: &Event| {
        if let Event::LoginRejected { subject: None, cause: LoginRejectionCause::Credentials, .. } = event {
            counted.fetch_add(1, SeqCst);
        }
    });
    let fixture = fixture.with(World::with(fixture.kind, |core| core.observer(observer), |http| http.realm("own")));
    let own = |user: &str| Call::post("/own_login").header("x-user", user);
    let unknown = fixture.send(&own("nobody"));
    assert_code(&unknown, ProblemCode::InvalidCredentials);
    assert_eq!(unknown.header("www-authenticate"), Some(r#"Bearer realm="own""#));
    assert_eq!(rejected.load(SeqCst), 1);
    // An inactive user is told the same.
    fixture.world.users.set("bob", SubjectStatus::Inactive);
    let inactive = fixture.send(&own("bob"));
    assert_eq!((inactive.status, inactive.body), (unknown.status, unknown.body));
    // As at the built-in route.
    assert_code(&fixture.send(&Call::login("alice", "wrong")), ProblemCode::InvalidCredentials);
    assert_eq!(rejected.load(SeqCst), 2);
}

fn a_login_may_ask_for_a_second_factor(fixture: &Fixture) {
    let json = |more: &str| Call::json_login(format!(r#"{{"username":"dora","password":"explorer"{more}}}"#));
    for call in [json(""), json(r#","otp":null"#), Call::login("dora", "explorer")] {
        let reply = fixture.send(&call);
        assert_eq!(reply.status, 401, "{reply:?}");
        let problem = json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401, "code": "second_factor_needed",
            "detail": "Send your one-time code.",
        });
        assert_eq!(reply.json(), problem);
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    }
    assert_code(&fixture.send(&json(r#","otp":"000000""#)), ProblemCode::InvalidCredentials);
    for otp in [r#","otp":287082"#, r#","otp":["287082"]"#, r#","otp":"287082","otp":"287082""#] {
        assert_code(&fixture.send(&json(otp)), ProblemCode::InvalidRequest);
    }
    let otp = format!(r#","otp":"{OTP}""#);
    assert_eq!(fixture.verify(&fixture.send(&json(&otp)).token()), 204);
    let basic = Call::login("dora", "explorer").header("X-OTP", OTP);
    assert_eq!(fixture.verify(&fixture.send(&basic).token()), 204);
    // Who has the code and not the password learns nothing.
    let wrong = Call::json_login(format!(r#"{{"username":"dora","password":"x"{otp}}}"#));
    assert_code(&fixture.send(&wrong), ProblemCode::InvalidCredentials);
}

fn routes_can_be_left_out_and_moved(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| {
        http.without(Endpoint::LogoutAll)
            .without(Endpoint::Verify)
            .route(Endpoint::Logout, "/account/leave")
            .route(Endpoint::Sessions, "/devices")
            .route(Endpoint::Session, "/devices/{id}")
            .route(Endpoint::Jwks, "/keys.json")
    };
    let fixture = fixture.with(World::with(fixture.kind, |core| core, settings));
    let token = fixture.alice();
    for (method, path) in [
        ("POST", "/logout_all"),
        ("GET", "/verify"),
        ("POST", "/logout"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions/a"),
    ] {
        assert_eq!(fixture.status(&Call::new(method, path).bearer(&token)), 404, "{path}");
    }
    assert_eq!(fixture.status(&Call::get("/.well-known/jwks.json")), 404);
    assert_eq!(fixture.status(&Call::get("/keys.json")), 200);
    let sessions = fixture.send(&Call::get("/devices").bearer(&token)).json();
    assert_missing(&fixture.send(&Call::get("/devices")));
    let other = fixture.alice();
    let delete = Call::new("DELETE", &format!("/devices/{}", sessions[0]["id"].as_str().unwrap()));
    assert_eq!(fixture.status(&delete.bearer(&other)), 204);
    assert_invalid(&fixture.send(&Call::get("/devices").bearer(&token)));
    assert_eq!(fixture.status(&Call::post("/account/leave").bearer(&other)), 204);
    assert_invalid(&fixture.send(&Call::get("/me").bearer(&other)));
}

/// A proxy in front has a login of its own in `Authorization`.
fn the_credential_may_come_in_another_header(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| http.header("X-Auth-Token");
    let fixture = fixture.with(World::with(fixture.kind, |core| core, settings));
    let proxied = |call: Call| call.header("Authorization", "Basic cHJveHk6cGFzc3dvcmQ=");
    let json = r#"{"username":"alice","password":"wonderland"}"#;
    let token = fixture.send(&proxied(Call::json_login(json))).token();
    let bearer = format!("Bearer {token}");
    let with = |header: &str| proxied(Call::get("/me")).header(header, &bearer);
    assert_eq!(fixture.status(&with("X-Auth-Token")), 200);
    assert_eq!(fixture.status(&with("x-auth-token")), 200);
    assert_invalid(&fixture.send(&with("X-Auth-Token").header("X-Auth-Token", &bearer)));
    for call in [proxied(Call::get("/me")), Call::get("/me").bearer(&token), Call::get("/guarded/hello").bearer(&token)]
    {
        let reply = fixture.send(&call);
        assert_missing(&reply);
        let detail = "No token was sent. Send it in the header `X-Auth-Token: Bearer <token>`.";
        assert_eq!(reply.json()["detail"], detail);
    }
    // The proxy's user is nobody's here, and a browser is not asked for another one.
    let reply = fixture.send(&proxied(Call::post("/get_token")));
    assert_code(&reply, ProblemCode::MissingCredentials);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#));
    let basic = proxied(Call::post("/get_token")).header("X-Auth-Token", "Basic YWxpY2U6d29uZGVybGFuZA==");
    assert_eq!(fixture.status(&basic), 200);
}

/// A world where browsers keep their session in a cookie.
fn with_cookies(fixture: &Fixture, core: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Fixture {
    fixture
        .with(World::with(fixture.kind, core, |http| http.cookies(Cookies::new().allow_origin("https://app.example"))))
}

/// A login of a page of the server's own origin.
fn page_login(body: &str) -> Call {
    Call::post("/login").header("Content-Type", "application/json").header("Sec-Fetch-Site", "same-origin").body(body)
}

const ALICE: &str = r#"{"username":"alice","password":"wonderland"}"#;

impl Fixture {
    /// The cookie of a login of alice.
    fn cookie(&self) -> String {
        let reply = self.send(&page_login(ALICE));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.cookie().unwrap().0.to_owned()
    }
}

const SET: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

fn a_browser_keeps_its_session_in_a_cookie(fixture: &Fixture) {
    let fixture = with_cookies(fixture, |core| core);
    let reply = fixture.send(&page_login(ALICE).header("User-Agent", "Firefox"));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let members: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["expires_at", "expires_in", "session_id"], "no token in the body");
    let (cookie, attributes) = reply.cookie().unwrap();
    assert_eq!(attributes, format!("Max-Age=36000; {SET}"));
    for path in ["/me", "/maybe", "/guarded/hello", "/recent"] {
        assert_eq!(fixture.status(&Call::get(path).cookie(cookie)), 200, "{path}");
    }
    // Reading needs no proof of origin: no other page can read the answer.
    assert_eq!(fixture.status(&Call::get("/me").header("Cookie", format!("a=b; __Host-session={cookie}"))), 200);
    let sessions = fixture.send(&Call::get("/sessions").cookie(cookie)).json();
    assert_eq!((&sessions[0]["label"], &sessions[0]["current"]), (&json!("Firefox"), &json!(true)));

    let reply = fixture.send(&Call::post("/rotate").cookie(cookie));
    assert_eq!(reply.status, 200);
    let (rotated, attributes) = reply.cookie().unwrap();
    assert_eq!(attributes, format!("Max-Age=36000; {SET}"));
    assert_ne!(rotated, cookie);
    assert!(!reply.body.contains("token"), "{reply:?}");
    // Two tabs may rotate at once.
    assert_eq!(fixture.status(&Call::post("/rotate").cookie(cookie)), 200);

    let clear = format!("__Host-session=; Max-Age=0; {SET}");
    let reply = fixture.send(&Call::post("/logout").cookie(rotated));
    assert_eq!((reply.status, reply.header("set-cookie")), (204, Some(clear.as_str())));
    assert_invalid(&fixture.send(&Call::get("/me").cookie(rotated)));
    // A page gets rid of the cookie of a session that is over.
    let reply = fixture.send(&Call::post("/logout").cookie(rotated));
    assert_invalid(&reply);
    assert_eq!(reply.header("set-cookie"), Some(clear.as_str()));
    assert_eq!(fixture.send(&Call::get("/me").cookie(rotated)).header("set-cookie"), None);

    let reply = fixture.send(&Call::post("/logout_all").cookie(&fixture.cookie()));
    assert_eq!((reply.status, reply.header("set-cookie")), (204, Some(clear.as_str())));
    let cookie = fixture.cookie();
    let other = fixture.alice();
    let end =
        |id: &Value| fixture.send(&Call::new("DELETE", &format!("/sessions/{}", id.as_str().unwrap())).cookie(&cookie));
    let reply = end(&forge::claims(&other)["sid"]);
    assert_eq!((reply.status, reply.header("set-cookie")), (204, None));
    let reply = end(&forge::claims(&cookie)["sid"]);
    assert_eq!((reply.status, reply.header("set-cookie")), (204, Some(clear.as_str())));
}

fn pages_of_other_origins_change_nothing(fixture: &Fixture) {
    let fixture = with_cookies(fixture, |core| core);
    let cookie = fixture.cookie();
    let host = fixture.address.to_string();
    let own = format!("http://{host}");
    let with = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let call = Call::new(method, path).header("Cookie", format!("__Host-session={cookie}"));
        headers.iter().fold(call, |call, (name, value)| call.header(name, value))
    };
    let hostile: [&[(&str, &str)]; 12] = [
        &[],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)],
        &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "SAME-ORIGIN")],
        &[("Sec-Fetch-Site", "")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "https://evil.example"), ("Origin", &own)],
        &[("Origin", "https://app.example.evil.example")],
        &[("Referer", &own)],
    ];
    let id = forge::claims(&cookie)["sid"].as_str().unwrap().to_owned();
    let session = format!("/sessions/{id}");
    fixture.world.store.take_finds();
    for headers in hostile {
        for (method, path) in [
            ("POST", "/logout"),
            ("POST", "/logout_all"),
            ("POST", "/logout_other"),
            ("POST", "/rotate"),
            ("POST", "/verify"),
            ("POST", "/change"),
            ("DELETE", session.as_str()),
            ("PATCH", session.as_str()),
        ] {
            let reply = fixture.send(&with(method, path, headers));
            assert_code(&reply, ProblemCode::CrossOrigin);
            assert_eq!((reply.header("set-cookie"), reply.header("www-authenticate")), (None, None));
        }
        let json = [headers, &[("Content-Type", "application/json")]].concat();
        assert_code(&fixture.send(&with("POST", "/login", &json).body(ALICE)), ProblemCode::CrossOrigin);
        assert_code(
            &fixture.send(&with("POST", "/own_login", headers).header("x-user", "bob")),
            ProblemCode::CrossOrigin,
        );
        // A page that opens a WebSocket could read what comes.
        let upgrade = [headers, &[("Upgrade", "websocket")]].concat();
        assert_code(&fixture.send(&with("GET", "/me", &upgrade)), ProblemCode::CrossOrigin);
        assert_code(&fixture.send(&with("GET", "/maybe", &upgrade)), ProblemCode::CrossOrigin);
    }
    assert_eq!(fixture.world.store.take_finds(), 0, "the store is not asked");
    for headers in [
        [("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
        [("Origin", own.as_str())],
        [("Origin", "https://app.example")],
    ] {
        assert_eq!(fixture.status(&with("POST", "/change", &headers)), 200, "{headers:?}");
        assert_eq!(fixture.status(&with("GET", "/me", &headers).header("Upgrade", "websocket")), 200, "{headers:?}");
    }
    let allowed = [("Sec-Fetch-Site", "same-site"), ("Origin", "https://app.example")];
    assert_eq!(fixture.status(&with("POST", "/change", &allowed)), 200);
    // Without the cookie there is nothing to abuse.
    assert_missing(&fixture.send(&Call::post("/change").header("Sec-Fetch-Site", "cross-site")));
    // A form has no JSON, and no dialog fills it in.
    for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")] {
        let form = Call::login("alice", "wonderland").header(name, value);
        assert_code(&fixture.send(&form), ProblemCode::CrossOrigin);
    }
    let reply = fixture.send(&Call::post("/get_token"));
    assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#), "Basic is not offered");
    let form = Call::post("/login").header("Sec-Fetch-Site", "same-origin").body("username=alice&password=wonderland");
    assert_code(&fixture.send(&form), ProblemCode::UnsupportedMediaType);
    let basic = Call::login("alice", "wonderland").header("Sec-Fetch-Site", "same-origin");
    assert_eq!(fixture.status(&basic), 200);
}

fn the_header_counts_and_the_cookie_beside_it_does_not(fixture: &Fixture) {
    let cookies = with_cookies(fixture, |core| core);
    let cookie = cookies.cookie();
    let token = cookies.login("bob", "builder");
    let both = Call::post("/change").bearer(&token).header("Cookie", format!("__Host-session={cookie}"));
    assert!(cookies.send(&both).body.starts_with("bob "), "and needs no proof of origin");
    assert_invalid(&cookies.send(&Call::get("/me").bearer("a.b.c").cookie(&cookie)));
    assert_missing(&cookies.send(&Call::get("/me").header("Authorization", "Basic eA==").cookie(&cookie)));
    let reply = cookies.send(&Call::post("/rotate").bearer(&token).cookie(&cookie));
    assert_eq!(reply.header("set-cookie"), None);
    let reply = cookies.send(&Call::post("/logout").bearer(&reply.token()).cookie(&cookie));
    assert_eq!((reply.status, reply.header("set-cookie")), (204, None));
    assert_eq!(cookies.status(&Call::get("/me").cookie(&cookie)), 200);
    // Two cookies, a cut one, a long one, and one that is empty.
    let raw = |value: &str| Call::get("/me").header("Cookie", value);
    assert_invalid(&cookies.send(&raw(&format!("__Host-session={cookie}; __Host-session={cookie}"))));
    assert_invalid(&cookies.send(&raw(&format!("__Host-session={cookie}")).header("Cookie", "__Host-session=x")));
    assert_invalid(&cookies.send(&raw(&format!("__Host-session={}", &cookie[..cookie.len() - 1]))));
    assert_invalid(&cookies.send(&raw(&format!("__Host-session={}", "a".repeat(9000)))));
    assert_invalid(&cookies.send(&raw("__Host-session=a b")));
    // Rocket does not see it.
    let not_text = b"__Host-session=\xff.b.c";
    assert_problem(&cookies.send(&Call::get("/me").header("Cookie", not_text)), 401);
    assert_eq!(cookies.status(&page_login(ALICE).header("Cookie", not_text)), 200);
    for none in
        ["", "__Host-session=", "session=x", &format!("__host-session={cookie}"), &format!("x__Host-session={cookie}")]
    {
        assert_missing(&cookies.send(&raw(none)));
        assert_eq!(cookies.send(&Call::get("/maybe").header("Cookie", none)).body, "nobody");
    }
    assert_invalid(&cookies.send(&Call::get("/maybe").cookie("a.b.c")));
    // Where cookies are off, they are not read, and there is no /login.
    assert_missing(&fixture.send(&Call::get("/me").cookie(&fixture.alice())));
    assert_eq!(fixture.status(&page_login(ALICE)), 404);
}

fn a_login_with_a_cookie_ends_the_session_before(fixture: &Fixture) {
    let fixture = with_cookies(fixture, |core| core.limit(SessionLimit::deny(1).unwrap()));
    let first = fixture.cookie();
    let denied = fixture.send(&page_login(ALICE));
    assert_code(&denied, ProblemCode::LimitReached);
    assert_eq!((denied.json()["sessions"].as_array().unwrap().len(), denied.header("set-cookie")), (1, None));
    // The browser forgets its session, so that one makes room.
    let reply = fixture.send(&page_login(ALICE).header("Cookie", format!("__Host-session={first}")));
    let second = reply.cookie().unwrap().0.to_owned();
    assert_invalid(&fixture.send(&Call::get("/me").cookie(&first)));
    let bob =
        page_login(r#"{"username":"bob","password":"builder"}"#).header("Cookie", format!("__Host-session={second}"));
    let bobs = fixture.send(&bob);
    assert_eq!(fixture.status(&Call::get("/me").cookie(bobs.cookie().unwrap().0)), 200);
    assert_invalid(&fixture.send(&Call::get("/me").cookie(&second)));
    // A wrong password ends nothing.
    let third = fixture.cookie();
    let wrong =
        page_login(r#"{"username":"alice","password":"x"}"#).header("Cookie", format!("__Host-session={third}"));
    assert_code(&fixture.send(&wrong), ProblemCode::InvalidCredentials);
    assert_eq!(fixture.status(&Call::get("/me").cookie(&third)), 200);
}

fn an_own_login_sets_the_cookie_too(fixture: &Fixture) {
    let cookies = with_cookies(fixture, |core| core);
    let own = |method: &str| Call::new(method, "/own_login").header("x-user", "alice");
    let page = own("POST").header("Sec-Fetch-Site", "same-origin");
    let reply = cookies.send(&page);
    assert_eq!(cookies.status(&Call::get("/me").cookie(reply.cookie().unwrap().0)), 200);
    assert!(reply.json()["access_token"].is_null());
    // The provider's page sends the browser here, and the `state` of OAuth is the proof.
    let callback = own("GET").header("Sec-Fetch-Site", "cross-site").header("x-next", "/home");
    let reply = cookies.send(&callback);
    assert_eq!((reply.status, reply.header("location"), reply.body.as_str()), (303, Some("/home"), ""));
    assert_eq!(cookies.status(&Call::get("/me").cookie(reply.cookie().unwrap().0)), 200);
    let reply = cookies.send(&page.clone().header("x-next", "body"));
    assert_eq!((cookies.verify(&reply.token()), reply.header("set-cookie")), (204, None));
    // One login may be kept until the browser is closed, and the next for longer. A rotation changes nothing about that.
    for (call, is_kept) in [(page.clone().header("x-next", "closing"), false), (page.clone(), true)] {
        let reply = cookies.send(&call);
        let rotate = Call::post("/rotate").cookie(reply.cookie().unwrap().0);
        for set in [&reply, &cookies.send(&rotate)] {
            assert_eq!(set.header("set-cookie").unwrap().contains("Max-Age"), is_kept, "{set:?}");
        }
    }
    // An app on a phone is no browser, and proves nothing. What a browser says of another page counts.
    let app = own("POST").header("x-next", "body");
    let reply = cookies.send(&app);
    assert_eq!((cookies.verify(&reply.token()), reply.header("set-cookie")), (204, None));
    let sessions = cookies.sessions(&reply.token()).len();
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", ""),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        assert_code(&cookies.send(&app.clone().header(name, value)), ProblemCode::CrossOrigin);
    }
    // A cookie needs the proof, and without it nothing begins or ends.
    let unproven = own("POST").header("Cookie", format!("__Host-session={}", reply.token()));
    assert_code(&cookies.send(&unproven), ProblemCode::CrossOrigin);
    assert_eq!(cookies.sessions(&reply.token()).len(), sessions);
    // Without cookies the token would be lost, so there is no session either.
    let before = fixture.sessions(&fixture.alice()).len();
    assert_code(&fixture.send(&own("GET").header("x-next", "/home")), ProblemCode::InternalError);
    assert_eq!(fixture.sessions(&fixture.alice()).len(), before + 1);
}

/// Browsers drop a cookie of more than 4096 bytes without a word.
fn a_token_that_fits_no_cookie_begins_no_session(fixture: &Fixture) {
    let audience = "a".repeat(3100);
    let cookies = with_cookies(fixture, move |core| core.audience(audience));
    assert_code(&cookies.send(&page_login(ALICE)), ProblemCode::InternalError);
    let token = cookies.alice();
    assert_eq!(cookies.sessions(&token).len(), 1);
}

/// A key with a longer name makes longer tokens.
fn a_rotation_to_a_token_that_fits_no_cookie_changes_nothing(fixture: &Fixture) {
    let key = |id: &str| SigningKey::generate(Algorithm::Hs256).unwrap().with_key_id(id).unwrap();
    let (ring, long) = (KeyRing::new(key("short")), "k".repeat(128));
    let audience = "a".repeat(2750);
    let world = World::with_keys(
        fixture.kind,
        ring.clone(),
        |core| core.audience(audience),
        |http| http.cookies(Cookies::new()),
    );
    let fixture = fixture.with(world);
    let (cookie, token) = (fixture.cookie(), fixture.alice());
    ring.stage(key(&long)).unwrap();
    ring.promote(&long).unwrap();
    assert_code(&fixture.send(&Call::post("/rotate").cookie(&cookie)), ProblemCode::InternalError);
    let reply = fixture.send(&Call::post("/rotate").bearer(&token));
    assert!(reply.token().len() > 4096, "it is {} bytes", reply.token().len());
    // The grace of a rotation would be over.
    fixture.world.set_clock(100);
    assert_eq!(fixture.status(&Call::get("/me").cookie(&cookie)), 200);
}

/// The headers that tell a proxy who sends a request.
fn identity(reply: &Reply) -> [Option<&str>; 3] {
    ["x-auth-subject", "x-auth-session", "x-auth-scope"].map(|name| reply.header(name))
}

fn a_proxy_learns_who_sends_a_request(fixture: &Fixture) {
    const PATH: &str = "/forward_auth";
    let token = fixture.alice();
    assert_eq!(fixture.status(&Call::get(PATH).bearer(&token)), 404, "off until it is switched on");
    let fixture = fixture.with(World::with(fixture.kind, |core| core, |http| http.forward_auth(true)));
    let alice = fixture.alice();
    let session = forge::claims(&alice)["sid"].as_str().unwrap().to_owned();
    // Proxies ask by GET, or by the method of the client.
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let reply = fixture.send(&Call::new(method, PATH).bearer(&alice));
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{method}");
        assert_eq!(identity(&reply), [Some("alice"), Some(&session), Some("")], "{method}");
        assert_eq!((reply.header("cache-control"), reply.header("content-type")), (Some("no-store"), None));
        let reply = fixture.send(&Call::new(method, PATH));
        assert_eq!((reply.status, identity(&reply)), (401, [None; 3]), "{method}");
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="api""#), "{method}");
    }
    assert_missing(&fixture.send(&Call::get(PATH)));
    assert_invalid(&fixture.send(&Call::get(PATH).bearer("a.b.c")));
    assert_eq!(fixture.status(&Call::post("/logout").bearer(&alice)), 204);
    let reply = fixture.send(&Call::get(PATH).bearer(&alice));
    assert_invalid(&reply);
    assert_eq!(identity(&reply), [None; 3]);

    let alice = fixture.alice();
    fixture.world.store.set_down(true);
    let reply = fixture.send(&Call::get(PATH).bearer(&alice));
    assert_code(&reply, ProblemCode::Unavailable);
    assert_eq!((identity(&reply), reply.header("retry-after")), ([None; 3], Some("5")));
    fixture.world.store.set_down(false);

    let issue = |subject: &str| {
        let (knox, subject) = (fixture.world.knox.clone(), Subject::new(subject).unwrap());
        on_another_thread(async move { knox.issue(subject).await.unwrap().token.expose().to_owned() })
    };
    fixture.world.users.set("Zo\u{eb} 100%, \"x\"", SubjectStatus::Active);
    let reply = fixture.send(&Call::get(PATH).bearer(&issue("Zo\u{eb} 100%, \"x\"")));
    assert_eq!(reply.header("x-auth-subject"), Some("Zo%C3%AB%20100%25%2C%20%22x%22"));
}

fn a_proxy_may_ask_for_scopes(fixture: &Fixture) {
    let fixture = fixture.with(World::with(fixture.kind, |core| core, |http| http.forward_auth(true)));
    let (alice, carol, root) = (fixture.alice(), fixture.login("carol", "singer"), fixture.login("root", "toor"));
    let ask = |query: &str, token: &str| fixture.send(&Call::get(&format!("/forward_auth{query}")).bearer(token));
    assert_eq!(ask("", &carol).header("x-auth-scope"), Some("read"));
    assert_eq!(ask("?", &root).header("x-auth-scope"), Some("admin read sessions"));
    for query in ["?scope=admin", "?scope=admin&scope=read", "?scope=admin+read", "?scope=admin%20read"] {
        assert_eq!(ask(query, &root).status, 200, "{query}");
        for token in [&alice, &carol] {
            let reply = ask(query, token);
            assert_code(&reply, ProblemCode::InsufficientScope);
            let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="admin""#;
            assert_eq!((reply.header("www-authenticate"), identity(&reply)), (Some(challenge), [None; 3]), "{query}");
        }
        assert_missing(&fixture.send(&Call::get(&format!("/forward_auth{query}"))));
    }
    assert_eq!(ask("?scope=read", &carol).status, 200);
    // A slip in the settings of the proxy lets nobody in.
    for query in ["?scope=", "?scope", "?scopes=read", "?scope=read&x=1", "?scope=read&scope=", "?scope=%22", "?read"] {
        assert_code(&ask(query, &root), ProblemCode::InvalidRequest);
        assert_eq!(identity(&ask(query, &root)), [None; 3]);
    }
}

fn a_check_by_a_proxy_is_a_use(fixture: &Fixture) {
    let idle = |core: KnoxBuilder| core.lifetime(Lifetime::idle_after(Duration::from_secs(600)).unwrap());
    let fixture = fixture.with(World::with(fixture.kind, idle, |http| http.forward_auth(true)));
    let token = fixture.alice();
    for second in [500, 1000, 1500] {
        fixture.world.set_clock(second);
        assert_eq!(fixture.status(&Call::get("/forward_auth").bearer(&token)), 200, "{second}");
    }
    fixture.world.set_clock(2200);
    assert_invalid(&fixture.send(&Call::get("/forward_auth").bearer(&token)));
}

fn a_proxy_has_to_say_that_a_request_with_a_cookie_changes_nothing(fixture: &Fixture) {
    let cookies = |http: KnoxHttpBuilder| http.forward_auth(true).cookies(Cookies::new());
    let fixture = fixture.with(World::with(fixture.kind, |core| core, cookies));
    let cookie = fixture.cookie();
    let ask = |method: &str, headers: &[(&str, &str)]| {
        let call = Call::new(method, "/forward_auth").header("Cookie", format!("__Host-session={cookie}"));
        fixture.send(&headers.iter().fold(call, |call, (name, value)| call.header(name, value)))
    };
    let safe: [&[(&str, &str)]; 4] = [
        &[("X-Forwarded-Method", "GET")],
        &[("X-Original-Method", "HEAD")],
        &[("x-forwarded-method", "OPTIONS")],
        &[("X-Forwarded-Method", "GET"), ("X-Original-Method", "GET")],
    ];
    for headers in safe {
        let reply = ask("GET", headers);
        assert_eq!((reply.status, reply.header("x-auth-subject")), (200, Some("alice")), "{headers:?}");
        // What opens a WebSocket, also where the proxy leaves `Upgrade` out.
        for sign in ["Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
            let reply = ask("GET", &[headers, &[(sign, "13"), ("Origin", "https://evil.example")]].concat());
            assert_code(&reply, ProblemCode::CrossOrigin);
        }
    }
    let unsafe_or_unknown: [(&str, &[(&str, &str)]); 11] = [
        ("GET", &[]),
        ("GET", &[("X-Forwarded-Method", "POST")]),
        ("GET", &[("X-Forwarded-Method", "CONNECT")]),
        ("GET", &[("X-Original-Method", "DELETE")]),
        ("GET", &[("X-Forwarded-Method", "")]),
        ("GET", &[("X-Forwarded-Method", "get")]),
        ("GET", &[("X-Forwarded-Method", "GET, POST")]),
        // What the client adds to what the proxy says helps it to nothing.
        ("GET", &[("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "POST")]),
        ("GET", &[("X-Forwarded-Method", "POST"), ("X-Forwarded-Method", "GET")]),
        ("GET", &[("X-Original-Method", "POST"), ("X-Forwarded-Method", "GET")]),
        ("POST", &[("X-Forwarded-Method", "GET")]),
    ];
    for (method, headers) in unsafe_or_unknown {
        for origin in [&[][..], &[("Sec-Fetch-Site", "cross-site")], &[("Origin", "https://evil.example")]] {
            let reply = ask(method, &[headers, origin].concat());
            assert_code(&reply, ProblemCode::CrossOrigin);
            assert_eq!(identity(&reply), [None; 3]);
        }
        let own = [headers, &[("Sec-Fetch-Site", "same-origin")]].concat();
        assert_eq!(ask(method, &own).status, 200, "{method} {headers:?}");
    }
    // No page can send a token in the header.
    let token = fixture.alice();
    assert_eq!(fixture.status(&Call::get("/forward_auth").bearer(&token)), 200);
}

fn clients_of_drf_jwt_knox_get_the_body_they_read(fixture: &Fixture) {
    let fixture = fixture.with(World::with(fixture.kind, |core| core, |http| http.drf_jwt_knox_response()));
    let body = fixture.send(&Call::login("alice", "wonderland")).json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let header = body["token"].as_str().unwrap();
    assert!(header.starts_with("Bearer "));
    assert_eq!(fixture.status(&Call::get("/verify").header("Authorization", header)), 204);
}

fn the_public_keys_are_for_everybody_and_follow_the_key_ring(fixture: &Fixture) {
    const PATH: &str = "/.well-known/jwks.json";
    // With HMAC there is nothing to publish.
    let reply = fixture.send(&Call::get(PATH));
    assert_eq!((reply.status, reply.json()), (200, json!({"keys": []})));

    let ring = KeyRing::new(SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("old").unwrap());
    let keys = ring.clone();
    let fixture = fixture.with(World::with_keys(
        fixture.kind,
        ring.clone(),
        |core| core,
        |http| http.jwks_max_age(Duration::from_secs(90)),
    ));
    let published = || {
        let reply = fixture.send(&Call::get(PATH));
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=90"));
        assert_eq!(reply.body, keys.jwks());
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        assert!(keys.iter().all(|key| key.get("d").is_none()), "nothing private: {keys:?}");
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(published(), ["old"]);
    let before = fixture.alice();
    ring.stage(SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id("new").unwrap()).unwrap();
    assert_eq!(published(), ["old", "new"]);
    ring.promote("new").unwrap();
    let after = fixture.alice();
    assert_eq!(forge::header(&after)["kid"], "new");
    assert_eq!((fixture.verify(&before), fixture.verify(&after)), (204, 204));
    // Another service verifies by what was published.
    let keys = KeySet::from_jwks(&fixture.send(&Call::get(PATH)).body).unwrap();
    let verifier = Verifier::new(keys, TokenProfile::new()).clock(fixture.world.clock.clone());
    assert_eq!(verifier.verify(&after).unwrap().subject().as_str(), "alice");
    ring.retire("old").unwrap();
    assert_eq!(published(), ["new"]);
    assert_invalid(&fixture.send(&Call::get("/verify").bearer(&before)));
    assert_eq!(fixture.verify(&after), 204);

    let head = fixture.send(&Call::new("HEAD", PATH));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE"] {
        let reply = fixture.send(&Call::new(method, PATH));
        assert_problem(&reply, 405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
}

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
const GUARDED: [&str; 8] =
    ["/me", "/admin", "/thrice", "/role", "/project", "/guarded/hello", "/guarded_admin/hello", "/guarded_me"];

/// Both servers answer the same to this call.
fn assert_alike(fixture: &Fixture, send: impl Fn(&Call) -> Reply, call: &Call) -> Reply {
    let (with_store, without) = (fixture.send(call), send(call));
    assert_eq!(with_store.contract(), without.contract(), "{call:?}");
    without
}

fn without_the_store_the_same_mistakes_get_the_same_answers(fixture: &Fixture) {
    assert_same_answers(fixture, without_store(fixture, |http| http));
}

/// The server behind `send` answers every token as the one with the store does, and no token too.
fn assert_same_answers(fixture: &Fixture, send: impl Fn(&Call) -> Reply) {
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

/// The service that may ask about tokens, and its secret.
struct Service {
    fixture: Fixture,
    secret: String,
}

impl Service {
    /// A world with those settings, and with that service.
    fn with(
        fixture: &Fixture,
        core: impl FnOnce(KnoxBuilder) -> KnoxBuilder,
        http: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder,
    ) -> Self {
        let secret = ClientSecret::generate().unwrap();
        let client = Client::new("https://orders.example/", &secret.hash()).unwrap();
        let world = World::with(fixture.kind, core, |builder| http(builder).clients([client]));
        Self { fixture: fixture.with(world), secret: secret.expose().to_owned() }
    }

    fn new(fixture: &Fixture) -> Self {
        Self::with(fixture, |core| core, |http| http)
    }

    /// A request of the service, with that form.
    fn form(&self, path: &str, form: impl AsRef<[u8]>) -> Call {
        form_of(Call::basic(path, "https%3A%2F%2Forders.example%2F", &self.secret), form)
    }

    /// What the service is told of a token.
    fn introspect(&self, token: &str) -> Value {
        let reply = self.fixture.send(&self.form("/introspect", format!("token={token}")));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply.json()
    }

    /// Nothing more is told of a token that is not active.
    fn assert_inactive(&self, token: &str) {
        let reply = self.fixture.send(&self.form("/introspect", format!("token={token}")));
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"active":false}"#), "{token:?}");
    }

    /// The session is said to have ended, whether there was one or not.
    fn revoke(&self, token: &str) {
        let reply = self.fixture.send(&self.form("/revoke", format!("token={token}")));
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("content-type"), None);
    }
}

fn form_of(call: Call, form: impl AsRef<[u8]>) -> Call {
    call.header("Content-Type", "application/x-www-form-urlencoded").body(form)
}

/// A problem in the words of RFC 6749 §5.2 as well.
fn assert_oauth(reply: &Reply, code: ProblemCode) {
    assert_code(reply, code);
    assert_eq!(reply.json()["error"], code.as_str(), "{reply:?}");
    let challenge = (code == ProblemCode::InvalidClient).then_some(r#"Basic realm="api", charset="UTF-8""#);
    assert_eq!(reply.header("www-authenticate"), challenge);
}

/// Asks the service's questions, and counts them.
fn asking(service: &Service) -> (impl IntrospectionEndpoint + use<>, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let (address, secret, count) = (service.fixture.address, service.secret.clone(), Arc::clone(&asked));
    let endpoint = introspection_endpoint_fn(move |request| {
        count.fetch_add(1, SeqCst);
        let call = form_of(Call::basic("/introspect", "https%3A%2F%2Forders.example%2F", &secret), request.body());
        async move {
            let reply = spawn_blocking(move || call.send(address)).await.map_err(StoreError::new)?;
            Ok(IntrospectionResponse::new(reply.status, reply.body))
        }
    });
    (endpoint, asked)
}

/// Sends calls to a server that has neither the store nor a key, and asks the issuer.
fn introspecting<C, H>(service: &Service, core: C, http: H) -> (impl Fn(&Call) -> Reply + use<C, H>, Arc<AtomicU64>)
where
    C: FnOnce(IntrospectorBuilder) -> IntrospectorBuilder,
    H: FnOnce(VerifierHttpBuilder) -> VerifierHttpBuilder,
{
    let (endpoint, asked) = asking(service);
    let introspector = core(Introspector::builder(endpoint)).build();
    let clock = service.fixture.world.clock.clone();
    let verifier = VerifierHttp::builder(Verifier::introspecting(introspector, TokenProfile::new()).clock(clock));
    let address = VerifyingServer::start(service.fixture.framework, http(verifier).build().unwrap()).address;
    (move |call: &Call| call.send(address), asked)
}

fn asking_the_issuer_gives_the_same_answers_as_the_store(fixture: &Fixture) {
    let service = Service::new(fixture);
    assert_same_answers(&service.fixture, introspecting(&service, |core| core, |http| http).0);
}

/// Each of these ends the token for a service that asks, and with a `max_age` when that is over.
fn asking_the_issuer_the_end_of_a_session_counts(fixture: &Fixture) {
    let service = Service::new(fixture);
    let fixture = &service.fixture;
    let (at_once, _) = introspecting(&service, |core| core, |http| http);
    let (late, asked) = introspecting(&service, |core| core.max_age(Duration::from_secs(5)), |http| http);
    let routes = ["/me", "/maybe", "/guarded/hello", "/guarded_me"];
    for (second, end) in [(0, "/logout"), (10, "/logout_all"), (20, "/revoke"), (30, "the user")] {
        fixture.world.set_clock(second);
        let token = fixture.alice();
        asked.store(0, SeqCst);
        for path in routes {
            assert_eq!(at_once(&Call::get(path).bearer(&token)).status, 200, "{path}");
            assert_eq!(late(&Call::get(path).bearer(&token)).status, 200, "{path}");
        }
        match end {
            "/revoke" => service.revoke(&token),
            "the user" => fixture.world.users.set("alice", SubjectStatus::Inactive),
            path => assert_eq!(fixture.status(&Call::post(path).bearer(&token)), 204),
        }
        fixture.world.set_clock(second + 4);
        for path in routes {
            assert_invalid(&assert_alike(fixture, &at_once, &Call::get(path).bearer(&token)));
            assert_eq!(late(&Call::get(path).bearer(&token)).status, 200, "{end}");
        }
        assert_eq!(asked.load(SeqCst), 1);
        fixture.world.set_clock(second + 5);
        for path in routes {
            assert_invalid(&late(&Call::get(path).bearer(&token)));
        }
    }
}

fn asking_the_issuer_a_request_asks_once(fixture: &Fixture) {
    let service = Service::new(fixture);
    let (send, asked) = introspecting(&service, |core| core, |http| http);
    let root = service.fixture.login("root", "toor");
    for path in ["/thrice", "/guarded_me", "/me", "/admin", "/guarded_admin/hello"] {
        asked.store(0, SeqCst);
        assert_eq!(send(&Call::get(path).bearer(&root)).status, 200, "{path}");
        assert_eq!(asked.load(SeqCst), 1, "{path}");
    }
    asked.store(0, SeqCst);
    for token in ["a.b.c", "x", &"a".repeat(9000)] {
        assert_invalid(&send(&Call::get("/me").bearer(token)));
    }
    assert_missing(&send(&Call::get("/me")));
    assert_eq!(asked.load(SeqCst), 0);
}

fn asking_the_issuer_that_cannot_tell_is_503_and_never_a_yes(fixture: &Fixture) {
    let service = Service::new(fixture);
    let (send, _) = introspecting(&service, |core| core.max_age(Duration::from_secs(5)), |http| http);
    let token = service.fixture.alice();
    service.fixture.world.store.set_down(true);
    for path in GUARDED.iter().chain(&["/maybe"]) {
        let reply = assert_alike(&service.fixture, &send, &Call::get(path).bearer(&token));
        assert_code(&reply, ProblemCode::Unavailable);
        assert_eq!(reply.header("retry-after"), Some("5"));
        assert_eq!(reply.header("www-authenticate"), None);
    }
    service.fixture.world.store.set_down(false);
    assert_eq!(send(&Call::get("/me").bearer(&token)).status, 200);
    // The secret of the service is another one now.
    let stranger = Service { secret: "wrong".to_owned(), ..service };
    let (send, asked) = introspecting(&stranger, |core| core, |http| http);
    for path in ["/me", "/maybe", "/guarded/hello"] {
        assert_code(&send(&Call::get(path).bearer(&token)), ProblemCode::Unavailable);
    }
    assert_eq!(asked.load(SeqCst), 3);
}

fn asking_the_issuer_the_settings_are_the_same(fixture: &Fixture) {
    let service = Service::with(fixture, |core| core, |http| http.scheme("Token").realm("my api"));
    let (send, _) =
        introspecting(&service, |core| core.token_type("Token"), |http| http.scheme("Token").realm("my api"));
    let token = service.fixture.alice();
    let call = |path: &str| Call::get(path).header("Authorization", format!("Token {token}"));
    for path in ["/me", "/maybe", "/guarded/hello", "/admin"] {
        assert_alike(&service.fixture, &send, &call(path));
    }
    assert_eq!(send(&call("/me")).status, 200);

    let service = Service::with(fixture, |core| core, |http| http.cookies(Cookies::new()));
    let (send, _) = introspecting(&service, |core| core, |http| http.cookies(Cookies::new()));
    let cookie = service.fixture.cookie();
    assert_eq!(assert_alike(&service.fixture, &send, &Call::get("/me").cookie(&cookie)).status, 200);
    let foreign = Call::post("/change").header("Cookie", format!("__Host-session={cookie}"));
    let foreign = foreign.header("Sec-Fetch-Site", "cross-site");
    assert_code(&assert_alike(&service.fixture, &send, &foreign), ProblemCode::CrossOrigin);
}

const QUESTIONS: [&str; 2] = ["/introspect", "/revoke"];

fn services_ask_about_tokens_only_where_that_is_switched_on(fixture: &Fixture) {
    for path in QUESTIONS {
        assert_eq!(fixture.status(&form_of(Call::post(path), "token=a.b.c")), 404, "{path}");
    }
    let service =
        Service::with(fixture, |core| core, |http| http.without(Endpoint::Revoke).route(Endpoint::Introspect, "/ask"));
    assert_eq!(service.fixture.status(&service.form("/ask", "token=x")), 200);
    for path in QUESTIONS {
        assert_eq!(service.fixture.status(&service.form(path, "token=x")), 404, "{path}");
    }
}

/// RFC 7662 §2.2.
fn a_service_is_told_what_is_known_of_an_active_token(fixture: &Fixture) {
    let profile = || TokenProfile::new().issuer("https://auth.example").unwrap().audience("orders").unwrap();
    let service = Service::with(fixture, |core| core.profile(profile()), |http| http);
    let token = service.fixture.login("root", "toor");
    assert_eq!(
        service.introspect(&token),
        json!({
            "active": true,
            "sub": "root",
            "scope": "admin read sessions",
            "exp": START + 36_000,
            "iat": START,
            "iss": "https://auth.example",
            "aud": forge::claims(&token)["aud"],
            "sid": forge::claims(&token)["sid"],
            "token_type": "Bearer",
        })
    );
    // The hint does not help, and does not hurt.
    for hint in ["access_token", "refresh_token", "x", ""] {
        let call = service.form("/introspect", format!("token_type_hint={hint}&token={token}&more=1"));
        assert_eq!(service.fixture.send(&call).json()["active"], true, "{hint}");
    }
    let service = Service::with(fixture, |core| core.lifetime(Lifetime::never()), |http| http.scheme("Token"));
    let token = service.fixture.alice();
    let sid = &forge::claims(&token)["sid"];
    let told = json!({"active": true, "sub": "alice", "iat": START, "sid": sid, "token_type": "Token"});
    assert_eq!(service.introspect(&token), told);
}

/// RFC 7662 §2.2, and §4: nothing tells why.
fn a_service_is_told_nothing_of_a_token_that_is_not_active(fixture: &Fixture) {
    let service = Service::new(fixture);
    let (alice, bob) = (service.fixture.alice(), service.fixture.login("bob", "builder"));
    for token in [
        "x",
        "a.b.c",
        "...",
        "%00",
        "%ff",
        &alice[..alice.len() - 1],
        &format!("Bearer {alice}"),
        &forge::token(r#"{"alg":"none"}"#, &forge::claims(&alice).to_string()),
        &forge::token(r#"{"alg":"HS256","kid":"x"}"#, &forge::claims(&alice).to_string()),
        &forge::with_claims(&alice, &json!({"sub": "bob"})),
        &forge::with_claims(&alice, &json!({"exp": START})),
        &forge::with_claims(&alice, &json!({"nbf": START + 61})),
        &forge::with_claims(&alice, &json!({"iss": "x"})),
        &forge::with_claims(&alice, &json!({"aud": "x"})),
        &forge::with_claims(&alice, &json!({"scope": "admin"})),
        &forge::with_claims(&alice, &json!({"jti": "x"})),
    ] {
        service.assert_inactive(token);
    }
    service.fixture.world.users.set("bob", SubjectStatus::Inactive);
    service.assert_inactive(&bob);
    assert_eq!(service.introspect(&alice)["active"], true);
    service.fixture.send(&Call::post("/logout").bearer(&alice));
    service.assert_inactive(&alice);
    let late = service.fixture.alice();
    service.fixture.world.set_clock(36_000);
    service.assert_inactive(&late);
}

/// Whoever presented it to the service has it, and should not.
fn a_token_that_was_rotated_away_ends_the_session_when_a_service_asks_about_it(fixture: &Fixture) {
    let service = Service::new(fixture);
    let old = service.fixture.alice();
    let new = service.fixture.send(&Call::post("/rotate").bearer(&old)).token();
    service.fixture.world.set_clock(9);
    assert_eq!(
        (&service.introspect(&old)["active"], &service.introspect(&new)["active"]),
        (&json!(true), &json!(true))
    );
    service.fixture.world.set_clock(10);
    assert_eq!(service.introspect(&new)["active"], true);
    service.assert_inactive(&old);
    service.assert_inactive(&new);
}

/// The service asks because the user's client has sent it something.
fn a_question_about_an_active_token_is_a_use_of_its_session(fixture: &Fixture) {
    let idle = Lifetime::idle_after(Duration::from_secs(3600)).unwrap();
    let service = Service::with(fixture, |core| core.lifetime(idle).touch_interval(Duration::ZERO), |http| http);
    let token = service.fixture.alice();
    for second in [3000, 6000] {
        service.fixture.world.set_clock(second);
        assert_eq!(service.introspect(&token)["exp"], START + second + 3600);
    }
    service.fixture.world.set_clock(9600);
    service.assert_inactive(&token);
}

fn a_question_without_an_answer_is_503(fixture: &Fixture) {
    let service = Service::new(fixture);
    let token = service.fixture.alice();
    let fails = |path: &str| {
        let reply = service.fixture.send(&service.form(path, format!("token={token}")));
        assert_code(&reply, ProblemCode::Unavailable);
        assert_eq!(reply.header("retry-after"), Some("5"));
    };
    service.fixture.world.store.set_down(true);
    QUESTIONS.iter().for_each(|path| fails(path));
    // What is no token needs no store.
    service.assert_inactive("a.b.c");
    service.revoke("a.b.c");
    service.fixture.world.store.set_down(false);
    service.fixture.world.users.set_down(true);
    fails("/introspect");
    service.fixture.world.users.set_down(false);
    assert_eq!(service.introspect(&token)["active"], true);
}

/// RFC 6749 §2.3.1 and §5.2.
fn services_prove_who_they_are(fixture: &Fixture) {
    let service = Service::new(fixture);
    let send = |call: Call| service.fixture.send(&call);
    let token = service.fixture.alice();
    let form = format!("token={token}");
    let (id, secret) = ("https%3A%2F%2Forders.example%2F", service.secret.as_str());
    for path in QUESTIONS {
        let by = |id: &str, secret: &str| send(form_of(Call::basic(path, id, secret), &form));
        for reply in [
            send(form_of(Call::post(path), &form)),
            send(form_of(Call::post(path), format!("{form}&client_id={id}&client_secret={secret}"))),
            send(form_of(Call::post(path).header("Authorization", "Basic"), &form)),
            send(form_of(Call::post(path).header("Authorization", "Basic ****"), &form)),
            send(form_of(Call::post(path).header("Authorization", "Digest x"), &form)),
            by(id, ""),
            by(id, "x"),
            by(id, &format!("{secret}x")),
            by("", secret),
            by("orders", secret),
            by("alice", "wonderland"),
            send(Call::get(path)),
            send(Call::new("OPTIONS", path)),
        ] {
            assert_oauth(&reply, ProblemCode::InvalidClient);
        }
        let twice = service.form(path, &form).bearer(&token);
        assert_eq!(send(twice).status, 401);
        for method in ["GET", "PUT", "DELETE"] {
            let call = Call::new(method, path).header("Authorization", basic(id, secret));
            let reply = send(call);
            assert_code(&reply, ProblemCode::MethodNotAllowed);
            assert_eq!(reply.header("allow"), Some("POST"));
        }
    }
    assert_eq!(service.fixture.verify(&token), 204, "nobody has ended it");
}

fn basic(username: &str, password: &str) -> String {
    use base64ct::{Base64, Encoding};
    format!("Basic {}", Base64::encode_string(format!("{username}:{password}").as_bytes()))
}

fn a_question_is_a_form_with_one_token(fixture: &Fixture) {
    let service = Service::new(fixture);
    let token = service.fixture.alice();
    for path in QUESTIONS {
        let send = |body: &str| service.fixture.send(&service.form(path, body));
        for body in [
            String::new(),
            "x=1".to_owned(),
            "token".to_owned(),
            "token=&x=1".to_owned(),
            format!("Token={token}"),
            format!("token={token}&token={token}"),
            format!("token={token}&%74oken="),
            format!("token={token}&token_type_hint=a&token_type_hint=b"),
            format!(r#"{{"token":"{token}"}}"#),
        ] {
            assert_oauth(&send(&body), ProblemCode::InvalidRequest);
        }
        assert_code(&send(&format!("token={}", "a".repeat(8192))), ProblemCode::ContentTooLarge);
        for content_type in ["application/json", "text/plain", "multipart/form-data"] {
            let call = Call::basic(path, "https%3A%2F%2Forders.example%2F", &service.secret)
                .header("Content-Type", content_type)
                .body(format!("token={token}"));
            assert_code(&service.fixture.send(&call), ProblemCode::UnsupportedMediaType);
        }
        // Not in the URL, where logs would keep it (RFC 7662 §4).
        let call = service.form(&format!("{path}?token={token}"), "x=1");
        assert_oauth(&service.fixture.send(&call), ProblemCode::InvalidRequest);
    }
    assert_eq!(service.fixture.verify(&token), 204);
}

fn a_token_with_the_scope_for_it_may_ask_about_others(fixture: &Fixture) {
    let service = Service::new(fixture);
    let (knox, alice) = (service.fixture.world.knox.clone(), service.fixture.alice());
    let new = NewSession::new(Subject::new("bob").unwrap()).scopes(["introspect"]).unwrap();
    let asker = on_another_thread(async move { knox.issue(new).await.unwrap().token.expose().to_owned() });
    let ask = |path: &str, bearer: &str| {
        service.fixture.send(&form_of(Call::post(path).bearer(bearer), format!("token={alice}")))
    };
    assert_eq!(ask("/introspect", &asker).json()["sub"], "alice");
    assert_oauth(&ask("/revoke", &asker), ProblemCode::InvalidClient);
    assert_invalid(&ask("/introspect", "a.b.c"));
    // Neither a user's own token, nor one with other scopes.
    for bearer in [&alice, &service.fixture.login("root", "toor")] {
        let reply = ask("/introspect", bearer);
        assert_code(&reply, ProblemCode::InsufficientScope);
        let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="introspect""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
    }
    service.fixture.world.users.set("bob", SubjectStatus::Inactive);
    assert_invalid(&ask("/introspect", &asker));
    assert_eq!(service.fixture.verify(&alice), 204);
}

/// What a browser adds by itself lets no page ask.
fn a_cookie_lets_nobody_ask_about_tokens(fixture: &Fixture) {
    let service = Service::with(fixture, |core| core, |http| http.cookies(Cookies::new()));
    let knox = service.fixture.world.knox.clone();
    let new = NewSession::new(Subject::new("bob").unwrap()).scopes(["introspect"]).unwrap();
    let asker = on_another_thread(async move { knox.issue(new).await.unwrap().token.expose().to_owned() });
    for path in QUESTIONS {
        let reply = service.fixture.send(&form_of(Call::post(path).cookie(&asker), format!("token={asker}")));
        assert_oauth(&reply, ProblemCode::InvalidClient);
        for call in [form_of(Call::post(path), "token=x"), service.form(path, format!("token={asker}"))] {
            let reply = service.fixture.send(&call.header("Sec-Fetch-Site", "cross-site"));
            assert_code(&reply, ProblemCode::CrossOrigin);
            assert_eq!(reply.header("www-authenticate"), None);
        }
    }
    assert_eq!(service.introspect(&asker)["active"], true);
}

/// RFC 7009 §2.2.
fn a_service_ends_the_session_of_a_token(fixture: &Fixture) {
    let service = Service::new(fixture);
    let (first, other) = (service.fixture.alice(), service.fixture.alice());
    let second = service.fixture.send(&Call::post("/rotate").bearer(&first)).token();
    service.revoke(&first);
    for token in [&first, &second] {
        assert_invalid(&service.fixture.send(&Call::get("/verify").bearer(token)));
        service.revoke(token);
    }
    let forged = forge::with_claims(&other, &json!({"jti": "x"}));
    for token in ["x", "a.b.c", &other[..other.len() - 1], &forged] {
        service.revoke(token);
    }
    assert_eq!(service.fixture.verify(&other), 204);
    // The session of a user who is not there for now ends for good.
    service.fixture.world.users.set("alice", SubjectStatus::Inactive);
    service.revoke(&other);
    service.fixture.world.users.set("alice", SubjectStatus::Active);
    assert_invalid(&service.fixture.send(&Call::get("/verify").bearer(&other)));
    let late = service.fixture.alice();
    service.fixture.world.set_clock(36_000);
    service.revoke(&late);
}

/// Nobody can tell any more whose it is.
fn a_token_of_a_retired_key_has_no_session_to_end(fixture: &Fixture) {
    let key = |id| SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id(id).unwrap();
    let ring = KeyRing::new(key("old"));
    let secret = ClientSecret::generate().unwrap();
    let clients = [Client::new("https://orders.example/", &secret.hash()).unwrap()];
    let world = World::with_keys(fixture.kind, ring.clone(), |core| core, |http| http.clients(clients));
    let service = Service { fixture: fixture.with(world), secret: secret.expose().to_owned() };
    let before = service.fixture.alice();
    ring.stage(key("new")).unwrap();
    ring.promote("new").unwrap();
    assert_eq!(service.introspect(&before)["active"], true);
    ring.retire("old").unwrap();
    service.assert_inactive(&before);
    service.revoke(&before);
    let after = service.fixture.alice();
    assert_eq!(service.fixture.sessions(&after).len(), 2);
}

fn a_service_without_the_right_header_is_nobody(fixture: &Fixture) {
    let service = Service::with(fixture, |core| core, |http| http.header("X-Auth-Token"));
    let json = r#"{"username":"alice","password":"wonderland"}"#;
    let token = service.fixture.send(&Call::json_login(json)).token();
    let form = format!("token={token}");
    assert_oauth(&service.fixture.send(&service.form("/introspect", &form)), ProblemCode::InvalidClient);
    let credentials = basic("https%3A%2F%2Forders.example%2F", &service.secret);
    let call = form_of(Call::post("/introspect").header("X-Auth-Token", credentials), &form);
    assert_eq!(service.fixture.send(&call).json()["active"], true);
}

macro_rules! contract {
    ($($case:ident)*) => {
        contract!(@framework axum Axum $($case)*);
        contract!(@framework actix Actix $($case)*);
        contract!(@framework rocket Rocket $($case)*);
        contract!(@framework hyper Hyper $($case)*);
    };
    (@framework $name:ident $framework:ident $($case:ident)*) => {
        mod $name {
            contract!(@store memory Memory $framework $($case)*);
            contract!(@store sqlite Sqlite $framework $($case)*);
        }
    };
    (@store $name:ident $kind:ident $framework:ident $($case:ident)*) => {
        mod $name {
            use crate::{Fixture, Framework, StoreKind};
            $(
                #[test]
                fn $case() {
                    crate::$case(&Fixture::new(Framework::$framework, StoreKind::$kind));
                }
            )*
        }
    };
}

contract! {
    logging_in_gives_a_token
    a_login_without_valid_credentials_is_rejected
    basic_credentials_count_and_the_body_beside_them_does_not
    two_logins_give_two_tokens
    verifying_says_yes_to_get_head_and_post
    the_header_is_read_by_the_rules
    logging_out_ends_this_session_and_no_other
    rotating_gives_a_new_token_for_the_same_session
    a_token_that_was_rotated_away_ends_the_session_when_it_is_used_again
    without_a_grace_the_old_token_is_revoked_at_once
    a_logout_holds_however_often_the_token_was_rotated
    a_login_under_way_does_not_survive_a_logout_everywhere
    expires_in_counts_from_the_token_and_not_from_the_login
    a_narrow_token_is_confined
    logging_out_the_others_keeps_this_session
    logging_out_everywhere_ends_all_of_the_user
    the_list_of_sessions_is_ones_own
    a_session_can_be_given_a_name
    the_use_of_a_session_shows_in_the_list
    a_label_is_the_user_agent_cut_and_cleaned
    an_inactive_or_removed_user_is_out_at_once
    an_inactive_user_can_log_out
    every_invalid_token_gets_the_same_answer
    a_token_lives_to_its_second
    a_changed_byte_anywhere_is_rejected
    no_forged_token_gets_in
    without_a_token_one_learns_of_no_method
    debugging_is_off_until_it_is_switched_on
    a_store_that_is_down_is_503_and_never_a_yes
    a_limit_denies_or_evicts
    a_user_without_a_token_is_not_locked_out_at_the_limit
    some_routes_need_a_fresh_login
    a_poll_is_no_use
    a_session_without_an_expiry_has_none_in_the_answer
    of_64_parallel_logins_at_a_limit_of_3_exactly_3_stay
    handlers_and_guards_reject_requests_without_a_token
    optional_authentication_fails_closed
    a_missing_scope_is_403
    a_question_mark_in_a_handler_gives_the_answers_of_the_contract
    a_request_is_verified_once
    realm_scheme_and_answer_are_open_to_change
    every_problem_has_its_code
    an_application_writes_its_own_problems
    an_own_login_gets_the_answers_of_get_token
    a_rejected_own_login_is_reported_and_says_no_more_than_that
    a_login_may_ask_for_a_second_factor
    routes_can_be_left_out_and_moved
    the_credential_may_come_in_another_header
    a_browser_keeps_its_session_in_a_cookie
    pages_of_other_origins_change_nothing
    the_header_counts_and_the_cookie_beside_it_does_not
    a_login_with_a_cookie_ends_the_session_before
    an_own_login_sets_the_cookie_too
    a_token_that_fits_no_cookie_begins_no_session
    a_rotation_to_a_token_that_fits_no_cookie_changes_nothing
    a_proxy_learns_who_sends_a_request
    a_proxy_may_ask_for_scopes
    a_check_by_a_proxy_is_a_use
    a_proxy_has_to_say_that_a_request_with_a_cookie_changes_nothing
    clients_of_drf_jwt_knox_get_the_body_they_read
    the_public_keys_are_for_everybody_and_follow_the_key_ring
    without_the_store_the_same_mistakes_get_the_same_answers
    without_the_store_a_revoked_token_is_accepted_until_it_expires
    without_the_store_a_token_without_expiry_is_rejected
    without_the_store_the_settings_are_the_same
    without_the_store_a_cookie_needs_the_same_proof_of_origin
    without_the_store_a_request_is_verified_once
    without_the_store_the_keys_are_those_that_were_fetched_last
    asking_the_issuer_gives_the_same_answers_as_the_store
    asking_the_issuer_the_end_of_a_session_counts
    asking_the_issuer_a_request_asks_once
    asking_the_issuer_that_cannot_tell_is_503_and_never_a_yes
    asking_the_issuer_the_settings_are_the_same
    services_ask_about_tokens_only_where_that_is_switched_on
    a_service_is_told_what_is_known_of_an_active_token
    a_service_is_told_nothing_of_a_token_that_is_not_active
    a_token_that_was_rotated_away_ends_the_session_when_a_service_asks_about_it
    a_question_about_an_active_token_is_a_use_of_its_session
    a_question_without_an_answer_is_503
    services_prove_who_they_are
    a_question_is_a_form_with_one_token
    a_token_with_the_scope_for_it_may_ask_about_others
    a_cookie_lets_nobody_ask_about_tokens
    a_service_ends_the_session_of_a_token
    a_token_of_a_retired_key_has_no_session_to_end
    a_service_without_the_right_header_is_nobody
}
