//! How long an answer is remembered.

use std::task::Poll;

use jwt_knox::*;
use serde_json::{Value, json};

use crate::{
    fixture::{START, at, seconds},
    waiting::{done, poll, verdict},
};

use super::{Reply, World, profile};

#[test]
fn an_active_token_is_what_it_says_and_when_it_was_active() {
    let world = World::new(0);
    let new = NewSession::new(7).scopes(["read"]).unwrap().claims(&json!({"role": "editor"})).unwrap();
    let jwt = world.issuer.issue(new);
    world.clock.advance(seconds(10));
    let token = done(world.verifier.authenticate(&jwt)).unwrap();
    let auth = done(world.issuer.knox.authenticate(&jwt)).unwrap();
    assert_eq!(token.session_ref(), auth.session_ref());
    assert_eq!((token.active_at(), token.expires_at()), (Some(at(START + 10)), Some(at(START + 3600))));
    assert!(token.has_scope("read") && token.require_scope("write").is_err());
    let claims: Value = token.claims().unwrap();
    assert_eq!((&claims["role"], &claims["jti"]), (&json!("editor"), &Value::Null));
    // By keys alone, nobody says that it is active.
    let keys = Verifier::new(world.issuer.ring.to_key_set(), profile()).clock(world.clock.clone());
    assert_eq!(keys.verify(&jwt).unwrap().active_at(), None);
}

#[test]
fn without_a_max_age_each_request_asks_and_a_logout_counts_at_once() {
    let world = World::new(0);
    let token = world.issuer.token();
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 2));
    world.issuer.log_out(&token);
    assert_eq!((world.says(&token), world.asked()), ("inactive", 3));
}

#[test]
fn with_a_max_age_a_logout_counts_when_it_is_over_and_not_later() {
    let world = World::new(5);
    let (token, other) = (world.issuer.token(), world.issuer.token());
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.issuer.log_out(&token);
    world.clock.set(at(START + 4));
    assert_eq!((world.says(&token), world.asked()), ("valid", 1));
    assert_eq!((world.says(&other), world.asked()), ("valid", 2));
    world.clock.set(at(START + 5));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("inactive", "inactive", 4));
    assert_eq!((world.says(&other), world.asked()), ("valid", 4));
    // A clock that was set back says nothing of how old an answer is.
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&other), world.asked()), ("valid", 5));
}

#[test]
fn an_answer_from_a_clock_that_was_ahead_does_not_count_again() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.clock.set(at(START + 600));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.issuer.replies(Reply::Down);
    world.clock.set(at(START));
    assert_eq!(world.says(&token), "cannot tell");
    world.clock.set(at(START + 600));
    assert_eq!((world.says(&token), world.asked()), ("cannot tell", 3));
    // Nor one that was too old.
    world.issuer.replies(Reply::Truth);
    assert_eq!(world.says(&token), "valid");
    world.issuer.replies(Reply::Down);
    world.clock.set(at(START + 605));
    assert_eq!(world.says(&token), "cannot tell");
    world.clock.set(at(START + 601));
    assert_eq!(world.says(&token), "cannot tell");
}

/// It counts from before the question, since the session may end while the answer is on its way.
#[test]
fn the_time_that_an_answer_takes_counts() {
    let world = World::new(5);
    let token = world.issuer.token();
    world.issuer.hold(true);
    let mut request = world.authenticate(&token);
    assert!(poll(&mut request).is_pending());
    world.issuer.log_out(&token);
    world.clock.advance(seconds(4));
    world.issuer.hold(false);
    assert_eq!((poll(&mut request), world.says(&token)), (Poll::Ready("valid"), "valid"));
    world.clock.advance(seconds(1));
    assert_eq!((world.says(&token), world.asked()), ("inactive", 2));
}

#[test]
fn no_answer_is_used_after_its_expiry() {
    let world = World::new(1000);
    let token = world.issuer.token();
    // The session has an idle timeout.
    world.issuer.replies(Reply::With(json!({"exp": START + 3})));
    world.clock.set(at(START + 2));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&token), world.asked()), ("expired", 2));
    // It was used elsewhere.
    world.issuer.replies(Reply::With(json!({"exp": START + 9})));
    assert_eq!((world.says(&token), world.asked()), ("valid", 3));
    // Nor after that of the token.
    world.issuer.replies(Reply::With(json!({"exp": START + 9000})));
    world.clock.set(at(START + 3600));
    assert_eq!((world.says(&token), world.asked()), ("expired", 3));
}

