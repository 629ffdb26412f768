//! Who a session is for.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use crate::{
    error::{ClaimsError, readable_debug},
    named::serde_as_str,
};

/// Who a session is for: the `sub` claim of the JWT ([RFC 7519 §4.1.2]).
///
/// Use an identifier that never changes, such as the primary key of your users table, and never a login name: a subject
/// that is renamed is somebody else. A `Subject` is 1 to 255 bytes of UTF-8 without control characters, and is compared
/// byte for byte everywhere: `Alice` is not `alice`.
///
/// [RFC 7519 §4.1.2]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.2
///
/// # Examples
///
/// ```
/// use jwt_knox::Subject;
///
/// let subject = Subject::new("user-42")?;
/// assert_eq!(subject, "user-42");
/// assert!(Subject::new("").is_err());
///
/// let subject = Subject::from(42);
/// assert_eq!(subject.parse::<i64>()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The longest subject, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 255;

    /// Takes `subject` if it is 1 to 255 bytes long and holds no control character. Numbers and UUIDs are converted
    /// with `From`, which cannot fail.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] says which of the rules is broken.
    pub fn new(subject: impl AsRef<str>) -> Result<Self, SubjectError> {
        let subject = subject.as_ref();
        if subject.is_empty() {
            Err(SubjectError::Empty)
        } else if subject.len() > Self::MAX_BYTES {
            Err(SubjectError::TooLong { bytes: subject.len() })
        } else if subject.chars().any(char::is_control) {
            Err(SubjectError::ControlCharacter)
        } else {
            Ok(Self(subject.into()))
        }
    }

    /// The subject as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject as the id it was made from, such as an `i64` or a `Uuid`.
    ///
    /// # Errors
    ///
    /// [`ClaimsError::Mismatch`] if the subject is not a `T`.
    pub fn parse<T>(&self) -> Result<T, ClaimsError>
    where
        T: FromStr,
        T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.as_str().parse().map_err(|error: T::Err| ClaimsError::Mismatch(error.into()))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Subject {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Subject {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(subject: String) -> Result<Self, SubjectError> {
        Self::new(subject)
    }
}

impl TryFrom<&str> for Subject {
    type Error = SubjectError;

    fn try_from(subject: &str) -> Result<Self, SubjectError> {
        Self::new(subject)
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        Self::new(subject)
    }
}

macro_rules! from_ids {
    ($($id:ty)*) => {
        $(
            impl From<$id> for Subject {
                /// The id in decimal digits.
                fn from(id: $id) -> Self {
                    Self(id.to_string().into())
                }
            }
        )*
    };
}

from_ids! { i32 i64 u32 u64 }

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for Subject {
    /// The UUID in its hyphenated form.
    fn from(id: uuid::Uuid) -> Self {
        let mut text = uuid::Uuid::encode_buffer();
        Self(Arc::from(&*id.as_hyphenated().encode_lower(&mut text)))
    }
}

serde_as_str!(Subject);

/// Why a string is not a [`Subject`].
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The string is empty.
    #[error("a subject must not be empty")]
    Empty,
    /// The string is longer than [`Subject::MAX_BYTES`].
    #[error("a subject must not exceed 255 bytes, this one has {bytes}")]
    TooLong {
        /// The length of the string, in bytes.
        bytes: usize,
    },
    /// The string has a control character, such as a line break or NUL.
    #[error("a subject must not have control characters")]
    ControlCharacter,
}

readable_debug!(SubjectError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_up_to_255_bytes_and_keeps_them_byte_for_byte() {
        for text in ["a", "Alice ", "é", "e\u{301}", "🔑", &"x".repeat(255)] {
            assert_eq!(Subject::new(text).unwrap().as_str(), text);
        }
        assert_ne!(Subject::new("Alice").unwrap(), Subject::new("alice").unwrap());
        assert_ne!(Subject::new("é").unwrap(), Subject::new("e\u{301}").unwrap());
    }

    #[test]
    fn rejects_what_is_empty_too_long_or_has_control_characters() {
        assert_eq!(Subject::new(""), Err(SubjectError::Empty));
        assert_eq!(Subject::new("é".repeat(128)), Err(SubjectError::TooLong { bytes: 256 }));
        for text in ["a\0", "\n", "a\u{7f}", "\u{85}"] {
            assert_eq!(Subject::new(text), Err(SubjectError::ControlCharacter));
        }
    }

    #[test]
    fn ids_go_in_and_come_out() {
        assert_eq!(Subject::from(i64::MIN).parse::<i64>().unwrap(), i64::MIN);
        assert_eq!(Subject::from(u64::MAX), "18446744073709551615");
        assert!(Subject::new("alice").unwrap().parse::<u64>().is_err());
        let json = serde_json::to_string(&Subject::from(7)).unwrap();
        assert_eq!(json, "\"7\"");
        assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), Subject::from(7));
        assert!(serde_json::from_str::<Subject>("\"\"").is_err());
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn a_uuid_goes_in_and_comes_out() {
        let id = uuid::Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
        assert_eq!(Subject::from(id), "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(Subject::from(id).parse::<uuid::Uuid>().unwrap(), id);
    }
}
