//! Sessions in cookies.

use jwt_knox::{Algorithm, KeyRing, KnoxBuilder, SessionLimit, SigningKey};
use jwt_knox_http::{Cookies, ProblemCode};
use jwt_knox_tests::{Call, World, forge};
use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_code, assert_invalid, assert_missing, assert_problem};

/// A world where browsers keep their session in a cookie.
pub(crate) fn with_cookies(fixture: &Fixture, core: impl FnOnce(KnoxBuilder) -> KnoxBuilder) -> Fixture {
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
    pub(crate) fn cookie(&self) -> String {
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

/// Not by HTTP Basic, which does not count here.
fn a_browser_is_told_what_to_log_in_with(fixture: &Fixture) {
    let fixture = with_cookies(fixture, |core| core);
    let login = || Call::post("/login").header("Sec-Fetch-Site", "same-origin");
    for (call, code, detail) in [
        (
            login().header("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA=="),
            ProblemCode::MissingCredentials,
            "No credentials were sent. Send a user name and a password as JSON.",
        ),
        (
            login().body(ALICE),
            ProblemCode::UnsupportedMediaType,
            "Log in with a JSON body and the header `Content-Type: application/json`.",
        ),
    ] {
        let reply = fixture.send(&call);
        assert_code(&reply, code);
        assert_eq!(reply.json()["detail"], detail);
    }
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
    // One login may be kept until the browser is closed, and the next for longer. A rotation changes nothing about
    // that.
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

contract! {
    a_browser_keeps_its_session_in_a_cookie
    a_browser_is_told_what_to_log_in_with
    pages_of_other_origins_change_nothing
    the_header_counts_and_the_cookie_beside_it_does_not
    a_login_with_a_cookie_ends_the_session_before
    an_own_login_sets_the_cookie_too
    a_token_that_fits_no_cookie_begins_no_session
    a_rotation_to_a_token_that_fits_no_cookie_changes_nothing
}
