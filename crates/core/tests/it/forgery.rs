//! Forged headers and signatures.

use jwt_knox::*;
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike, HS384Key, HS512Key, MACLike};

use crate::fixture::{Fixture, HEADER, KEY, claims, forge, forge_with, header, hs256, rejection, subject};

/// Makes the signature of the bytes that it is given.
type Sign = fn(&[u8]) -> Vec<u8>;

#[tokio::test]
async fn rejects_a_changed_byte_at_any_position() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let valid = issued.token.expose().as_bytes();
    for position in 0..valid.len() {
        for byte in [b'A', b'B', b'_', b'.', b'=', b'+', b'%', 0, b' '] {
            let mut changed = valid.to_vec();
            if changed[position] == byte {
                continue;
            }
            changed[position] = byte;
            fixture.rejection(&String::from_utf8(changed).unwrap()).await;
        }
    }
    assert_eq!(fixture.calls(Operation::Find), 0, "none of them reaches the store");
}

#[tokio::test]
async fn the_last_character_has_one_spelling() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let (rest, _) = issued.token.expose().split_at(issued.token.expose().len() - 1);
    let alphabet = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    let mut accepted = 0;
    for last in alphabet {
        accepted += u32::from(fixture.knox.authenticate(&format!("{rest}{last}")).await.is_ok());
    }
    assert_eq!(accepted, 1);
}

#[tokio::test]
async fn rejects_a_forged_header() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    let accepted = forge(HEADER, &payload);
    assert!(fixture.knox.authenticate(&accepted).await.is_ok(), "the forger works");
    assert!(fixture.knox.authenticate(&forge(r#"{"alg":"HS256"}"#, &payload)).await.is_ok());
    assert!(fixture.knox.authenticate(&forge(r#"{"alg":"HS256","typ":"jwt"}"#, &payload)).await.is_ok());

    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""hs256""#,
        r#""Hs256""#,
        r#""HS256 ""#,
        r#"" HS256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""RS256""#,
        r#""ES256""#,
        r#""PS256""#,
        r#""EdDSA""#,
        r#""""#,
        "null",
        "256",
        "true",
        "[]",
        "{}",
        r#"["HS256"]"#,
    ] {
        let header = format!(r#"{{"alg":{alg},"typ":"JWT"}}"#);
        fixture.rejection(&forge(&header, &payload)).await;
        // And with no signature at all.
        fixture.rejection(&forge_with(|_| Vec::new(), &header, &payload)).await;
    }
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","crit":"b64","b64":false}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"JOSE"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"{"alg":"HS256","kid":"other"}"#,
        r#"{"alg":"HS256","kid":""}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":["a"]}"#,
        r#"{"alg":"HS256","kid":"../../dev/null"}"#,
        "[]",
        "null",
        "1",
        "\"HS256\"",
        "",
        "{",
        "{\"alg\":\"HS256\"}x",
    ] {
        fixture.rejection(&forge(header, &payload)).await;
    }
}

/// RFC 9864 §2.2: `Ed25519` is the newer name of `EdDSA` on that curve. Tokens are signed under the older one.
#[tokio::test]
async fn an_ed25519_key_has_two_names_and_no_third() {
    let fixture = Fixture::new();
    let pair = Ed25519KeyPair::generate();
    let key = SigningKey::from_bytes(Algorithm::EdDsa, pair.to_bytes()).unwrap();
    let key_id = key.key_id().to_owned();
    let knox = fixture.separate_server(key);
    let issued = knox.issue(subject("alice")).await.unwrap();
    assert_eq!(header(&issued)["alg"], "EdDSA");
    let sign = |signed: &[u8]| pair.key_pair().as_ref().sk.sign(signed, None).to_vec();
    let named = |alg: &str| {
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{key_id}"}}"#);
        forge_with(sign, header, claims(&issued).to_string())
    };
    for alg in ["EdDSA", "Ed25519"] {
        assert!(knox.authenticate(&named(alg)).await.is_ok(), "{alg}");
    }
    for alg in ["eddsa", "ed25519", "ED25519", "Ed25519 ", "Ed448", "ES256", "HS256", "none", ""] {
        assert_eq!(rejection(&knox, &named(alg)).await, Rejection::AlgorithmMismatch, "{alg}");
    }
}

#[tokio::test]
async fn rejects_a_signature_by_another_key_or_hash() {
    let fixture = Fixture::new();
    let issued = fixture.login("alice").await;
    let payload = claims(&issued).to_string();
    let others: [Sign; 5] = [
        |signed| hs256([b'K'; 64])(signed),
        |signed| HS384Key::from_bytes(&KEY).authentication_tag(signed),
        |signed| HS512Key::from_bytes(&KEY).authentication_tag(signed),
        |_| vec![0; 32],
        // The right one, cut off.
        |signed| hs256(KEY)(signed)[..16].to_vec(),
    ];
    for sign in others {
        assert_eq!(fixture.rejection(&forge_with(sign, HEADER, &payload)).await, Rejection::InvalidSignature);
    }
}

/// RFC 8725 §2.1: a public key is not a secret, and must not be taken for the key of HMAC, in whatever form.
#[tokio::test]
async fn rejects_a_token_signed_with_a_public_key_as_the_secret() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::MlDsa44] {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("k").unwrap();
        let knox = Fixture::new().separate_server(key.clone());
        let issued = knox.issue(subject("alice")).await.unwrap();
        let payload = claims(&issued).to_string();
        let public = key.verifying_key();
        let secrets =
            [public.to_jwk().ok(), public.to_pem().ok(), Some(public.key_id().to_owned()), Some(String::new())];
        for secret in secrets.into_iter().flatten() {
            for alg in ["HS256", "none", algorithm.as_str()] {
                let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"k"}}"#);
                for token in
                    [forge_with(hs256(&secret), &header, &payload), forge_with(|_| Vec::new(), &header, &payload)]
                {
                    let outcome = knox.authenticate(&token).await;
                    assert!(matches!(outcome, Err(AuthenticateError::Rejected(_))), "{algorithm} {alg}: {outcome:?}");
                }
            }
        }
    }
}

/// Signatures that a careless verifier of ECDSA accepts for any message: zeros, the order of the curve, other lengths.
#[tokio::test]
async fn rejects_signatures_that_are_not_points() {
    for (algorithm, bytes) in
        [(Algorithm::Es256, 64), (Algorithm::Es384, 96), (Algorithm::EdDsa, 64), (Algorithm::MlDsa44, 2420)]
    {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("k").unwrap();
        let knox = Fixture::new().separate_server(key);
        let issued = knox.issue(subject("alice")).await.unwrap();
        let header = header(&issued).to_string();
        let payload = claims(&issued).to_string();
        for signature in
            [vec![0; bytes], vec![0xff; bytes], vec![1; bytes], vec![0; bytes - 1], vec![0; bytes + 1], vec![0; 8]]
        {
            let outcome = knox.authenticate(&forge_with(|_| signature.clone(), &header, &payload)).await;
            assert!(matches!(outcome, Err(AuthenticateError::Rejected(_))), "{algorithm}: {outcome:?}");
        }
        // The signature of another session's token.
        let other = knox.issue(subject("bob")).await.unwrap();
        let (signed, _) = issued.token.expose().rsplit_once('.').unwrap();
        let (_, signature) = other.token.expose().rsplit_once('.').unwrap();
        assert!(knox.authenticate(&format!("{signed}.{signature}")).await.is_err(), "{algorithm}");
        assert!(knox.authenticate(issued.token.expose()).await.is_ok(), "{algorithm}");
    }
}
