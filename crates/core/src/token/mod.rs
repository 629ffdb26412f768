//! What the client holds: the JWT, and what it is made of.

pub(crate) mod claims;
pub(crate) mod claims_digest;
pub(crate) mod digest;
pub(crate) mod format;
pub(crate) mod id;
pub(crate) mod jwt;
pub(crate) mod profile;
pub(crate) mod rotation;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod segment;

#[cfg(test)]
mod vectors;
