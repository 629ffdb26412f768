//! Verifying by keys first, and asking afterwards.

use jwt_knox::*;

use crate::{
    fixture::seconds,
    waiting::{done, key, verdict},
};

use super::{Reply, World, profile};

#[test]
fn with_keys_only_tokens_of_the_issuer_are_asked_about() {
    let world = World::new(5);
    let keys = world.issuer.ring.to_key_set();
    let introspector = Introspector::builder(world.issuer.clone()).max_age(seconds(5)).build();
    let verifier = Verifier::new(keys.clone(), profile()).with_introspector(introspector).clock(world.clock.clone());
    let says = |token: &str| verdict(&done(verifier.authenticate(token)));
    let token = world.issuer.token();
    let forger = Knox::builder(key("old")).profile(profile()).store(MemoryStore::new()).clock(world.clock.clone());
    let forged = done(forger.build().unwrap().issue(1)).unwrap();
    assert_eq!((says(forged.token.expose()), world.asked()), ("invalid_signature", 0));
    assert_eq!((says(&token), says(&token), world.asked()), ("valid", "valid", 1));
    assert!(done(verifier.authenticate(&token)).unwrap().active_at().is_some());
    // It has to be waited for.
    assert_eq!(verifier.verify(&token).unwrap_err(), Rejection::NotIntrospected);
    assert_eq!(world.verifier.verify(&token).unwrap_err(), Rejection::NotIntrospected);
    assert_eq!(verifier.verify(b"\xff").unwrap_err(), Rejection::NotIntrospected);
    let outcome = done(world.verifier.authenticate(b"\xff"));
    assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Malformed(_)))), "{outcome:?}");
    assert_eq!(world.asked(), 1, "what is no token is not asked about");
    // A key counts for as long as it is there, whatever is remembered.
    keys.update_from_jwks(&KeyRing::new(key("new")).jwks()).unwrap();
    assert_eq!((says(&token), world.asked()), ("unknown_key", 1));
}

/// The issuer ends what has no expiry, as where the store is asked.
#[test]
fn a_token_without_expiry_is_valid_while_it_is_active() {
    let world = World::new(0);
    let token = world.issuer.issue(NewSession::new(1).lifetime(Lifetime::never()));
    world.issuer.replies(Reply::Body(200, br#"{"active":true,"sub":"1"}"#.into()));
    world.clock.advance(seconds(1_000_000));
    assert_eq!(done(world.verifier.authenticate(&token)).unwrap().expires_at(), None);
    world.issuer.replies(Reply::Body(200, br#"{"active":false}"#.into()));
    assert_eq!(world.says(&token), "inactive");
}
