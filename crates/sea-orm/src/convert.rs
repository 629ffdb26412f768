//! Records as rows and back.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use chrono::{DateTime, NaiveDateTime};
use jwt_knox::{SessionRecord, StoreError, Subject, Timestamp, TokenDigest};
use sea_orm::{DbErr, FromQueryResult, QueryResult, Set};

use crate::entity::{self, subject_lock};

/// A failure of this store.
pub(crate) fn store_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(error).in_store("SeaORM")
}

/// The row of a record.
pub(crate) fn row(record: &SessionRecord) -> Result<entity::ActiveModel, StoreError> {
    Ok(entity::ActiveModel {
        subject: Set(record.subject.as_str().to_owned()),
        id: Set(record.id.as_str().to_owned()),
        digest: Set(record.digest.to_string()),
        previous: Set(record.previous.as_ref().map(ToString::to_string)),
        created_at: Set(date_time(record.created_at)?),
        expires_at: Set(record.expires_at.map(date_time).transpose()?),
        last_used_at: Set(record.last_used_at.map(date_time).transpose()?),
        absolute_expires_at: Set(record.absolute_expires_at.map(date_time).transpose()?),
        idle_seconds: Set(record.idle_timeout.map(|timeout| timeout.as_secs() as i64)),
        scope: Set(record.scope.clone()),
        claims: Set(record.claims.map(|digest| digest.to_string())),
        label: Set(record.label.clone()),
        attributes: Set(serde_json::to_string(&record.attributes).map_err(store_error)?),
    })
}

/// The record of a row. A row that is not a record is an error of the store, not of the client.
pub(crate) fn record(row: &QueryResult) -> Result<SessionRecord, StoreError> {
    from_model(decode(|| entity::Model::from_query_result(row, "")).map_err(store_error)?)
}

/// When all sessions of the subject of a row were last revoked. A time that cannot be read is none, so that the subject
/// can log in, and the next revocation overwrites it.
pub(crate) fn revoked_at(row: &QueryResult) -> Option<NaiveDateTime> {
    decode(|| subject_lock::Model::from_query_result(row, ""))
        .inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a row of jwt_knox_subjects cannot be read, so the last revocation is unknown"
            );
        })
        .ok()?
        .revoked_at
}

/// Reads a row. sqlx 0.9.0 panics at some values: at `infinity` and other times of PostgreSQL that chrono cannot hold.
fn decode<T>(read: impl FnOnce() -> Result<T, DbErr>) -> Result<T, DbErr> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(DbErr::Type("a value is beyond what its type can hold".to_owned())))
}

fn from_model(row: entity::Model) -> Result<SessionRecord, StoreError> {
    let subject = Subject::new(row.subject).map_err(store_error)?;
    let digest: TokenDigest = row.digest.parse().map_err(store_error)?;
    let attributes: BTreeMap<String, String> = serde_json::from_str(&row.attributes).map_err(store_error)?;
    let mut record = SessionRecord::new(subject, digest, timestamp(row.created_at)?);
    record.id = row.id.parse().map_err(store_error)?;
    record.previous = row.previous.map(|text| text.parse().map_err(store_error)).transpose()?;
    record.expires_at = row.expires_at.map(timestamp).transpose()?;
    record.last_used_at = row.last_used_at.map(timestamp).transpose()?;
    record.absolute_expires_at = row.absolute_expires_at.map(timestamp).transpose()?;
    record.idle_timeout = match row.idle_seconds {
        None => None,
        Some(seconds) => Some(Duration::from_secs(u64::try_from(seconds).map_err(store_error)?)),
    };
    record.scope = row.scope;
    record.claims = row.claims.map(|text| text.parse().map_err(store_error)).transpose()?;
    record.label = row.label;
    record.attributes = attributes;
    Ok(record)
}

/// The time as the database driver takes it, in UTC and to the microsecond. Without a time zone: with one, MySQL takes
/// it for a TIMESTAMP, which ends in 2038.
pub(crate) fn date_time(time: Timestamp) -> Result<NaiveDateTime, StoreError> {
    DateTime::from_timestamp_micros(time.as_microsecond())
        .map(|date_time| date_time.naive_utc())
        .ok_or_else(|| store_error(DbErr::Type(format!("no database type can hold the time {time}"))))
}

fn timestamp(date_time: NaiveDateTime) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(date_time.and_utc().timestamp_micros()).map_err(store_error)
}
