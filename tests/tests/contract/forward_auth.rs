//! A proxy that asks who sends a request.

use std::time::Duration;

use jwt_knox::{KnoxBuilder, Lifetime, Subject, SubjectStatus};
use jwt_knox_http::{Cookies, KnoxHttpBuilder, ProblemCode};
use jwt_knox_tests::{Call, Reply, World, forge, world::on_another_thread};

use crate::fixture::{Fixture, assert_code, assert_invalid, assert_missing};

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

contract! {
    a_proxy_learns_who_sends_a_request
    a_proxy_may_ask_for_scopes
    a_check_by_a_proxy_is_a_use
    a_proxy_has_to_say_that_a_request_with_a_cookie_changes_nothing
}
