//! What frameworks do by themselves, pinned: the traps that the adapters guard against, and the differences that they
//! cannot mend, which `docs/choosing-an-adapter.md` lists.

#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use jwt_knox_http::VerifierHttp;
use jwt_knox_tests::{Call, Framework, Server, StoreKind, VerifyingServer, World, serve};

fn start(framework: Framework) -> (World, Server) {
    let world = World::new(StoreKind::Memory);
    let server = Server::start(framework, world.knox.clone());
    (world, server)
}

/// `Option<KnoxAuth>` of Actix Web takes a revoked token, and a dead store, for a stranger. So does Rocket's, but there
/// the fairing does not let the answer out. `MaybeAuth` does not.
#[test]
fn the_frameworks_own_option_swallows_every_error() {
    for framework in [Framework::Actix, Framework::Rocket] {
        let (world, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let ask = |path: &str| Call::get(path).bearer(&token).send(server.address);
        let check = |status: u16| {
            let reply = ask("/swallow");
            if framework == Framework::Rocket {
                assert_eq!(reply.contract(), ask("/me").contract(), "as if it had not run");
                assert_eq!(reply.status, status);
            } else {
                assert_eq!((reply.status, reply.body.as_str()), (200, "nobody"));
            }
            assert_eq!(ask("/maybe").status, status, "{framework:?}");
        };
        assert!(ask("/swallow").body.starts_with("alice "));
        assert_eq!(Call::get("/swallow").send(server.address).body, "nobody", "without a token it is one");
        world.store.set_down(true);
        check(503);
        world.store.set_down(false);
        Call::post("/logout").bearer(&token).send(server.address);
        check(401);
    }
}

/// The same where there is no store.
#[test]
fn the_frameworks_own_option_of_a_verified_token_swallows_errors_too() {
    let world = World::new(StoreKind::Memory);
    let verifier = || VerifierHttp::builder(world.knox.verifier()).build().unwrap();
    for framework in [Framework::Actix, Framework::Rocket] {
        let server = VerifyingServer::start(framework, verifier());
        let ask = |path: &str| Call::get(path).bearer("a.b.c").send(server.address);
        let reply = ask("/swallow");
        if framework == Framework::Rocket {
            assert_eq!((reply.status, reply.contract()), (401, ask("/me").contract()), "as if it had not run");
        } else {
            assert_eq!((reply.status, reply.body.as_str()), (200, "nobody"));
        }
        assert_eq!(ask("/maybe").status, 401, "{framework:?}");
        assert_eq!(Call::get("/swallow").send(server.address).body, "nobody");
    }
}

#[test]
fn actix_without_a_handle_answers_a_clear_500() {
    use actix_web::{App, HttpServer, web};
    use jwt_knox_actix::{KnoxAuth, MaybeAuth, MaybeToken, ScopedAuth, ScopedToken, TokenClaims, VerifiedToken};
    use jwt_knox_tests::server::Admin;

    let app = || {
        App::new()
            .route("/me", web::get().to(|_: KnoxAuth| async { "in" }))
            .route("/maybe", web::get().to(|_: MaybeAuth| async { "in" }))
            .route("/admin", web::get().to(|_: ScopedAuth<Admin>| async { "in" }))
            .route("/token", web::get().to(|_: VerifiedToken| async { "in" }))
            .route("/maybe_token", web::get().to(|_: MaybeToken| async { "in" }))
            .route("/scoped_token", web::get().to(|_: ScopedToken<Admin>| async { "in" }))
            .route("/claims", web::get().to(|_: TokenClaims<()>| async { "in" }))
    };
    let address =
        serve::actix(move |listener| Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run()));
    for path in ["/me", "/maybe", "/admin", "/token", "/maybe_token", "/scoped_token", "/claims"] {
        let reply = Call::get(path).bearer("a.b.c").send(address);
        assert_eq!(reply.status, 500);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert!(reply.body.contains("Authentication is not configured on this server."), "{reply:?}");
    }
}

#[test]
fn rocket_without_a_handle_does_not_ignite() {
    use jwt_knox_rocket::{KnoxAuth, MaybeAuth, MaybeToken, ScopedAuth, ScopedToken, TokenClaims, VerifiedToken};
    use jwt_knox_tests::server::Admin;
    use rocket::{Config, config::LogLevel, get, routes};

    #[get("/")]
    fn me(_auth: KnoxAuth) {}
    #[get("/")]
    fn maybe(_auth: MaybeAuth) {}
    #[get("/")]
    fn admin(_auth: ScopedAuth<Admin>) {}
    #[get("/")]
    fn token(_token: VerifiedToken) {}
    #[get("/")]
    fn maybe_token(_token: MaybeToken) {}
    #[get("/")]
    fn scoped_token(_token: ScopedToken<Admin>) {}
    #[get("/")]
    fn claims(_claims: TokenClaims<()>) {}

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tokens = [routes![token], routes![maybe_token], routes![scoped_token], routes![claims]];
    for routes in [routes![me], routes![maybe], routes![admin]].into_iter().chain(tokens) {
        let config = Config { log_level: LogLevel::Off, ..Config::debug_default() };
        let error = runtime.block_on(rocket::custom(config).mount("/", routes).ignite()).unwrap_err();
        assert!(matches!(error.kind(), rocket::error::ErrorKind::SentinelAborts(_)), "{error}");
    }
}

