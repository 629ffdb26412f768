//! Keys of every algorithm in every form.

use base64ct::{Base64, Encoding};

use super::*;

/// One key of each algorithm. RSA keys take long to make, so all tests share them.
fn signing(algorithm: Algorithm) -> SigningKey {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex},
    };
    static KEYS: LazyLock<Mutex<HashMap<Algorithm, SigningKey>>> = LazyLock::new(Mutex::default);
    let mut keys = KEYS.lock().unwrap();
    keys.entry(algorithm).or_insert_with(|| SigningKey::generate(algorithm).unwrap()).clone()
}

fn claims() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::from_iter([("sub".to_owned(), "alice".into())])
}

fn verifies(key: &VerifyingKey, token: &str) -> bool {
    key.verify_signature(token, 8192).is_ok()
}

const PEM: [Algorithm; 6] =
    [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];

#[test]
fn every_algorithm_signs_and_verifies_and_its_jwk_comes_back() {
    for &algorithm in Algorithm::ALL {
        let key = signing(algorithm);
        let token = key.sign(claims()).unwrap();
        assert!(verifies(&key.verifying_key(), &token), "{algorithm}");
        assert_eq!(key.key_id().len(), 43, "{algorithm}: a thumbprint");

        let exported = key.to_jwk();
        let again = SigningKey::from_jwk(algorithm, exported.expose()).unwrap();
        assert_eq!(again.key_id(), key.key_id());
        assert!(verifies(&key.verifying_key(), &again.sign(claims()).unwrap()), "{algorithm}");

        let renamed = key.clone().with_key_id("k1").unwrap();
        assert!(renamed.to_jwk().expose().contains(r#""kid":"k1""#), "{algorithm}");
        assert!(verifies(&key.verifying_key(), &renamed.sign(claims()).unwrap()), "{algorithm}");

        let stranger =
            if algorithm.as_str().starts_with("RS") { continue } else { SigningKey::generate(algorithm).unwrap() };
        assert!(!verifies(&stranger.verifying_key(), &token), "{algorithm}");
        assert_ne!(stranger.key_id(), key.key_id());
    }
}

#[test]
fn a_public_form_verifies_and_has_nothing_private() {
    for &algorithm in Algorithm::ALL {
        let key = signing(algorithm);
        if algorithm.is_symmetric() {
            assert!(matches!(key.verifying_key().to_jwk(), Err(KeyError::Symmetric)));
            assert!(matches!(key.verifying_key().to_pem(), Err(KeyError::Symmetric)));
            continue;
        }
        let token = key.sign(claims()).unwrap();
        let jwk = key.verifying_key().to_jwk().unwrap();
        for member in [r#""d":"#, r#""priv":"#, r#""p":"#, r#""k":"#] {
            assert!(!jwk.contains(member), "{algorithm}: {member}");
        }
        assert!(jwk.contains(&format!(r#""alg":"{algorithm}""#)) && jwk.contains(r#""use":"sig""#), "{jwk}");
        let read = VerifyingKey::from_jwk(algorithm, &jwk).unwrap();
        assert_eq!((read.key_id(), read.algorithm()), (key.key_id(), algorithm));
        assert!(verifies(&read, &token), "{algorithm}");
        // Nobody can make a private key from the public one, and neither is read in place of the other.
        assert!(matches!(SigningKey::from_jwk(algorithm, &jwk), Err(KeyError::NotPrivate)), "{algorithm}");
        let private = key.to_jwk();
        assert!(matches!(VerifyingKey::from_jwk(algorithm, private.expose()), Err(KeyError::NotPublic)), "{algorithm}");
    }
}

#[test]
fn pem_and_der_come_back() {
    for algorithm in PEM {
        let key = signing(algorithm);
        let token = key.sign(claims()).unwrap();
        let (private, public) = (key.to_pem().unwrap(), key.verifying_key().to_pem().unwrap());
        assert_eq!(private.expose().matches("-----BEGIN").count(), 1, "{algorithm}: one block");
        assert!(private.expose().contains("PRIVATE KEY-----") && public.contains("-----BEGIN PUBLIC KEY-----"));
        assert_eq!(SigningKey::from_pem(algorithm, private.expose()).unwrap().key_id(), key.key_id(), "{algorithm}");
        assert!(verifies(&VerifyingKey::from_pem(algorithm, &public).unwrap(), &token), "{algorithm}");

        let to_der = |pem: &str| {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            Base64::decode_vec(&body).unwrap()
        };
        assert_eq!(SigningKey::from_der(algorithm, &to_der(private.expose())).unwrap().key_id(), key.key_id());
        assert!(verifies(&VerifyingKey::from_der(algorithm, &to_der(&public)).unwrap(), &token), "{algorithm}");

        assert!(matches!(SigningKey::from_pem(algorithm, &public), Err(KeyError::NotPrivate)), "{algorithm}");
        assert!(matches!(VerifyingKey::from_pem(algorithm, private.expose()), Err(KeyError::NotPublic)), "{algorithm}");
    }
    for algorithm in [Algorithm::Hs256, Algorithm::MlDsa44] {
        assert!(matches!(signing(algorithm).to_pem(), Err(KeyError::Unsupported { .. })));
    }
}

#[test]
fn raw_bytes_come_back() {
    let seed = SigningKey::from_bytes(Algorithm::MlDsa65, [7; 32]).unwrap();
    assert_eq!(seed.key_id(), SigningKey::from_bytes(Algorithm::MlDsa65, [7; 32]).unwrap().key_id());
    assert!(SigningKey::from_bytes(Algorithm::MlDsa65, [7; 31]).is_err());
    let scalar = SigningKey::from_bytes(Algorithm::Es256, [7; 32]).unwrap();
    assert!(verifies(&scalar.verifying_key(), &scalar.sign(claims()).unwrap()));
    for bytes in [vec![0; 32], vec![7; 31], vec![7; 33], vec![0xff; 32]] {
        assert!(matches!(SigningKey::from_bytes(Algorithm::Es256, bytes), Err(KeyError::Malformed { .. })));
    }
    assert!(SigningKey::from_bytes(Algorithm::Es384, [7; 48]).is_ok());
    // The 64 bytes of an Ed25519 key are a seed and the public key that belongs to it.
    assert!(SigningKey::from_bytes(Algorithm::EdDsa, [7; 64]).is_err());
    assert!(VerifyingKey::from_bytes(Algorithm::EdDsa, [0; 32]).is_err(), "a weak point");
    assert!(VerifyingKey::from_bytes(Algorithm::EdDsa, [7; 31]).is_err());
    assert!(matches!(SigningKey::from_bytes(Algorithm::Rs256, [7; 256]), Err(KeyError::Unsupported { .. })));
}

#[test]
fn rejects_a_key_shorter_than_its_hash() {
    for (algorithm, min) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
        for bytes in [0, 1, min - 1] {
            let error = SigningKey::from_bytes(algorithm, vec![1; bytes]).unwrap_err();
            assert!(matches!(error, KeyError::TooShort { .. }), "{error}");
            assert!(error.to_string().contains(&format!("at least {min} bytes, this one has {bytes}")), "{error}");
        }
        assert!(SigningKey::from_bytes(algorithm, vec![1; min]).is_ok());
        assert!(VerifyingKey::from_bytes(algorithm, vec![1; min - 1]).is_err());
    }
    let short = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg"}"#;
    assert!(matches!(SigningKey::from_jwk(Algorithm::Hs256, short), Err(KeyError::TooShort { .. })));
}

#[test]
fn rejects_a_public_key_as_the_secret_of_hmac() {
    let public = signing(Algorithm::Es256).verifying_key().to_pem().unwrap();
    assert!(matches!(SigningKey::hs256(&public), Err(KeyError::NotASecret)));
    assert!(matches!(SigningKey::hs256(format!("\n {public}")), Err(KeyError::NotASecret)));
    let public = signing(Algorithm::Es256).verifying_key().to_jwk().unwrap();
    assert!(matches!(SigningKey::hs256(&public), Err(KeyError::NotASecret)));
    assert!(SigningKey::hs256("{32 bytes that begin with a brace}").is_ok());
}

#[test]
fn the_key_id_is_the_thumbprint_unless_given() {
    // SHA-256 of {"k":"AQEB…","kty":"oct"}, worked out with another implementation.
    let key = SigningKey::hs256([1; 32]).unwrap();
    assert_eq!(key.key_id(), "qxCHshN8PwafMF-QBPVzXD3S4bHcXL78UW4f8SjvPZg");
    assert_eq!(key.key_id(), SigningKey::hs256([1; 32]).unwrap().key_id());
    assert_ne!(key.key_id(), SigningKey::hs256([2; 32]).unwrap().key_id());
    assert_eq!(key.with_key_id("k1").unwrap().key_id(), "k1");
    // RFC 8037 appendix A.3.
    let x = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = VerifyingKey::from_jwk(Algorithm::EdDsa, x).unwrap();
    assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    // RFC 7638 §3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
             oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA\
             ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-\
             kEgU8awapJzKnqDKgw";
    let key = VerifyingKey::from_jwk(Algorithm::Rs256, &format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#)).unwrap();
    assert_eq!(key.key_id(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn key_ids_are_bounded_and_printable() {
    for key_id in ["", "a b", "é", "a\n", &"x".repeat(129)] {
        let key = SigningKey::hs256([1; 32]).unwrap();
        assert!(matches!(key.with_key_id(key_id), Err(KeyError::InvalidKeyId)), "{key_id:?}");
        let jwk = serde_json::json!({"kty": "oct", "k": "A".repeat(43), "kid": key_id}).to_string();
        assert!(matches!(SigningKey::from_jwk(Algorithm::Hs256, &jwk), Err(KeyError::InvalidKeyId)), "{key_id:?}");
    }
}

#[test]
fn the_error_identifies_a_key_of_another_kind() {
    let all =
        [Algorithm::Hs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::MlDsa44];
    for found in all {
        let private = signing(found).to_jwk();
        let public = signing(found).verifying_key().to_jwk().unwrap_or_default();
        for expected in all.into_iter().filter(|expected| *expected != found) {
            let error = SigningKey::from_jwk(expected, private.expose()).unwrap_err();
            assert_eq!(error.to_string(), format!("this is a key for {found}, not for {expected}"));
            if !found.is_symmetric() && !expected.is_symmetric() {
                let error = VerifyingKey::from_jwk(expected, &public).unwrap_err();
                assert_eq!(error.to_string(), format!("this is a key for {found}, not for {expected}"));
            }
        }
    }
    let pem = signing(Algorithm::Es384).to_pem().unwrap();
    let error = SigningKey::from_pem(Algorithm::Es256, pem.expose()).unwrap_err();
    assert!(
        matches!(error, KeyError::WrongAlgorithm { expected: Algorithm::Es256, found: Algorithm::Es384 }),
        "{error}"
    );
    let jwk = signing(Algorithm::Rs256).verifying_key().to_jwk().unwrap();
    let error = VerifyingKey::from_jwk(Algorithm::Rs512, &jwk).unwrap_err();
    assert!(matches!(error, KeyError::WrongAlgorithm { found: Algorithm::Rs256, .. }), "{error}");
}

#[test]
fn rejects_what_is_not_a_key_with_a_reason() {
    for text in ["", "{", "[]", "null", "{}", "-----BEGIN PRIVATE KEY-----\n", "garbage", &"{".repeat(10_000)] {
        for &algorithm in Algorithm::ALL {
            assert!(SigningKey::from_jwk(algorithm, text).is_err() && VerifyingKey::from_jwk(algorithm, text).is_err());
            assert!(SigningKey::from_pem(algorithm, text).is_err() && VerifyingKey::from_pem(algorithm, text).is_err());
            assert!(SigningKey::from_der(algorithm, text.as_bytes()).is_err());
            assert!(VerifyingKey::from_der(algorithm, text.as_bytes()).is_err());
        }
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(matches!(SigningKey::from_pem(Algorithm::Es256, encrypted), Err(KeyError::Encrypted)));
    for jwk in [
        r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","use":"enc"}"#,
        r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","key_ops":["encrypt"]}"#,
        r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","alg":"A256GCM"}"#,
        r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}"#,
        r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","kty":"oct"}"#,
        r#"{"kty":"oct"}"#,
    ] {
        assert!(matches!(SigningKey::from_jwk(Algorithm::Hs256, jwk), Err(KeyError::Malformed { .. })), "{jwk}");
    }
}

#[test]
fn keys_are_read_from_files_and_the_environment() {
    let folder = std::env::temp_dir().join(format!("jwt-knox-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    };
    let key = signing(Algorithm::Es256);
    let (pem, jwk) = (key.to_pem().unwrap(), key.to_jwk());
    for path in [file("key.pem", pem.expose().as_bytes()), file("key.jwk", jwk.expose().as_bytes())] {
        assert_eq!(SigningKey::from_file(Algorithm::Es256, path).unwrap().key_id(), key.key_id());
    }
    let public = file("public.pem", key.verifying_key().to_pem().unwrap().as_bytes());
    assert_eq!(VerifyingKey::from_file(Algorithm::Es256, &public).unwrap().key_id(), key.key_id());
    assert!(matches!(SigningKey::from_file(Algorithm::Es256, public), Err(KeyError::NotPrivate)));

    // What an editor or `openssl rand -base64` leaves at the end of a string is not part of the key; bytes are bytes.
    let secret = SigningKey::hs256("k".repeat(32)).unwrap();
    for end in ["", "\n", "\r\n"] {
        let path = file("secret", format!("{}{end}", "k".repeat(32)).as_bytes());
        assert_eq!(SigningKey::from_file(Algorithm::Hs256, path).unwrap().key_id(), secret.key_id(), "{end:?}");
    }
    let bytes = [&[0xff; 31][..], b"\n"].concat();
    let path = file("bytes", &bytes);
    assert_eq!(
        SigningKey::from_file(Algorithm::Hs256, path).unwrap().key_id(),
        SigningKey::hs256(bytes).unwrap().key_id()
    );

    let missing = SigningKey::from_file(Algorithm::Hs256, folder.join("missing")).unwrap_err();
    assert!(missing.to_string().contains("missing") && std::error::Error::source(&missing).is_some());
    let unset = SigningKey::from_env(Algorithm::Hs256, "KNOX_NO_SUCH_VARIABLE").unwrap_err();
    assert_eq!(unset.to_string(), "the key in `KNOX_NO_SUCH_VARIABLE` cannot be read");
    // Cargo sets this one for its tests; it is no key.
    assert!(matches!(
        SigningKey::from_env(Algorithm::Hs256, "CARGO_PKG_NAME"),
        Err(KeyError::TooShort { bytes: 8, .. })
    ));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn debug_does_not_show_a_private_key() {
    for &algorithm in Algorithm::ALL {
        let key = signing(algorithm).with_key_id("k1").unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm} k1, redacted)"));
        assert_eq!(format!("{:?}", key.verifying_key()), format!("VerifyingKey({algorithm} k1)"));
    }
}
