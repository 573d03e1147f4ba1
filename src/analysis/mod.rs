//! From measurements to a plan. It says what to do and changes nothing.

pub mod audit;
mod comparison;
pub mod decision;
mod evidence;
pub mod fold;
pub mod history;
pub mod influence;
pub mod judge;
pub mod measurement;
pub mod outlook;
pub mod plan;
pub mod published;
mod replay;
mod sample_ratio;

mod tally;

#[cfg(test)]
mod tests;
