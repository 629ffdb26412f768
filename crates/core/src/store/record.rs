//! What the store keeps of a login.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    lifetime::deadline,
    subject::Subject,
    token::{
        digest::TokenDigest,
        id::{TokenId, TokenKey},
    },
};

/// One login, as the store keeps it. Nothing in it can be turned back into a token.
///
/// Timestamps are UTC and whole microseconds, which every database can keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRecord {
    /// Who the login is for.
    pub subject: Subject,
    /// The hash of the token's secret.
    pub digest: TokenDigest,
    /// When the login began.
    pub created_at: Timestamp,
    /// When it ends unless it is used again, exclusive: at this moment it is over. `None`: it has no deadline.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take the touch interval. `None`: not since the login.
    pub last_used_at: Option<Timestamp>,
    /// When it ends however much it is used. `None`: never. Use moves `expires_at` up to this moment and not beyond.
    pub deadline: Option<Timestamp>,
    /// How long it may stay unused, in whole seconds. `None`: for as long as it lives.
    pub idle_timeout: Option<Duration>,
    /// What the token may be used for: scopes, separated by spaces. Kept here as well as in the token, so that whoever
    /// steals the signing key cannot grant themselves more.
    pub scope: Option<String>,
    /// What to call it in a list of devices: at most 255 characters, no control characters.
    pub label: Option<String>,
    /// What else the application wants to keep with the login.
    pub attributes: BTreeMap<String, String>,
}

impl TokenRecord {
    /// The longest label, in characters.
    pub const MAX_LABEL_CHARS: usize = 255;

    /// A record with nothing but what it must have; a store sets the other fields to what it has read.
    #[must_use]
    pub fn new(subject: Subject, digest: TokenDigest, created_at: Timestamp) -> Self {
        Self {
            subject,
            digest,
            created_at,
            expires_at: None,
            last_used_at: None,
            deadline: None,
            scope: None,
            idle_timeout: None,
            label: None,
            attributes: BTreeMap::new(),
        }
    }

    /// The public name of the login, which follows from the digest.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.digest.token_id()
    }

    /// The record's primary key.
    #[must_use]
    pub fn key(&self) -> TokenKey {
        TokenKey { subject: self.subject.clone(), id: self.id() }
    }

    /// Whether the login is not over at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// When a login ends that is used at `now`: after its idle timeout, if it has one, and at its deadline at the latest.
pub(crate) fn next_expiry(record: &TokenRecord, now: Timestamp) -> Option<Timestamp> {
    let idle = record.idle_timeout.map(|timeout| deadline(now, timeout));
    [idle, record.deadline].into_iter().flatten().min()
}

/// Cuts `label` to what a record may hold; `None` if nothing is left.
pub(crate) fn clean_label(label: &str) -> Option<String> {
    let visible: String = label.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let cut: String = visible.trim_start().chars().take(TokenRecord::MAX_LABEL_CHARS).collect();
    let label = cut.trim_end();
    (!label.is_empty()).then(|| label.to_owned())
}

/// Characters that change how the text around them looks, and so what a list of devices seems to say.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// The moment cut to the microseconds that every store keeps.
pub(crate) fn whole_microseconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(moment.as_microsecond()).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_over_at_its_deadline_and_not_before() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let mut record = TokenRecord::new(Subject::new("alice").unwrap(), digest, at(0));
        assert!(record.is_live(Timestamp::MAX));
        record.expires_at = Some(at(100));
        assert!(record.is_live(at(99)));
        assert!(!record.is_live(at(100)));
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
        for invisible in ['\u{61c}', '\u{2028}', '\u{2029}', '\u{206a}', '\u{fffb}', '\u{e0041}'] {
            assert_eq!(clean_label(&format!("a{invisible}b")), Some("ab".to_owned()), "{invisible:?}");
        }
    }
}
