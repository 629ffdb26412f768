//! Keys as other tools, editors and shells leave them. Those of `tests/vectors/keys` were made by OpenSSL.

use std::{fs, path::PathBuf};

use jwt_knox::*;
use proptest::prelude::*;

use crate::log::warnings_of;

const PAIRS: [(&str, Algorithm); 4] = [
    ("ed25519", Algorithm::EdDsa),
    ("p256", Algorithm::Es256),
    ("p384", Algorithm::Es384),
    ("rsa2048", Algorithm::Rs256),
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/keys").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

/// A file or folder of the test, which is deleted at its end.
fn scratch(name: &str) -> Scratch {
    let path = std::env::temp_dir().join(format!("jwt-knox-{}-{name}", std::process::id()));
    Scratch(path)
}

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn private_from_file(algorithm: Algorithm, name: &str, contents: &[u8]) -> Result<SigningKey, KeyError> {
    let file = scratch(name);
    fs::write(&file.0, contents).unwrap();
    SigningKey::from_file(algorithm, &file.0)
}

fn public_from_file(algorithm: Algorithm, name: &str, contents: &[u8]) -> Result<VerifyingKey, KeyError> {
    let file = scratch(name);
    fs::write(&file.0, contents).unwrap();
    VerifyingKey::from_file(algorithm, &file.0)
}

/// The label of a PEM of one block, and its base64 in one line.
fn parts(pem: &str) -> (String, String) {
    let label = pem.split("-----").nth(1).unwrap().trim_start_matches("BEGIN ").to_owned();
    let base64 = pem.split("-----").nth(2).unwrap().split_whitespace().collect();
    (label, base64)
}

fn pem(label: &str, base64: &str, width: usize, line_break: &str) -> String {
    let lines: Vec<&str> = base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let body = lines.join(line_break);
    format!("-----BEGIN {label}-----{line_break}{body}{line_break}-----END {label}-----{line_break}")
}

/// The same PEM, in all the ways in which it arrives.
fn mutations(original: &str) -> Vec<(&'static str, String)> {
    let (label, base64) = parts(original);
    let lines = |width, line_break| pem(&label, &base64, width, line_break);
    let normal = lines(64, "\n");
    vec![
        ("as OpenSSL wrote it", original.to_owned()),
        ("a byte order mark", format!("\u{feff}{normal}")),
        ("a comment in front", format!("# the key of 2026\n{normal}")),
        ("a comment and a byte order mark", format!("\u{feff}# the key\r\n\r\n{normal}")),
        ("text behind", format!("{normal}\nthat was the key")),
        ("CRLF", lines(64, "\r\n")),
        ("CR", lines(64, "\r")),
        ("one line", lines(usize::MAX, "")),
        ("one line with spaces", lines(64, " ")),
        ("one long line of base64", lines(usize::MAX, "\n")),
        ("lines of 76", lines(76, "\n")),
        ("lines of 48", lines(48, "\n")),
        ("lines of 1", lines(1, "\n")),
        ("blank lines between", lines(64, "\n\n")),
        ("blank lines around", format!("\n\n  \n{normal}\n\n")),
        ("indented", normal.replace('\n', "\n    ")),
        ("spaces at the ends", normal.replace('\n', "  \n")),
        ("no line break at the end", normal.trim_end().to_owned()),
        ("backslash n", normal.replace('\n', "\\n")),
        ("backslash r backslash n", normal.replace('\n', "\\r\\n")),
        ("backslash n, escaped twice", normal.replace('\n', "\\\\n")),
        ("backslash n in quotes", format!("\"{}\"", normal.replace('\n', "\\n"))),
        ("a backslash at the ends", normal.replace('\n', "\\\n")),
        ("no padding", normal.replace('=', "")),
        ("spaces that do not break", normal.replace('\n', "\u{a0}\n\u{200b}")),
        (
            "another block beside it",
            format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{normal}"),
        ),
    ]
}

#[test]
fn a_pem_is_read_however_it_was_wrapped() {
    for (name, algorithm) in PAIRS {
        let key = SigningKey::from_der(algorithm, &bytes(&format!("{name}.der"))).unwrap();
        let mut seen = 0;
        for (mutation, private) in mutations(&text(&format!("{name}.pem"))) {
            let read = SigningKey::from_pem(algorithm, &private);
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}, {mutation}: {error}")).key_id(), key.key_id());
            let read = private_from_file(algorithm, &format!("{name}-{seen}"), private.as_bytes());
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}, {mutation}: {error}")).key_id(), key.key_id());
            seen += 1;
        }
        for (mutation, public) in mutations(&text(&format!("{name}.pub.pem"))) {
            let read = VerifyingKey::from_pem(algorithm, &public);
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}, {mutation}: {error}")).key_id(), key.key_id());
            let read = public_from_file(algorithm, &format!("{name}-{seen}"), public.as_bytes());
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}, {mutation}: {error}")).key_id(), key.key_id());
            seen += 1;
            // The public key is not there to be read in place of the private one.
            assert!(
                matches!(SigningKey::from_pem(algorithm, &public), Err(KeyError::NotPrivate)),
                "{name}, {mutation}"
            );
        }
        assert_eq!(seen, 52);
    }
}

