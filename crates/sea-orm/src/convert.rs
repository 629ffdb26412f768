//! Records as rows and back.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDateTime};
use jiff::Timestamp;
use jwt_knox::{StoreError, Subject, TokenDigest, TokenRecord};
use sea_orm::{DbErr, Set};

use crate::entity;

/// A failure of this store.
pub(crate) fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new("SeaORM", error)
}

/// The row of a record.
pub(crate) fn row(record: &TokenRecord) -> Result<entity::ActiveModel, StoreError> {
    Ok(entity::ActiveModel {
        subject: Set(record.subject.as_str().to_owned()),
        id: Set(record.id().as_str().to_owned()),
        digest: Set(record.digest.to_string()),
        created_at: Set(date(record.created_at)?),
        expires_at: Set(record.expires_at.map(date).transpose()?),
        last_used_at: Set(record.last_used_at.map(date).transpose()?),
        deadline: Set(record.deadline.map(date).transpose()?),
        idle_seconds: Set(record.idle_timeout.map(|timeout| timeout.as_secs() as i64)),
        scope: Set(record.scope.clone()),
        label: Set(record.label.clone()),
        attributes: Set(serde_json::to_string(&record.attributes).map_err(store_error)?),
    })
}

/// The record of a row. A row that cannot be one is a fault of the store, not of the client.
pub(crate) fn from_row(row: entity::Model) -> Result<TokenRecord, StoreError> {
    let subject = Subject::new(row.subject).map_err(store_error)?;
    let digest: TokenDigest = row.digest.parse().map_err(store_error)?;
    let attributes: BTreeMap<String, String> = serde_json::from_str(&row.attributes).map_err(store_error)?;
    let mut record = TokenRecord::new(subject, digest, timestamp(row.created_at)?);
    record.expires_at = row.expires_at.map(timestamp).transpose()?;
    record.last_used_at = row.last_used_at.map(timestamp).transpose()?;
    record.deadline = row.deadline.map(timestamp).transpose()?;
    record.idle_timeout = match row.idle_seconds {
        None => None,
        Some(seconds) => Some(Duration::from_secs(u64::try_from(seconds).map_err(store_error)?)),
    };
    record.scope = row.scope;
    record.label = row.label;
    record.attributes = attributes;
    Ok(record)
}

/// The moment as the database driver takes it, in UTC and to the microsecond. Without a time zone: with one, MySQL
/// takes it for a TIMESTAMP, which ends in 2038.
pub(crate) fn date(moment: Timestamp) -> Result<NaiveDateTime, StoreError> {
    DateTime::from_timestamp_micros(moment.as_microsecond())
        .map(|date| date.naive_utc())
        .ok_or_else(|| store_error(DbErr::Type(format!("{moment} is no date of the database"))))
}

fn timestamp(date: NaiveDateTime) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(date.and_utc().timestamp_micros()).map_err(store_error)
}
