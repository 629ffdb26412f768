//! What tokens look like: the names of claims, and how the secret is hashed and written.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::*;
use serde_json::{Value, json};

use crate::fixture::{Fixture, HEADER, KEY, START, claim_names, claims, forge, subject, with_claims};

#[tokio::test]
async fn sha_256_and_sha_512_work_side_by_side() {
    let old = Fixture::new();
    let issued = old.login("alice").await;
    let sha_512 = TokenFormat::default().hash(HashAlgorithm::Sha512).unwrap();
    let new = old.server(SigningKey::hs256(KEY).unwrap()).token_format(sha_512).build().unwrap();
    let other = new.issue(subject("alice")).await.unwrap();
    assert!(other.session.digest.to_string().starts_with("sha512:"));
    for token in [issued.token.expose(), other.token.expose()] {
        assert!(new.authenticate(token).await.is_ok());
        assert!(old.knox.authenticate(token).await.is_ok());
    }
    // The other hash of a valid secret leads nowhere.
    assert_eq!(old.rejection(&with_claims(&issued, json!({"jti_alg": "sha512"}))).await, Rejection::Revoked);
    assert_eq!(old.rejection(&with_claims(&other, json!({"jti_alg": null}))).await, Rejection::Revoked);
    assert_eq!(old.rejection(&with_claims(&issued, json!({"jti_alg": "md5"}))).await.as_str(), "malformed");
}

#[tokio::test]
async fn claims_can_have_other_names() {
    let names = ClaimNames { subject: "uid".into(), secret: "sec".into(), scope: "scp".into() };
    let format = TokenFormat::default().claim_names(names).unwrap();
    let fixture = Fixture::with(|builder| builder.token_format(format));
    let new = NewSession::new(subject("alice")).scopes(["read"]).unwrap();
    let issued = fixture.knox.issue(new).await.unwrap();
    assert_eq!(claim_names(&issued), ["exp", "iat", "scp", "sec", "sid", "uid"]);
    let auth = fixture.authenticate(&issued).await;
    assert!(auth.has_scope("read"));
    assert_eq!(auth.claims::<Value>().unwrap().get("sec"), None, "the secret is not among the claims");
    assert!(fixture.knox.rotate(&auth).await.is_ok());
    assert_eq!(fixture.rejection(&with_claims(&issued, json!({"scp": "admin"}))).await, Rejection::Revoked);
    let with_sub = with_claims(&issued, json!({"uid": null, "sub": "alice"}));
    assert_eq!(fixture.rejection(&with_sub).await.as_str(), "malformed");

    let taken = NewSession::new(subject("alice")).claims(&json!({"uid": "bob"})).unwrap();
    let error = fixture.knox.issue(taken).await.unwrap_err();
    assert!(matches!(error, IssueError::Claims(ClaimsError::Reserved { name }) if name == "uid"));
}

#[tokio::test]
async fn secrets_have_the_prefix_and_the_length_of_the_format() {
    let format = TokenFormat::default().secret_prefix("acme_").unwrap().secret_bytes(16).unwrap();
    let fixture = Fixture::with(|builder| builder.token_format(format));
    let issued = fixture.login("alice").await;
    let claims = claims(&issued);
    let secret = claims["jti"].as_str().unwrap().strip_prefix("acme_").unwrap();
    assert_eq!(Base64UrlUnpadded::decode_vec(secret).unwrap().len(), 16);
    let rotated = fixture.knox.rotate(&fixture.authenticate(&issued).await).await.unwrap();
    let rotated = crate::fixture::claims(&rotated);
    let next = rotated["jti"].as_str().unwrap().strip_prefix("acme_").unwrap();
    assert_eq!(Base64UrlUnpadded::decode_vec(next).unwrap().len(), 16, "also after a rotation");
    let without_prefix = with_claims(&issued, json!({"jti": secret}));
    assert_eq!(fixture.rejection(&without_prefix).await, Rejection::Revoked);
}

/// The shape of a token of drf-jwt-knox, and the digests of both versions of django-rest-knox.
#[tokio::test]
async fn the_format_of_drf_jwt_knox_writes_and_reads_its_tokens() {
    for (format, hash) in [
        (TokenFormat::drf_jwt_knox(), HashAlgorithm::Sha512),
        (TokenFormat::drf_jwt_knox_4(), HashAlgorithm::Sha512OfHex),
    ] {
        let fixture = Fixture::with(|builder| builder.token_format(format));
        let issued = fixture.login("alice").await;
        assert_eq!(issued.session.digest.algorithm(), hash);
        assert_eq!(claim_names(&issued), ["exp", "iat", "jti", "sid", "username"]);
        let written = claims(&issued);
        let secret = written["jti"].as_str().unwrap();
        assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
        // What drf-jwt-knox writes: no `exp`, no `kid`, and a claim with the name of a field of Django's user model.
        let theirs = json!({"username": "alice", "iat": START, "jti": secret});
        assert!(fixture.knox.authenticate(&forge(HEADER, theirs.to_string())).await.is_ok());
        let theirs = json!({"username": "bob", "iat": START, "jti": secret});
        assert_eq!(fixture.rejection(&forge(HEADER, theirs.to_string())).await, Rejection::Revoked);
        let theirs = json!({"username": "alice", "iat": START, "jti": "not hexadecimal"});
        let reason = if hash == HashAlgorithm::Sha512OfHex { "malformed" } else { "revoked" };
        assert_eq!(fixture.rejection(&forge(HEADER, theirs.to_string())).await.as_str(), reason);
    }
}