#[test]
fn a_key_is_read_from_utf_16_and_from_base64_as_well() {
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let base64 = |bytes: &[u8]| {
        use base64ct::Encoding;
        base64ct::Base64::encode_string(bytes)
    };
    for (name, algorithm) in PAIRS {
        let private = text(&format!("{name}.pem"));
        let key = SigningKey::from_pem(algorithm, &private).unwrap();
        let jwk = key.to_jwk();
        let swapped = |text: &str| utf16(text).chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect::<Vec<u8>>();
        let written = [
            utf16(&format!("\u{feff}{private}")),
            swapped(&format!("\u{feff}{private}")),
            utf16(&format!("\u{feff}{}", jwk.expose())),
            base64(private.as_bytes()).into_bytes(),
            format!("{}\n", base64(private.as_bytes())).into_bytes(),
            base64(&bytes(&format!("{name}.der"))).into_bytes(),
            base64(jwk.expose().as_bytes()).into_bytes(),
            format!("\u{feff}\n {}\n", jwk.expose()).into_bytes(),
        ];
        for (number, contents) in written.iter().enumerate() {
            let read = private_from_file(algorithm, &format!("{name}-w{number}"), contents);
            assert_eq!(read.unwrap_or_else(|error| panic!("{name}, {number}: {error}")).key_id(), key.key_id());
        }
        assert!(SigningKey::from_jwk(algorithm, &format!("\u{feff} {}\n", jwk.expose())).is_ok());
    }
    // Bytes are bytes, whatever they begin with.
    let binary = [b"\xef\xbb\xbf".as_slice(), &[0xee; 40]].concat();
    let read = private_from_file(Algorithm::Hs256, "binary", &binary).unwrap();
    assert_eq!(read.key_id(), SigningKey::hs256(&binary).unwrap().key_id());
    // The secret of HMAC in a text is the text, without what the editor added.
    let secret = SigningKey::hs256("k".repeat(40)).unwrap();
    for contents in
        [format!("\u{feff}{}\n", "k".repeat(40)).into_bytes(), utf16(&format!("\u{feff}{}\r\n", "k".repeat(40)))]
    {
        assert_eq!(private_from_file(Algorithm::Hs256, "hs", &contents).unwrap().key_id(), secret.key_id());
    }
}

