//! What RFC 8725 and ASVS ask for and no other test shows. `docs/security-requirements.md` is the list.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::*;
use serde_json::json;

use crate::fixture::{Fixture, HEADER, KEY, START, claims, forge, forge_with, hs256, subject};

const ATTACKERS_KEY: [u8; 32] = [b'a'; 32];

/// A handle, and a session of alice with the scope `read`.
async fn login() -> (Fixture, Issued) {
    let fixture = Fixture::new();
    let new = NewSession::new(subject("alice")).scopes(["read"]).unwrap();
    let issued = fixture.knox.issue(new).await.unwrap();
    (fixture, issued)
}

fn payload(issued: &Issued) -> String {
    claims(issued).to_string()
}

async fn assert_accepted(fixture: &Fixture, token: &str) {
    fixture.knox.authenticate(token).await.unwrap();
}

/// RFC 8725 §3.10: what a header says of keys is neither used nor fetched.
#[tokio::test]
async fn keys_that_a_token_brings_are_never_used() {
    let (fixture, issued) = login().await;
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
        fixture.rejection(&forge_with(hs256(ATTACKERS_KEY), header.to_string(), &payload)).await;
    }
    // It makes no difference to a token of ours either.
    let header =
        json!({"alg": "HS256", "jku": "https://attacker.example/jwks.json", "x5u": "https://attacker.example/"});
    assert_accepted(&fixture, &forge(header.to_string(), &payload)).await;
}

