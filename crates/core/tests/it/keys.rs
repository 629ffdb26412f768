//! The keys that sign and verify, and how they change.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
};

use jwt_knox::*;

use crate::fixture::{Fixture, header, rejection, subject};

#[tokio::test]
async fn every_algorithm_signs_and_none_is_taken_for_another() {
    let fixture = Fixture::new();
    let keys: Vec<SigningKey> = Algorithm::ALL
        .iter()
        .map(|algorithm| SigningKey::generate(*algorithm).unwrap().with_key_id("k").unwrap())
        .collect();
    for signer in &keys {
        let knox = fixture.separate_server(signer.clone());
        let issued = knox.issue(subject("alice")).await.unwrap();
        assert_eq!(header(&issued)["alg"], signer.algorithm().as_str());
        assert!(knox.authenticate(issued.token.expose()).await.is_ok(), "{signer:?}");
        for verifier in &keys {
            let expected = if signer.algorithm() == verifier.algorithm() {
                // The signature is valid; the store of the other handle has no such record.
                Rejection::Revoked
            } else {
                Rejection::AlgorithmMismatch
            };
            let reason = rejection(&fixture.separate_server(verifier.clone()), issued.token.expose()).await;
            assert_eq!(reason, expected, "{signer:?} {verifier:?}");
        }
    }
}

#[tokio::test]
async fn keys_of_a_ring_verify_by_their_kid() {
    let fixture = Fixture::new();
    let old_key = SigningKey::hs256([1; 32]).unwrap();
    let new_key = SigningKey::hs256([2; 32]).unwrap();
    let ring = KeyRing::new(new_key.clone());
    ring.add_verifying(old_key.verifying_key()).unwrap();
    let before = fixture.server(old_key).build().unwrap();
    let during = fixture.server(ring).build().unwrap();
    let after = fixture.server(new_key).build().unwrap();

    let old = before.issue(subject("alice")).await.unwrap();
    let new = during.issue(subject("alice")).await.unwrap();
    assert!(during.authenticate(old.token.expose()).await.is_ok());
    assert!(during.authenticate(new.token.expose()).await.is_ok());
    assert!(after.authenticate(new.token.expose()).await.is_ok());
    for (knox, issued) in [(&after, &old), (&before, &new)] {
        assert_eq!(rejection(knox, issued.token.expose()).await, Rejection::UnknownKey);
    }
}

/// Signing and verifying go on while keys are staged, promoted and retired, and nobody is logged out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_change_under_load_and_no_request_fails() {
    let ring = KeyRing::new(SigningKey::hs256([0; 32]).unwrap().with_key_id("0").unwrap());
    let knox = Knox::builder(ring.clone()).store(MemoryStore::new()).build().unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (knox, is_done) = (knox.clone(), is_done.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !is_done.load(SeqCst) || count == 0 {
                    let issued = knox.issue(subject(&format!("user-{number}"))).await.unwrap();
                    let auth = knox.authenticate(issued.token.expose()).await.unwrap();
                    let rotated = knox.rotate(&auth).await.unwrap();
                    knox.authenticate(rotated.token.expose()).await.unwrap();
                    assert!(knox.revoke(&rotated.session.session_ref()).await.unwrap().is_revoked());
                    count += 1;
                    tokio::task::yield_now().await;
                }
                count
            })
        })
        .collect();
    let kept = knox.issue(subject("alice")).await.unwrap();
    for number in 1..=40_u8 {
        ring.stage(SigningKey::hs256([number; 32]).unwrap().with_key_id(number.to_string()).unwrap()).unwrap();
        tokio::task::yield_now().await;
        ring.promote(&number.to_string()).unwrap();
        assert!(knox.authenticate(kept.token.expose()).await.is_ok(), "the first key goes on verifying");
    }
    is_done.store(true, SeqCst);
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
    let last = knox.issue(subject("alice")).await.unwrap();
    assert_eq!(header(&last)["kid"], "40");
    ring.retire("0").unwrap();
    assert_eq!(rejection(&knox, kept.token.expose()).await, Rejection::UnknownKey);
    assert!(knox.authenticate(last.token.expose()).await.is_ok());
    assert_eq!(knox.key_ring().keys().len(), 41);
}

/// Everybody goes on logging in while a stolen key is replaced, and no token of that key outlives the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stolen_key_is_replaced_under_load_and_its_tokens_end_at_once() {
    let key = |number: u8| SigningKey::hs256([number; 32]).unwrap().with_key_id(number.to_string()).unwrap();
    let ring = KeyRing::new(key(0));
    let knox = Knox::builder(ring.clone()).store(MemoryStore::new()).build().unwrap();
    let (is_done, stolen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU8::new(0)));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (knox, is_done, stolen) = (knox.clone(), is_done.clone(), stolen.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !is_done.load(SeqCst) || count == 0 {
                    let issued = knox.issue(subject(&format!("user-{number}"))).await.unwrap();
                    let signer: u8 = header(&issued)["kid"].as_str().unwrap().parse().unwrap();
                    // The keys below this number were replaced before the token is presented.
                    let is_stolen = signer < stolen.load(SeqCst);
                    let result = knox.authenticate(issued.token.expose()).await;
                    assert!(!is_stolen || result.is_err(), "a token of the stolen key {signer} was accepted");
                    count += 1;
                    tokio::task::yield_now().await;
                }
                count
            })
        })
        .collect();
    for number in 0..40 {
        let before = knox.issue(subject("alice")).await.unwrap();
        ring.replace(&number.to_string(), key(number + 1)).unwrap();
        stolen.store(number + 1, SeqCst);
        assert_eq!(rejection(&knox, before.token.expose()).await, Rejection::UnknownKey);
        let after = knox.issue(subject("alice")).await.unwrap();
        assert_eq!(header(&after)["kid"], (number + 1).to_string());
        assert!(knox.authenticate(after.token.expose()).await.is_ok());
        tokio::task::yield_now().await;
    }
    is_done.store(true, SeqCst);
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
}
