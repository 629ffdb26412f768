//! The test vectors of Wycheproof and of the RFCs, which are in `tests/vectors`.
//!
//! They are signatures over any bytes, not JWTs of ours: what counts is whether the signature is accepted, by the same
//! code that judges a token.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use crate::{
    keys::{Algorithm, KeyError, KeySet, KeySetError, SigningKey, VerifyingKey},
    token::jwt::signature_of,
};

fn vectors(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What becomes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Rejected,
    /// The key is for an algorithm that is not offered, so no key is made, and nothing could be accepted.
    NoSuchAlgorithm,
}

/// Reads the key, then the token with it.
fn judge(jwk: &Value, token: &str) -> Verdict {
    let Ok(algorithm) = string(&jwk["alg"]).parse::<Algorithm>() else { return Verdict::NoSuchAlgorithm };
    match VerifyingKey::from_jwk(algorithm, &jwk.to_string()) {
        Ok(key) => judge_with(&key.into(), token),
        Err(_) => Verdict::Rejected,
    }
}

fn judge_with(keys: &KeySet, token: &str) -> Verdict {
    if signature_of(keys, token).is_ok() { Verdict::Accepted } else { Verdict::Rejected }
}

/// The cases in which the verdict is not what the label says, by their numbers.
type Differences = BTreeMap<u64, Verdict>;

#[test]
fn wycheproof_signatures() {
    let file = vectors("wycheproof/json_web_signature_test.json");
    let (mut count, mut differ) = (0, Differences::new());
    for group in list(&file["testGroups"]) {
        // A symmetric key is in the private member only.
        let jwk = group.get("public").unwrap_or(&group["private"]);
        for case in list(&group["tests"]) {
            count += 1;
            // Keys without an `alg` are those that the file calls unfit for signatures; any algorithm will do for them.
            let mut jwk = jwk.clone();
            if jwk.get("alg").is_none() {
                jwk["alg"] = if jwk["kty"] == "EC" { "ES256" } else { "RS256" }.into();
            }
            let verdict = judge(&jwk, string(&case["jws"]));
            let expected = if case["result"] == "valid" { Verdict::Accepted } else { Verdict::Rejected };
            if verdict != expected && !(verdict == Verdict::NoSuchAlgorithm && expected == Verdict::Rejected) {
                differ.insert(case["tcId"].as_u64().unwrap(), verdict);
            }
        }
    }
    assert_eq!(count, 401);
    assert_eq!(differ, known_differences());
}

/// Why the verdict differs from the label.
fn known_differences() -> Differences {
    use Verdict::{Accepted, NoSuchAlgorithm, Rejected};
    let mut known = Differences::new();
    // These are the valid case 357 once more, byte for byte, and labelled invalid.
    known.extend([367, 370].map(|number| (number, Accepted)));
    // A `?` in the base64url, which RFC 7515 §2 does not allow, and labelled valid.
    known.extend([372, 373].map(|number| (number, Rejected)));
    // The JWK names another algorithm than the header (RFC 7517 §4.4), one that is not offered, and labelled valid.
    known.extend([346, 347, 350, 351].map(|number| (number, NoSuchAlgorithm)));
    // RSA-PSS (PS256, PS384, PS512) is not offered.
    let pss = [272, 273, 274, 275, 287, 288, 320, 321, 322, 323, 325, 326, 327, 328];
    known.extend(pss.map(|number| (number, NoSuchAlgorithm)));
    known
}

#[test]
fn wycheproof_keys() {
    let file = vectors("wycheproof/json_web_key_test.json");
    let mut count = 0;
    for group in list(&file["testGroups"]) {
        let set = group.get("public").unwrap_or(&group["private"]);
        let keys = list(&set["keys"]);
        // A document of public keys has no symmetric one, so sets of those are made key by key, as an application does.
        let is_symmetric = keys.iter().all(|jwk| jwk["kty"] == "oct");
        let keys = if is_symmetric {
            let read = |jwk: &Value| VerifyingKey::from_jwk(string(&jwk["alg"]).parse()?, &jwk.to_string());
            let keys: Result<Vec<_>, KeyError> = keys.iter().map(read).collect();
            keys.map_err(KeySetError::from).and_then(KeySet::new)
        } else {
            KeySet::from_jwks(&set.to_string())
        };
        for case in list(&group["tests"]) {
            count += 1;
            let verdict = match &keys {
                Ok(keys) => judge_with(keys, string(&case["jws"])),
                Err(_) => Verdict::Rejected,
            };
            let expected = if case["result"] == "valid" { Verdict::Accepted } else { Verdict::Rejected };
            assert_eq!(verdict, expected, "case {} ({}): {keys:?}", case["tcId"], case["comment"]);
        }
    }
    assert_eq!(count, 26);
}

