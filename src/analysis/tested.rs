//! Everything that a launch is tested for, each with its weight in the one launch-level e-value: guardrails in arms, the
//! same in segments of the units, and absolute limits.

use super::comparison::{Comparison, View, counts, total};
use super::decision::{Bucket, Compared};
use super::evidence::{Marked, ln_e_harm};
use super::limits;
use super::measurement::{Columns, Measurement, OTHER};
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::limit::Limit;
use crate::stats::e_process;

/// The weight of all segments together, where the policy names any.
pub(super) const WEIGHT_OF_SEGMENTS: f64 = 0.2;

/// One thing that a launch is tested for.
#[derive(Clone, Debug)]
pub(super) struct Tested<'l> {
    /// What was measured for it.
    pub comparison: Comparison<'l>,
    /// What of it is looked at.
    pub of: Of,
    /// Weight in the launch-level e-value; 0 for what does not roll back.
    pub weight: f64,
}

/// What of a comparison is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Of {
    /// All units.
    Whole,
    /// The units of one segment.
    Segment(Place),
    /// The units of segments that are not known yet: their part of the evidence has not begun.
    SegmentsToCome,
    /// The treated units against a level.
    Limit {
        /// The level.
        limit: Limit,
        /// Whether everyone has the treatment, so that it counts.
        is_watched: bool,
    },
}

/// A segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Attribute of the user.
    pub column: String,
    /// Its value at the unit's first exposure.
    pub value: String,
    /// The segment's part of what all segments of the guardrail and arm weigh together, in (0, 1].
    pub share: f64,
}

impl Tested<'_> {
    /// ln of the e-value for harm; 0 while nothing counts.
    pub(super) fn ln_e(&self, marked: Marked) -> f64 {
        match &self.of {
            Of::Whole | Of::Segment(_) => ln_e_harm(&self.comparison, marked),
            Of::Limit { limit, is_watched: true } => {
                limits::ln_e(&self.comparison, *limit).unwrap_or_default()
            }
            Of::SegmentsToCome | Of::Limit { .. } => 0.0,
        }
    }

    /// The same without what came in a bucket.
    pub(super) fn without(&self, bucket: &Bucket) -> Self {
        Self { comparison: self.comparison.without(bucket), of: self.of.clone(), weight: self.weight }
    }
}

/// Everything that a launch is tested for: all metrics in all arms still served, in the order of the judgement's verdicts,
/// then the guardrails' segments, then limits.
#[must_use]
pub(super) fn tested<'l>(launch: &'l Launch, measurement: Option<&Measurement>) -> Vec<Tested<'l>> {
    let comparisons = comparisons(launch, measurement);
    let of_whole = |comparison: Comparison<'l>| {
        let weight = weight(launch, comparison.pinned) * (1.0 - weight_of_segments(launch));
        Tested { comparison, of: Of::Whole, weight }
    };
    let segments: Vec<Tested<'l>> =
        comparisons.iter().flat_map(|whole| segments(launch, measurement, whole)).collect();
    let limits: Vec<Tested<'l>> = comparisons.iter().filter_map(|whole| limit(launch, whole)).collect();
    comparisons.into_iter().map(of_whole).chain(segments).chain(limits).collect()
}

/// Every metric in every arm still served, with its scale.
pub(super) fn comparisons<'l>(launch: &'l Launch, measurement: Option<&Measurement>) -> Vec<Comparison<'l>> {
    let of_metric = |pinned: &'l PinnedMetric| {
        let arms =
            launch.treatments().map(|arm| Comparison::new(launch, pinned, &arm.name, None, measurement));
        let mut arms: Vec<Comparison<'l>> = arms.collect();
        let scale = pinned.scale.or_else(|| arms.iter().find_map(first_scale));
        for comparison in &mut arms {
            comparison.scale = scale;
        }
        arms
    };
    launch.metrics.iter().flat_map(of_metric).collect()
}

