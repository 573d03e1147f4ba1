//! Absolute limits: whether a metric has crossed its level once everyone has the treatment and no control is left.

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, View, total};
use super::decision::{Bucket, ReasonCode, Verdict};
use super::influence::buckets;
use crate::domain::launch::Launch;
use crate::domain::limit::Limit;
use crate::domain::metric::MetricKind;
use crate::domain::time::Timestamp;
use crate::stats::against_level::evidence;
use crate::stats::e_process::ln_e;
use crate::stats::outcome::{Outcome, estimates};

/// What is said of a metric against its own level. It is no comparison: nothing is known of what would be without the
/// treatment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitVerdict {
    /// Key of the metric.
    pub metric: String,
    /// The treatment arm.
    pub arm: String,
    /// The level.
    pub level: f64,
    /// What the units' value is; none where it is undefined.
    pub value: Option<f64>,
    /// Units.
    pub units: u64,
    /// ln of the e-value for the level being crossed; 0 where nothing counts.
    pub ln_e: f64,
    /// Harm, undecided or blind. What has not crossed its level is undecided: it may yet.
    pub verdict: Verdict,
    /// Why it is blind or undecided.
    pub reason: Option<ReasonCode>,
}

/// Guardrails with a limit, as soon as everyone has the treatment. All limits of a launch together have an alpha of their own,
/// dealt out evenly.
pub(super) fn limits(
    launch: &Launch,
    comparisons: &[Comparison<'_>],
    kept_from: Option<Timestamp>,
    age_ms: i64,
) -> Vec<LimitVerdict> {
    if !is_watched(launch) {
        return Vec::new();
    }
    let limited = comparisons.iter().filter_map(|one| {
        let limit = one.pinned.metric.limit.filter(|_| launch.is_guardrail(&one.pinned.metric))?;
        Some((one, limit))
    });
    let limited: Vec<(&Comparison<'_>, Limit)> = limited.collect();
    let level = -(launch.alpha / limited.len().max(1) as f64).ln();
    let buckets = buckets(comparisons, kept_from);
    limited.iter().map(|(one, limit)| verdict(one, *limit, level, &buckets, age_ms)).collect()
}

/// Whether everyone has the treatment of a launch that has limits.
pub(super) fn is_watched(launch: &Launch) -> bool {
    launch.target.splits_by_share() && launch.percentage() >= 100.0 && longest_window_ms(launch).is_some()
}

/// How long the limits of a launch are watched once everyone has the treatment; none without any.
pub(super) fn longest_window_ms(launch: &Launch) -> Option<i64> {
    launch.guardrails().filter_map(|pinned| pinned.metric.limit).map(|limit| limit.window_ms).max()
}

fn verdict(
    comparison: &Comparison<'_>,
    limit: Limit,
    level: f64,
    buckets: &[Bucket],
    age_ms: i64,
) -> LimitVerdict {
    let metric = &comparison.pinned.metric;
    let treated = treated(comparison);
    let whole = found(&treated, comparison, limit);
    let crossed = whole.is_some_and(|ln_e| ln_e >= level);
    // As with comparisons, no single moment carries a rollback.
    let confirmed = crossed
        && buckets.iter().all(|bucket| {
            let without = comparison.without(bucket);
            found(&self::treated(&without), &without, limit).is_some_and(|ln_e| ln_e >= level)
        });
    let (verdict, reason) = match (confirmed, treated.n()) {
        (true, _) => (Verdict::Harm, None),
        (false, _) if crossed => (Verdict::Undecided, Some(ReasonCode::Warning)),
        (false, 0) => (Verdict::Blind, Some(ReasonCode::NoData)),
        (false, _) if age_ms > metric.freshness_ms => (Verdict::Blind, Some(ReasonCode::Stale)),
        (false, units) if units < limit.min_units => (Verdict::Blind, Some(ReasonCode::BurnIn)),
        (false, _) => (Verdict::Undecided, Some(ReasonCode::Undecided)),
    };
    LimitVerdict {
        metric: metric.key.clone(),
        arm: comparison.arm.to_owned(),
        level: limit.level,
        value: estimates(&treated, &treated).ok().map(|[estimate, ..]| estimate.value()),
        units: treated.n(),
        ln_e: whole.unwrap_or(0.0),
        verdict,
        reason,
    }
}

/// What all treated units did so far, whichever step they came in.
fn treated(comparison: &Comparison<'_>) -> Outcome {
    total(comparison.moments(), View::Settled).treatment
}

fn found(treated: &Outcome, comparison: &Comparison<'_>, limit: Limit) -> Option<f64> {
    let metric = &comparison.pinned.metric;
    let is_share = metric.kind == MetricKind::Conversion;
    let counts = treated.n() >= limit.min_units;
    counts.then(|| evidence(treated, limit.level, metric.direction, is_share).ok().map(ln_e)).flatten()
}
