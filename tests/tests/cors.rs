//! CORS as docs/browsers.md sets it up, over real sockets: what a page of another origin may send, and what it can
//! read.

// The guide shows its functions as `pub`.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "cors/on_actix.rs"]
mod on_actix;
#[path = "cors/on_axum.rs"]
mod on_axum;
#[path = "cors/on_rocket.rs"]
mod on_rocket;

use std::net::SocketAddr;

use jwt_knox_http::{Cookies, KnoxHttp};
use jwt_knox_tests::{Call, Framework, Reply, StoreKind, World, serve, server::Admin};

const FRAMEWORKS: [Framework; 3] = [Framework::Axum, Framework::Actix, Framework::Rocket];

/// The origin of the page that may use the API.
const PAGE: &str = "https://app.example.com";

/// Origins that may not. The second one is of the same site.
const FOREIGN: [&str; 5] = [
    "https://evil.example",
    "https://app.example.com.evil.example",
    "https://other.example.com",
    "http://app.example.com",
    "null",
];

/// The paths of the application's own API: a guard, a scope, a guard around a route, and one that changes something.
struct Api {
    world: World,
    address: SocketAddr,
    framework: Framework,
}

impl Api {
    fn start(framework: Framework) -> Self {
        let cookies = Cookies::new().allow_origin(PAGE);
        let world = World::with(StoreKind::Memory, |core| core, |http| http.cookies(cookies));
        let knox = world.knox.clone();
        let address = match framework {
            Framework::Axum => start_axum(knox),
            Framework::Actix => serve::actix(|listener| on_actix::server(actix_api, knox, listener)),
            Framework::Rocket => start_rocket(knox),
            Framework::Hyper => unreachable!("the guide has no CORS for it"),
        };
        Self { world, address, framework }
    }

    fn send(&self, call: &Call) -> Reply {
        call.send(self.address)
    }

    fn login(&self) -> String {
        self.send(&Call::login("alice", "wonderland")).token()
    }

    /// What the browser sends before a request that a page may not send unasked.
    fn preflight(&self, path: &str, method: &str, origin: &str) -> Reply {
        let call = Call::new("OPTIONS", path).header("Origin", origin).header("Sec-Fetch-Site", "same-site");
        let call = call.header("Access-Control-Request-Method", method);
        self.send(&call.header("Access-Control-Request-Headers", "authorization,content-type"))
    }

    /// Asserts that the page can read all of the answer, and that a cache keeps it for this origin only.
    fn assert_readable(&self, reply: &Reply, status: u16) {
        let framework = self.framework;
        assert_eq!(reply.status, status, "{framework:?}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE), "{framework:?}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-credentials"), Some("true"), "{framework:?}");
        assert_eq!(words(reply, "access-control-expose-headers"), ["retry-after", "www-authenticate"]);
        assert!(words(reply, "vary").contains(&"origin".to_owned()), "{framework:?}: {reply:?}");
    }

    /// Asserts that no page can read the answer.
    fn assert_unreadable(&self, reply: &Reply) {
        let framework = self.framework;
        assert_eq!(reply.header("access-control-allow-origin"), None, "{framework:?}: {reply:?}");
        assert!(words(reply, "vary").contains(&"origin".to_owned()), "{framework:?}: {reply:?}");
    }
}

/// The words of a header that is a list, sorted and in lower case.
fn words(reply: &Reply, name: &str) -> Vec<String> {
    let values = reply.headers.iter().filter(|(found, _)| found == name);
    let mut words: Vec<String> =
        values.flat_map(|(_, value)| value.split(',')).map(|word| word.trim().to_ascii_lowercase()).collect();
    words.sort();
    words
}

fn start_axum(knox: KnoxHttp) -> SocketAddr {
    use axum::{
        Router,
        routing::{get, post},
    };
    use jwt_knox_axum::{KnoxAuth, RequireAuth, ScopedAuth};

    let guarded = Router::new().route("/guarded", get(|| async { "guarded" }));
    let api = Router::new()
        .route("/me", get(|_: KnoxAuth| async { "me" }))
        .route("/change", post(|_: KnoxAuth| async { "changed" }))
        .route("/admin", get(|_: ScopedAuth<Admin>| async { "admin" }))
        .merge(guarded.route_layer(RequireAuth::new(knox.clone())));
    serve::axum(on_axum::app(api, knox))
}

fn actix_api(config: &mut actix_web::web::ServiceConfig, knox: &KnoxHttp) {
    use actix_web::web::{get, post, resource};
    use jwt_knox_actix::{KnoxAuth, RequireAuth, ScopedAuth};

    let guarded = resource("/guarded").route(get().to(|| async { "guarded" }));
    config
        .route("/me", get().to(|_: KnoxAuth| async { "me" }))
        .route("/change", post().to(|_: KnoxAuth| async { "changed" }))
        .route("/admin", get().to(|_: ScopedAuth<Admin>| async { "admin" }))
        .service(guarded.wrap(RequireAuth::new(knox.clone())));
}

fn start_rocket(knox: KnoxHttp) -> SocketAddr {
    use jwt_knox_rocket::{KnoxAuth, RequireAuth, ScopedAuth};
    use rocket::{get, post, routes};

    #[get("/me")]
    fn me(_auth: KnoxAuth) -> &'static str {
        "me"
    }
    #[post("/change")]
    fn change(_auth: KnoxAuth) -> &'static str {
        "changed"
    }
    #[get("/admin")]
    fn admin(_auth: ScopedAuth<Admin>) -> &'static str {
        "admin"
    }
    #[get("/guarded")]
    fn guarded() -> &'static str {
        "guarded"
    }
    /// `None` for every error, which only the fairing of the library turns into a rejection.
    #[get("/swallow")]
    fn swallow(_auth: Option<KnoxAuth>) -> &'static str {
        "in"
    }

    serve::rocket(move |rocket| {
        let guarded = RequireAuth::new(knox.clone()).protect(routes![guarded]);
        on_rocket::app(rocket.mount("/", routes![me, change, admin, swallow]).mount("/", guarded), knox)
    })
}

