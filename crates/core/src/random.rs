//! Random bytes from the operating system.

use crate::error::BoxError;

/// Fills a buffer with random bytes from the operating system; replaced only by the tests of this crate.
pub(crate) type FillRandom = fn(&mut [u8]) -> Result<(), BoxError>;

/// Fills `buffer` from the random source of the operating system.
pub(crate) fn fill_from_os(buffer: &mut [u8]) -> Result<(), BoxError> {
    getrandom::fill(buffer).map_err(Into::into)
}

/// A random source that always fails.
#[cfg(test)]
pub(crate) fn broken_source(_: &mut [u8]) -> Result<(), BoxError> {
    Err("no entropy".into())
}
