//! What RFC 8725 and ASVS ask for and no other test shows. `docs/security-requirements.md` is the list.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jwt_knox::{
    AuthError, AuthenticateError, Authenticated, Issued, Knox, ManualClock, MemoryStore, NewToken, SigningKey, Subject,
};
use jwt_simple::prelude::{HS256Key, MACLike};
use serde_json::{Value, json};

const KEY: [u8; 32] = [b'k'; 32];
const ATTACKERS_KEY: [u8; 32] = [b'a'; 32];
const START: i64 = 1_800_000_000;
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A handle, and a login of alice with the scope `read`.
async fn login() -> (Knox, Issued) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
    let key = SigningKey::hs256(KEY).unwrap();
    let knox = Knox::builder(key).store(MemoryStore::new()).clock(clock).build().unwrap();
    let new = NewToken::for_subject(Subject::new("alice").unwrap()).scope("read").unwrap();
    let issued = knox.issue_with(new).await.unwrap();
    (knox, issued)
}

fn payload(issued: &Issued) -> String {
    let segment = issued.token.expose().split('.').nth(1).unwrap();
    String::from_utf8(Base64UrlUnpadded::decode_vec(segment).unwrap()).unwrap()
}

/// A token of these very bytes.
fn sign(key: &[u8], header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let [header, payload] = [header.as_ref(), payload.as_ref()].map(Base64UrlUnpadded::encode_string);
    let signed = format!("{header}.{payload}");
    let tag = HS256Key::from_bytes(key).authentication_tag(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&tag))
}

async fn accepted(knox: &Knox, token: &str) -> Authenticated {
    knox.authenticate(token).await.unwrap()
}

async fn refused(knox: &Knox, token: &str) -> AuthError {
    match knox.authenticate(token).await {
        Err(AuthenticateError::Refused(error)) => error,
        other => panic!("neither in nor out is right here: {other:?}"),
    }
}

/// RFC 8725 §3.10: what a header says of keys is neither used nor fetched.
#[tokio::test]
async fn keys_that_a_token_brings_are_never_used() {
    let (knox, issued) = login().await;
    let payload = payload(&issued);
    let jwk = json!({"kty": "oct", "k": Base64UrlUnpadded::encode_string(&ATTACKERS_KEY)});
    let attackers_id = SigningKey::hs256(ATTACKERS_KEY).unwrap().key_id().to_owned();
    let headers = [
        json!({"jwk": jwk}),
        json!({"jwk": jwk.to_string()}),
        json!({"jku": "https://attacker.example/jwks.json"}),
        json!({"jku": "data:application/json,{}"}),
        json!({"x5u": "https://attacker.example/chain.pem"}),
        json!({"x5c": ["MIIB"]}),
        json!({"x5t": "AAAA", "x5t#S256": "AAAA"}),
        json!({"kid": attackers_id}),
        json!({"kid": attackers_id, "jwk": jwk, "jku": "https://attacker.example/jwks.json"}),
        json!({"kid": "x' UNION SELECT 'aaaa"}),
        json!({"kid": "https://attacker.example/jwks.json"}),
    ];
    for mut header in headers {
        header["alg"] = "HS256".into();
        refused(&knox, &sign(&ATTACKERS_KEY, header.to_string(), &payload)).await;
    }
    // It makes no difference to a token of ours either.
    let header =
        json!({"alg": "HS256", "jku": "https://attacker.example/jwks.json", "x5u": "https://attacker.example/"});
    accepted(&knox, &sign(&KEY, header.to_string(), &payload)).await;
}

