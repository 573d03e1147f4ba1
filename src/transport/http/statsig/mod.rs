//! What Statsig's SDKs speak.

pub mod dialect;
pub mod read;
pub mod user;
