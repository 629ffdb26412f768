//! Finding keys in a PEM (RFC 7468), as editors, environment variables and other tools leave it.

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use crate::keys::error::KeyError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What a block of a PEM holds, by its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Private,
    Encrypted,
    OpenSsh,
    Public,
    Certificate,
    Other,
}

impl Kind {
    fn from_label(label: &str) -> Self {
        match label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Self::Private,
            "ENCRYPTED PRIVATE KEY" => Self::Encrypted,
            "OPENSSH PRIVATE KEY" => Self::OpenSsh,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::Public,
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => Self::Certificate,
            _ => Self::Other,
        }
    }
}

struct Block<'a> {
    kind: Kind,
    body: &'a str,
}

/// Whether there is a PEM in the text, whatever stands in front of it.
pub(super) fn is_in(text: &str) -> bool {
    text.contains(BEGIN)
}

/// The private key, in DER.
pub(super) fn private(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let blocks = blocks(text)?;
    let has = |kind| blocks.iter().any(|block| block.kind == kind);
    match only(&blocks, Kind::Private)? {
        Some(block) => decode(block.body),
        None if has(Kind::Encrypted) => Err(KeyError::Encrypted),
        None if has(Kind::OpenSsh) => Err(KeyError::OpenSsh),
        None if has(Kind::Public) || has(Kind::Certificate) => Err(KeyError::NotPrivate),
        None => Err(no_key()),
    }
}

/// The public key, in DER.
pub(super) fn public(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let blocks = blocks(text)?;
    let has = |kind| blocks.iter().any(|block| block.kind == kind);
    if [Kind::Private, Kind::Encrypted, Kind::OpenSsh].into_iter().any(has) {
        return Err(KeyError::NotPublic);
    }
    match only(&blocks, Kind::Public)? {
        Some(block) => decode(block.body),
        None if has(Kind::Certificate) => Err(KeyError::Certificate),
        None => Err(no_key()),
    }
}

/// The one block of that kind.
fn only<'a, 'b>(blocks: &'b [Block<'a>], kind: Kind) -> Result<Option<&'b Block<'a>>, KeyError> {
    let mut found = blocks.iter().filter(|block| block.kind == kind);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(problem("it has several keys; leave only the one to be used")),
        (block, None) => Ok(block),
    }
}

/// The blocks, without what stands in front of them, between them and behind them.
fn blocks(mut text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    let mut blocks = Vec::new();
    while let Some((_, rest)) = text.split_once(BEGIN) {
        let cut_off =
            || problem("a block is cut off; copy all of it, from its line `-----BEGIN` to its line `-----END`");
        let (label, rest) = rest.split_once(DASHES).ok_or_else(cut_off)?;
        let (body, rest) = rest.split_once(END).ok_or_else(cut_off)?;
        if body.contains(BEGIN) {
            return Err(cut_off());
        }
        text = rest
            .strip_prefix(label)
            .and_then(|rest| rest.strip_prefix(DASHES))
            .ok_or_else(|| problem("what stands behind `-----BEGIN` and behind `-----END` differs"))?;
        // The older form of encryption is announced in a header (RFC 1421 §4.6.1.1).
        let is_encrypted = body.contains("Proc-Type:") && body.contains("ENCRYPTED");
        blocks.push(Block { kind: if is_encrypted { Kind::Encrypted } else { Kind::from_label(label) }, body });
    }
    if blocks.is_empty() {
        Err(problem(
            "it has no line `-----BEGIN …-----`; for a JWK use `from_jwk`, and for base64 alone decode it and use `from_der`",
        ))
    } else {
        Ok(blocks)
    }
}

/// Decodes base64 in lines of any length, also where line breaks were written as `\n` or are missing.
fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let invalid =
        || problem("between `-----BEGIN …-----` and `-----END …-----` is something that is not base64; copy it again");
    // With room for all of it, since a text that grows leaves copies of the key behind.
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            // Who escapes twice gets more than one backslash.
            let escaped = characters.by_ref().find(|next| *next != '\\');
            if !matches!(escaped, Some('n' | 'r' | 't' | '\n' | '\r') | None) {
                return Err(invalid());
            }
        } else if !is_blank(character) {
            base64.push(character);
        }
    }
    decode_base64(&base64).filter(|der| !der.is_empty()).ok_or_else(invalid)
}

/// Decodes base64 that may lack the padding.
pub(super) fn decode_base64(base64: &str) -> Option<Zeroizing<Vec<u8>>> {
    let unpadded = base64.trim_end_matches('=');
    let mut bytes = Zeroizing::new(vec![0; unpadded.len() / 4 * 3 + 3]);
    let length = Base64Unpadded::decode(unpadded, &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// White space, and what is as invisible: a byte order mark, or a zero-width space of a web page.
pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{feff}' | '\u{200b}')
}

fn no_key() -> KeyError {
    problem("it has no block `PRIVATE KEY` or `PUBLIC KEY`")
}

fn problem(problem: &'static str) -> KeyError {
    KeyError::Syntax { encoding: "PEM", problem }
}
