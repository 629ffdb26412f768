//! A thief of the signing key who has a session: what the record vouches for.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use jwt_knox::*;
use serde_json::{Value, json};

use crate::fixture::{Fixture, KEY, changed_claims, claims, forge, header, rejection, secret, subject, with_claims};

fn editor() -> NewSession {
    NewSession::new(subject("mallory"))
        .claims(&json!({"role": "editor", "limits": {"files": 10, "sizes": [1, 2.5]}}))
        .unwrap()
        .scopes(["read"])
        .unwrap()
}

fn forgeries() -> Vec<Value> {
    vec![
        json!({"role": "admin"}),
        json!({"role": "Editor"}),
        json!({"role": ["editor"]}),
        json!({"role": null}),
        json!({"is_admin": true}),
        json!({"": ""}),
        json!({"limits": {"files": 11, "sizes": [1, 2.5]}}),
        json!({"limits": {"files": 10.0, "sizes": [1, 2.5]}}),
        json!({"limits": {"files": 10, "sizes": [2.5, 1]}}),
        json!({"limits": {"files": 10, "sizes": [1, 2.5], "x": null}}),
        json!({"scope": "read write"}),
        json!({"scope": null}),
    ]
}

#[tokio::test]
async fn rejects_claims_that_the_session_did_not_begin_with() {
    let fixture = Fixture::new();
    let issued = fixture.knox.issue(editor()).await.unwrap();
    let rotated = fixture.rotate(&fixture.knox.issue(editor()).await.unwrap()).await;
    for token in [&issued, &rotated] {
        for changes in forgeries() {
            let reason = fixture.rejection(&with_claims(token, changes.clone())).await;
            assert_eq!(reason, Rejection::Revoked, "{changes}");
        }
        assert!(fixture.knox.authenticate(&with_claims(token, json!({}))).await.is_ok(), "the forger works");
    }
    let plain = fixture.login("mallory").await;
    assert_eq!(fixture.rejection(&with_claims(&plain, json!({"role": "admin"}))).await, Rejection::Revoked);
    // Another session of the same user has these claims.
    let admin = NewSession::new(subject("mallory")).claims(&json!({"role": "admin"})).unwrap();
    fixture.knox.issue(admin).await.unwrap();
    assert_eq!(fixture.rejection(&with_claims(&plain, json!({"role": "admin"}))).await, Rejection::Revoked);
}

/// In its grace, the secret before is as good as the present one, and no better.
#[tokio::test]
async fn the_token_before_a_rotation_vouches_for_no_other_claims_either() {
    let fixture = Fixture::new();
    let old = fixture.knox.issue(editor()).await.unwrap();
    let new = fixture.rotate(&old).await;
    for changes in forgeries() {
        assert_eq!(fixture.rejection(&with_claims(&old, changes.clone())).await, Rejection::Revoked, "{changes}");
    }
    assert!(fixture.is_valid(&old).await && fixture.is_valid(&new).await);
}

/// The key is changed because it was stolen. What was forged with it must not outlive it.
#[tokio::test]
async fn forged_claims_do_not_get_into_a_token_of_the_next_key() {
    let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap().with_key_id("stolen").unwrap());
    let fixture = Fixture::new();
    let knox = fixture.server(ring.clone()).build().unwrap();
    let honest = knox.issue(editor()).await.unwrap();
    let forge_by_thief = |issued: &Issued, changes: &Value| {
        forge(header(&honest).to_string(), changed_claims(issued, changes).to_string())
    };
    let mut forged: Vec<String> = forgeries().iter().map(|changes| forge_by_thief(&honest, changes)).collect();
    let assert_all_are = async |forged: &[String], expected: Rejection| {
        for token in forged {
            assert_eq!(rejection(&knox, token).await, expected);
        }
    };
    assert_all_are(&forged, Rejection::Revoked).await;
    ring.stage(SigningKey::hs256([1; 32]).unwrap().with_key_id("next").unwrap()).unwrap();
    assert_all_are(&forged, Rejection::Revoked).await;
    ring.promote("next").unwrap();
    assert_all_are(&forged, Rejection::Revoked).await;

    // All that a rotation takes over is what the session began with.
    let auth = knox.authenticate(honest.token.expose()).await.unwrap();
    let rotated = knox.rotate(&auth).await.unwrap();
    assert_eq!(header(&rotated)["kid"], "next");
    for name in ["role", "limits", "scope", "sub", "sid", "exp"] {
        assert_eq!(claims(&rotated)[name], claims(&honest)[name], "{name}");
    }
    assert_eq!(claims(&rotated).get("is_admin"), None);
    // The thief has the new secret too, and signs with the old key.
    forged.extend(forgeries().iter().map(|changes| forge_by_thief(&rotated, changes)));
    assert_all_are(&forged, Rejection::Revoked).await;

    ring.retire("stolen").unwrap();
    assert_all_are(&forged, Rejection::UnknownKey).await;
    assert!(matches!(knox.rotate(&auth).await, Err(IssueError::Rejected(Rejection::UnknownKey))));
    let auth = knox.authenticate(rotated.token.expose()).await.unwrap();
    assert_eq!(auth.claims::<Value>().unwrap()["role"], "editor");
    let again = knox.rotate(&auth).await.unwrap();
    assert_eq!(claims(&again)["role"], "editor");
    assert_ne!(secret(&again), secret(&rotated));
}

