//! What a token claims, and what is not a set of claims.

use jwt_knox::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixture::{Fixture, HEADER, START, claims, forge, subject, with_claims};

#[tokio::test]
async fn custom_claims_and_scopes_travel_in_the_token() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct MyClaims {
        role: String,
        teams: Vec<u32>,
    }
    let fixture = Fixture::new();
    let mine = MyClaims { role: "editor".into(), teams: vec![1, 2] };
    let new = NewSession::new(subject("alice"))
        .claims(&mine)
        .unwrap()
        .scopes(["read", "write"])
        .unwrap()
        .label("Firefox")
        .attribute("ip", "192.0.2.1")
        .unwrap();
    let issued = fixture.knox.issue(new).await.unwrap();
    assert_eq!(claims(&issued)["scope"], "read write");
    let auth = fixture.authenticate(&issued).await;
    assert_eq!(auth.claims::<MyClaims>().unwrap(), mine);
    assert_eq!(auth.scopes().collect::<Vec<_>>(), ["read", "write"]);
    assert!(auth.has_scope("read") && auth.has_scope("write"));
    assert!(!auth.has_scope("rea") && !auth.has_scope("read write") && !auth.has_scope(""));
    assert!(auth.require_scope("read").is_ok());
    assert_eq!(auth.require_scope("admin").unwrap_err().scope, "admin");
    assert_eq!(auth.session().label.as_deref(), Some("Firefox"));
    assert_eq!(auth.session().attributes["ip"], "192.0.2.1");
    // The secret is not among the claims, whatever type is asked for.
    let all = auth.claims::<Value>().unwrap();
    assert_eq!(all.get("jti"), None);
    assert_eq!(all["sub"], "alice");
    assert!(matches!(auth.claims::<Vec<u8>>(), Err(ClaimsError::Mismatch(_))));
}

#[tokio::test]
async fn rejects_forged_claims_even_with_the_key() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    fixture.login("bob").await;
    let cases = [
        (json!({"sub": "bob"}), "revoked"),
        (json!({"sub": "Alice"}), "revoked"),
        (json!({"sub": "alice "}), "revoked"),
        (json!({"jti": "A".repeat(43)}), "revoked"),
        (json!({"jti": issued.session.id.as_str()}), "revoked"),
        (json!({"jti": issued.session.digest.to_string()}), "revoked"),
        (json!({"exp": START}), "expired"),
        (json!({"exp": START - 1}), "expired"),
        (json!({"exp": START as f64 + 0.0}), "expired"),
        (json!({"nbf": START + 1}), "not_yet_valid"),
        (json!({"iss": "someone"}), "wrong_issuer"),
        (json!({"aud": "someone"}), "wrong_audience"),
        (json!({"aud": []}), "wrong_audience"),
        (json!({"aud": ["a", "b"]}), "wrong_audience"),
        (json!({"sub": null}), "malformed"),
        (json!({"sub": ""}), "malformed"),
        (json!({"sub": 1}), "malformed"),
        (json!({"sub": ["alice"]}), "malformed"),
        (json!({"sub": "a\u{0}"}), "malformed"),
        (json!({"sub": "x".repeat(256)}), "malformed"),
        (json!({"jti": null}), "malformed"),
        (json!({"jti": ""}), "malformed"),
        (json!({"jti": 1}), "malformed"),
        (json!({"jti": "x".repeat(513)}), "malformed"),
        (json!({"exp": "soon"}), "malformed"),
        (json!({"exp": START.to_string()}), "malformed"),
        (json!({"exp": true}), "malformed"),
        (json!({"exp": [START]}), "malformed"),
        (json!({"exp": 1e300}), "malformed"),
        (json!({"exp": i64::MAX}), "malformed"),
        (json!({"exp": u64::MAX}), "malformed"),
        (json!({"exp": -1}), "expired"),
        (json!({"nbf": {}}), "malformed"),
        (json!({"nbf": i64::MAX}), "malformed"),
        (json!({"nbf": (1_i64 << 32) + START}), "not_yet_valid"),
        (json!({"iat": "now"}), "malformed"),
        (json!({"iss": 1}), "malformed"),
        (json!({"aud": 1}), "malformed"),
        (json!({"aud": [1]}), "malformed"),
        (json!({"aud": {}}), "malformed"),
        (json!({"scope": ["a"]}), "malformed"),
        (json!({"scope": "admin"}), "revoked"),
    ];
    for (changes, expected) in cases {
        let reason = fixture.rejection(&with_claims(&issued, changes.clone())).await;
        assert_eq!(reason.as_str(), expected, "{changes}: {reason}");
    }
    for (changes, name) in [
        (json!({"nbf": START}), "nbf now"),
        (json!({"exp": START as f64 + 0.5}), "a fraction of a second to live"),
        (json!({"exp": (1_i64 << 32) + START}), "an exp beyond 32 bits"),
    ] {
        assert!(fixture.knox.authenticate(&with_claims(&issued, changes)).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn rejects_a_payload_that_is_not_a_claims_set() {
    let fixture = Fixture::new();
    let deep = "[".repeat(100_000);
    for payload in ["", "null", "[]", "1", "\"sub\"", "{", "{}", r#"{"sub":"\ud800"}"#, &deep[..5000], "{\"sub\":NaN}"]
    {
        assert_eq!(fixture.rejection(&forge(HEADER, payload)).await.as_str(), "malformed", "{payload:.20}");
    }
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    for twice in [r#","sub":"alice"}"#, r#","role":"a","role":"b"}"#, r#","\u0073ub":"alice"}"#, r#","exp":1,"exp":2}"#]
    {
        let payload = payload.replace('}', twice);
        assert_eq!(fixture.rejection(&forge(HEADER, &payload)).await.as_str(), "malformed", "{twice}");
    }
    let header = r#"{"alg":"HS256","x":1,"x":1}"#;
    assert_eq!(fixture.rejection(&forge(header, &payload)).await.as_str(), "malformed");
    let exp_null = r#"{"sub":"alice","jti":"x","exp":null}"#;
    assert_eq!(fixture.rejection(&forge(HEADER, exp_null)).await.as_str(), "malformed");
}

#[tokio::test]
async fn rejects_a_string_that_is_not_a_jwt() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let valid = issued.token.expose();
    let long = "a".repeat(1_000_000);
    for string in ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "\0", &long, &format!("{valid}.")]
    {
        assert_eq!(fixture.rejection(string).await.as_str(), "malformed", "{string:.20}");
    }
    for string in
        [format!(" {valid}"), format!("{valid} "), format!("{valid}\n"), format!("{valid}="), valid.replace('.', "..")]
    {
        assert_eq!(fixture.rejection(&string).await.as_str(), "malformed");
    }
}
