//! From measurements to a plan. It says what to do and changes nothing.

pub mod decision;
pub mod judge;
pub mod measurement;
pub mod plan;

#[cfg(test)]
mod tests;
