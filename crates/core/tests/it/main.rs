//! The whole handle, through its public API, on a store in memory and a clock that stands still.

#![allow(clippy::unwrap_used)]

mod admin;
mod audience;
mod authenticate;
mod cache;
mod claims;
mod clocks;
mod ended;
mod fixture;
mod follow;
mod forgery;
mod format;
mod introspection;
mod issue;
mod json;
mod key_folder;
mod key_forms;
mod keys;
mod lifetime;
mod limit;
mod log;
mod model;
mod names;
mod observe;
mod passive;
mod purge;
mod recent;
mod record;
mod remote_keys;
mod requirements;
mod revoke;
mod rotate;
mod session_id;
mod stolen_key;
mod subject;
mod superseded;
mod time_limit;
mod touch;
mod two_handles;
mod verifier;
mod waiting;
