//! The questions of services: introspection (RFC 7662) and revocation (RFC 7009).

use std::time::Duration;

use jwt_knox::{
    Algorithm, KeyRing, KnoxBuilder, Lifetime, NewSession, SigningKey, Subject, SubjectStatus, TokenProfile,
};
use jwt_knox_http::{Cookies, Endpoint, KnoxHttpBuilder, OAuthClient, OAuthClientSecret, ProblemCode};
use jwt_knox_tests::{
    Call, Reply, World, forge,
    world::{START, on_another_thread},
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, assert_code, assert_invalid};

/// The service that may ask about tokens, and its secret.
pub(crate) struct Service {
    pub(crate) fixture: Fixture,
    pub(crate) secret: String,
}

impl Service {
    /// A world with those settings, and with that service.
    pub(crate) fn with(
        fixture: &Fixture,
        core: impl FnOnce(KnoxBuilder) -> KnoxBuilder,
        http: impl FnOnce(KnoxHttpBuilder) -> KnoxHttpBuilder,
    ) -> Self {
        let secret = OAuthClientSecret::generate().unwrap();
        let client = OAuthClient::new("https://orders.example/", &secret.hash()).unwrap();
        let world = World::with(fixture.kind, core, |builder| http(builder).oauth_clients([client]));
        Self { fixture: fixture.with(world), secret: secret.expose().to_owned() }
    }

    pub(crate) fn new(fixture: &Fixture) -> Self {
        Self::with(fixture, |core| core, |http| http)
    }

    /// A request of the service, with that form.
    pub(crate) fn form(&self, path: &str, form: impl AsRef<[u8]>) -> Call {
        form_of(Call::basic(path, "https%3A%2F%2Forders.example%2F", &self.secret), form)
    }

    /// What the service is told of a token.
    pub(crate) fn introspect(&self, token: &str) -> Value {
        let reply = self.fixture.send(&self.form("/introspect", format!("token={token}")));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply.json()
    }

    /// Nothing more is told of a token that is not active.
    pub(crate) fn assert_inactive(&self, token: &str) {
        let reply = self.fixture.send(&self.form("/introspect", format!("token={token}")));
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"active":false}"#), "{token:?}");
    }

    /// The session is said to have ended, whether there was one or not.
    pub(crate) fn revoke(&self, token: &str) {
        let reply = self.fixture.send(&self.form("/revoke", format!("token={token}")));
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("content-type"), None);
    }
}

pub(crate) fn form_of(call: Call, form: impl AsRef<[u8]>) -> Call {
    call.header("Content-Type", "application/x-www-form-urlencoded").body(form)
}

/// A problem in the words of RFC 6749 §5.2 as well.
fn assert_oauth(reply: &Reply, code: ProblemCode) {
    assert_code(reply, code);
    assert_eq!(reply.json()["error"], code.as_str(), "{reply:?}");
    let challenge = (code == ProblemCode::InvalidClient).then_some(r#"Basic realm="api", charset="UTF-8""#);
    assert_eq!(reply.header("www-authenticate"), challenge);
}

const QUESTIONS: [&str; 2] = ["/introspect", "/revoke"];

fn services_ask_about_tokens_only_where_that_is_switched_on(fixture: &Fixture) {
    for path in QUESTIONS {
        assert_eq!(fixture.status(&form_of(Call::post(path), "token=a.b.c")), 404, "{path}");
    }
    let service =
        Service::with(fixture, |core| core, |http| http.without(Endpoint::Revoke).path(Endpoint::Introspect, "/ask"));
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

pub(crate) fn basic(username: &str, password: &str) -> String {
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
    let secret = OAuthClientSecret::generate().unwrap();
    let clients = [OAuthClient::new("https://orders.example/", &secret.hash()).unwrap()];
    let world = World::with_keys(fixture.kind, ring.clone(), |core| core, |http| http.oauth_clients(clients));
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

contract! {
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
