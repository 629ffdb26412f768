//! Who issues tokens, and for whom.

use std::time::Duration;

use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, KEY, START, claims, rejection, subject, with_claims};

fn for_audiences(audiences: &[&str]) -> TokenProfile {
    audiences.iter().fold(TokenProfile::new(), |profile, audience| profile.audience(*audience).unwrap())
}

#[tokio::test]
async fn issuer_and_audience_must_be_the_expected_ones() {
    let fixture = Fixture::with(|builder| builder.issuer("us").audience("api"));
    let issued = fixture.login("alice").await;
    for (changes, reason) in [
        (json!({"iss": null}), "wrong_issuer"),
        (json!({"iss": "them"}), "wrong_issuer"),
        (json!({"iss": "US"}), "wrong_issuer"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": "ap"}), "wrong_audience"),
        (json!({"aud": ["a", "b"]}), "wrong_audience"),
        // Expiry comes first, as in the projects that this one serves the clients of.
        (json!({"aud": "x", "exp": START}), "expired"),
    ] {
        assert_eq!(fixture.rejection(&with_claims(&issued, changes)).await.as_str(), reason);
    }
    assert!(fixture.knox.authenticate(&with_claims(&issued, json!({"aud": ["x", "api"]}))).await.is_ok());
}

#[tokio::test]
async fn a_profile_replaces_what_was_set_before_and_not_what_is_set_after() {
    let profile = for_audiences(&["api"]).issuer("us").unwrap();
    let fixture = Fixture::with(|builder| {
        builder.issuer("them").audience("mail").leeway(Duration::MAX).profile(profile).audience("files")
    });
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued)["iss"], "us");
    assert_eq!(claims(&issued)["aud"], json!(["api", "files"]));
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn one_of_several_audiences_is_enough() {
    let fixture = Fixture::with(|builder| builder.profile(for_audiences(&["api", "files"])));
    let issued = fixture.login("alice").await;
    assert_eq!(claims(&issued)["aud"], json!(["api", "files"]));
    assert!(fixture.is_valid(&issued).await);
    for aud in [json!("api"), json!("files"), json!(["files"]), json!(["x", "files"])] {
        assert!(fixture.knox.authenticate(&with_claims(&issued, json!({"aud": aud}))).await.is_ok(), "{aud}");
    }
    for aud in [json!(null), json!([]), json!("x"), json!("api files"), json!(["x", "y"])] {
        let forged = with_claims(&issued, json!({"aud": aud}));
        assert_eq!(fixture.rejection(&forged).await, Rejection::WrongAudience, "{aud}");
    }
    // Each service has a profile with its own audience.
    let service = |audiences: &[&str]| {
        fixture.server(SigningKey::hs256(KEY).unwrap()).profile(for_audiences(audiences)).build().unwrap()
    };
    for audiences in [&["api"] as &[_], &["files"], &["x", "files"]] {
        assert!(service(audiences).authenticate(issued.token.expose()).await.is_ok(), "{audiences:?}");
    }
    for audiences in [&["x"] as &[_], &[]] {
        let reason = rejection(&service(audiences), issued.token.expose()).await;
        assert_eq!(reason, Rejection::WrongAudience, "{audiences:?}");
    }
}

#[tokio::test]
async fn a_session_may_have_its_own_audiences() {
    let fixture = Fixture::with(|builder| builder.profile(for_audiences(&["api", "files"])));
    let issue = async |audiences: &[&str]| {
        let new = NewSession::new(subject("alice")).audiences(audiences.iter().copied()).unwrap();
        fixture.knox.issue(new).await.unwrap()
    };
    let issued = issue(&["files"]).await;
    assert_eq!(claims(&issued)["aud"], "files", "it replaces those of the profile");
    assert!(fixture.is_valid(&issued).await);
    let api = fixture.server(SigningKey::hs256(KEY).unwrap()).audience("api").build().unwrap();
    assert_eq!(rejection(&api, issued.token.expose()).await, Rejection::WrongAudience);

    let issued = issue(&["api", "mail"]).await;
    assert_eq!(claims(&issued)["aud"], json!(["api", "mail"]));
    assert!(fixture.is_valid(&issued).await && api.authenticate(issued.token.expose()).await.is_ok());

    // For others only: this server rejects its own token.
    for audiences in [&["mail"] as &[_], &[]] {
        let issued = issue(audiences).await;
        assert_eq!(fixture.rejection(issued.token.expose()).await, Rejection::WrongAudience, "{audiences:?}");
    }
    assert_eq!(claims(&issue(&[]).await).get("aud"), None);
    assert!(matches!(NewSession::new(1).audiences(["api", ""]), Err(ClaimsError::EmptyAudience)));
}

#[tokio::test]
async fn a_rotation_keeps_the_audiences_of_the_session() {
    let fixture = Fixture::with(|builder| builder.profile(for_audiences(&["api", "files"])));
    let files = NewSession::new(subject("alice")).audiences(["files"]).unwrap();
    let mail = NewSession::new(subject("alice")).audiences(["api", "mail"]).unwrap();
    for (new, aud) in [
        (NewSession::new(subject("alice")), json!(["api", "files"])),
        (files, json!("files")),
        (mail, json!(["api", "mail"])),
    ] {
        let issued = fixture.knox.issue(new).await.unwrap();
        let rotated = fixture.knox.rotate(&fixture.authenticate(&issued).await).await.unwrap();
        assert_eq!(claims(&rotated)["aud"], aud);
        let again = fixture.knox.rotate(&fixture.authenticate(&rotated).await).await.unwrap();
        assert_eq!(claims(&again)["aud"], aud);
        assert!(fixture.is_valid(&again).await);
    }
    // On a server with other settings too.
    let issued = fixture.login("alice").await;
    let files = fixture.server(SigningKey::hs256(KEY).unwrap()).audience("files").build().unwrap();
    let auth = files.authenticate(issued.token.expose()).await.unwrap();
    assert_eq!(claims(&files.rotate(&auth).await.unwrap())["aud"], json!(["api", "files"]));
}
