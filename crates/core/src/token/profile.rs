//! What the tokens of one issuer have in common.

use std::time::Duration;

use jiff::Timestamp;

use crate::{error::ConfigError, token::format::TokenFormat};

/// What the tokens of one issuer have in common: given alike to the [`Knox`](crate::Knox) that issues them and to each
/// [`Verifier`](crate::Verifier) that reads them.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Algorithm, Knox, MemoryStore, SigningKey, TokenProfile, Verifier};
///
/// let key = SigningKey::generate(Algorithm::EdDsa)?;
/// let profile = TokenProfile::new().issuer("https://auth.example.com")?.audience("api")?;
///
/// let verifier = Verifier::new(key.verifying_key(), profile.clone());
/// let knox = Knox::builder(key).profile(profile).store(MemoryStore::new()).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct TokenProfile {
    pub(crate) issuer: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) format: TokenFormat,
    pub(crate) max_token_bytes: usize,
}

impl TokenProfile {
    pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(600);
    const MIN_TOKEN_BYTES: usize = 1024;
    const MIN_START_LEEWAY: Duration = Duration::from_secs(60);

    /// Tokens of the default format, without issuer and audience.
    pub fn new() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            leeway: Duration::ZERO,
            format: TokenFormat::default(),
            max_token_bytes: 8 * 1024,
        }
    }

    /// Writes `iss` into tokens, and accepts only those that have it. Default: none, and tokens with an `iss` are
    /// rejected.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptyName`] if it is empty.
    pub fn issuer(self, issuer: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self { issuer: Some(not_empty(issuer.into())?), ..self })
    }

    /// Adds an audience. All of them are written into `aud`, and a token is accepted if its `aud` lists at least one.
    /// Default: none, and tokens with an `aud` are rejected.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptyName`] if it is empty.
    pub fn audience(mut self, audience: impl Into<String>) -> Result<Self, ConfigError> {
        self.audiences.push(not_empty(audience.into())?);
        Ok(self)
    }

    /// How far the clocks of servers may be apart, at most 10 minutes. Applied once, to `exp`, to the record and to
    /// `nbf`; and only when it is over does the use of a token after the grace of its rotation count as a theft.
    /// Default: 0.
    ///
    /// A token that a server whose clock is ahead has just issued is accepted in any case: where the store is asked,
    /// `iat` may be in the future, and in a [`Verifier`](crate::Verifier) `iat` and `nbf` may be so by 60 seconds, or
    /// by this leeway if that is longer.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LeewayTooLong`] if it is longer.
    pub fn leeway(self, leeway: Duration) -> Result<Self, ConfigError> {
        if leeway > Self::MAX_LEEWAY { Err(ConfigError::LeewayTooLong) } else { Ok(Self { leeway, ..self }) }
    }

    /// The names of claims, and how the secret is made, written and hashed. Tokens of another format are rejected.
    /// Default: [`TokenFormat::default`].
    pub fn format(self, format: TokenFormat) -> Self {
        Self { format, ..self }
    }

    /// The longest JWT that is issued or read, in bytes. At least 1024. Default: 8192.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TokenBytes`] if it is less.
    pub fn max_token_bytes(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes < Self::MIN_TOKEN_BYTES {
            return Err(ConfigError::TokenBytes);
        }
        Ok(Self { max_token_bytes: bytes, ..self })
    }

    /// How far in the future the start of a token may be where nobody else says that it has begun.
    pub(crate) fn start_leeway(&self) -> Duration {
        self.leeway.max(Self::MIN_START_LEEWAY)
    }

    /// What expires at this time or before has expired at `now`.
    pub(crate) fn expiry_cutoff(&self, now: Timestamp) -> Timestamp {
        expiry_cutoff(now, self.leeway)
    }
}

impl Default for TokenProfile {
    fn default() -> Self {
        Self::new()
    }
}

/// `now`, put back by the leeway.
pub(crate) fn expiry_cutoff(now: Timestamp, leeway: Duration) -> Timestamp {
    // Calculating with timestamps takes longer than the rest of comparing two.
    if leeway.is_zero() { now } else { now.checked_sub(leeway).unwrap_or(Timestamp::MIN) }
}

fn not_empty(name: String) -> Result<String, ConfigError> {
    if name.is_empty() { Err(ConfigError::EmptyName) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_invalid_settings() {
        let profile = TokenProfile::new;
        assert_eq!(profile().issuer(""), Err(ConfigError::EmptyName));
        assert_eq!(profile().audience(""), Err(ConfigError::EmptyName));
        assert_eq!(profile().leeway(Duration::from_secs(601)), Err(ConfigError::LeewayTooLong));
        assert_eq!(profile().max_token_bytes(1023), Err(ConfigError::TokenBytes));
    }
}
