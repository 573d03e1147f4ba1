//! What was measured for one launch, up to one point of event time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::stats::moments::Moments;

/// Units and moments of one launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Event time up to which everything is counted.
    pub as_of: Timestamp,
    /// Event time up to which data have come in; later than `as_of` by what is allowed for late ones.
    pub watermark: Timestamp,
    /// How many units each arm got in each epoch.
    pub units: Vec<ArmUnits>,
    /// Moments by key of the metric.
    pub metrics: BTreeMap<String, Vec<ArmMoments>>,
}

/// How many units an arm got in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmUnits {
    /// Number of the epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: String,
    /// Units that were exposed then and there, for the first time or again.
    pub units: u64,
}

/// Moments of one metric in one arm and epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmMoments {
    /// Number of the epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: String,
    /// What the units first exposed then and there did within the epoch.
    pub moments: Moments,
    /// What those of them did so far whose arm no planned step changes.
    pub settled: Moments,
}

impl Measurement {
    /// The row of a metric, an epoch and an arm; none where no unit was seen.
    #[must_use]
    pub fn row(&self, metric: &str, epoch: u32, arm: &str) -> Option<&ArmMoments> {
        self.metrics.get(metric)?.iter().find(|row| row.epoch == epoch && row.arm == arm)
    }
}