#[test]
fn a_preflight_needs_no_token() {
    for api in FRAMEWORKS.map(Api::start) {
        let calls = [("/me", "GET"), ("/change", "POST"), ("/guarded", "GET"), ("/admin", "GET"), ("/login", "POST")];
        let built_in = [("/verify", "GET"), ("/logout", "POST"), ("/rotate", "POST"), ("/sessions/0", "DELETE")];
        for (path, method) in calls.into_iter().chain(built_in).chain([("/sessions/0", "PATCH")]) {
            let reply = api.preflight(path, method, PAGE);
            assert!([200, 204].contains(&reply.status), "{:?} {path}: {reply:?}", api.framework);
            assert!(reply.body.is_empty(), "{reply:?}");
            assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
            assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
            assert_eq!(words(&reply, "access-control-allow-headers"), ["authorization", "content-type"]);
            assert_eq!(words(&reply, "access-control-allow-methods"), ["delete", "get", "patch", "post"]);
            assert_eq!(reply.header("access-control-max-age"), Some("3600"));
            assert_eq!(reply.header("www-authenticate"), None);
            assert!(words(&reply, "vary").contains(&"origin".to_owned()), "{reply:?}");
        }
    }
}

#[test]
fn a_preflight_of_another_origin_allows_nothing() {
    for api in FRAMEWORKS.map(Api::start) {
        for origin in FOREIGN {
            for path in ["/me", "/change", "/guarded", "/verify"] {
                let reply = api.preflight(path, "POST", origin);
                assert_eq!(reply.header("access-control-allow-origin"), None, "{:?} {reply:?}", api.framework);
            }
        }
    }
}

/// An OPTIONS request that is no preflight is a request like any other.
#[test]
fn options_without_a_preflight_needs_a_token() {
    for api in FRAMEWORKS.map(Api::start) {
        let reply = api.send(&Call::new("OPTIONS", "/verify").header("Origin", PAGE));
        // The layer for Axum answers every OPTIONS. It reaches no route either.
        let expected = if api.framework == Framework::Axum { 200 } else { 401 };
        assert_eq!(reply.status, expected, "{:?}: {reply:?}", api.framework);
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
    }
}

