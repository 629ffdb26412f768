//! Hearing from a store what other processes change in it.

use async_trait::async_trait;

use crate::{error::StoreError, subject::Subject};

/// What a store announces of the changes that all its processes make, for [`Knox::follow`](crate::Knox::follow).
///
/// It is about speed and never about safety: whoever hears of no change learns of it by asking the store.
///
/// # Contract
///
/// - What ends a session or gives it a new token is announced after it is committed, or in the same atomic step. What
///   only records a use or changes a label need not be.
/// - **A gap is never silent.** Announcements that come while there is no connection are lost. So the first answer of
///   each connection is [`Change::Any`], once everything that is announced from then on will be heard.
/// - A connection that is lost is an error. The next call makes a new one.
#[async_trait]
pub trait ChangeFeed: Send + 'static {
    /// Waits for the next change, for as long as it takes. Connects first if there is no connection.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is no connection, or none any more.
    async fn next(&mut self) -> Result<Change, StoreError>;
}

#[async_trait]
impl<T: ChangeFeed + ?Sized> ChangeFeed for Box<T> {
    async fn next(&mut self) -> Result<Change, StoreError> {
        (**self).next().await
    }
}

/// What a [`ChangeFeed`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Sessions of this subject have ended or have a new token, or something else has changed that is remembered of it.
    Subject(Subject),
    /// Anything may have changed.
    Any,
}
