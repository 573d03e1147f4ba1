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
    /// Units first exposed then and there.
    pub units: u64,
}

/// Moments of one metric in one arm and epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmMoments {
    /// Number of the epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: String,
    /// The sums.
    pub moments: Moments,
}

impl Measurement {
    /// Moments of a metric in one arm and epoch; all zero where no unit was seen.
    #[must_use]
    pub fn moments(&self, metric: &str, epoch: u32, arm: &str) -> Moments {
        let rows = self.metrics.get(metric).map(Vec::as_slice).unwrap_or_default();
        let found = rows.iter().find(|row| row.epoch == epoch && row.arm == arm);
        found.map(|row| row.moments).unwrap_or_default()
    }
}
