//! What was measured for one launch, up to one point of event time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::time::{DAY_MS, Timestamp};
use crate::stats::outcome::Outcome;

/// Units that come later than this after the ones before are kept apart, so that evidence can start afresh with them.
pub const WEEK_MS: i64 = 7 * DAY_MS;

/// How many buckets of event time are kept apart, besides the one that is still open.
pub const KEPT_BUCKETS: i64 = 32;
/// The last week that is kept apart; later units are counted in it.
pub const LAST_WEEK: u32 = 519;

/// The value that stands for all values of a column without a segment of their own.
pub const OTHER: &str = "…";

/// Columns by which units are told apart, with the values that have a segment of their own; all others of a column are
/// together.
pub type Columns = BTreeMap<String, BTreeSet<String>>;

/// The name of a segment.
#[must_use]
pub fn segment_name(column: &str, value: &str) -> String {
    format!("{column}={value}")
}

/// Units and moments of one launch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Event time up to which everything is counted.
    pub as_of: Timestamp,
    /// Event time up to which data have come in; later than `as_of` by what is allowed for late ones.
    pub watermark: Timestamp,
    /// How many units each arm got in each epoch.
    pub units: Vec<ArmUnits>,
    /// How many units each arm was dealt in each epoch, in the epoch of their first exposure.
    #[serde(default)]
    pub dealt: Vec<ArmUnits>,
    /// Shares of the arms of an experiment, where they are known: any numbers in proportion. A gate's follow from its
    /// epochs.
    pub shares: BTreeMap<String, f64>,
    /// From here on moments are kept apart by bucket of event time; none where the data have no times.
    pub kept_from: Option<Timestamp>,
    /// Metrics whose buckets were left out where their numbers were stored. Whether one bucket alone carries what they show is
    /// not known, which is another thing than data without times.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stripped: BTreeSet<String>,
    /// Moments by key of the metric.
    pub metrics: BTreeMap<String, Vec<ArmMoments>>,
    /// The columns that tell units apart, with the values that have a segment of their own; none where no policy names any,
    /// and while too few units have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// The same moments by key of the metric and name of the segment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, BTreeMap<String, Vec<ArmMoments>>>,
    /// Metrics that no verdict can rest on, although there may be numbers of them.
    #[serde(default)]
    pub blind: BTreeMap<String, Blindness>,
}

/// Why no verdict can rest on a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blindness {
    /// What kind of reason.
    pub cause: Cause,
    /// The same in words, with figures.
    pub message: String,
    /// When it was first published so, for this reason or another one; none in records from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Kinds of reasons not to rest a verdict on a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its events are older than its freshness.
    Stale,
    /// An audit failed.
    Audit,
    /// Its numbers cannot be computed.
    Undefined,
    /// Too little is stored from before the launch to tell where its tail begins.
    NoBaseline,
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

/// Moments of one metric in one arm and week of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmMoments {
    /// Number of the epoch.
    pub epoch: u32,
    /// Week of the epoch in which the units were first exposed, from 0.
    pub week: u32,
    /// Name of the arm.
    pub arm: String,
    /// What the units first exposed then and there did within the epoch.
    pub moments: Outcome,
    /// What those of them did so far whose arm no planned step changes.
    pub settled: Outcome,
    /// The same at the ends of kept buckets, oldest first: where the first of them begins, and after each that changed
    /// anything.
    pub past: Vec<Past>,
}

/// Moments as they were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Event time up to which everything is counted.
    pub at: Timestamp,
    /// Within the epoch.
    pub moments: Outcome,
    /// Of settled units.
    pub settled: Outcome,
}

impl Measurement {
    /// The row of a metric, a week of an epoch and an arm; none where no unit was seen.
    #[must_use]
    pub fn row(&self, metric: &str, (epoch, week): (u32, u32), arm: &str) -> Option<&ArmMoments> {
        find(self.metrics.get(metric)?, (epoch, week), arm)
    }

    /// The same of the units of one segment.
    #[must_use]
    pub fn row_of_segment(
        &self,
        segment: &str,
        metric: &str,
        place: (u32, u32),
        arm: &str,
    ) -> Option<&ArmMoments> {
        find(self.segments.get(metric)?.get(segment)?, place, arm)
    }
}

fn find<'m>(rows: &'m [ArmMoments], (epoch, week): (u32, u32), arm: &str) -> Option<&'m ArmMoments> {
    rows.iter().find(|row| row.epoch == epoch && row.week == week && row.arm == arm)
}
