//! Records as the fields of a hash and back.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use jwt_knox::{StoreError, Subject, TokenDigest, TokenRecord};

/// A failure of this store.
pub(crate) fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new("Redis", error)
}

/// A hash holds something that is no record.
#[derive(Debug, thiserror::Error)]
#[error("a login in Redis has no usable field `{0}`")]
struct BadField(&'static str);

/// The names and values of a record, in turn. What is absent has no field.
pub(crate) fn fields(record: &TokenRecord) -> Result<Vec<String>, StoreError> {
    let attributes = serde_json::to_string(&record.attributes).map_err(store_error)?;
    let present = [
        ("subject", Some(record.subject.as_str().to_owned())),
        ("digest", Some(record.digest.to_string())),
        ("created_at", Some(microseconds(record.created_at))),
        ("expires_at", record.expires_at.map(microseconds)),
        ("last_used_at", record.last_used_at.map(microseconds)),
        ("deadline", record.deadline.map(microseconds)),
        ("idle_seconds", record.idle_timeout.map(|timeout| timeout.as_secs().to_string())),
        ("scope", record.scope.clone()),
        ("label", record.label.clone()),
        ("attributes", Some(attributes)),
    ];
    Ok(present.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect())
}

/// The record of a hash.
pub(crate) fn record(mut hash: HashMap<String, String>) -> Result<TokenRecord, StoreError> {
    let mut take = |name: &'static str| hash.remove(name);
    let needed = |name, value: Option<String>| value.ok_or_else(|| store_error(BadField(name)));
    let subject = Subject::new(needed("subject", take("subject"))?).map_err(store_error)?;
    let digest: TokenDigest = needed("digest", take("digest"))?.parse().map_err(store_error)?;
    let created_at = moment(needed("created_at", take("created_at"))?)?;
    let attributes: BTreeMap<String, String> =
        serde_json::from_str(&needed("attributes", take("attributes"))?).map_err(store_error)?;
    let mut record = TokenRecord::new(subject, digest, created_at);
    record.expires_at = take("expires_at").map(moment).transpose()?;
    record.last_used_at = take("last_used_at").map(moment).transpose()?;
    record.deadline = take("deadline").map(moment).transpose()?;
    record.idle_timeout = match take("idle_seconds") {
        None => None,
        Some(seconds) => Some(Duration::from_secs(seconds.parse().map_err(store_error)?)),
    };
    record.scope = take("scope");
    record.label = take("label");
    record.attributes = attributes;
    Ok(record)
}

/// A moment as the scripts take it; an absent one is the empty text.
pub(crate) fn time_argument(moment: Option<Timestamp>) -> String {
    moment.map(microseconds).unwrap_or_default()
}

pub(crate) fn microseconds(moment: Timestamp) -> String {
    moment.as_microsecond().to_string()
}

fn moment(microseconds: String) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds.parse().map_err(store_error)?).map_err(store_error)
}