#[test]
fn a_page_can_read_every_answer_to_a_token_in_the_header() {
    for api in FRAMEWORKS.map(Api::start) {
        let token = api.login();
        let ask = |path: &str| Call::get(path).header("Origin", PAGE);
        for path in ["/me", "/guarded", "/sessions"] {
            api.assert_readable(&api.send(&ask(path).bearer(&token)), 200);
            api.assert_readable(&api.send(&ask(path)), 401);
            let invalid = api.send(&ask(path).bearer("a.b.c"));
            api.assert_readable(&invalid, 401);
            assert_eq!(invalid.header("www-authenticate"), Some(r#"Bearer realm="api", error="invalid_token""#));
        }
        api.assert_readable(&api.send(&Call::login("alice", "wonderland").header("Origin", PAGE)), 200);
        api.assert_readable(&api.send(&Call::login("alice", "looking-glass").header("Origin", PAGE)), 401);
        api.assert_readable(&api.send(&ask("/verify").bearer(&token)), 204);
        api.assert_readable(&api.send(&ask("/logout").bearer(&token)), 405);
        api.assert_readable(&api.send(&ask("/nothing").bearer(&token)), 404);
        let scoped = api.send(&Call::login("carol", "singer")).token();
        let forbidden = api.send(&ask("/admin").bearer(&scoped));
        api.assert_readable(&forbidden, 403);
        assert_eq!(forbidden.json()["code"], "insufficient_scope");
        api.world.store.set_down(true);
        for path in ["/me", "/guarded", "/sessions"] {
            let unavailable = api.send(&ask(path).bearer(&token));
            api.assert_readable(&unavailable, 503);
            assert_eq!(unavailable.header("retry-after"), Some("5"));
        }
    }
}

#[test]
fn a_page_of_another_origin_can_read_nothing() {
    for api in FRAMEWORKS.map(Api::start) {
        let token = api.login();
        for origin in FOREIGN {
            for path in ["/me", "/guarded", "/sessions"] {
                api.assert_unreadable(&api.send(&Call::get(path).header("Origin", origin).bearer(&token)));
                api.assert_unreadable(&api.send(&Call::get(path).header("Origin", origin)));
            }
        }
        // A program has no origin, and needs none.
        let program = api.send(&Call::get("/me").bearer(&token));
        assert_eq!(program.status, 200);
        api.assert_unreadable(&program);
    }
}

#[test]
fn a_cookie_changes_something_for_the_page_only() {
    for api in FRAMEWORKS.map(Api::start) {
        let token = api.login();
        let send = |call: Call, origin: &str, site: &str| {
            let call = call.header("Cookie", format!("__Host-session={token}"));
            api.send(&call.header("Origin", origin).header("Sec-Fetch-Site", site))
        };
        let of_page = |call| send(call, PAGE, "same-site");
        api.assert_readable(&of_page(Call::get("/me")), 200);
        api.assert_readable(&of_page(Call::post("/change")), 200);
        for origin in FOREIGN {
            for call in [Call::post("/change"), Call::post("/logout")] {
                let reply = send(call, origin, "same-site");
                assert_eq!(reply.status, 403, "{:?} {origin}: {reply:?}", api.framework);
                assert_eq!(reply.json()["code"], "cross_origin");
                api.assert_unreadable(&reply);
            }
        }
        let rotated = of_page(Call::post("/rotate"));
        api.assert_readable(&rotated, 200);
        assert!(rotated.cookie().is_some(), "{rotated:?}");
        let ended = of_page(Call::post("/logout"));
        api.assert_readable(&ended, 204);
        api.assert_readable(&of_page(Call::get("/me")), 401);
    }
}

#[test]
fn a_page_logs_in_with_a_cookie() {
    for api in FRAMEWORKS.map(Api::start) {
        let login = |origin: &str| {
            let call = Call::post("/login").json(r#"{"username": "alice", "password": "wonderland"}"#);
            api.send(&call.header("Origin", origin).header("Sec-Fetch-Site", "same-site"))
        };
        let reply = login(PAGE);
        api.assert_readable(&reply, 200);
        assert!(reply.cookie().is_some(), "{reply:?}");
        for origin in FOREIGN {
            let reply = login(origin);
            assert_eq!((reply.status, reply.cookie()), (403, None), "{:?}", api.framework);
            api.assert_unreadable(&reply);
        }
    }
}

/// What the library's fairing puts in place of an answer has the headers too, since the fairing for CORS comes after
/// it.
#[test]
fn a_rejection_that_replaces_an_answer_is_readable() {
    let api = Api::start(Framework::Rocket);
    api.assert_readable(&api.send(&Call::get("/swallow").header("Origin", PAGE).bearer("a.b.c")), 401);
}
