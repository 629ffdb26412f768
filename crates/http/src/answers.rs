//! The JSON that successful answers carry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jwt_knox::{Authenticated, Issued, TokenRecord};
use serde::Serialize;
use serde_json::Value;

/// The answer to a login, in the words of RFC 6749 §5.1.
#[derive(Serialize)]
pub(crate) struct TokenBody<'a> {
    access_token: &'a str,
    token_type: &'a str,
    /// Seconds from the moment at which the token was issued; `null` if it has no deadline.
    expires_in: Option<i64>,
    expires_at: Option<String>,
    token_id: String,
}

impl<'a> TokenBody<'a> {
    pub(crate) fn new(issued: &'a Issued, token_type: &'a str) -> Self {
        let record = &issued.record;
        // A rotated login began earlier than its token.
        let issued_at = record.last_used_at.unwrap_or(record.created_at);
        Self {
            access_token: issued.token.expose(),
            token_type,
            expires_in: record.expires_at.map(|expires_at| (expires_at.as_second() - issued_at.as_second()).max(0)),
            expires_at: record.expires_at.map(rfc_3339),
            token_id: record.id().to_string(),
        }
    }
}

/// One line of the list of devices.
#[derive(Serialize)]
pub(crate) struct SessionBody<'a> {
    id: String,
    label: Option<&'a str>,
    created_at: String,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    /// Whether it is the login that asks.
    current: bool,
}

impl<'a> SessionBody<'a> {
    pub(crate) fn new(record: &'a TokenRecord, auth: &Authenticated) -> Self {
        let id = record.id();
        Self {
            current: id == *auth.token_id(),
            id: id.to_string(),
            label: record.label.as_deref(),
            created_at: rfc_3339(record.created_at),
            last_used_at: record.last_used_at.map(rfc_3339),
            expires_at: record.expires_at.map(rfc_3339),
        }
    }
}

/// How many logins were ended.
#[derive(Serialize)]
pub(crate) struct DeletedBody {
    pub(crate) deleted_sessions: u64,
}

/// What a token says and what the store knows of it, without the secret and without its digest.
#[derive(Serialize)]
pub(crate) struct DebugBody<'a> {
    claims: Value,
    record: DebugRecord<'a>,
}

#[derive(Serialize)]
struct DebugRecord<'a> {
    subject: &'a str,
    #[serde(flatten)]
    session: SessionBody<'a>,
    scope: Option<&'a str>,
    deadline: Option<String>,
    idle_timeout: Option<u64>,
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> DebugBody<'a> {
    pub(crate) fn new(auth: &'a Authenticated) -> Self {
        let record = auth.record();
        Self {
            claims: auth.claims().unwrap_or_default(),
            record: DebugRecord {
                subject: record.subject.as_str(),
                session: SessionBody::new(record, auth),
                scope: record.scope.as_deref(),
                deadline: record.deadline.map(rfc_3339),
                idle_timeout: record.idle_timeout.map(|timeout| timeout.as_secs()),
                attributes: &record.attributes,
            },
        }
    }
}

fn rfc_3339(moment: Timestamp) -> String {
    moment.to_string()
}