#[test]
fn forms_of_other_tools_are_read() {
    let rsa = SigningKey::from_pem(Algorithm::Rs256, &text("rsa2048.pem")).unwrap();
    for name in ["rsa2048.pkcs1.pem", "rsa2048.text.pem"] {
        assert_eq!(SigningKey::from_file(Algorithm::Rs256, path(name)).unwrap().key_id(), rsa.key_id(), "{name}");
    }
    let public = VerifyingKey::from_file(Algorithm::Rs256, path("rsa2048.pkcs1.pub.pem")).unwrap();
    assert_eq!(public.key_id(), rsa.key_id());
    // A PKCS #12 file without its encryption: attributes, a certificate, and the key.
    let p256 = SigningKey::from_pem(Algorithm::Es256, &text("p256.pem")).unwrap();
    for name in ["p256.bag.pem", "p256.sec1.pem", "p256.sec1.der"] {
        assert_eq!(SigningKey::from_file(Algorithm::Es256, path(name)).unwrap().key_id(), p256.key_id(), "{name}");
    }
    // The curve of SEC 1 counts, and so does the public key that belongs to it.
    let sec1 = bytes("p256.sec1.der");
    let public = VerifyingKey::from_pem(Algorithm::Es256, &text("p256.pub.pem")).unwrap();
    assert_eq!(SigningKey::from_der(Algorithm::Es256, &sec1).unwrap().key_id(), public.key_id());
    let curve = |oid: &[u8]| element(0x30, &[&[2, 1, 1, 4, 32], &[7; 32][..], &element(0xa0, oid)].concat());
    let (p256, secp256k1) = (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x06\x05\x2b\x81\x04\x00\x0a");
    assert!(SigningKey::from_der(Algorithm::Es256, &curve(p256)).is_ok());
    let error = SigningKey::from_der(Algorithm::Es256, &curve(secp256k1)).unwrap_err();
    assert!(matches!(error, KeyError::UnsupportedKind { .. }), "{error}");
    assert!(SigningKey::from_der(Algorithm::Es256, &curve(b"")).is_err(), "a key that does not name its curve");
    for (at, part) in [(sec1.len() - 1, "it is broken"), (10, "it is broken")] {
        let mut changed = sec1.clone();
        changed[at] ^= 1;
        let error = SigningKey::from_der(Algorithm::Es256, &changed).unwrap_err().to_string();
        assert!(error.contains(part), "{at}: {error}");
    }
}

/// RFC 8410 §10.3: the same key in version 1 and, with attributes and the public key, in version 2.
const RFC_8410: [&str; 3] = [
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
    "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\
     oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\
     Z9w7lshQhqowtrbLDFw4rXAxZuE=",
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
];

#[test]
fn pkcs8_of_version_2_is_read() {
    let [v1, v2, public] = RFC_8410;
    let public = VerifyingKey::from_pem(Algorithm::EdDsa, &pem("PUBLIC KEY", public, 64, "\n")).unwrap();
    for base64 in [v1, v2] {
        let key = SigningKey::from_pem(Algorithm::EdDsa, &pem("PRIVATE KEY", base64, 64, "\n")).unwrap();
        assert_eq!(key.key_id(), public.key_id());
    }

    // Each kind of key, with its public key attached as RFC 5958 says, and as *ring* used to.
    for (name, algorithm) in PAIRS {
        let v1 = bytes(&format!("{name}.der"));
        let spki = bytes(&format!("{name}.pub.der"));
        let key = SigningKey::from_der(algorithm, &v1).unwrap();
        let bits = if name == "rsa2048" { &spki[24..] } else { &spki[spki.len() - public_length(name)..] };
        for (mutation, v2) in [
            ("attached", version_2(&v1, &[attached(0x81, bits)])),
            ("attached as by ring", version_2(&v1, &[explicit(bits)])),
            ("attributes", version_2(&v1, &[vec![0xa0, 0]])),
            ("attributes and attached", version_2(&v1, &[vec![0xa0, 2, 0x30, 0], attached(0x81, bits)])),
        ] {
            let read =
                SigningKey::from_der(algorithm, &v2).unwrap_or_else(|error| panic!("{name}, {mutation}: {error}"));
            assert_eq!(read.key_id(), key.key_id(), "{name}, {mutation}");
        }
        // The public key of somebody else, and what is no key.
        let mut other = bits.to_vec();
        *other.last_mut().unwrap() ^= 1;
        for wrong in [&other[..], &bits[1..], &[]] {
            let error = SigningKey::from_der(algorithm, &version_2(&v1, &[attached(0x81, wrong)])).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{name}: {error}");
        }
    }
}

fn public_length(name: &str) -> usize {
    match name {
        "ed25519" => 32,
        "p256" => 65,
        _ => 97,
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match content.len() {
        0..=0x7f => vec![length[1]],
        0x80..=0xff => vec![0x81, length[1]],
        _ => vec![0x82, length[0], length[1]],
    };
    [&[tag][..], &length, content].concat()
}

fn attached(tag: u8, key: &[u8]) -> Vec<u8> {
    element(tag, &[&[0], key].concat())
}

fn explicit(key: &[u8]) -> Vec<u8> {
    element(0xa1, &attached(0x03, key))
}

/// PKCS #8 of version 1 as version 2, with more elements.
fn version_2(v1: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let header = match v1[1] {
        0x82 => 4,
        0x81 => 3,
        _ => 2,
    };
    let content = &v1[header..];
    assert_eq!(content[..3], [2, 1, 0]);
    element(0x30, &[&[2, 1, 1], &content[3..], &more.concat()].concat())
}

#[test]
fn what_is_not_read_says_what_to_do() {
    let es256 = Algorithm::Es256;
    let private = |name: &str, part: &str| {
        let error = SigningKey::from_file(es256, path(name)).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    };
    let public = |name: &str, part: &str| {
        let error = VerifyingKey::from_file(es256, path(name)).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    };
    private("p256.encrypted.pem", "`openssl pkey -in key.pem -out plain.pem`");
    private("rsa2048.encrypted.pem", "`openssl pkey -in key.pem -out plain.pem`");
    private("p256.cert.pem", "this is a public key, which cannot sign");
    private("p256.pub.pem", "this is a public key, which cannot sign");
    private("p256.pub.der", "this is a public key, which cannot sign");
    private("p384.pem", "this is a key for ES384, not for ES256");
    private("rsa2048.der", "this is a key for RS256, not for ES256");
    private("p521.pem", "P-521 (ES512), which is not supported");
    private("secp256k1.pem", "secp256k1 (ES256K), which is not supported");
    private("secp256k1.sec1.pem", "secp256k1 (ES256K), which is not supported");
    private("x25519.pem", "X25519, which encrypts and does not sign");
    private("ed448.pem", "Ed448, which is not supported");
    private("rsa-pss.pem", "RSA-PSS (PS256, PS384, PS512), which is not supported");
    public("p256.cert.pem", "`openssl x509 -in cert.pem -noout -pubkey`");
    public("p256.bag.pem", "give a service that only verifies the public key");
    public("p256.pem", "give a service that only verifies the public key");
    public("p256.sec1.pem", "give a service that only verifies the public key");
    public("make.sh", "it is neither PEM nor a JWK nor DER");
    assert!(matches!(SigningKey::from_file(Algorithm::Rs256, path("rsa1024.pem")), Err(KeyError::RsaSize)));

    let valid = text("p256.pem");
    let jwk = SigningKey::from_pem(es256, &valid).unwrap().to_jwk();
    for (broken, part) in [
        ("".to_owned(), "it has no line `-----BEGIN …-----`"),
        ("MIGHAgEAMBMGByqGSM49".to_owned(), "it has no line `-----BEGIN …-----`"),
        (valid[..100].to_owned(), "a block is cut off"),
        (valid.replace("-----END", "END"), "a block is cut off"),
        (valid.replace("END PRIVATE", "END PUBLIC"), "behind `-----BEGIN` and behind `-----END` differs"),
        (
            valid.replace("BEGIN PRIVATE", "BEGIN NEW").replace("END PRIVATE", "END NEW"),
            "it has no block `PRIVATE KEY`",
        ),
        (valid.replace("MIG", "M*G"), "something that is not base64"),
        (valid.replace("MIG", "MI\\xG"), "something that is not base64"),
        (valid.replace("MIG", "MJG"), "it is broken, or of another kind"),
        (format!("{valid}{valid}"), "it has several keys"),
    ] {
        let error = SigningKey::from_pem(es256, &broken).unwrap_err().to_string();
        assert!(error.contains(part), "{broken}: {error}");
    }
    for (broken, part) in [
        (format!("# the key\n{}", jwk.expose()), "begin with `{`"),
        (format!("'{}'", jwk.expose()), "begin with `{`"),
        (format!(r#"{{"keys":[{}]}}"#, jwk.expose()), "take one key out of its list `keys`"),
        (valid.clone(), "read it with `from_pem`"),
    ] {
        let error = SigningKey::from_jwk(es256, &broken).unwrap_err().to_string();
        assert!(error.contains(part), "{broken}: {error}");
    }
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n";
    assert!(matches!(SigningKey::from_pem(es256, ssh), Err(KeyError::OpenSsh)));
}

/// Whoever signs with a public key lets everybody sign (RFC 8725 §2.1).
#[test]
fn no_key_is_taken_for_an_hmac_secret_whatever_stands_in_front() {
    use base64ct::{Base64, Base64UrlUnpadded, Encoding};
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mut keys: Vec<Vec<u8>> = vec![
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS user@host".to_vec(),
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAg".to_vec(),
    ];
    for name in ["ed25519", "p256", "p384", "rsa2048"] {
        for file in [format!("{name}.pem"), format!("{name}.pub.pem")] {
            let (label, base64) = parts(&text(&file));
            keys.push(text(&file).into_bytes());
            keys.push(pem(&label, &base64, 64, "\\n").into_bytes());
            keys.push(pem(&label, &base64, usize::MAX, "").into_bytes());
            keys.push(utf16(&text(&file)));
            keys.push(base64.into_bytes());
        }
        for file in [format!("{name}.der"), format!("{name}.pub.der")] {
            keys.push(bytes(&file));
            keys.push(Base64UrlUnpadded::encode_string(&bytes(&file)).into_bytes());
        }
        let (_, algorithm) = PAIRS.into_iter().find(|(other, _)| *other == name).unwrap();
        let key = SigningKey::from_pem(algorithm, &text(&format!("{name}.pem"))).unwrap();
        let jwk = key.verifying_key().to_jwk().unwrap();
        keys.push(jwk.replace("\":", "\" : ").into_bytes());
        keys.push(jwk.replace('"', "\\\"").into_bytes());
        keys.push(jwk.replace('"', "'").into_bytes());
        keys.push(Base64::encode_string(jwk.as_bytes()).into_bytes());
        keys.push(utf16(&jwk));
        keys.push(format!(r#"{{"keys":[{jwk}]}}"#).into_bytes());
        keys.push(jwk.into_bytes());
    }
    for file in [
        "p256.cert.pem",
        "p256.cert.der",
        "p256.bag.pem",
        "rsa2048.pkcs1.pub.pem",
        "p256.sec1.der",
        "p256.encrypted.pem",
    ] {
        keys.push(bytes(file));
    }
    let count = keys.len();
    for (number, key) in keys.into_iter().enumerate() {
        let is_binary = std::str::from_utf8(&key).is_err() || key[0] == 0x30 || key.contains(&0);
        let fronts: &[&str] = if is_binary {
            &[""]
        } else {
            &["", "\u{feff}", " \t", "\r\n\r\n", "# our key\n", "key=", "\u{feff}// key\n"]
        };
        for front in fronts {
            let key = [front.as_bytes(), &key].concat();
            let shown = String::from_utf8_lossy(&key);
            // Base64 with a word in front of it is base64 no more, and no key to anybody.
            if !shown.contains("BEGIN ")
                && !shown.contains("kty")
                && !shown.contains("ssh-")
                && front.contains(['#', '=', '/'])
            {
                continue;
            }
            let results = [
                SigningKey::hs256(&key),
                SigningKey::from_bytes(Algorithm::Hs256, &key),
                private_from_file(Algorithm::Hs256, &format!("secret-{number}"), &key),
            ];
            for (way, result) in results.into_iter().enumerate() {
                assert!(result.is_err(), "{number}, {way}, {front:?}: {shown}");
            }
            assert!(matches!(SigningKey::hs256(&key), Err(KeyError::NotASecret)), "{number}, {front:?}: {shown}");
            assert!(VerifyingKey::from_bytes(Algorithm::Hs256, &key).is_err());
        }
    }
    assert!(count > 80);
    // Secrets that have something in common with keys.
    for secret in [
        "{32 bytes that begin with a brace}",
        "a text about kty and \"keys\", 32 bytes",
        "-----this is not the BEGIN of a key",
        "MC4CAQAwBQYDK2VwBCIEIA, cut off after a few bytes",
    ] {
        assert!(SigningKey::hs256(secret).is_ok(), "{secret}");
    }
}

#[test]
fn mistakes_with_a_secret_are_warned_of_and_the_secret_is_not_logged() {
    let secret = "ZaiphoPhohwei0eeNg8Aeph0eeNg8Aeph0eeNg8A";
    let warnings = |key: &[u8]| warnings_of(|| drop(SigningKey::hs256(key).unwrap()));
    for end in ["\n", "\r\n", "\r", "\n\n"] {
        let warned = warnings(format!("{secret}{end}").as_bytes());
        assert!(warned.contains("ends in a line break") && warned.contains("HS256"), "{end:?}: {warned}");
        assert!(!warned.contains(&secret[..8]), "{warned}");
    }
    // Of bytes that are no text, some end in 10.
    let bytes = [&[0xee; 40][..], b"\x01\n"].concat();
    for sound in [secret.as_bytes(), format!("{secret} ").as_bytes(), &bytes] {
        assert_eq!(warnings(sound), "");
    }
    for example in ["an example key, 32 bytes or more!", "an example key, 32 bytes or more!\n"] {
        assert!(warnings(example.as_bytes()).contains("a published example"), "{example}");
    }
    assert!(warnings(&[1; 32]).contains("a published example"));
    let jwk = r#"{"kty":"oct","k":"YW4gZXhhbXBsZSBrZXksIDMyIGJ5dGVzIG9yIG1vcmUh"}"#;
    let warned = warnings_of(|| drop(SigningKey::from_jwk(Algorithm::Hs256, jwk).unwrap()));
    assert!(warned.contains("a published example"), "{warned}");
    // What `from_file` cuts off needs no warning, and neither does an attempt to explain an error.
    let file = format!("{secret}\n");
    assert_eq!(warnings_of(|| drop(private_from_file(Algorithm::Hs256, "line-break", file.as_bytes()).unwrap())), "");
    assert_eq!(warnings_of(|| drop(SigningKey::from_jwk(Algorithm::Es256, jwk).unwrap_err())), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is done to a key, it is read or rejected, and nothing panics.
    #[test]
    fn no_mutation_panics(
        file in prop::sample::select(vec![
            "ed25519.pem", "p256.pem", "p384.pub.pem", "rsa2048.pub.pem", "rsa2048.pkcs1.pub.pem", "p256.sec1.pem",
            "p256.encrypted.pem", "p256.cert.pem", "p256.bag.pem", "ed25519.der", "p256.der", "p256.pub.der", "p256.cert.der",
        ]),
        algorithm in prop::sample::select(Algorithm::ALL.iter().copied().filter(|algorithm| !algorithm.as_str().starts_with("ML")).collect::<Vec<_>>()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..5_u8), 1..4),
        piece in prop::sample::select(vec!["-----BEGIN ", "-----END ", "-----", "\\", "\\n", "\u{feff}", "\"kty\"", "{", "=", "\0"]),
    ) {
        let mut key = bytes(file);
        for (index, byte, kind) in edits {
            let at = index.index(key.len() + 1);
            match kind {
                0 if at < key.len() => key[at] = byte,
                1 => key.insert(at, byte),
                2 => key.truncate(at),
                3 => drop(key.splice(at..at, piece.bytes())),
                _ => key = [&key[at..], &key[..at]].concat(),
            }
        }
        let text = String::from_utf8_lossy(&key).into_owned();
        let _ = (SigningKey::from_pem(algorithm, &text), VerifyingKey::from_pem(algorithm, &text));
        let _ = (SigningKey::from_der(algorithm, &key), VerifyingKey::from_der(algorithm, &key));
        let _ = (SigningKey::from_jwk(algorithm, &text), VerifyingKey::from_jwk(algorithm, &text));
        let _ = (SigningKey::from_bytes(algorithm, &key), VerifyingKey::from_bytes(algorithm, &key));
        if let Ok(read) = private_from_file(algorithm, &format!("mutated-{:?}", std::thread::current().id()), &key) {
            prop_assert_eq!(read.algorithm(), algorithm);
        }
    }

    /// Whatever stands beside it in a JWK Set, a sound key is used, and everything else is used or reported.
    #[test]
    fn a_sound_key_is_used_whatever_stands_beside_it(
        base in prop::sample::select(vec!["ed25519", "p256", "p384", "rsa2048"]),
        edits in prop::collection::vec((
            prop::sample::select(vec!["kty", "crv", "alg", "use", "key_ops", "kid", "x", "y", "n", "e", "d", "k", "x5c", "new"]),
            prop::sample::select(vec![
                "null", "1", "-1e400", "\"\"", "\"sig\"", "\"enc\"", "\"RSA\"", "\"EC\"", "\"oct\"", "\"AQAB\"", "\"ES256\"", "\"RS256\"",
                "\"HS256\"", "[]", "[\"verify\"]", "{}", "[[[[]]]]", "true", "\"\\u0000\"", "\"\\ud800\"",
            ]),
        ), 0..4),
        is_first in any::<bool>(),
    ) {
        let sound = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"sound"}"#;
        let public = text(&format!("{base}.pub.pem"));
        let (_, algorithm) = PAIRS.into_iter().find(|(name, _)| *name == base).unwrap();
        let jwk = VerifyingKey::from_pem(algorithm, &public).unwrap().with_key_id("other").unwrap().to_jwk().unwrap();
        let members: Vec<String> = edits.iter().map(|(name, value)| format!(r#""{name}":{value},"#)).collect();
        let other = format!("{{{}{}", members.concat(), &jwk[1..]);
        let keys = if is_first { [other.as_str(), sound] } else { [sound, other.as_str()] }.join(",");
        let set = match KeySet::from_jwks(&format!(r#"{{"keys":[{keys}]}}"#)) {
            Ok(set) => set,
            // A number or a character that JSON has no place for makes all of it no JSON.
            Err(error) => {
                prop_assert!(matches!(error, KeySetError::NotAKeySet), "{error}");
                return Ok(());
            }
        };
        prop_assert!(set.key_ids().contains(&"sound".to_owned()));
        prop_assert_eq!(set.key_ids().len() + set.skipped().len(), 2);
    }
}
