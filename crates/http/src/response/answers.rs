//! The JSON that successful answers carry.

use std::collections::BTreeMap;

use jwt_knox::{Authenticated, Issued, SessionInfo, SessionRecord, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to a login, in the words of RFC 6749 §5.1.
#[derive(Serialize)]
pub(crate) struct TokenAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    /// Seconds from the time at which the token was issued; not there if the session does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    session_id: String,
}

impl<'a> TokenAnswer<'a> {
    pub(crate) fn new(issued: &'a Issued, token_type: &'a str) -> Self {
        Self { access_token: Some(issued.token.expose()), token_type: Some(token_type), ..Self::without_token(issued) }
    }

    /// The answer to a browser, which has the token in a cookie.
    pub(crate) fn without_token(issued: &'a Issued) -> Self {
        let record = &issued.session;
        let issued_at = issued.issued_at.as_second();
        Self {
            access_token: None,
            token_type: None,
            expires_in: record.expires_at.map(|expires_at| (expires_at.as_second() - issued_at).max(0)),
            expires_at: record.expires_at.map(rfc_3339),
            session_id: record.id.to_string(),
        }
    }
}

/// The answer to a login for clients of drf-jwt-knox.
#[derive(Serialize)]
pub(crate) struct DrfJwtKnoxAnswer {
    token: String,
}

impl DrfJwtKnoxAnswer {
    pub(crate) fn new(issued: &Issued, scheme: &str) -> Self {
        Self { token: format!("{scheme} {}", issued.token.expose()) }
    }
}

/// One line of the list of sessions.
#[derive(Serialize)]
pub(crate) struct SessionAnswer {
    #[serde(flatten)]
    session: SessionInfo,
    /// Whether it is the session that asks.
    current: bool,
}

impl SessionAnswer {
    pub(crate) fn new(record: &SessionRecord, auth: &Authenticated) -> Self {
        let session = SessionInfo::from(record);
        Self { current: session.id == auth.session_id(), session }
    }
}

/// How many sessions were revoked.
#[derive(Serialize)]
pub(crate) struct DeletedAnswer {
    pub(crate) deleted_sessions: u64,
}

/// What a token says and what the store knows of it, without the secret and without its digest.
#[derive(Serialize)]
pub(crate) struct DebugAnswer<'a> {
    claims: Value,
    record: DebugRecord<'a>,
}

#[derive(Serialize)]
struct DebugRecord<'a> {
    subject: &'a str,
    #[serde(flatten)]
    session: SessionAnswer,
    scope: Option<&'a str>,
    absolute_expires_at: Option<String>,
    idle_timeout: Option<u64>,
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> DebugAnswer<'a> {
    pub(crate) fn new(auth: &'a Authenticated) -> Self {
        let record = auth.session();
        Self {
            claims: auth.claims().unwrap_or_default(),
            record: DebugRecord {
                subject: record.subject.as_str(),
                session: SessionAnswer::new(record, auth),
                scope: record.scope.as_deref(),
                absolute_expires_at: record.absolute_expires_at.map(rfc_3339),
                idle_timeout: record.idle_timeout.map(|timeout| timeout.as_secs()),
                attributes: &record.attributes,
            },
        }
    }
}

/// What a service is told of a token (RFC 7662 §2.2). The secret, `jti`, is not among it.
#[derive(Serialize)]
pub(crate) struct IntrospectionAnswer<'a> {
    active: bool,
    #[serde(flatten)]
    token: Option<ActiveToken<'a>>,
}

#[derive(Serialize)]
struct ActiveToken<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    /// When the session expires unless it is used: with an idle timeout, earlier than the token says.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(flatten)]
    claims: IssuerClaims,
    sid: String,
    token_type: &'a str,
}

/// What is passed on as it is in the token.
#[derive(Serialize, Deserialize, Default)]
struct IssuerClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Value>,
}

impl<'a> IntrospectionAnswer<'a> {
    /// For every token that is not active, whatever the reason.
    pub(crate) const INACTIVE: Self = Self { active: false, token: None };

    pub(crate) fn active(auth: &'a Authenticated, token_type: &'a str) -> Self {
        let record = auth.session();
        let token = ActiveToken {
            sub: record.subject.as_str(),
            scope: record.scope.as_deref(),
            exp: record.expires_at.map(Timestamp::as_second),
            claims: auth.claims().unwrap_or_default(),
            sid: record.id.to_string(),
            token_type,
        };
        Self { active: true, token: Some(token) }
    }
}

fn rfc_3339(time: Timestamp) -> String {
    time.to_string()
}
