//! A service without the store and without keys, which asks the issuer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jwt_knox::{
    IntrospectionEndpoint, IntrospectionResponse, Introspector, IntrospectorBuilder, StoreError, SubjectStatus,
    TokenProfile, Verifier, introspection_endpoint_fn,
};
use jwt_knox_http::{Cookies, ProblemCode, VerifierHttp, VerifierHttpBuilder};
use jwt_knox_tests::{Call, Reply, VerifyingServer};
use tokio::task::spawn_blocking;

use crate::{
    fixture::{Fixture, assert_code, assert_invalid, assert_missing},
    introspection::{Service, form_of},
    without_store::{GUARDED, assert_alike, assert_same_answers},
};

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

contract! {
    asking_the_issuer_gives_the_same_answers_as_the_store
    asking_the_issuer_the_end_of_a_session_counts
    asking_the_issuer_a_request_asks_once
    asking_the_issuer_that_cannot_tell_is_503_and_never_a_yes
    asking_the_issuer_the_settings_are_the_same
}