/// The segments of a comparison, each with its column and value; effects are measured by the scale of all units.
pub(super) fn comparisons_by_segment<'l>(
    launch: &'l Launch,
    measurement: &Measurement,
    whole: &Comparison<'l>,
    columns: &Columns,
) -> Vec<(String, String, Comparison<'l>)> {
    let of_column = |(column, values): (&String, &std::collections::BTreeSet<String>)| {
        let values = values.iter().map(String::as_str).chain([OTHER]);
        let of_value = |value: &str| {
            let name = super::measurement::segment_name(column, value);
            let own = Comparison::new(launch, whole.pinned, whole.arm, Some(&name), Some(measurement));
            (column.clone(), value.to_owned(), Comparison { scale: whole.scale, ..own })
        };
        values.map(of_value).collect::<Vec<_>>()
    };
    columns.iter().flat_map(of_column).collect()
}

/// A guardrail's segments in one arm. Columns weigh the same, and so do the segments of a column, whose number is known when
/// their evidence begins.
fn segments<'l>(
    launch: &'l Launch,
    measurement: Option<&Measurement>,
    whole: &Comparison<'l>,
) -> Vec<Tested<'l>> {
    let columns = &launch.policy.policy.segments;
    if columns.is_empty() || !launch.is_guardrail(&whole.pinned.metric) {
        return Vec::new();
    }
    let weight = weight(launch, whole.pinned) * WEIGHT_OF_SEGMENTS;
    let of_column = 1.0 / columns.len() as f64;
    let mut all = Vec::new();
    for column in columns {
        let known =
            measurement.and_then(|found| Some((found, found.columns.as_ref()?.get_key_value(column)?)));
        let Some((found, (column, values))) = known else {
            let of = Of::SegmentsToCome;
            all.push(Tested { comparison: whole.clone(), of, weight: weight * of_column });
            continue;
        };
        let only = Columns::from([(column.clone(), values.clone())]);
        let of_values = comparisons_by_segment(launch, found, whole, &only);
        let share = of_column / of_values.len() as f64;
        all.extend(of_values.into_iter().map(|(column, value, comparison)| Tested {
            comparison,
            of: Of::Segment(Place { column, value, share }),
            weight: weight * share,
        }));
    }
    all
}

/// A guardrail's limit, which is tested once everyone has the treatment.
fn limit<'l>(launch: &Launch, whole: &Comparison<'l>) -> Option<Tested<'l>> {
    let limit = limits::of(launch, whole.pinned)?;
    let of = Of::Limit { limit, is_watched: limits::is_watched(launch) };
    Some(Tested { comparison: whole.clone(), of, weight: weight_of_limit(launch, whole.pinned) })
}

/// The scale that a comparison gives its metric, once it is through its burn-in.
pub(super) fn first_scale(comparison: &Comparison<'_>) -> Option<f64> {
    let [control, treatment] = counts(comparison.moments(), View::Within);
    if !e_process::burn_in_done(control, treatment, comparison.pinned.metric.min_units) {
        return None;
    }
    let Compared { control, treatment } = total(comparison.moments(), View::Within);
    e_process::first_scale(&control, &treatment).ok()
}

fn weight_of_segments(launch: &Launch) -> f64 {
    if launch.policy.policy.segments.is_empty() { 0.0 } else { WEIGHT_OF_SEGMENTS }
}

/// The weight in the launch of a guardrail in an arm, its segments included; 0 for one that does not roll back. All of them
/// in all arms the launch began with, and all limits, sum to 1.
fn weight(launch: &Launch, pinned: &PinnedMetric) -> f64 {
    if !rolls_back(launch, pinned) {
        return 0.0;
    }
    let arms = launch.arms.len().saturating_sub(1).max(1) as f64;
    pinned.metric.weight / total_weight(launch) / arms
}

/// The weight in the launch of a guardrail's limit: as much as the guardrail's comparisons together.
fn weight_of_limit(launch: &Launch, pinned: &PinnedMetric) -> f64 {
    if rolls_back(launch, pinned) { pinned.metric.weight / total_weight(launch) } else { 0.0 }
}

/// Of guardrails that roll back, and of their limits.
fn total_weight(launch: &Launch) -> f64 {
    let weighty = || launch.guardrails().filter(|pinned| pinned.metric.rolls_back());
    let guardrails: f64 = weighty().map(|pinned| pinned.metric.weight).sum();
    let limits = weighty().filter(|pinned| limits::of(launch, pinned).is_some());
    guardrails + limits.map(|pinned| pinned.metric.weight).sum::<f64>()
}

fn rolls_back(launch: &Launch, pinned: &PinnedMetric) -> bool {
    launch.is_guardrail(&pinned.metric) && pinned.metric.rolls_back()
}