/// The key is replaced while a rotation asks who the user is, and so does one that gives the same secret again.
#[tokio::test]
async fn a_rotation_under_way_gives_no_token_of_the_next_key() {
    for is_again in [false, true] {
        let ring = KeyRing::new(SigningKey::hs256(KEY).unwrap().with_key_id("stolen").unwrap());
        let is_found_out = Arc::new(AtomicBool::new(false));
        let check = subject_check_fn({
            let (ring, is_found_out) = (ring.clone(), is_found_out.clone());
            move |_| {
                if is_found_out.swap(false, SeqCst) {
                    ring.replace("stolen", SigningKey::hs256([1; 32]).unwrap().with_key_id("next").unwrap()).unwrap();
                }
                async { Ok(SubjectStatus::Active) }
            }
        });
        let knox = Fixture::new().server(ring).subject_check(check).build().unwrap();
        let issued = knox.issue(editor()).await.unwrap();
        let auth = knox.authenticate(issued.token.expose()).await.unwrap();
        if is_again {
            knox.rotate(&auth).await.unwrap();
        }
        is_found_out.store(true, SeqCst);
        let outcome = knox.rotate(&auth).await;
        assert!(matches!(outcome, Err(IssueError::Rejected(Rejection::UnknownKey))), "{outcome:?}");
    }
}

/// Claims that mean something in other formats only, and those of a login elsewhere.
#[tokio::test]
async fn claims_that_nothing_vouches_for_are_not_there() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let token = with_claims(&issued, json!({"nonce": "forged"}));
    let auth = fixture.knox.authenticate(&token).await.unwrap();
    assert_eq!(auth.claims::<Value>().unwrap().get("nonce"), None);
    assert_eq!(auth.claims::<Value>().unwrap()["sub"], "alice");

    let knox = fixture
        .server(SigningKey::hs256(KEY).unwrap())
        .profile(TokenProfile::new().format(TokenFormat::drf_jwt_knox()))
        .build()
        .unwrap();
    let issued = knox.issue(subject("alice")).await.unwrap();
    let token = with_claims(&issued, json!({"sub": "root", "scope": null}));
    let auth = knox.authenticate(&token).await.unwrap();
    let claims = auth.claims::<Value>().unwrap();
    assert_eq!((claims.get("sub"), &claims["username"]), (None, &json!("alice")));
}

/// A session of another library has no digest of its claims. There, the key alone vouches for them, and goes on to.
#[tokio::test]
async fn a_record_that_kept_no_digest_of_the_claims_accepts_what_is_signed() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let mut record = fixture.record(&issued).await.unwrap();
    record.claims = None;
    fixture.store.inner().remove(&record.session_ref()).await.unwrap();
    let inserted = fixture.store.inner().insert(record, None, issued.session.created_at).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted { evicted: vec![] });
    let auth = fixture.knox.authenticate(&with_claims(&issued, json!({"role": "editor"}))).await.unwrap();
    assert_eq!(claims(&fixture.knox.rotate(&auth).await.unwrap())["role"], "editor");
}
