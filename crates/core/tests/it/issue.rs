//! What is issued, and what is not.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, KEY, START, claims, header, seconds, subject};

#[tokio::test]
async fn a_jwt_has_the_documented_claims_and_the_record_no_secret() {
    let fixture = Fixture::with(|builder| builder.issuer("https://auth.example.com").audience("api"));
    let issued = fixture.login("alice").await;
    let claims = claims(&issued);
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["iss"], "https://auth.example.com");
    assert_eq!(claims["aud"], "api");
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["exp"], START + 36_000);
    assert_eq!(claims["sid"], issued.session.id.as_str());
    assert_eq!(claims.as_object().unwrap().len(), 7, "and nothing else: {claims}");
    let kid = SigningKey::hs256(KEY).unwrap().key_id().to_owned();
    assert_eq!(header(&issued), json!({"alg": "HS256", "typ": "JWT", "kid": kid}));

    let secret = claims["jti"].as_str().unwrap();
    assert_eq!(Base64UrlUnpadded::decode_vec(secret).unwrap().len(), 32);
    let records = fixture.knox.sessions(&subject("alice")).await.unwrap();
    let debug = format!("{issued:?} {records:?} {:?} {:?}", fixture.store.inner(), fixture.knox);
    assert!(!debug.contains(secret), "{debug}");
    assert!(!issued.session.digest.to_string().contains(secret));
    assert!(fixture.is_valid(&issued).await);
}

#[tokio::test]
async fn a_subject_may_be_an_id() {
    let fixture = Fixture::new();
    for issued in [
        fixture.knox.issue(-1_i32).await.unwrap(),
        fixture.knox.issue(-1_i64).await.unwrap(),
        fixture.knox.issue(NewSession::new(-1)).await.unwrap(),
        fixture.knox.issue(Subject::from(-1)).await.unwrap(),
    ] {
        let auth = fixture.authenticate(&issued).await;
        assert_eq!(*auth.subject(), "-1");
        assert_eq!(auth.subject().parse::<i64>().unwrap(), -1);
        assert!(matches!(auth.subject().parse::<u32>(), Err(ClaimsError::Mismatch(_))));
    }
    assert_eq!(fixture.knox.sessions(&(-1).into()).await.unwrap().len(), 4);
}

#[cfg(feature = "uuid")]
#[tokio::test]
async fn a_subject_may_be_a_uuid() {
    let id = uuid::Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    let fixture = Fixture::new();
    let issued = fixture.knox.issue(id).await.unwrap();
    assert_eq!(claims(&issued)["sub"], "67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(fixture.authenticate(&issued).await.subject().parse::<uuid::Uuid>().unwrap(), id);
}

#[tokio::test]
async fn rejects_claims_that_make_the_token_too_large_before_anything_is_stored() {
    let fixture = Fixture::new();
    let alice = subject("alice");
    let large = |chars| NewSession::new(alice.clone()).claims(&json!({"x": "y".repeat(chars)})).unwrap();
    assert!(matches!(fixture.knox.issue(large(9000)).await, Err(IssueError::TooLarge { max: 8192, .. })));
    assert!(fixture.knox.sessions(&alice).await.unwrap().is_empty());

    let profile = TokenProfile::new().max_token_bytes(1024).unwrap();
    let strict = fixture.server(SigningKey::hs256(KEY).unwrap()).profile(profile).build().unwrap();
    assert_eq!((strict.max_token_bytes(), fixture.knox.max_token_bytes()), (1024, 8192));
    assert!(matches!(strict.issue(large(900)).await, Err(IssueError::TooLarge { max: 1024, .. })));
    let issued = fixture.knox.issue(large(900)).await.unwrap();
    assert!(fixture.is_valid(&issued).await);
    let outcome = strict.authenticate(issued.token.expose()).await;
    assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Malformed(_)))), "{outcome:?}");
}

#[test]
fn handles_and_futures_cross_threads() {
    fn is_send<T: Send>(_: T) {}
    fn outlives_the_handle<T: Send + 'static>(_: T) {}
    fn is_shareable<T: Send + Sync + Clone + 'static>() {}
    is_shareable::<Knox>();
    is_shareable::<KnoxAdmin>();
    is_shareable::<Authenticated>();
    let knox = Knox::builder(SigningKey::hs256(KEY).unwrap()).store(MemoryStore::new()).build().unwrap();
    is_send(knox.authenticate(""));
    is_send(knox.issue(subject("alice")));
    is_send(knox.purge_expired());
    outlives_the_handle(knox.purge_every(seconds(1)));
    outlives_the_handle(knox.admin().purge_every(seconds(1)));
}
