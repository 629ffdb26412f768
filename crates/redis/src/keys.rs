//! The names of keys and of the channel.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_knox::Subject;

/// The prefix of keys where the application sets none.
pub(crate) const PREFIX: &str = "jwt-knox";

/// Without braces, which would mark another hash tag.
pub(crate) fn clean_prefix(prefix: impl Into<String>) -> String {
    prefix.into().replace(['{', '}'], "")
}

/// The key of a subject. The part in braces is its hash tag; encoded, so that no subject can close the brace.
pub(crate) fn key(prefix: &str, subject: &Subject) -> String {
    format!("{prefix}:{{{}}}", Base64UrlUnpadded::encode_string(subject.as_str().as_bytes()))
}

/// The subject of a key.
pub(crate) fn subject(prefix: &str, key: &str) -> Option<Subject> {
    let encoded = key.strip_prefix(prefix)?.strip_prefix(":{")?.strip_suffix('}')?;
    let subject = String::from_utf8(Base64UrlUnpadded::decode_vec(encoded).ok()?).ok()?;
    Subject::new(subject).ok()
}

/// Where changes are announced, by the key that has changed.
pub(crate) fn channel(prefix: &str) -> String {
    format!("{prefix}:changes")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_subject_of_a_key_is_found_again() {
        for name in ["alice", "a}b", "Zoë", "42", "x:{y}"] {
            let owner = Subject::new(name).unwrap();
            assert_eq!(subject("app", &key("app", &owner)), Some(owner));
        }
        for other in ["", "app", "app:{", "app:{}", "app:{*}", "other:{YQ}", "app:{YQ}x", "app:changes"] {
            assert_eq!(subject("app", other), None, "{other}");
        }
    }
}