#[test]
fn the_earlier_expiry_counts_that_of_the_token_or_that_of_the_answer() {
    let world = World::new(0);
    let token = world.issuer.token();
    let expiry = || done(world.verifier.authenticate(&token)).unwrap().expires_at();
    for (exp, expected) in [(json!(START + 9), 9), (json!(START + 9000), 3600), (Value::Null, 3600)] {
        world.issuer.replies(Reply::With(json!({"exp": exp})));
        assert_eq!(expiry(), Some(at(START + expected)));
    }
    let endless = world.issuer.issue(NewSession::new(1).lifetime(Lifetime::never()));
    world.issuer.replies(Reply::Body(200, format!(r#"{{"active":true,"sub":"1","exp":{}}}"#, START + 9).into()));
    assert_eq!(done(world.verifier.authenticate(&endless)).unwrap().expires_at(), Some(at(START + 9)));
}

#[test]
fn a_token_that_expires_while_the_issuer_is_asked_is_expired() {
    let world = World::new(0);
    let token = world.issuer.token();
    world.issuer.replies(Reply::With(json!({"exp": START + 9000})));
    world.issuer.hold(true);
    let mut request = world.authenticate(&token);
    assert!(poll(&mut request).is_pending());
    world.clock.set(at(START + 3600));
    world.issuer.hold(false);
    assert_eq!(poll(&mut request), Poll::Ready("expired"));
}

/// Asking again costs little, and the session may have been used.
#[test]
fn the_leeway_does_not_prolong_an_answer_that_is_remembered() {
    let profile = profile().leeway(seconds(60)).unwrap();
    let world = World::with_profile(profile, |builder| builder.max_age(seconds(1000)));
    let token = world.issuer.token();
    world.issuer.replies(Reply::With(json!({"exp": START + 3})));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 1));
    world.clock.set(at(START + 3));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 3));
    world.clock.set(at(START + 63));
    assert_eq!((world.says(&token), world.asked()), ("expired", 4));
}

/// What one of them has found the same as in its token, another one reads elsewhere in it.
#[test]
fn verifiers_with_other_profiles_share_no_answer() {
    let world = World::new(0);
    let new = NewSession::new(1).scopes(["read"]).unwrap();
    let token = world.issuer.issue(new.claims(&json!({"username": "2", "permissions": "admin"})).unwrap());
    let introspector = Introspector::builder(world.issuer.clone()).max_age(seconds(1000)).build();
    let verdict_by = |names: ClaimNames| {
        let profile = profile().format(TokenFormat::default().claim_names(names).unwrap());
        let verifier = Verifier::introspecting(introspector.clone(), profile).clock(world.clock.clone());
        verdict(&done(verifier.authenticate(&token)))
    };
    for _ in 0..2 {
        assert_eq!(verdict_by(ClaimNames::default()), "valid");
        assert_eq!(verdict_by(ClaimNames { subject: "username".into(), ..ClaimNames::default() }), "cannot tell");
        assert_eq!(verdict_by(ClaimNames { scope: "permissions".into(), ..ClaimNames::default() }), "cannot tell");
    }
    assert_eq!(world.asked(), 5);
}

/// The subject has another name in the token, which has no `sid`; the answer has the names of RFC 7662.
#[test]
fn tokens_as_those_of_drf_jwt_knox_are_asked_about() {
    let profile = profile().format(TokenFormat::drf_jwt_knox().without_session_id());
    let world = World::with_profile(profile, |builder| builder.max_age(seconds(5)));
    let alice = || NewSession::new(Subject::new("alice").unwrap()).scopes(["read"]).unwrap();
    let jwt = world.issuer.issue(alice());
    let token = done(world.verifier.authenticate(&jwt)).unwrap();
    let auth = done(world.issuer.knox.authenticate(&jwt)).unwrap();
    assert_eq!((token.session_ref(), token.subject().as_str()), (auth.session_ref(), "alice"));
    let claims: Value = token.claims().unwrap();
    assert_eq!((&claims["username"], &claims["sub"], &claims["sid"]), (&json!("alice"), &Value::Null, &Value::Null));
    assert_eq!((world.says(&jwt), world.asked()), ("valid", 1));
    let jwt = world.issuer.issue(alice());
    for (members, verdict) in [
        (json!({"sub": "bob"}), "cannot tell"),
        (json!({"sub": null, "username": "alice"}), "cannot tell"),
        (json!({"sid": token.session_id()}), "cannot tell"),
        (json!({"sid": null, "username": "bob"}), "valid"),
    ] {
        world.issuer.replies(Reply::With(members));
        assert_eq!(world.says(&jwt), verdict);
    }
    let other = World::new(0);
    assert_eq!((other.says(&jwt), other.asked()), ("malformed", 0));
}

#[test]
fn that_a_token_is_inactive_is_not_remembered() {
    let world = World::new(1000);
    let token = world.issuer.token();
    world.issuer.replies(Reply::Body(200, br#"{"active":false}"#.into()));
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("inactive", "inactive", 2));
    world.issuer.replies(Reply::Truth);
    assert_eq!((world.says(&token), world.says(&token), world.asked()), ("valid", "valid", 3));
}

#[test]
fn invented_tokens_push_no_good_one_out() {
    let world = World::with(|builder| builder.max_age(seconds(1000)).max_entries(16));
    let token = world.issuer.token();
    assert_eq!(world.says(&token), "valid");
    let (claims, signature) = token.split_at(token.rfind('.').unwrap());
    for number in 0..1000 {
        assert_eq!(world.says(&format!("{claims}.{number:04}{}", &signature[5..])), "inactive");
    }
    assert_eq!((world.says(&token), world.asked()), ("valid", 1001));
    let none = World::with(|builder| builder.max_age(seconds(1000)).max_entries(0));
    let token = none.issuer.token();
    assert_eq!((none.says(&token), none.says(&token), none.asked()), ("valid", "valid", 2));
}