/// Starts a Rocket with these routes and the fairing, and says where it listens.
fn start_rocket(handle: impl jwt_knox_http::Handle, routes: Vec<rocket::Route>) -> std::net::SocketAddr {
    serve::rocket(|rocket| rocket.attach(jwt_knox_rocket::fairing(handle)).mount("/", routes))
}

/// A handler that returns a bare 401 gets an answer of the contract's form from the catchers, and not another guard's.
#[test]
fn rockets_catchers_answer_for_bare_statuses_too() {
    use rocket::{get, http::Status, routes};

    #[get("/<status>")]
    fn bare(status: u16) -> Status {
        Status::new(status)
    }

    let knox = World::new(StoreKind::Memory).knox;
    let verifier = VerifierHttp::builder(knox.verifier()).build().unwrap();
    for address in [start_rocket(knox, routes![bare]), start_rocket(verifier, routes![bare])] {
        for (status, challenge) in [(401, Some(r#"Bearer realm="api""#)), (403, None), (503, None)] {
            let reply = Call::get(&format!("/{status}")).send(address);
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
            assert_eq!(reply.header("www-authenticate"), challenge);
        }
    }
}

/// A guard that forwarded would hand the request to the next route of the same path, which may have no guard.
#[test]
fn rocket_lets_no_redirect_out_where_a_rejection_was_swallowed() {
    use jwt_knox_rocket::KnoxAuth;
    use rocket::{get, response::Redirect, routes};

    #[get("/")]
    fn onwards(_auth: Option<KnoxAuth>) -> Redirect {
        Redirect::to("/elsewhere")
    }

    let address = start_rocket(World::new(StoreKind::Memory).knox, routes![onwards]);
    assert_eq!(Call::get("/").send(address).status, 303);
    let reply = Call::get("/").bearer("a.b.c").send(address);
    assert_eq!((reply.status, reply.header("location")), (401, None));
}

#[test]
fn a_rocket_guard_that_fails_does_not_forward() {
    use jwt_knox_rocket::{KnoxAuth, MaybeAuth};
    use rocket::{get, routes};

    #[get("/", rank = 1)]
    fn private(_auth: KnoxAuth) -> &'static str {
        "private"
    }
    #[get("/", rank = 2)]
    fn public() -> &'static str {
        "public"
    }
    #[get("/maybe", rank = 1)]
    fn maybe(_auth: MaybeAuth) -> &'static str {
        "maybe"
    }
    #[get("/maybe", rank = 2)]
    fn open() -> &'static str {
        "open"
    }

    let address = start_rocket(World::new(StoreKind::Memory).knox, routes![private, public, maybe, open]);
    assert_eq!(Call::get("/").send(address).status, 401);
    assert_eq!(Call::get("/").bearer("a.b.c").send(address).status, 401);
    assert_eq!(Call::get("/maybe").bearer("a.b.c").send(address).status, 401);
    assert_eq!(Call::get("/maybe").send(address).body, "maybe");
}

/// One guard has rejected the credential that it reads, and the next one finds none where it looks.
#[test]
fn a_second_option_on_rocket_does_not_hide_what_the_first_one_has_swallowed() {
    use jwt_knox_rocket::{KnoxAuth, VerifiedToken, fairing};
    use rocket::{get, routes};

    #[get("/")]
    fn both(auth: Option<KnoxAuth>, token: Option<VerifiedToken>) -> &'static str {
        if auth.is_none() && token.is_none() { "nobody" } else { "somebody" }
    }

    let world = World::with(StoreKind::Memory, |core| core, |http| http.header("X-Auth-Token"));
    let verifier = VerifierHttp::builder(world.knox.verifier()).build().unwrap();
    let address =
        serve::rocket(move |rocket| rocket.attach(fairing(world.knox)).manage(verifier).mount("/", routes![both]));
    assert_eq!(Call::get("/").send(address).body, "nobody");
    let reply = Call::get("/").header("X-Auth-Token", "Bearer a.b.c").send(address);
    assert_eq!((reply.status, &reply.json()["code"]), (401, &"invalid_token".into()));
    assert_eq!(Call::get("/").bearer("a.b.c").send(address).status, 401);
}

/// A ready route behind a guard goes by what the guard has found.
#[test]
fn a_ready_route_behind_a_rocket_guard_verifies_once() {
    use jwt_knox_rocket::{RequireAuth, routes};

    let world = World::new(StoreKind::Memory);
    let guard = RequireAuth::new(world.knox.clone());
    let open = start_rocket(world.knox.clone(), routes(world.knox.clone()));
    let guarded = start_rocket(world.knox.clone(), guard.protect(routes(world.knox.clone())));
    let token = Call::login("alice", "wonderland").send(open).token();
    world.store.take_finds();
    assert_eq!(Call::get("/verify").bearer(&token).send(guarded).status, 204);
    assert_eq!(world.store.take_finds(), 1);
}

