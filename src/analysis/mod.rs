//! From measurements to a plan. It says what to do and changes nothing.

pub mod audit;
pub mod blindness;
mod comparison;
mod cycle;
pub mod again;
pub mod answer;
pub mod decision;
pub mod effects;
mod evidence;
pub mod fold;
pub mod history;
pub mod influence;
pub mod judge;
pub mod left_behind;
pub mod limits;
pub mod measurement;
pub mod news;
pub mod outlook;
pub mod plan;
pub mod policy_replay;
pub mod published;
pub mod recovery;
mod replay;
mod sample_ratio;
pub mod scorecard;
mod tally;
mod tested;

#[cfg(test)]
mod tests;
