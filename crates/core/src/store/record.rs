//! What the store keeps of a session.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    error::StoreError,
    lifetime::expiry,
    subject::Subject,
    token::{
        claims_digest::ClaimsDigest,
        digest::TokenDigest,
        id::{SessionId, SessionRef},
        rotation::PreviousSecret,
    },
};

/// One session, as the store keeps it. Nothing in it can be turned back into a token.
///
/// Timestamps are UTC and whole microseconds, which every database can keep.
///
/// It has no serde traits, so that the digest does not slip into an answer: [`SessionInfo`] is the public part, and
/// [`to_json`](Self::to_json) is for stores.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// Who the session is for.
    pub subject: Subject,
    /// Which of the subject's sessions it is. It stays when the token is rotated.
    pub id: SessionId,
    /// The hash of the token's secret.
    pub digest: TokenDigest,
    /// The secret before the last rotation. `None`: the token was never rotated.
    pub previous: Option<PreviousSecret>,
    /// When the session began: when the check of the credentials began.
    pub created_at: Timestamp,
    /// When it expires unless it is used again, exclusive: at this time it has expired. `None`: it never expires.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take the touch interval. `None`: no use was recorded since the login.
    pub last_used_at: Option<Timestamp>,
    /// The absolute expiry. `None`: there is none. Use moves `expires_at` up to this time and not beyond.
    pub absolute_expires_at: Option<Timestamp>,
    /// How long it may stay unused, in whole seconds. `None`: use makes no difference.
    pub idle_timeout: Option<Duration>,
    /// The scopes of the token, separated by spaces. Kept here as well as in the token, so that a stolen signing key is
    /// not enough to widen them.
    pub scope: Option<String>,
    /// The digest of the token's custom claims, so that a stolen signing key is not enough to change them. `None`: it
    /// was not kept, as for a session of another library, and the key alone vouches for the claims.
    pub claims: Option<ClaimsDigest>,
    /// What to call it in a list of sessions: at most 255 characters, no control characters.
    pub label: Option<String>,
    /// What else the application wants to keep with the session.
    pub attributes: BTreeMap<String, String>,
}

impl SessionRecord {
    /// The longest label, in characters.
    pub const MAX_LABEL_CHARS: usize = 255;

    /// A record with only the required fields set. Its id follows from the digest; a store sets that of a session which
    /// was rotated.
    #[must_use]
    pub fn new(subject: Subject, digest: TokenDigest, created_at: Timestamp) -> Self {
        Self {
            subject,
            id: digest.session_id(),
            digest,
            previous: None,
            created_at,
            expires_at: None,
            last_used_at: None,
            absolute_expires_at: None,
            scope: None,
            idle_timeout: None,
            claims: None,
            label: None,
            attributes: BTreeMap::new(),
        }
    }

    /// The record's primary key.
    #[must_use]
    pub fn session_ref(&self) -> SessionRef {
        SessionRef::new(self.subject.clone(), self.id)
    }

    /// Whether the session has not expired at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// When the session expires if it is used at `now`: after its idle timeout, and at its absolute expiry at the
    /// latest.
    pub(crate) fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.idle_timeout.map(|timeout| expiry(now, timeout));
        [idle, self.absolute_expires_at].into_iter().flatten().min()
    }

    /// The record as JSON, for a store that keeps it as one value. It holds the digest, so it is not for clients.
    /// Timestamps are microseconds since 1970.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it does not serialize, which no record is known to cause.
    ///
    /// # Examples
    ///
    /// ```
    /// use jwt_knox::{SessionRecord, Subject, Timestamp};
    ///
    /// let digest = format!("sha256:{}", "ab".repeat(32)).parse()?;
    /// let record = SessionRecord::new(Subject::from(42), digest, Timestamp::from_second(1_800_000_000)?);
    /// assert_eq!(SessionRecord::from_json(&record.to_json()?)?, record);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self) -> Result<String, StoreError> {
        let stored = Stored {
            version: Stored::VERSION,
            subject: self.subject.clone(),
            id: self.id,
            digest: self.digest.to_string(),
            previous: self.previous.as_ref().map(ToString::to_string),
            created_at: self.created_at.as_microsecond(),
            expires_at: self.expires_at.map(Timestamp::as_microsecond),
            last_used_at: self.last_used_at.map(Timestamp::as_microsecond),
            absolute_expires_at: self.absolute_expires_at.map(Timestamp::as_microsecond),
            idle_seconds: self.idle_timeout.map(|timeout| timeout.as_secs()),
            scope: self.scope.clone(),
            claims: self.claims.map(|digest| digest.to_string()),
            label: self.label.clone(),
            attributes: self.attributes.clone(),
        };
        serde_json::to_string(&stored).map_err(StoreError::new)
    }

    /// The record that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not one.
    pub fn from_json(json: &str) -> Result<Self, StoreError> {
        let stored: Stored = serde_json::from_str(json).map_err(StoreError::new)?;
        if stored.version != Stored::VERSION {
            return Err(StoreError::new(format!("a record of version {}, which is unknown", stored.version)));
        }
        let timestamp = |microsecond| Timestamp::from_microsecond(microsecond).map_err(StoreError::new);
        Ok(Self {
            subject: stored.subject,
            id: stored.id,
            digest: stored.digest.parse().map_err(StoreError::new)?,
            previous: stored.previous.map(|text| text.parse().map_err(StoreError::new)).transpose()?,
            created_at: timestamp(stored.created_at)?,
            expires_at: stored.expires_at.map(timestamp).transpose()?,
            last_used_at: stored.last_used_at.map(timestamp).transpose()?,
            absolute_expires_at: stored.absolute_expires_at.map(timestamp).transpose()?,
            idle_timeout: stored.idle_seconds.map(Duration::from_secs),
            scope: stored.scope,
            claims: stored.claims.map(|text| text.parse().map_err(StoreError::new)).transpose()?,
            label: stored.label,
            attributes: stored.attributes,
        })
    }
}