/// Rocket drops header values that are not UTF-8 before an adapter sees them, so it does not notice a second one.
#[test]
fn rocket_does_not_see_a_header_that_is_not_utf_8() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let reply = Call::get("/verify").bearer(&token).header("Authorization", b"\xff").send(server.address);
        assert_eq!(reply.status, if framework == Framework::Rocket { 204 } else { 401 }, "{framework:?}");
        let alone = |path| Call::get(path).header("Authorization", b"Bearer \xff").send(server.address).status;
        assert_eq!(alone("/verify"), 401, "{framework:?}");
        assert_eq!(alone("/maybe"), if framework == Framework::Rocket { 200 } else { 401 }, "{framework:?}");
    }
}

/// Rocket takes the method of a form from its body.
#[test]
fn rocket_rewrites_the_method_of_a_form() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let form = Call::post("/verify")
            .bearer(&token)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("_method=delete");
        assert_eq!(
            form.undescribed().send(server.address).status,
            if framework == Framework::Rocket { 405 } else { 204 }
        );
    }
}

/// A method that Rocket does not know never reaches a route; nowhere does it get in.
#[test]
fn an_unknown_method_gets_nowhere() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let reply = Call::new("BREW", "/verify").bearer(&token).undescribed().send(server.address);
        assert_eq!(reply.status, if framework == Framework::Rocket { 400 } else { 405 }, "{framework:?}");
    }
}

/// Routes outside the contract answer as the framework does; a wrong method there is its affair.
#[test]
fn other_paths_are_the_frameworks_own() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        assert_eq!(Call::get("/nothing").send(server.address).status, 404, "{framework:?}");
        let expected = match framework {
            Framework::Axum | Framework::Hyper => 405,
            Framework::Actix => 404,
            Framework::Rocket => 404,
        };
        if framework != Framework::Hyper {
            assert_eq!(Call::post("/me").send(server.address).status, expected, "{framework:?}");
        }
        // HEAD is answered by a GET handler in Axum and Rocket, and not in Actix Web.
        let head = Call::new("HEAD", "/me").send(server.address);
        assert_eq!(head.status, if framework == Framework::Actix { 404 } else { 401 }, "{framework:?}");
        assert!(head.body.is_empty());
    }
}

/// Actix Web and Rocket decode a path before they look for a route. The checks behind it are the same.
#[test]
fn a_percent_encoded_path_is_decoded_by_some() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let decodes = matches!(framework, Framework::Actix | Framework::Rocket);
        let call = Call::get("/%76erify");
        assert_eq!(call.send(server.address).status, if decodes { 401 } else { 404 }, "{framework:?}");
        assert_eq!(call.bearer(&token).send(server.address).status, if decodes { 204 } else { 404 }, "{framework:?}");
        assert_eq!(Call::get("//verify").bearer(&token).send(server.address).status, 404, "{framework:?}");
    }
}

/// The answer to HEAD has the length that the answer to GET would have; for a 204 only Axum names it.
#[test]
fn head_on_a_204_names_its_length_on_axum() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let token = Call::login("alice", "wonderland").send(server.address).token();
        let reply = Call::new("HEAD", "/verify").bearer(&token).send(server.address);
        let expected = (framework == Framework::Axum).then_some("0");
        assert_eq!((reply.status, reply.header("content-length")), (204, expected), "{framework:?}");
    }
}

/// A login by Basic does not wait for the end of a body that never comes, and a client that goes away does no harm.
///
/// Some bytes of the body are sent, since Rocket waits for the first bytes of every body before it asks any guard.
#[test]
fn nobody_waits_for_a_body_that_is_not_needed() {
    for framework in Framework::ALL {
        let (_, server) = start(framework);
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let start = "POST /get_token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6d29uZGVybGFuZA==\r\n\
                     Content-Length: 1000\r\n\r\nthe first bytes of the body";
        stream.write_all(start.as_bytes()).unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK", "{framework:?}");
        drop(stream);
        assert_eq!(Call::get("/verify").send(server.address).status, 401);
    }
}

/// Guards and handlers must be able to cross threads where the framework moves them.
#[test]
fn futures_are_send_where_they_must_be() {
    use axum::extract::FromRequestParts;
    use jwt_knox_http::{Endpoint, KnoxHttp, Request};

    fn is_send<T: Send>(_: &T) {}
    fn check(knox: KnoxHttp, request: &Request<'_>) {
        is_send(&knox.authenticate(request));
        is_send(&knox.respond(Endpoint::Verify, request));
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        is_send(&jwt_knox_axum::KnoxAuth::from_request_parts(&mut parts, &knox));
        is_send(&example_adapter_hyper::authenticate(&mut parts, &knox));
        let verifier = VerifierHttp::builder(knox.verifier()).build().unwrap();
        is_send(&verifier.authenticate(request));
        is_send(&jwt_knox_axum::VerifiedToken::from_request_parts(&mut parts, &verifier));
    }
    let world = World::new(StoreKind::Memory);
    check(world.knox.clone(), &world.knox.request("GET", "/", |_| None));
}
