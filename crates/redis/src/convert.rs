//! Records as the lines of a value and back.

use std::{collections::BTreeMap, time::Duration};

use jwt_knox::{SessionId, SessionRecord, StoreError, Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// A failure of this store.
pub(crate) fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(error).in_store("Redis")
}

/// The value of a session is not one.
#[derive(Debug, thiserror::Error)]
#[error("a session in Redis cannot be read")]
pub(crate) struct Unreadable;

/// The version of the value, its first line.
const VERSION: &str = "1";

/// What no script looks at, in the last line.
#[derive(Serialize, Deserialize)]
struct Rest {
    #[serde(rename = "abs", skip_serializing_if = "Option::is_none")]
    absolute_expires_at: Option<i64>,
    #[serde(rename = "idle", skip_serializing_if = "Option::is_none")]
    idle_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<String>,
    #[serde(rename = "attr", default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

/// The value of a record: lines in the order that `common.lua` says. None of them has a line break: labels have no
/// control characters, and JSON escapes them.
pub(crate) fn encode(record: &SessionRecord) -> Result<String, StoreError> {
    let rest = Rest {
        absolute_expires_at: record.absolute_expires_at.map(Timestamp::as_microsecond),
        idle_seconds: record.idle_timeout.map(|timeout| timeout.as_secs()),
        scope: record.scope.clone(),
        claims: record.claims.map(|digest| digest.to_string()),
        attributes: record.attributes.clone(),
    };
    Ok([
        VERSION.to_owned(),
        time_argument(record.expires_at),
        time_argument(record.last_used_at),
        microseconds(record.created_at),
        record.digest.to_string(),
        record.previous.as_ref().map(ToString::to_string).unwrap_or_default(),
        // The request that wrote it, which the script fills in.
        String::new(),
        label_argument(record.label.as_deref())?.to_owned(),
        serde_json::to_string(&rest).map_err(store_error)?,
    ]
    .join("\n"))
}

/// The record of a value.
pub(crate) fn decode(subject: &Subject, id: SessionId, value: &str) -> Result<SessionRecord, StoreError> {
    let lines: Vec<&str> = value.split('\n').collect();
    let [VERSION, expires_at, last_used_at, created_at, digest, previous, _, label, rest] = lines[..] else {
        return Err(store_error(Unreadable));
    };
    let rest: Rest = serde_json::from_str(rest).map_err(store_error)?;
    let mut record = SessionRecord::new(subject.clone(), digest.parse().map_err(store_error)?, time(created_at)?);
    record.id = id;
    record.expires_at = optional(expires_at).map(time).transpose()?;
    record.last_used_at = optional(last_used_at).map(time).transpose()?;
    record.previous = optional(previous).map(|text| text.parse().map_err(store_error)).transpose()?;
    record.label = optional(label).map(str::to_owned);
    record.absolute_expires_at = rest.absolute_expires_at.map(timestamp).transpose()?;
    record.idle_timeout = rest.idle_seconds.map(Duration::from_secs);
    record.scope = rest.scope;
    record.claims = rest.claims.map(|text| text.parse().map_err(store_error)).transpose()?;
    record.attributes = rest.attributes;
    Ok(record)
}

/// A time as the scripts take it; an absent one is the empty string.
pub(crate) fn time_argument(time: Option<Timestamp>) -> String {
    time.map(microseconds).unwrap_or_default()
}

/// A label as a line; an absent one is the empty string.
pub(crate) fn label_argument(label: Option<&str>) -> Result<&str, StoreError> {
    match label {
        Some(label) if label.contains('\n') => Err(store_error("a label must not have a line break")),
        label => Ok(label.unwrap_or_default()),
    }
}

pub(crate) fn microseconds(time: Timestamp) -> String {
    time.as_microsecond().to_string()
}

fn optional(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn time(text: &str) -> Result<Timestamp, StoreError> {
    timestamp(text.parse().map_err(store_error)?)
}

fn timestamp(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(store_error)
}