/// RFC 8725 §3.3 and §3.6: one signature, and nothing encrypted, nested or compressed.
#[tokio::test]
async fn rejects_what_is_not_one_signed_jwt() {
    let (fixture, issued) = login().await;
    let (token, payload) = (issued.token.expose(), payload(&issued));
    let [protected, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let jwe = Base64UrlUnpadded::encode_string(br#"{"alg":"dir","enc":"A128GCM"}"#);
    let flattened = json!({"protected": protected, "payload": claims, "signature": signature});
    let general = json!({"payload": claims, "signatures": [{"protected": protected, "signature": signature}]});
    for string in [
        format!("{jwe}..AAAAAAAAAAAAAAAA.{claims}.{signature}"),
        format!("{protected}.{claims}.{signature}.{claims}.{signature}"),
        format!("{protected}..{signature}"),
        format!("{protected}.{claims}"),
        format!("{protected}.{claims}."),
        flattened.to_string(),
        general.to_string(),
    ] {
        fixture.rejection(&string).await;
    }
    let nested = forge(r#"{"alg":"HS256","cty":"JWT"}"#, token);
    assert_eq!(fixture.rejection(&nested).await.as_str(), "malformed");
    // The claims as a stored block of DEFLATE (RFC 1951 §3.2.4).
    let length = u16::try_from(payload.len()).unwrap();
    let mut compressed = vec![1];
    compressed.extend([length, !length].map(u16::to_le_bytes).concat());
    compressed.extend(payload.as_bytes());
    let compressed = forge(r#"{"alg":"HS256","zip":"DEF"}"#, compressed);
    assert_eq!(fixture.rejection(&compressed).await.as_str(), "malformed");
    assert_accepted(&fixture, token).await;
}

/// RFC 8725 §3.7: JSON is UTF-8, in the header and in the claims.
#[tokio::test]
async fn rejects_json_that_is_not_utf_8() {
    let fixture = Fixture::new();
    let new = NewSession::new(subject("alice")).claims(&json!({"name": "Zoë 🦊"})).unwrap();
    let issued = fixture.knox.issue(new).await.unwrap();
    let payload = payload(&issued);
    let (before, after) = payload.split_once("Zoë 🦊").unwrap();
    let with_name = |name: &[u8]| [before.as_bytes(), name, after.as_bytes()].concat();
    assert_accepted(&fixture, &forge(HEADER, with_name("Zoë 🦊".as_bytes()))).await;

    let utf_16 = |json: &str| -> Vec<u8> { json.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let utf_32 = |json: &str| -> Vec<u8> { json.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect() };
    let with_mark = |json: &str| [b"\xef\xbb\xbf", json.as_bytes()].concat();
    for claims in [
        utf_16(&payload),
        utf_32(&payload),
        with_mark(&payload),
        with_name(b"Zo\xeb"),       // Latin-1
        with_name(b"\xc1\xa1"),     // an overlong `a`
        with_name(b"\xed\xa0\x80"), // half of a surrogate pair
    ] {
        assert_eq!(fixture.rejection(&forge(HEADER, claims)).await.as_str(), "malformed");
    }
    // Not even in a member that nobody reads.
    let with_byte = [&HEADER.as_bytes()[..HEADER.len() - 1], b",\"x\":\"\xff\"}"].concat();
    for header in [utf_16(HEADER), utf_32(HEADER), with_mark(HEADER), with_byte] {
        assert_eq!(fixture.rejection(&forge(header, &payload)).await.as_str(), "malformed");
    }
}

/// A token is taken as it comes in a header, which may be any bytes.
#[tokio::test]
async fn rejects_a_token_that_is_not_text() {
    let (fixture, issued) = login().await;
    let token = issued.token.expose().as_bytes();
    let verifier = Verifier::new(SigningKey::hs256(KEY).unwrap().verifying_key(), TokenProfile::new())
        .clock(fixture.clock.clone());
    assert!(fixture.knox.authenticate(token).await.is_ok());
    assert!(verifier.authenticate(token).await.is_ok());
    for broken in
        [b"\xff".to_vec(), [token, b"\xff"].concat(), [b"\xef\xbb\xbf", token].concat(), [token, b"\0"].concat()]
    {
        assert_eq!(fixture.rejection(&broken).await.as_str(), "malformed");
        assert_eq!(verifier.verify(&broken).unwrap_err().as_str(), "malformed");
        let outcome = verifier.authenticate(&broken).await;
        assert!(matches!(outcome, Err(AuthenticateError::Rejected(Rejection::Malformed(_)))), "{outcome:?}");
    }
}

/// RFC 8725 §3.12: what was signed with the same key for another purpose leads to no session.
#[tokio::test]
async fn rejects_another_kind_of_jwt_from_the_same_key() {
    let (fixture, issued) = login().await;
    let hour = START + 3600;
    let kinds = [
        (json!({"sub": "alice", "exp": hour}), "malformed"),
        (json!({"sub": "alice", "exp": hour, "purpose": "reset password", "email": "alice@example.com"}), "malformed"),
        (json!({"sub": "alice", "exp": hour, "jti": "0f8fad5b-d9cb-469f-a165-70867728950e"}), "revoked"),
        (json!({"sub": "alice", "exp": hour, "jti": issued.session.id.as_str(), "scope": "read"}), "revoked"),
        (json!({"iss": "https://id.example", "sub": "alice", "exp": hour, "jti": "1"}), "wrong_issuer"),
        (json!({"sub": "alice", "aud": "another service", "exp": hour, "jti": "1"}), "wrong_audience"),
    ];
    for (claims, reason) in kinds {
        let token = forge(HEADER, claims.to_string());
        assert_eq!(fixture.rejection(&token).await.as_str(), reason, "{claims}");
    }
    for typ in ["at+jwt", "dpop+jwt", "secevent+jwt", "logout+jwt", "application/jwt", "JWT+X", ""] {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        assert_eq!(fixture.rejection(&forge(header, payload(&issued))).await.as_str(), "malformed", "{typ}");
    }
}

/// RFC 7519 §4: a claim that is there twice must not mean one thing to one check and another to the next.
#[tokio::test]
async fn rejects_a_claim_that_is_there_twice() {
    let (fixture, issued) = login().await;
    let payload = payload(&issued);
    for (claim, value) in [
        ("sub", json!("bob")),
        ("sub", json!("alice")),
        (r"s\u0075b", json!("bob")),
        ("jti", json!("x")),
        ("exp", json!(START + 1_000_000)),
        ("iat", json!(START)),
        ("scope", json!("admin")),
        ("scope", json!("read")),
    ] {
        let before = format!(r#"{{"{claim}":{value},{}"#, &payload[1..]);
        let after = format!(r#"{},"{claim}":{value}}}"#, &payload[..payload.len() - 1]);
        for claims in [before, after] {
            assert_eq!(fixture.rejection(&forge(HEADER, &claims)).await.as_str(), "malformed", "{claims}");
        }
    }
    let twice = format!(r#"{{"jti_alg":"sha256","jti_alg":"sha256",{}"#, &payload[1..]);
    assert_eq!(fixture.rejection(&forge(HEADER, twice)).await.as_str(), "malformed");
    // A claim that the library does not write is added once, as it would be in a token of another server.
    let once = format!(r#"{{"jti_alg":"sha256",{}"#, &payload[1..]);
    assert_accepted(&fixture, &forge(HEADER, once)).await;
    let other_hash = format!(r#"{{"jti_alg":"sha512",{}"#, &payload[1..]);
    assert_eq!(fixture.rejection(&forge(HEADER, other_hash)).await, Rejection::Revoked);
    assert_accepted(&fixture, issued.token.expose()).await;
}
