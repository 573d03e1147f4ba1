//! What is stored of a unit and bears on a launch: the input from which its outcomes follow.

use std::collections::BTreeMap;

use crate::domain::time::Timestamp;

/// Everything that is stored of one unit and bears on one launch, as of an arrival.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The unit, of the launch's unit type.
    pub unit_id: String,
    /// By epoch, time and arm.
    pub exposures: Vec<Exposed>,
    /// By time and arrival.
    pub events: Vec<Deed>,
    /// By day.
    pub days: Vec<ActiveDay>,
}

/// The unit was served an arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// Number of the epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: String,
    /// When it was served. Of one epoch and arm there is more than one row where an earlier one arrived later.
    pub at: Timestamp,
    /// No planned step changes the unit's arm.
    pub settled: bool,
    /// The guard had turned the arm off already, and the unit was served the default.
    pub reverted: bool,
    /// The user's values of the attributes that are kept for segments.
    pub attributes: BTreeMap<String, String>,
    /// Number of the write that stored it.
    pub arrival: i64,
}

/// An event of the unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// What happened.
    pub name: String,
    /// When it happened.
    pub at: Timestamp,
    /// A finite number for metrics that sum.
    pub value: Option<f64>,
    /// The event's properties; empty unless they were asked for.
    pub properties: BTreeMap<String, String>,
    /// The user's public attributes as sent with the event; empty unless they were asked for.
    pub attributes: BTreeMap<String, String>,
    /// Number of the write that stored it.
    pub arrival: i64,
}

/// A UTC day on which the unit did anything, exposures included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveDay {
    /// Number of the day, counted from 1970-01-01.
    pub day: i64,
    /// Number of the write that stored it.
    pub arrival: i64,
}
