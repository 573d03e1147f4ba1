//! What was measured, taken back from the record of a judgement, so that the judgement can be made again.

use std::collections::BTreeMap;

use super::decision::{Compared, EpochMoments, Judgement, PastMoments, SegmentVerdict};
use super::measurement::{ArmMoments, Measurement, Past, segment_name};
use crate::domain::launch::Launch;
use crate::stats::outcome::Outcome;

impl Judgement {
    /// What was measured of a launch; none where nothing was.
    #[must_use]
    pub fn measurement(&self, launch: &Launch) -> Option<Measurement> {
        let mut metrics = BTreeMap::new();
        for verdict in &self.verdicts {
            let rows: &mut Vec<ArmMoments> = metrics.entry(verdict.metric.clone()).or_default();
            put(rows, launch.control(), &verdict.arm, &verdict.epochs);
        }
        let mut segments: BTreeMap<String, BTreeMap<String, Vec<ArmMoments>>> = BTreeMap::new();
        for SegmentVerdict { metric, arm, column, value, epochs, .. } in &self.segments {
            let of_metric = segments.entry(metric.clone()).or_default();
            put(of_metric.entry(segment_name(column, value)).or_default(), launch.control(), arm, epochs);
        }
        Some(Measurement {
            as_of: self.as_of?,
            watermark: self.watermark?,
            units: self.units.clone(),
            dealt: self.dealt.clone(),
            shares: self.shares.clone(),
            kept_from: self.kept_from,
            stripped: self.stripped.clone(),
            metrics,
            columns: self.columns.clone(),
            segments,
            blind: self.blind.clone(),
        })
    }
}

/// Both sides of a comparison as rows. The control stands beside each arm, and is measured once.
fn put(rows: &mut Vec<ArmMoments>, control: &str, arm: &str, epochs: &[EpochMoments]) {
    if rows.is_empty() {
        rows.extend(epochs.iter().map(|epoch| row(epoch, control, |side| side.control)));
    }
    rows.extend(epochs.iter().map(|epoch| row(epoch, arm, |side| side.treatment)));
}

/// One side of what was compared.
fn row(epoch: &EpochMoments, arm: &str, side: fn(&Compared) -> Outcome) -> ArmMoments {
    let past =
        |past: &PastMoments| Past { at: past.at, moments: side(&past.within), settled: side(&past.settled) };
    ArmMoments {
        epoch: epoch.epoch,
        week: epoch.week,
        arm: arm.to_owned(),
        moments: side(&epoch.within),
        settled: side(&epoch.settled),
        past: epoch.past.iter().map(past).collect(),
    }
}
