//! Which tokens are valid, and how they are sent.

use std::time::Duration;

use jwt_knox::{Algorithm, KeyRing, KeySet, Lifetime, SigningKey, TokenProfile, Verifier};
use jwt_knox_tests::{Call, World, forge, world::START};
use serde_json::json;

use crate::fixture::{Fixture, assert_invalid, assert_missing, assert_problem};

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

contract! {
    verifying_says_yes_to_get_head_and_post
    the_header_is_read_by_the_rules
    every_invalid_token_gets_the_same_answer
    a_token_lives_to_its_second
    a_changed_byte_anywhere_is_rejected
    no_forged_token_gets_in
    without_a_token_one_learns_of_no_method
    a_store_that_is_down_is_503_and_never_a_yes
    the_public_keys_are_for_everybody_and_follow_the_key_ring
}
