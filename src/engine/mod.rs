//! A snapshot and a user in, a decision with its reason out.

pub mod bucketing;
pub mod compile;
pub mod condition;
pub mod evaluate;
pub mod reason;
pub mod snapshot;
