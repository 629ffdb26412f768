//! The public id of a session, and the primary key of its record.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{error::readable_debug, named::serde_as_str, subject::Subject};

/// The public id of a session: the first 16 bytes of the digest of its first secret, as 32 lower-case hexadecimal
/// digits. A rotation does not change it.
///
/// Safe to log, to list and to put in a URL: it proves nothing and opens nothing.
///
/// # Examples
///
/// ```
/// use jwt_knox::SessionId;
///
/// let id: SessionId = "00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(id.as_str(), "00112233445566778899aabbccddeeff");
/// # Ok::<(), jwt_knox::SessionIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; Self::TEXT_BYTES]);

impl SessionId {
    /// How many bytes an id stands for; its text is twice as long.
    pub(crate) const BYTES: usize = 16;

    /// The length of the text, in bytes (and characters).
    pub const TEXT_BYTES: usize = Self::BYTES * 2;

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut text = [b'0'; Self::TEXT_BYTES];
        // The text has room for two digits a byte, so this cannot fail.
        let _ = base16ct::lower::encode(&bytes, &mut text);
        Self(text)
    }

    /// The id as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits only, so this is never empty.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.as_str())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for SessionId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        let mut bytes = [0; Self::BYTES];
        if text.len() != Self::TEXT_BYTES {
            return Err(SessionIdError);
        }
        base16ct::lower::decode(text, &mut bytes).map_err(|_| SessionIdError)?;
        Ok(Self::from_bytes(bytes))
    }
}

serde_as_str!(SessionId);

/// The string is not a [`SessionId`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 lower-case hexadecimal digits")]
pub struct SessionIdError;

readable_debug!(SessionIdError);

/// The primary key of a session's record: whose session, and which.
///
/// Every store operation names one subject, so a store can be sharded by subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionRef {
    /// Who the session is for.
    pub subject: Subject,
    /// Which of the subject's sessions it is.
    pub id: SessionId,
}

impl SessionRef {
    /// The session `id` of `subject`.
    #[must_use]
    pub const fn new(subject: Subject, id: SessionId) -> Self {
        Self { subject, id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_is_not_an_id() {
        for text in ["", "ab", &"g".repeat(32), &"A".repeat(32), &"a".repeat(33), &"é".repeat(16)] {
            assert_eq!(text.parse::<SessionId>(), Err(SessionIdError), "{text}");
        }
    }

    #[test]
    fn serde_reads_what_it_writes_and_nothing_else() {
        let session = SessionRef::new(Subject::from(1), "ab".repeat(16).parse().unwrap());
        let json = serde_json::to_string(&session).unwrap();
        assert_eq!(json, format!(r#"{{"subject":"1","id":"{}"}}"#, "ab".repeat(16)));
        assert_eq!(serde_json::from_str::<SessionRef>(&json).unwrap(), session);
        assert!(serde_json::from_str::<SessionId>("\"ab\"").is_err());
    }
}
