//! Random bytes from the operating system.

use crate::error::RandomError;

/// Fills a buffer with random bytes from the operating system; replaced only by the tests of this crate.
pub(crate) type FillRandom = fn(&mut [u8]) -> Result<(), RandomError>;

/// Fills `buffer` from the random source of the operating system.
pub(crate) fn fill_from_os(buffer: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(buffer).map_err(|error| RandomError { source: Box::new(error) })
}