/// RFC 8725 §3.3 and §3.6: one signature, and nothing encrypted, nested or compressed.
#[tokio::test]
async fn what_is_not_one_signed_jwt_is_refused() {
    let (knox, issued) = login().await;
    let (token, payload) = (issued.token.expose(), payload(&issued));
    let [protected, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let jwe = Base64UrlUnpadded::encode_string(br#"{"alg":"dir","enc":"A128GCM"}"#);
    let flattened = json!({"protected": protected, "payload": claims, "signature": signature});
    let general = json!({"payload": claims, "signatures": [{"protected": protected, "signature": signature}]});
    for text in [
        format!("{jwe}..AAAAAAAAAAAAAAAA.{claims}.{signature}"),
        format!("{protected}.{claims}.{signature}.{claims}.{signature}"),
        format!("{protected}..{signature}"),
        format!("{protected}.{claims}"),
        format!("{protected}.{claims}."),
        flattened.to_string(),
        general.to_string(),
    ] {
        refused(&knox, &text).await;
    }
    let nested = sign(&KEY, r#"{"alg":"HS256","cty":"JWT"}"#, token);
    assert_eq!(refused(&knox, &nested).await.reason(), "malformed");
    // The claims as a stored block of DEFLATE (RFC 1951 §3.2.4).
    let length = u16::try_from(payload.len()).unwrap();
    let mut compressed = vec![1];
    compressed.extend([length, !length].map(u16::to_le_bytes).concat());
    compressed.extend(payload.as_bytes());
    let compressed = sign(&KEY, r#"{"alg":"HS256","zip":"DEF"}"#, compressed);
    assert_eq!(refused(&knox, &compressed).await.reason(), "malformed");
    accepted(&knox, token).await;
}

/// RFC 8725 §3.7: JSON is UTF-8, in the header and in the claims.
#[tokio::test]
async fn text_that_is_not_utf_8_is_refused() {
    let (knox, issued) = login().await;
    let payload = payload(&issued);
    let with_name = |name: &[u8]| [&payload.as_bytes()[..payload.len() - 1], br#","name":""#, name, b"\"}"].concat();
    accepted(&knox, &sign(&KEY, HEADER, with_name("Zoë 🦊".as_bytes()))).await;

    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let utf_32 = |text: &str| -> Vec<u8> { text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect() };
    let with_mark = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for claims in [
        utf_16(&payload),
        utf_32(&payload),
        with_mark(&payload),
        with_name(b"Zo\xeb"),       // Latin-1
        with_name(b"\xc1\xa1"),     // an overlong `a`
        with_name(b"\xed\xa0\x80"), // half of a surrogate pair
    ] {
        assert_eq!(refused(&knox, &sign(&KEY, HEADER, claims)).await.reason(), "malformed");
    }
    // Not even in a member that nobody reads.
    let with_byte = [&HEADER.as_bytes()[..HEADER.len() - 1], b",\"x\":\"\xff\"}"].concat();
    for header in [utf_16(HEADER), utf_32(HEADER), with_mark(HEADER), with_byte] {
        assert_eq!(refused(&knox, &sign(&KEY, header, &payload)).await.reason(), "malformed");
    }
}

/// RFC 8725 §3.12: what was signed with the same key for another purpose is no login.
#[tokio::test]
async fn another_kind_of_jwt_from_the_same_key_is_no_login() {
    let (knox, issued) = login().await;
    let hour = START + 3600;
    let kinds = [
        (json!({"sub": "alice", "exp": hour}), "malformed"),
        (json!({"sub": "alice", "exp": hour, "purpose": "reset password", "email": "alice@example.com"}), "malformed"),
        (json!({"sub": "alice", "exp": hour, "jti": "0f8fad5b-d9cb-469f-a165-70867728950e"}), "revoked"),
        (json!({"sub": "alice", "exp": hour, "jti": issued.record.id().as_str(), "scope": "read"}), "revoked"),
        (json!({"iss": "https://id.example", "sub": "alice", "exp": hour, "jti": "1"}), "wrong_issuer"),
        (json!({"sub": "alice", "aud": "another service", "exp": hour, "jti": "1"}), "wrong_audience"),
    ];
    for (claims, reason) in kinds {
        let token = sign(&KEY, HEADER, claims.to_string());
        assert_eq!(refused(&knox, &token).await.reason(), reason, "{claims}");
    }
    for typ in ["at+jwt", "dpop+jwt", "secevent+jwt", "logout+jwt", "application/jwt", "JWT+X", ""] {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        assert_eq!(refused(&knox, &sign(&KEY, header, payload(&issued))).await.reason(), "malformed", "{typ}");
    }
}

/// RFC 7519 §4: a claim that is there twice does not mean one thing to one check and another to the next.
#[tokio::test]
async fn a_claim_that_is_there_twice_grants_nothing() {
    let (knox, issued) = login().await;
    let payload = payload(&issued);
    for (claim, value) in [
        ("sub", json!("bob")),
        ("sub", json!("alice")),
        (r"s\u0075b", json!("bob")),
        ("jti", json!("x")),
        ("exp", json!(START + 1_000_000)),
        ("iat", json!(START)),
        ("scope", json!("admin")),
        ("jti_alg", json!("sha512")),
    ] {
        let before = format!(r#"{{"{claim}":{value},{}"#, &payload[1..]);
        let after = format!(r#"{},"{claim}":{value}}}"#, &payload[..payload.len() - 1]);
        for claims in [before, after] {
            // Of two scopes the last one counts, and the record must have it too.
            if let Ok(auth) = knox.authenticate(&sign(&KEY, HEADER, &claims)).await {
                assert_eq!(auth.scopes().collect::<Vec<_>>(), ["read"], "{claims}");
                assert_eq!(auth.claims::<Value>().unwrap(), own_claims(&payload), "{claims}");
            }
        }
    }
    accepted(&knox, issued.token.expose()).await;
}

/// All claims but the secret.
fn own_claims(payload: &str) -> Value {
    let mut claims: Value = serde_json::from_str(payload).unwrap();
    claims.as_object_mut().unwrap().remove("jti");
    claims
}
