#![doc = include_str!("../README.md")]

mod convert;
mod feed;
mod keys;
mod scripts;
mod store;

pub use feed::RedisFeed;
pub use store::RedisStore;
