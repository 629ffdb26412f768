//! Logging in: by `/get_token`, and by an application's own login.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use jwt_knox::{Event, KnoxBuilder, Lifetime, LoginRejectionCause, SessionLimit, SubjectStatus, observer_fn};
use jwt_knox_http::{KnoxHttpBuilder, ProblemCode};
use jwt_knox_tests::{
    Call, Reply, World, forge,
    world::{OTP, START},
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_code, assert_problem};

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

fn a_session_without_an_expiry_has_none_in_the_answer(fixture: &Fixture) {
    let settings = |core: KnoxBuilder| core.lifetime(Lifetime::never());
    let fixture = fixture.with(World::with(fixture.kind, settings, |http| http));
    let body = fixture.send(&Call::login("alice", "wonderland")).json();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "session_id", "token_type"]);
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

fn clients_of_drf_jwt_knox_get_the_body_they_read(fixture: &Fixture) {
    let fixture = fixture.with(World::with(fixture.kind, |core| core, |http| http.drf_jwt_knox_response()));
    let body = fixture.send(&Call::login("alice", "wonderland")).json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let header = body["token"].as_str().unwrap();
    assert!(header.starts_with("Bearer "));
    assert_eq!(fixture.status(&Call::get("/verify").header("Authorization", header)), 204);
}

contract! {
    logging_in_gives_a_token
    a_login_without_valid_credentials_is_rejected
    basic_credentials_count_and_the_body_beside_them_does_not
    two_logins_give_two_tokens
    a_login_under_way_does_not_survive_a_logout_everywhere
    expires_in_counts_from_the_token_and_not_from_the_login
    a_session_without_an_expiry_has_none_in_the_answer
    a_label_is_the_user_agent_cut_and_cleaned
    a_limit_denies_or_evicts
    a_user_without_a_token_is_not_locked_out_at_the_limit
    of_64_parallel_logins_at_a_limit_of_3_exactly_3_stay
    an_own_login_gets_the_answers_of_get_token
    a_rejected_own_login_is_reported_and_says_no_more_than_that
    a_login_may_ask_for_a_second_factor
    clients_of_drf_jwt_knox_get_the_body_they_read
}
