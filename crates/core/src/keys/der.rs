//! As much of DER (X.690) as it takes to tell kinds of keys apart, and to read PKCS #8 of every version.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The attributes of PKCS #8.
const ATTRIBUTES: u8 = 0xa0;
/// The public key of PKCS #8, as RFC 5958 has it, and as older versions of *ring* write it.
const PUBLIC_KEY: u8 = 0x81;
const PUBLIC_KEY_EXPLICIT: u8 = 0xa1;

/// The curve of SEC 1.
const CURVE: u8 = 0xa0;
/// The object identifier of elliptic keys (RFC 5480 §2.1.1).
const ELLIPTIC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";

/// A private key as the plainest form of PKCS #8, which every reader takes: version 1 (RFC 5208), without attributes.
pub(super) struct PrivateKey<'a> {
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    /// The public key that was attached to it.
    pub(super) public_key: Option<&'a [u8]>,
}

impl<'a> PrivateKey<'a> {
    /// Reads PKCS #8 of version 1 or 2 (RFC 5958), or SEC 1 (RFC 5915); `None` if that is something else.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let elements = children(der)?;
        Self::from_pkcs8(&elements).or_else(|| Self::from_sec1(der, &elements))
    }

    fn from_pkcs8(elements: &[Element<'a>]) -> Option<Self> {
        let [version, algorithm, private_key, optional @ ..] = elements else { return None };
        let is_version = version.tag == INTEGER && matches!(version.content, [0 | 1]);
        if !is_version || !is_algorithm(algorithm) || private_key.tag != OCTET_STRING {
            return None;
        }
        let mut public_key = None;
        for element in optional {
            public_key = match element.tag {
                ATTRIBUTES => continue,
                PUBLIC_KEY => Some(bits(element.content)?),
                PUBLIC_KEY_EXPLICIT => Some(bits(element.only_child(BIT_STRING)?)?),
                _ => return None,
            };
        }
        Some(Self::new(algorithm.whole, private_key.whole, public_key))
    }

    /// The key must name its curve: another one has keys of the same length.
    fn from_sec1(der: &[u8], elements: &[Element<'a>]) -> Option<Self> {
        let [version, key, optional @ ..] = elements else { return None };
        if version.tag != INTEGER || version.content != [1] || key.tag != OCTET_STRING {
            return None;
        }
        let curve = optional.iter().find(|element| element.tag == CURVE)?;
        curve.only_child(OBJECT_IDENTIFIER)?;
        let public_key = match optional.iter().find(|element| element.tag == PUBLIC_KEY_EXPLICIT) {
            Some(element) => Some(bits(element.only_child(BIT_STRING)?)?),
            None => None,
        };
        let algorithm = encode(SEQUENCE, &[ELLIPTIC, curve.content]);
        Some(Self::new(&algorithm, &encode(OCTET_STRING, &[der]), public_key))
    }

    fn new(algorithm: &[u8], private_key: &[u8], public_key: Option<&'a [u8]>) -> Self {
        const VERSION_1: &[u8] = &[INTEGER, 1, 0];
        Self { pkcs8: encode(SEQUENCE, &[VERSION_1, algorithm, private_key]), public_key }
    }
}

/// An element with that tag.
fn encode(tag: u8, content: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let bytes = &bytes[bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - 1)..];
    // With room for all of it, since a buffer that grows leaves copies of the key behind.
    let mut der = Zeroizing::new(Vec::with_capacity(length + bytes.len() + 2));
    der.push(tag);
    if length >= 0x80 {
        der.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
    }
    der.extend_from_slice(bytes);
    for part in content {
        der.extend_from_slice(part);
    }
    der
}

/// The bytes of a bit string, whose first byte says that all bits of the last are used.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(&[0])
}

/// Whether this is a key or a certificate in DER: SPKI, PKCS #1, PKCS #8, SEC 1 or X.509.
pub(super) fn is_key(der: &[u8]) -> bool {
    let Some(elements) = children(der) else { return false };
    let tags: Vec<u8> = elements.iter().map(|element| element.tag).collect();
    match *tags {
        [SEQUENCE, BIT_STRING] | [SEQUENCE, OCTET_STRING] => is_algorithm(&elements[0]),
        [SEQUENCE, SEQUENCE, BIT_STRING] | [INTEGER, SEQUENCE, OCTET_STRING, ..] => is_algorithm(&elements[1]),
        [INTEGER, INTEGER, ..] => tags.iter().all(|&tag| tag == INTEGER),
        [INTEGER, OCTET_STRING, ..] => elements[0].content == [1],
        _ => false,
    }
}

/// What kind of key this is, in PKCS #8, SPKI or SEC 1, if it is one that is known and not supported.
pub(super) fn unsupported_kind(der: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"\x06\x05\x2b\x81\x04\x00\x23", "P-521 (ES512)"),
        (b"\x06\x05\x2b\x81\x04\x00\x0a", "secp256k1 (ES256K)"),
        (b"\x06\x03\x2b\x65\x6e", "X25519, which encrypts and does not sign"),
        (b"\x06\x03\x2b\x65\x6f", "X448, which encrypts and does not sign"),
        (b"\x06\x03\x2b\x65\x71", "Ed448"),
        (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS (PS256, PS384, PS512)"),
        (b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", "DSA"),
        (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", "Diffie-Hellman, which does not sign"),
    ];
    let elements = children(der)?;
    let algorithm =
        elements.iter().find(|element| is_algorithm(element) || element.only_child(OBJECT_IDENTIFIER).is_some())?;
    let identifiers = Element::all(algorithm.content)?;
    // The curve of an elliptic key comes second.
    let is_there = |identifier: &[u8]| identifiers.iter().any(|element| element.whole == identifier);
    KINDS.iter().find(|(identifier, _)| is_there(identifier)).map(|(_, name)| *name)
}

/// The elements of a sequence that is all of `der`.
fn children(der: &[u8]) -> Option<Vec<Element<'_>>> {
    match Element::read(der)? {
        (element, []) if element.tag == SEQUENCE => Element::all(element.content),
        _ => None,
    }
}

/// Whether the element is an AlgorithmIdentifier: a sequence that begins with an object identifier.
fn is_algorithm(element: &Element<'_>) -> bool {
    element.tag == SEQUENCE
        && Element::all(element.content)
            .is_some_and(|inner| inner.first().is_some_and(|first| first.tag == OBJECT_IDENTIFIER))
}

#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and its length.
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and what comes after it.
    fn read(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = input.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The length in one to three bytes: no key is longer.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { tag, content, whole: &input[..input.len() - rest.len()] }, rest))
    }

    /// The content of the one element that is in this one, if it has that tag.
    fn only_child(&self, tag: u8) -> Option<&'a [u8]> {
        match Self::read(self.content)? {
            (child, []) if child.tag == tag => Some(child.content),
            _ => None,
        }
    }

    /// All elements of `input`, which has nothing else.
    fn all(mut input: &'a [u8]) -> Option<Vec<Self>> {
        let mut elements = Vec::new();
        while !input.is_empty() {
            let (element, rest) = Self::read(input)?;
            elements.push(element);
            input = rest;
        }
        Some(elements)
    }
}
