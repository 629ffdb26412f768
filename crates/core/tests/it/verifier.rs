//! Verifying without the store.

use jwt_knox::*;
use serde_json::{Value, json};

use crate::fixture::{Fixture, seconds, subject};

fn profile() -> TokenProfile {
    TokenProfile::new().issuer("us").unwrap().audience("api").unwrap()
}

#[tokio::test]
async fn a_verifier_checks_signature_and_claims_and_not_revocation() {
    let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
    let fixture = Fixture::new();
    let knox = fixture.server(ring.clone()).profile(profile()).build().unwrap();
    let new = NewSession::new(subject("alice")).scopes(["read"]).unwrap();
    let issued = knox.issue(new.claims(&json!({"role": "editor"})).unwrap()).await.unwrap();
    let of_jwks = |jwks: &str| Verifier::new(KeySet::from_jwks(jwks).unwrap(), profile()).clock(fixture.clock.clone());
    let of_set = |profile| Verifier::new(ring.to_key_set(), profile).clock(fixture.clock.clone());
    let verifiers = [knox.verifier(), of_jwks(&ring.jwks()), of_set(profile())];
    assert!(knox.revoke(&issued.session.session_ref()).await.unwrap().is_revoked());
    for verifier in &verifiers {
        let token = verifier.verify(issued.token.expose()).unwrap();
        assert_eq!(token.session_ref(), issued.session.session_ref());
        assert_eq!((token.subject(), token.session_id()), (&issued.session.subject, issued.session.id));
        assert_eq!(token.expires_at(), issued.session.expires_at);
        assert!(token.has_scope("read") && !token.has_scope("rea"));
        assert!(token.require_scope("read").is_ok());
        assert_eq!(token.require_scope("rea").unwrap_err().scope, "rea");
        let claims = token.claims::<Value>().unwrap();
        assert_eq!((&claims["role"], claims.get("jti")), (&json!("editor"), None));
        assert_eq!(verifier.verify(format!("{}x", issued.token.expose())).unwrap_err().as_str(), "malformed");
    }
    let without_audience = of_set(TokenProfile::new().issuer("us").unwrap());
    assert_eq!(without_audience.verify(issued.token.expose()).unwrap_err(), Rejection::WrongAudience);
    let without_issuer = of_set(TokenProfile::new().audience("api").unwrap());
    assert_eq!(without_issuer.verify(issued.token.expose()).unwrap_err(), Rejection::WrongIssuer);

    // A token that never expires cannot be revoked here, so a service has to ask for such tokens.
    let endless = NewSession::new(subject("alice")).lifetime(Lifetime::idle_after(seconds(60)).unwrap());
    let endless = knox.issue(endless).await.unwrap();
    assert!(knox.authenticate(endless.token.expose()).await.is_ok());
    for verifier in &verifiers {
        assert_eq!(verifier.verify(endless.token.expose()).unwrap_err().as_str(), "malformed");
    }
    let lenient = of_set(profile()).allow_missing_exp();
    assert_eq!(lenient.verify(endless.token.expose()).unwrap().expires_at(), None);
    fixture.set(36_000);
    for verifier in &verifiers {
        assert_eq!(verifier.verify(issued.token.expose()).unwrap_err(), Rejection::Expired);
    }
}

#[tokio::test]
async fn the_verifier_of_a_handle_follows_its_key_ring_and_others_have_to_be_told() {
    let ring = KeyRing::new(SigningKey::generate(Algorithm::EdDsa).unwrap().with_key_id("old").unwrap());
    let fixture = Fixture::new();
    let knox = fixture.server(ring.clone()).build().unwrap();
    let with_keys = |keys| Verifier::new(keys, TokenProfile::new()).clock(fixture.clock.clone());
    let told = || [knox.verifier(), with_keys(KeySet::from_jwks(&ring.jwks()).unwrap()), with_keys(ring.to_key_set())];
    let of_old_key = knox.issue(subject("alice")).await.unwrap();
    let [own, others @ ..] = told();

    ring.stage(SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("new").unwrap()).unwrap();
    ring.promote("new").unwrap();
    let of_new_key = knox.issue(subject("alice")).await.unwrap();
    assert!(own.verify(of_old_key.token.expose()).is_ok() && own.verify(of_new_key.token.expose()).is_ok());
    for verifier in &others {
        assert!(verifier.verify(of_old_key.token.expose()).is_ok());
        assert_eq!(verifier.verify(of_new_key.token.expose()).unwrap_err(), Rejection::UnknownKey);
    }
    for verifier in told() {
        assert!(verifier.verify(of_old_key.token.expose()).is_ok());
        assert!(verifier.verify(of_new_key.token.expose()).is_ok());
    }

    ring.retire("old").unwrap();
    assert_eq!(own.verify(of_old_key.token.expose()).unwrap_err(), Rejection::UnknownKey);
    for verifier in told() {
        assert_eq!(verifier.verify(of_old_key.token.expose()).unwrap_err(), Rejection::UnknownKey);
        assert!(verifier.verify(of_new_key.token.expose()).is_ok());
    }
}

#[tokio::test]
async fn a_verifier_reads_tokens_by_the_whole_profile() {
    let fixture = Fixture::new();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let names = ClaimNames { subject: "uid".into(), ..ClaimNames::default() };
    let format = TokenFormat::default().claim_names(names).unwrap();
    let profile = profile().format(format).leeway(seconds(10)).unwrap();
    let knox = fixture.server(key.clone()).profile(profile.clone()).build().unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    let clock = fixture.clock.clone();
    let verifier = |profile| Verifier::new(key.verifying_key(), profile).clock(clock.clone());
    fixture.set(36_009);
    for verifier in [knox.verifier(), verifier(profile.clone())] {
        assert_eq!(*verifier.verify(issued.token.expose()).unwrap().subject(), "alice");
    }
    let other = verifier(profile.clone().format(TokenFormat::default()));
    assert_eq!(other.verify(issued.token.expose()).unwrap_err().as_str(), "malformed");
    fixture.set(36_010);
    for verifier in [knox.verifier(), verifier(profile)] {
        assert_eq!(verifier.verify(issued.token.expose()).unwrap_err(), Rejection::Expired);
    }
}
