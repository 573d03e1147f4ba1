//! Evaluation: configuration is lowered to one rule form, compiled, and evaluated for users.

pub mod assign;
pub mod bucketing;
pub mod compile;
mod condition;
pub mod evaluate;
pub mod explain;
pub mod form;
pub mod lift;
pub mod lower;
pub mod nesting;
pub mod observe;
pub mod reason;
pub mod snapshot;

#[cfg(test)]
mod tests;