#[test]
fn examples_of_rfc_7515_and_rfc_8037() {
    for vector in list(&vectors("rfc7515_8037.json")["vectors"]) {
        let (name, token) = (string(&vector["id"]), string(&vector["compact"]));
        let mut jwk = vector["jwk"].clone();
        let verdict = match string(&vector["alg"]) {
            // Whatever key there is, a token without a signature is rejected.
            "none" => judge_with(&hmac_of_rfc_7515().into(), token),
            alg => {
                jwk["alg"] = alg.into();
                judge(&jwk, token)
            }
        };
        let expected = match name {
            "RFC 7515 A.4" => Verdict::NoSuchAlgorithm,
            _ if vector["valid"] == true => Verdict::Accepted,
            _ => Verdict::Rejected,
        };
        assert_eq!(verdict, expected, "{name}");
    }
}

fn hmac_of_rfc_7515() -> VerifyingKey {
    let jwk = vectors("rfc7515_8037.json")["vectors"][0]["jwk"].to_string();
    VerifyingKey::from_jwk(Algorithm::Hs256, &jwk).unwrap()
}

#[test]
fn examples_of_rfc_7520() {
    for (file, key, expected) in [
        ("4_1.rsa_v15_signature.json", "3_3.rsa_public_key.json", Verdict::Accepted),
        ("4_2.rsa-pss_signature.json", "3_3.rsa_public_key.json", Verdict::NoSuchAlgorithm),
        ("4_4.hmac-sha2_integrity_protection.json", "3_5.symmetric_key_mac_computation.json", Verdict::Accepted),
    ] {
        let example = vectors(&format!("rfc7520/{file}"));
        let mut jwk = vectors(&format!("rfc7520/{key}"));
        jwk["alg"] = example["input"]["alg"].clone();
        assert_eq!(judge(&jwk, string(&example["output"]["compact"])), expected, "{file}");
    }
    // P-521 is not offered.
    let example = vectors("rfc7520/4_3.ecdsa_signature.json");
    assert_eq!(example["input"]["alg"].as_str().map(str::parse::<Algorithm>).map(|read| read.is_err()), Some(true));
}

/// RFC 7520 §4.1 and §4.4 say what must come out: both algorithms give the same signature each time.
#[test]
fn signatures_of_rfc_7520_come_out_the_same() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use jwt_simple::prelude::{HS256Key, MACLike};

    let example = vectors("rfc7520/4_4.hmac-sha2_integrity_protection.json");
    let compact = string(&example["output"]["compact"]);
    let (signed, signature) = compact.rsplit_once('.').unwrap();
    let jwk = vectors("rfc7520/3_5.symmetric_key_mac_computation.json");
    let key = Base64UrlUnpadded::decode_vec(string(&jwk["k"])).unwrap();
    let tag = HS256Key::from_bytes(&key).authentication_tag(signed.as_bytes());
    assert_eq!(Base64UrlUnpadded::encode_string(&tag), signature);
    // The private RSA key of §3.4 is the one of §3.3.
    let mut private = vectors("rfc7520/3_4.rsa_private_key.json");
    private["alg"] = "RS256".into();
    let signing = SigningKey::from_jwk(Algorithm::Rs256, &private.to_string()).unwrap();
    assert_eq!(signing.key_id(), "bilbo.baggins@hobbiton.example");
    let mut public = vectors("rfc7520/3_3.rsa_public_key.json");
    public["alg"] = "RS256".into();
    let public = VerifyingKey::from_jwk(Algorithm::Rs256, &public.to_string()).unwrap();
    assert_eq!(signing.verifying_key().to_pem().unwrap(), public.to_pem().unwrap());
}
