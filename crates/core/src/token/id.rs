//! The public name of a login, and the primary key of its record.

use std::{fmt, str::FromStr};

use crate::subject::Subject;

/// The public name of one login: the first 16 bytes of its digest, as 32 lower-case hexadecimal digits.
///
/// Safe to log, to list and to put in a URL: it proves nothing and opens nothing.
///
/// # Examples
///
/// ```
/// use jwt_knox::TokenId;
///
/// let id: TokenId = "00112233445566778899aabbccddeeff".parse()?;
/// assert_eq!(id.as_str(), "00112233445566778899aabbccddeeff");
/// # Ok::<(), jwt_knox::TokenIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(Box<str>);

impl TokenId {
    /// How many bytes of the digest an id holds; its text is twice as long.
    pub(crate) const BYTES: usize = 16;

    /// The length of the text, in bytes (and characters).
    pub const TEXT_BYTES: usize = Self::BYTES * 2;

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(base16ct::lower::encode_string(&bytes).into_boxed_str())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({})", self.0)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        let mut bytes = [0; Self::BYTES];
        if text.len() != Self::TEXT_BYTES {
            return Err(TokenIdError);
        }
        base16ct::lower::decode(text, &mut bytes).map_err(|_| TokenIdError)?;
        Ok(Self::from_bytes(bytes))
    }
}

/// A text is no [`TokenId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token id is 32 lower-case hexadecimal digits")]
pub struct TokenIdError;

/// The primary key of a record: whose login, and which.
///
/// Every store operation names one subject, so a store can be sharded by subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// Who the login is for.
    pub subject: Subject,
    /// Which of the subject's logins it is.
    pub id: TokenId,
}
