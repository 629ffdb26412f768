#![doc = include_str!("../README.md")]

mod convert;
mod scripts;
mod store;

pub use store::RedisStore;
