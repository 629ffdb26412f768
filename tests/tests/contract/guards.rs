//! Guards of the application's own routes.

use std::time::Duration;

use jwt_knox::{Lifetime, NewSession, SessionLimit, Subject};
use jwt_knox_tests::{Call, World, forge, world::on_another_thread};
use serde_json::json;

use crate::fixture::{Fixture, assert_invalid, assert_missing, assert_problem};

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

fn some_routes_need_a_recent_login(fixture: &Fixture) {
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

contract! {
    handlers_and_guards_reject_requests_without_a_token
    optional_authentication_fails_closed
    a_missing_scope_is_403
    some_routes_need_a_recent_login
    a_poll_is_no_use
    a_question_mark_in_a_handler_gives_the_answers_of_the_contract
    a_request_is_verified_once
}
