//! What an application can set.

use jwt_knox::{KnoxBuilder, SessionLimit};
use jwt_knox_http::{Endpoint, KnoxHttpBuilder, ProblemCode};
use jwt_knox_tests::{Call, World, forge};
use serde_json::json;

use crate::fixture::{Fixture, assert_code, assert_invalid, assert_missing, assert_problem};

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

fn routes_can_be_left_out_and_moved(fixture: &Fixture) {
    let settings = |http: KnoxHttpBuilder| {
        http.without(Endpoint::LogoutAll)
            .without(Endpoint::Verify)
            .path(Endpoint::Logout, "/account/leave")
            .path(Endpoint::Sessions, "/devices")
            .path(Endpoint::Session, "/devices/{id}")
            .path(Endpoint::Jwks, "/keys.json")
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

contract! {
    debugging_is_off_until_it_is_switched_on
    realm_scheme_and_answer_are_open_to_change
    every_problem_has_its_code
    an_application_writes_its_own_problems
    routes_can_be_left_out_and_moved
    the_credential_may_come_in_another_header
}