/// What a rotation changes in a record; see [`TokenStore::rotate`](crate::TokenStore::rotate).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The hash of the new secret.
    pub digest: TokenDigest,
    /// The secret before, whose digest the record must have now.
    pub previous: PreviousSecret,
    /// When the session was used, by the rotation.
    pub last_used_at: Timestamp,
    /// When the session expires now, if that is later than before. `None`: as before.
    pub expires_at: Option<Timestamp>,
}

impl Rotation {
    /// A rotation that leaves the expiry as it is. For the tests of stores: [`Knox`](crate::Knox) makes those of
    /// sessions.
    #[must_use]
    pub fn new(digest: TokenDigest, previous: PreviousSecret, last_used_at: Timestamp) -> Self {
        Self { digest, previous, last_used_at, expires_at: None }
    }

    /// Changes `record`, for a store that reads and writes it whole. `false`: it no longer has the digest that is
    /// rotated away, and nothing was changed.
    pub fn apply(&self, record: &mut SessionRecord) -> bool {
        if record.digest != *self.previous.digest() {
            return false;
        }
        record.digest = self.digest.clone();
        record.previous = Some(self.previous.clone());
        record.last_used_at = record.last_used_at.max(Some(self.last_used_at));
        record.expires_at = record.expires_at.map(|old| self.expires_at.map_or(old, |new| old.max(new)));
        true
    }
}

/// A record as JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "v")]
    version: u32,
    subject: Subject,
    id: SessionId,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absolute_expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl Stored {
    const VERSION: u32 = 1;
}

/// The public part of a session, for lists: as JSON what `GET /sessions` gives, with times by RFC 3339.
///
/// # Examples
///
/// ```
/// use jwt_knox::{Knox, SessionInfo, StoreError, Subject};
///
/// async fn sessions(knox: &Knox, subject: &Subject) -> Result<Vec<SessionInfo>, StoreError> {
///     Ok(knox.sessions(subject).await?.iter().map(SessionInfo::from).collect())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session's id.
    pub id: SessionId,
    /// What to call it.
    pub label: Option<String>,
    /// When it began.
    #[serde(serialize_with = "rfc_3339")]
    pub created_at: Timestamp,
    /// When it was last used, give or take the touch interval.
    #[serde(serialize_with = "optional_rfc_3339")]
    pub last_used_at: Option<Timestamp>,
    /// When it expires unless it is used again; `None`: never.
    #[serde(serialize_with = "optional_rfc_3339")]
    pub expires_at: Option<Timestamp>,
}

impl From<&SessionRecord> for SessionInfo {
    fn from(record: &SessionRecord) -> Self {
        Self {
            id: record.id,
            label: record.label.clone(),
            created_at: record.created_at,
            last_used_at: record.last_used_at,
            expires_at: record.expires_at,
        }
    }
}

fn rfc_3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn optional_rfc_3339<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// Cuts `label` to what a record may hold; `None` if nothing is left.
pub(crate) fn clean_label(label: &str) -> Option<String> {
    let visible: String = label.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let cut: String = visible.trim_start().chars().take(SessionRecord::MAX_LABEL_CHARS).collect();
    let label = cut.trim_end();
    (!label.is_empty()).then(|| label.to_owned())
}

/// Characters that change how the text around them looks, and so what a list of sessions seems to say, or that show
/// nothing, so that a label of them looks empty: those that Unicode calls `Default_Ignorable_Code_Point`, line
/// separators, and blank letters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_expires_at_its_expiry_and_not_before() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let mut record = SessionRecord::new(Subject::new("alice").unwrap(), digest, at(0));
        assert!(record.is_active(Timestamp::MAX));
        record.expires_at = Some(at(100));
        assert!(record.is_active(at(99)));
        assert!(!record.is_active(at(100)));
    }

    #[test]
    fn labels_are_cut_and_cleaned() {
        assert_eq!(clean_label(" Fire\0fox\r\n "), Some("Firefox".to_owned()));
        assert_eq!(clean_label(&"é".repeat(300)).unwrap().chars().count(), 255);
        assert_eq!(clean_label("\u{202e}evil\u{200b}"), Some("evil".to_owned()));
        assert_eq!(clean_label(" \t\u{7f}"), None);
        // Blanks that come to the ends only when something else is dropped or cut off.
        assert_eq!(clean_label("\u{200b} \u{200b}"), None);
        assert_eq!(clean_label("\0 Firefox \u{feff}"), Some("Firefox".to_owned()));
        assert_eq!(clean_label(&format!("{} x", "a".repeat(254))), Some("a".repeat(254)));
        for invisible in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{2028}',
            '\u{2029}',
            '\u{206a}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fffb}',
            '\u{e0041}',
            '\u{e01ef}',
        ] {
            assert_eq!(clean_label(&format!("a{invisible}b")), Some("ab".to_owned()), "{invisible:?}");
            assert_eq!(clean_label(&invisible.to_string()), None, "{invisible:?}");
        }
    }
}
