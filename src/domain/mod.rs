//! The words of the trade, checked when they are made.

pub mod bucket_set;
pub mod catalogue;
pub mod condition;
pub mod config;
pub mod configuration;
pub mod event;
pub mod experiment;
pub mod gate;
pub mod holdout;
pub mod key;
pub mod latch;
pub mod launch;
pub mod layer;
pub mod limit;
pub mod metric;
pub mod parameters;
pub mod policy;
pub mod ramp;
pub mod rule;
pub mod sdk_key;
pub mod segment;
pub mod stored;
pub mod time;
pub mod user;
pub mod violation;
