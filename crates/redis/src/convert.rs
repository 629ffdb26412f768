//! Records as the fields of a hash and back.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jwt_knox::{SessionRecord, StoreError, Subject, Timestamp, TokenDigest};

/// A failure of this store.
pub(crate) fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(error).in_store("Redis")
}

/// A hash that is not a record.
#[derive(Debug, thiserror::Error)]
#[error("a session in Redis lacks the field `{0}`")]
struct MissingField(&'static str);

/// The names and values of a record, in turn. What is absent has no field.
pub(crate) fn fields(record: &SessionRecord) -> Result<Vec<String>, StoreError> {
    let attributes = serde_json::to_string(&record.attributes).map_err(store_error)?;
    let present = [
        ("subject", Some(record.subject.as_str().to_owned())),
        ("digest", Some(record.digest.to_string())),
        ("created_at", Some(microseconds(record.created_at))),
        ("expires_at", record.expires_at.map(microseconds)),
        ("last_used_at", record.last_used_at.map(microseconds)),
        ("absolute_expires_at", record.absolute_expires_at.map(microseconds)),
        ("idle_seconds", record.idle_timeout.map(|timeout| timeout.as_secs().to_string())),
        ("scope", record.scope.clone()),
        ("label", record.label.clone()),
        ("attributes", Some(attributes)),
    ];
    Ok(present.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect())
}

/// The record of a hash.
pub(crate) fn record(mut hash: HashMap<String, String>) -> Result<SessionRecord, StoreError> {
    let mut take = |name: &'static str| hash.remove(name);
    let needed = |name, value: Option<String>| value.ok_or_else(|| store_error(MissingField(name)));
    let subject = Subject::new(needed("subject", take("subject"))?).map_err(store_error)?;
    let digest: TokenDigest = needed("digest", take("digest"))?.parse().map_err(store_error)?;
    let created_at = timestamp(needed("created_at", take("created_at"))?)?;
    let attributes: BTreeMap<String, String> =
        serde_json::from_str(&needed("attributes", take("attributes"))?).map_err(store_error)?;
    let mut record = SessionRecord::new(subject, digest, created_at);
    record.expires_at = take("expires_at").map(timestamp).transpose()?;
    record.last_used_at = take("last_used_at").map(timestamp).transpose()?;
    record.absolute_expires_at = take("absolute_expires_at").map(timestamp).transpose()?;
    record.idle_timeout = match take("idle_seconds") {
        None => None,
        Some(seconds) => Some(Duration::from_secs(seconds.parse().map_err(store_error)?)),
    };
    record.scope = take("scope");
    record.label = take("label");
    record.attributes = attributes;
    Ok(record)
}

/// A time as the scripts take it; an absent one is the empty string.
pub(crate) fn time_argument(time: Option<Timestamp>) -> String {
    time.map(microseconds).unwrap_or_default()
}

pub(crate) fn microseconds(time: Timestamp) -> String {
    time.as_microsecond().to_string()
}

fn timestamp(microseconds: String) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds.parse().map_err(store_error)?).map_err(store_error)
}
