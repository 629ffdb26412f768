//! The list of sessions, and the ways to end them.

use jwt_knox::SubjectStatus;
use jwt_knox_http::{KnoxHttpBuilder, ProblemCode};
use jwt_knox_tests::{Call, World, forge};
use serde_json::{Value, json};

use crate::{
    cookies::with_cookies,
    fixture::{Fixture, assert_code, assert_invalid, assert_missing, assert_problem},
};

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

contract! {
    logging_out_ends_this_session_and_no_other
    logging_out_the_others_keeps_this_session
    logging_out_everywhere_ends_all_of_the_user
    the_list_of_sessions_is_ones_own
    a_session_can_be_given_a_name
    the_use_of_a_session_shows_in_the_list
    a_narrow_token_is_confined
    an_inactive_or_removed_user_is_out_at_once
    an_inactive_user_can_log_out
}
