//! PyJWT and jose verify our tokens, and we verify theirs, for every algorithm that both sides have.
//!
//! All of this is on the clock of the system, since the other two know no other.

#![allow(clippy::unwrap_used)]

use std::{sync::OnceLock, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use jiff::Timestamp;
use jwt_knox::{
    Algorithm, Issued, KeyError, KeyRing, KeySet, Knox, KnoxBuilder, ManualClock, MemoryStore, NewSession, Rejection,
    SigningKey, Subject, TokenProfile, Verifier, VerifyingKey,
};
use jwt_knox_tests::interop::{Library, Peer};
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example.com/é";
const AUDIENCE: &str = "api";

/// A secret and the token id that follows from it: the example `abc` of FIPS 180-4.
const SECRET: (&str, &str) = ("abc", "ba7816bf8f01cfea414140de5dae2223");

/// The algorithms of that library, all of which are ours too.
fn algorithms(peer: &mut Peer) -> Vec<Algorithm> {
    let names = peer.ask(&json!({"do": "algorithms"})).unwrap();
    names["algorithms"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().parse().unwrap()).collect()
}

fn is_ml_dsa(algorithm: Algorithm) -> bool {
    algorithm.as_str().starts_with("ML-DSA")
}

/// A new key of ours. Those for RSA are one and the same, since it takes long to make one.
fn new_key(algorithm: Algorithm) -> SigningKey {
    static RSA: OnceLock<String> = OnceLock::new();
    match algorithm {
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => {
            let generated = || SigningKey::generate(Algorithm::Rs256).unwrap().to_pem().unwrap().expose().to_owned();
            SigningKey::from_pem(algorithm, RSA.get_or_init(generated)).unwrap()
        }
        _ => SigningKey::generate(algorithm).unwrap(),
    }
}

/// A key of theirs, in all its forms.
fn key_of(peer: &mut Peer, algorithm: Algorithm) -> Value {
    peer.ask(&json!({"do": "generate", "alg": algorithm.as_str()})).unwrap()
}

/// The private key as we read it, under the name that follows from it.
fn signing_key(algorithm: Algorithm, theirs: &Value) -> SigningKey {
    SigningKey::from_jwk(algorithm, &theirs["private_jwk"].to_string()).unwrap()
}

/// The key that verifies, as we read it.
fn verifying_key(algorithm: Algorithm, theirs: &Value) -> VerifyingKey {
    let jwk = if algorithm.is_symmetric() { "private_jwk" } else { "public_jwk" };
    VerifyingKey::from_jwk(algorithm, &theirs[jwk].to_string()).unwrap()
}

fn knox(keys: impl Into<KeyRing>) -> KnoxBuilder {
    Knox::builder(keys).issuer(ISSUER).audience(AUDIENCE).store(MemoryStore::new())
}

/// A token of ours with everything that one may have.
fn issue(knox: KnoxBuilder) -> Issued {
    let knox = knox.build().unwrap();
    let new = NewSession::new(Subject::new("usér-42").unwrap());
    let new =
        new.scopes(["read", "write"]).unwrap().claims(&json!({"role": "admin", "nested": [1, {"é": null}]})).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(knox.issue(new)).unwrap()
}

/// What a library needs to verify our tokens, as we export it: JWK, PEM, and a JWK Set in which there is another key
/// too.
fn exports(library: Library, key: &SigningKey) -> Vec<Value> {
    let (public, algorithm) = (key.verifying_key(), key.algorithm());
    if algorithm.is_symmetric() {
        assert!(public.to_jwk().is_err() && public.to_pem().is_err(), "a secret is not published");
        return vec![json!({"jwk": parse(key.to_jwk().expose())})];
    }
    let ring = KeyRing::new(new_key(Algorithm::EdDsa));
    ring.stage(key.clone()).unwrap();
    let mut exports = vec![json!({"jwk": parse(&public.to_jwk().unwrap())}), json!({"jwks": parse(&ring.jwks())})];
    match public.to_pem() {
        Ok(pem) => exports.push(json!({"pem": pem})),
        Err(_) => assert!(is_ml_dsa(algorithm)),
    }
    if library == Library::PyJwt && is_ml_dsa(algorithm) {
        // PyJWT passes over keys of a kind that it does not know by itself.
        exports.retain(|export| export.get("jwks").is_none());
    }
    exports
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Asks a library to verify a token that should have our issuer and audience.
fn verify(peer: &mut Peer, token: &str, key: &Value, algorithm: Algorithm) -> Result<Value, String> {
    verify_for(peer, token, key, algorithm, ISSUER, AUDIENCE)
}

fn verify_for(
    peer: &mut Peer,
    token: &str,
    key: &Value,
    algorithm: Algorithm,
    issuer: &str,
    audience: &str,
) -> Result<Value, String> {
    let request = json!({"do": "verify", "token": token, "key": key, "alg": algorithm.as_str(), "issuer": issuer,
        "audience": audience});
    peer.ask(&request)
}

/// The claims of a login that began just now.
fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({"sub": "usér-42", "jti": SECRET.0, "iat": now, "exp": now + 36000, "iss": ISSUER, "aud": AUDIENCE, "x": [1, "é"]})
}

/// The same with one claim changed.
fn claims_with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// Has a library sign a token with a private JWK.
fn sign(peer: &mut Peer, claims: &Value, key: &Value, algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = kid.map_or(json!({}), |kid| json!({"kid": kid}));
    let request =
        json!({"do": "sign", "claims": claims, "header": header, "key": {"jwk": key}, "alg": algorithm.as_str()});
    peer.ask(&request).unwrap()["token"].as_str().unwrap().to_owned()
}

fn verifier(keys: impl Into<KeySet>) -> Verifier {
    Verifier::new(keys, TokenProfile::new().issuer(ISSUER).unwrap().audience(AUDIENCE).unwrap())
}

/// The token with one bit of a segment changed.
fn changed(token: &str, segment: usize) -> String {
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let mut bytes = Base64UrlUnpadded::decode_vec(&segments[segment]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    segments[segment] = Base64UrlUnpadded::encode_string(&bytes);
    segments.join(".")
}

/// Without this, the other tests could pass by doing nothing.
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn the_libraries_have_our_algorithms() {
    for (library, mut peer) in Peer::all() {
        let found = algorithms(&mut peer);
        // Whether jose has ML-DSA depends on the version of Node.
        let needed = |algorithm: &&Algorithm| library == Library::PyJwt || !is_ml_dsa(**algorithm);
        for algorithm in Algorithm::ALL.iter().filter(needed) {
            assert!(found.contains(algorithm), "{library:?} has no {algorithm}");
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn our_tokens_are_verified_by_others() {
    for (library, mut peer) in Peer::all() {
        for algorithm in algorithms(&mut peer) {
            let key = new_key(algorithm);
            let Issued { token, session: record, issued_at, .. } = issue(knox(key.clone()));
            for export in exports(library, &key) {
                let answer = verify(&mut peer, token.expose(), &export, algorithm);
                let mut answer = answer.unwrap_or_else(|error| panic!("{library:?} {algorithm} {export}: {error}"));
                assert_eq!(answer["header"], json!({"alg": algorithm.as_str(), "typ": "JWT", "kid": key.key_id()}));
                let secret = answer["claims"].as_object_mut().unwrap().remove("jti").unwrap();
                assert_eq!(secret.as_str().unwrap().len(), 43);
                let expected = json!({"sub": "usér-42", "sid": record.id.as_str(), "iss": ISSUER, "aud": AUDIENCE,
                    "scope": "read write", "iat": issued_at.as_second(), "exp": record.absolute_expires_at.unwrap().as_second(),
                    "role": "admin", "nested": [1, {"é": null}]});
                assert_eq!(answer["claims"], expected, "{library:?} {algorithm}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn our_tokens_are_rejected_where_they_should_be() {
    for (library, mut peer) in Peer::all() {
        // What a library calls it, if signature, issuer, audience, time or algorithm are not those wanted.
        let [signature, issuer, audience, time, another_algorithm] = match library {
            Library::PyJwt => [
                "InvalidSignatureError",
                "InvalidIssuerError",
                "InvalidAudienceError",
                "ExpiredSignatureError",
                "InvalidAlgorithmError",
            ],
            Library::Jose => [
                "JWSSignatureVerificationFailed",
                "\"iss\" claim",
                "\"aud\" claim",
                "\"exp\" claim",
                "\"alg\" (Algorithm) Header Parameter value not allowed",
            ],
        };
        let algorithms = algorithms(&mut peer);
        for (index, &algorithm) in algorithms.iter().enumerate() {
            let key = new_key(algorithm);
            let issued = issue(knox(key.clone()));
            let token = issued.token.expose();
            let right = exports(library, &key).remove(0);
            let expect = |outcome: Result<Value, String>, text: &str| match outcome {
                Err(error) if error.contains(text) => {}
                outcome => panic!("{library:?} {algorithm}: {outcome:?} instead of {text}"),
            };

            let theirs = key_of(&mut peer, algorithm);
            let wrong = if algorithm.is_symmetric() { &theirs["private_jwk"] } else { &theirs["public_jwk"] };
            expect(verify(&mut peer, token, &json!({"jwk": wrong}), algorithm), signature);
            for segment in [1, 2] {
                expect(verify(&mut peer, &changed(token, segment), &right, algorithm), signature);
            }
            expect(verify_for(&mut peer, token, &right, algorithm, "https://example.com", AUDIENCE), issuer);
            expect(verify_for(&mut peer, token, &right, algorithm, ISSUER, "other"), audience);
            let yesterday = Timestamp::now().checked_sub(Duration::from_secs(24 * 3600)).unwrap();
            let expired = issue(knox(key.clone()).clock(ManualClock::new(yesterday)));
            expect(verify(&mut peer, expired.token.expose(), &right, algorithm), time);
            // The token of another algorithm, where this one is expected.
            let other = issue(knox(new_key(algorithms[(index + 1) % algorithms.len()])));
            expect(verify(&mut peer, other.token.expose(), &right, algorithm), another_algorithm);
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn keys_of_others_are_read_from_jwk_and_pem() {
    for (library, mut peer) in Peer::all() {
        for algorithm in algorithms(&mut peer) {
            let theirs = key_of(&mut peer, algorithm);
            let text = |form: &str| theirs[form].as_str().unwrap().to_owned();
            let mut signing = vec![signing_key(algorithm, &theirs)];
            let mut verifying = vec![verifying_key(algorithm, &theirs)];
            if is_ml_dsa(algorithm) {
                let from_pem = SigningKey::from_pem(algorithm, &text("private_pem"));
                assert!(matches!(from_pem, Err(KeyError::Unsupported { .. })), "{from_pem:?}");
            } else if !algorithm.is_symmetric() {
                signing.push(SigningKey::from_pem(algorithm, &text("private_pem")).unwrap());
                verifying.push(VerifyingKey::from_pem(algorithm, &text("public_pem")).unwrap());
            }
            for signing in &signing {
                for verifying in &verifying {
                    assert_eq!(signing.key_id(), verifying.key_id(), "{library:?} {algorithm}");
                    let token = issue(knox(signing.clone())).token;
                    assert!(verifier(verifying.clone()).verify(token.expose()).is_ok(), "{library:?} {algorithm}");
                }
                // What was read is written as it was, and so read again.
                let token = sign(&mut peer, &claims(), &parse(signing.to_jwk().expose()), algorithm, None);
                assert!(verifier(verifying[0].clone()).verify(&token).is_ok(), "{library:?} {algorithm}");
                for export in exports(library, signing) {
                    let token = sign(&mut peer, &claims(), &theirs["private_jwk"], algorithm, Some(signing.key_id()));
                    assert!(verify(&mut peer, &token, &export, algorithm).is_ok(), "{library:?} {algorithm} {export}");
                }
            }
            // The key of one algorithm is no key of another.
            let other = if algorithm == Algorithm::Es384 { Algorithm::EdDsa } else { Algorithm::Es384 };
            assert!(
                SigningKey::from_jwk(other, &theirs["private_jwk"].to_string()).is_err(),
                "{library:?} {algorithm}"
            );
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn tokens_of_others_are_verified() {
    for (library, mut peer) in Peer::all() {
        for algorithm in algorithms(&mut peer) {
            let theirs = key_of(&mut peer, algorithm);
            let key = verifying_key(algorithm, &theirs);
            let other = new_key(Algorithm::EdDsa).verifying_key();
            let mut verifiers = vec![
                verifier(key.clone()),
                verifier(KeySet::new([other.clone(), key.clone()]).unwrap()),
                verifier(KeyRing::new(signing_key(algorithm, &theirs)).to_key_set()),
            ];
            let mut jwk = theirs["public_jwk"].clone();
            if !algorithm.is_symmetric() {
                jwk["kid"] = key.key_id().into();
                jwk["alg"] = algorithm.as_str().into();
                let jwks = json!({"keys": [parse(&other.to_jwk().unwrap()), jwk, {"kty": "unknown"}]});
                verifiers.push(verifier(KeySet::from_jwks(&jwks.to_string()).unwrap()));
            }
            let claims = claims();
            let with_list = claims_with("aud", vec!["other", AUDIENCE]);
            for claims in [&claims, &with_list] {
                let token = sign(&mut peer, claims, &theirs["private_jwk"], algorithm, Some(key.key_id()));
                for verifier in &verifiers {
                    let verified = verifier.verify(&token);
                    let verified = verified.unwrap_or_else(|error| panic!("{library:?} {algorithm}: {error}"));
                    assert_eq!(verified.subject().as_str(), "usér-42");
                    assert_eq!(verified.session_id().as_str(), SECRET.1);
                    assert_eq!(verified.expires_at().unwrap().as_second(), claims["exp"].as_i64().unwrap());
                    let mut expected = claims.clone();
                    expected.as_object_mut().unwrap().remove("jti");
                    assert_eq!(verified.claims::<Value>().unwrap(), expected);
                }
            }
            // Without a `kid`, only the one key of a set of one can be meant.
            let nameless = sign(&mut peer, &claims, &theirs["private_jwk"], algorithm, None);
            assert!(verifiers[0].verify(&nameless).is_ok(), "{library:?} {algorithm}");
            assert_eq!(verifiers[1].verify(&nameless).unwrap_err(), Rejection::UnknownKey);
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn tokens_of_others_are_rejected_where_they_should_be() {
    for (library, mut peer) in Peer::all() {
        let algorithms = algorithms(&mut peer);
        for (index, &algorithm) in algorithms.iter().enumerate() {
            let theirs = key_of(&mut peer, algorithm);
            let key = verifying_key(algorithm, &theirs);
            let kid = Some(key.key_id());
            let verifier = verifier(key.clone());
            let expect = |token: &str, error: Rejection| {
                assert_eq!(verifier.verify(token).err(), Some(error), "{library:?} {algorithm}");
            };
            let now = Timestamp::now().as_second();
            for (claims, error) in [
                (claims_with("iss", "https://example.com"), Rejection::WrongIssuer),
                (claims_with("aud", "other"), Rejection::WrongAudience),
                (claims_with("exp", now - 1), Rejection::Expired),
                (claims_with("iat", now + 3600), Rejection::NotYetValid),
                (claims_with("nbf", now + 3600), Rejection::NotYetValid),
            ] {
                expect(&sign(&mut peer, &claims, &theirs["private_jwk"], algorithm, kid), error);
            }
            let good = sign(&mut peer, &claims(), &theirs["private_jwk"], algorithm, kid);
            expect(&changed(&good, 1), Rejection::InvalidSignature);
            expect(&changed(&good, 2), Rejection::InvalidSignature);
            let another = key_of(&mut peer, algorithm);
            let forged = sign(&mut peer, &claims(), &another["private_jwk"], algorithm, kid);
            expect(&forged, Rejection::InvalidSignature);
            let foreign = sign(&mut peer, &claims(), &theirs["private_jwk"], algorithm, Some("another"));
            expect(&foreign, Rejection::UnknownKey);
            let next = algorithms[(index + 1) % algorithms.len()];
            let key_of_next = key_of(&mut peer, next);
            let other = sign(&mut peer, &claims(), &key_of_next["private_jwk"], next, kid);
            expect(&other, Rejection::AlgorithmMismatch);
        }
    }
}

/// The oldest trick: what everybody may know, the public key, as the secret of HMAC (RFC 8725 §2.1).
#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn a_public_key_is_not_taken_for_a_secret() {
    let mut jose = Peer::start(Library::Jose);
    for algorithm in algorithms(&mut jose) {
        let theirs = key_of(&mut jose, algorithm);
        let Some(pem) = theirs["public_pem"].as_str() else { continue };
        let key = verifying_key(algorithm, &theirs);
        for known in [pem, pem.trim_end(), &theirs["public_jwk"].to_string()] {
            let secret = json!({"kty": "oct", "k": Base64UrlUnpadded::encode_string(known.as_bytes())});
            let token = sign(&mut jose, &claims(), &secret, Algorithm::Hs256, Some(key.key_id()));
            assert_eq!(verifier(key.clone()).verify(&token).err(), Some(Rejection::AlgorithmMismatch), "{algorithm}");
        }
    }
}

#[test]
#[cfg_attr(not(knox_interop), ignore = "tests/interop/install.sh has not been run")]
fn the_key_id_is_the_thumbprint_that_others_compute() {
    let mut jose = Peer::start(Library::Jose);
    for &algorithm in Algorithm::ALL {
        let key = new_key(algorithm);
        let jwk = if algorithm.is_symmetric() {
            key.to_jwk().expose().to_owned()
        } else {
            key.verifying_key().to_jwk().unwrap()
        };
        let answer = jose.ask(&json!({"do": "thumbprint", "jwk": parse(&jwk)})).unwrap();
        assert_eq!(answer["thumbprint"], key.key_id(), "{algorithm}");
    }
}
