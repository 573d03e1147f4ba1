//! From what units did to sums by bucket of event time, so that new events cost no more than the units they belong to.
//!
//! A unit's outcome is a path through event time: it joins an arm, its values change, it may leave again. The path knows
//! no cut: what matures later lies in later buckets. A cell adds up by how much the paths of all units changed in one
//! bucket; a cut sums the buckets before it. Sums are exact, so that taking a path away and adding another one is the same
//! as computing everything anew.

mod cells;
mod cohort;
mod definition;
mod measured;
mod measure;
mod path;
mod sums;
mod track;

#[cfg(test)]
mod tests;

pub use cells::{CellKey, Cells, Delta, apply};
pub use definition::{Definition, Span, Stop};
pub use measure::Measure;
pub use measured::{Cut, measurement};
pub use sums::{Shape, Sums};

/// Metric of the cells that count the units of each arm, in the epoch of their first exposure.
pub const UNITS: &str = "";
/// Metric of the cells that count the units of each arm and epoch, first exposed in it or come back.
pub const CAME: &str = "*came";
/// Metric of the cells that count the units left out because they were seen in two arms; their arm is empty.
pub const IN_TWO_ARMS: &str = "*in_two_arms";
