//! What is logged.

use std::{
    sync::{Arc, Mutex},
    task::Poll,
};

use jwt_knox::*;
use serde_json::json;

use crate::{
    log::warnings_of,
    waiting::{done, poll, verdict},
};

use super::{Reply, World, profile};

#[test]
fn a_failure_is_logged_once_however_many_requests_wait_for_it() {
    let world = World::new(5);
    let (token, other) = (world.issuer.token(), world.issuer.token());
    world.issuer.replies(Reply::Down);
    let endings: [fn(&World); 2] = [|world| world.issuer.hold(false), |world| _ = world.is_over.send_replace(true)];
    for ends in endings {
        world.issuer.hold(true);
        let mut requests: Vec<_> = (0..10).map(|_| world.authenticate(&token)).collect();
        requests.push(world.authenticate(&other));
        let log = warnings_of(|| {
            for request in &mut requests {
                assert!(poll(request).is_pending());
            }
            ends(&world);
            for request in &mut requests {
                assert_eq!(poll(request), Poll::Ready("cannot tell"));
            }
        });
        assert_eq!(log.lines().count(), 2, "{log}");
    }
}

#[test]
fn the_log_says_what_is_wrong_and_no_secret() {
    let world = World::new(0);
    let token = world.issuer.token();
    for (reply, message) in [
        (Reply::Down, "connection refused"),
        (
            Reply::Body(401, "my secret".into()),
            "the issuer answered 401: it rejected this service's client id and secret",
        ),
        (Reply::Body(302, "my secret".into()), "expected status 200, got 302"),
        (Reply::With(json!({"sub": "my secret"})), "the response is about another token: its `sub` differs"),
        (
            Reply::With(json!({"active": "my secret"})),
            "the response does not conform to RFC 7662: `active` is not a boolean",
        ),
    ] {
        world.issuer.replies(reply);
        let mut error = String::new();
        let log = warnings_of(|| error = format!("{:?}", done(world.verifier.authenticate(&token)).unwrap_err()));
        assert!(error.starts_with(&format!("no usable introspection response from the issuer: {message}")), "{error}");
        assert!(!error.contains("store"), "{error}");
        assert_eq!(log.lines().count(), 1, "{log}");
        for secret in token.split('.').chain(["my secret"]) {
            assert!(!log.contains(secret) && !error.contains(secret), "{log} {error}");
        }
    }
    world.issuer.replies(Reply::Truth);
    let shown = Arc::new(Mutex::new(String::new()));
    let told = shown.clone();
    let introspector = Introspector::builder(introspection_endpoint_fn(move |request: IntrospectionRequest| {
        *told.lock().unwrap() = format!("{request:?}");
        async { Ok(IntrospectionResponse::new(200, "my secret")) }
    }));
    let introspector = introspector.build();
    let verifier = Verifier::introspecting(introspector.clone(), profile()).clock(world.clock.clone());
    assert_eq!(verdict(&done(verifier.authenticate(&token))), "cannot tell");
    assert_eq!(*shown.lock().unwrap(), "IntrospectionRequest(redacted)");
    let reply = format!("{:?}", IntrospectionResponse::new(200, "my secret"));
    assert_eq!(reply, "IntrospectionResponse { status: 200, .. }");
    assert_eq!(format!("{introspector:?}"), "Introspector { max_age: 0ns, .. }");
    let valid = done(world.verifier.authenticate(&token)).unwrap();
    assert!(!format!("{valid:?} {verifier:?}").contains(token.rsplit('.').next().unwrap()));
}
