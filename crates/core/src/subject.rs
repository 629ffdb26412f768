//! Who a token is for.

use async_trait::async_trait;

use crate::error::StoreError;

use std::fmt;

/// Who a token is for: the `sub` claim of the JWT ([RFC 7519 §4.1.2]).
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
/// assert_eq!(subject.as_str(), "user-42");
/// assert!(Subject::new("").is_err());
/// # Ok::<(), jwt_knox::SubjectError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Box<str>);

impl Subject {
    /// The longest subject, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 255;

    /// Takes `subject` if it is 1 to 255 bytes long and holds no control character.
    ///
    /// # Errors
    ///
    /// [`SubjectError`] says which of the rules is broken.
    pub fn new(subject: impl Into<String>) -> Result<Self, SubjectError> {
        let subject = subject.into();
        if subject.is_empty() {
            Err(SubjectError::Empty)
        } else if subject.len() > Self::MAX_BYTES {
            Err(SubjectError::TooLong { bytes: subject.len() })
        } else if subject.chars().any(char::is_control) {
            Err(SubjectError::ControlCharacter)
        } else {
            Ok(Self(subject.into_boxed_str()))
        }
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(subject: String) -> Result<Self, SubjectError> {
        Self::new(subject)
    }
}

impl std::str::FromStr for Subject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        Self::new(subject)
    }
}

/// Why a text is no [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The text is empty.
    #[error("a subject must not be empty")]
    Empty,
    /// The text is longer than [`Subject::MAX_BYTES`].
    #[error("a subject may be 255 bytes long, this one has {bytes}")]
    TooLong {
        /// The length of the text, in bytes.
        bytes: usize,
    },
    /// The text holds a control character, such as a line break or NUL.
    #[error("a subject must not hold a control character")]
    ControlCharacter,
}

/// Asks the application about a subject on each authentication and before each login, so that a user who is disabled or
/// deleted is refused on the next request, whatever tokens they hold.
///
/// On authentication it runs after the signature, the claims and the record have been found good: an attacker cannot
/// use it to learn which users exist, or to load the database with tokens that are not worth a question.
///
/// # Examples
///
/// ```
/// use jwt_knox::{async_trait, StoreError, Subject, SubjectCheck, SubjectStatus};
///
/// #[derive(Debug)]
/// struct OnlyAlice;
///
/// #[async_trait]
/// impl SubjectCheck for OnlyAlice {
///     async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
///         Ok(if subject.as_str() == "alice" { SubjectStatus::Active } else { SubjectStatus::Unknown })
///     }
/// }
/// ```
#[async_trait]
pub trait SubjectCheck: fmt::Debug + Send + Sync + 'static {
    /// The state of `subject`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be told. The client is then neither let in nor refused.
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError>;
}

#[async_trait]
impl<T: SubjectCheck + ?Sized> SubjectCheck for std::sync::Arc<T> {
    async fn check(&self, subject: &Subject) -> Result<SubjectStatus, StoreError> {
        (**self).check(subject).await
    }
}

/// What the application says of a subject.
///
/// Exhaustive on purpose: code that maps it must not have a branch that lets an unforeseen state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectStatus {
    /// May be logged in.
    Active,
    /// Exists and may not be logged in.
    Inactive,
    /// Does not exist, or no longer.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_text_up_to_255_bytes_and_keeps_it_byte_for_byte() {
        for text in ["a", "Alice ", "é", "e\u{301}", "🔑", &"x".repeat(255)] {
            assert_eq!(Subject::new(text).unwrap().as_str(), text);
        }
        assert_ne!(Subject::new("Alice").unwrap(), Subject::new("alice").unwrap());
        assert_ne!(Subject::new("é").unwrap(), Subject::new("e\u{301}").unwrap());
    }

    #[test]
    fn refuses_what_is_empty_too_long_or_unprintable() {
        assert_eq!(Subject::new(""), Err(SubjectError::Empty));
        assert_eq!(Subject::new("é".repeat(128)), Err(SubjectError::TooLong { bytes: 256 }));
        for text in ["a\0", "\n", "a\u{7f}", "\u{85}"] {
            assert_eq!(Subject::new(text), Err(SubjectError::ControlCharacter));
        }
    }
}
