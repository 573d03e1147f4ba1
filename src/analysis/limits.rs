//! Absolute limits: whether a metric has crossed its level once everyone has the treatment and no control is left.

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, View, total};
use super::decision::{ReasonCode, Verdict};
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::limit::Limit;
use crate::domain::metric::MetricKind;
use crate::stats::against_level::evidence;
use crate::stats::e_process;
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
    /// Weight in the launch-level e-value; 0 for a guardrail that only holds.
    #[serde(default)]
    pub weight: f64,
    /// ln of the e-value for the level being crossed; 0 where nothing counts.
    pub ln_e: f64,
    /// Harm, undecided or blind. What has not crossed its level is undecided: it may yet.
    pub verdict: Verdict,
    /// Why it is blind or undecided.
    pub reason: Option<ReasonCode>,
}

/// The limit that a launch may come to test a guardrail against: everyone is to get its treatment at some time.
pub(super) fn of(launch: &Launch, pinned: &PinnedMetric) -> Option<Limit> {
    let counts = launch.target.splits_by_share() && launch.is_guardrail(&pinned.metric);
    pinned.metric.limit.filter(|_| counts)
}

/// Whether everyone has the treatment of a launch that has limits.
pub(super) fn is_watched(launch: &Launch) -> bool {
    launch.target.splits_by_share() && launch.percentage() >= 100.0 && longest_window_ms(launch).is_some()
}

/// How long the limits of a launch are watched once everyone has the treatment; none without any.
pub(super) fn longest_window_ms(launch: &Launch) -> Option<i64> {
    launch.guardrails().filter_map(|pinned| pinned.metric.limit).map(|limit| limit.window_ms).max()
}

/// ln of the e-value for a limit being crossed, over what all treated units did so far, whichever step they came in; none where
/// nothing counts.
pub(super) fn ln_e(comparison: &Comparison<'_>, limit: Limit) -> Option<f64> {
    let (metric, treated) = (&comparison.pinned.metric, treated(comparison));
    let is_share = metric.kind == MetricKind::Conversion;
    let counts = treated.n() >= limit.min_units;
    counts
        .then(|| evidence(&treated, limit.level, metric.direction, is_share).ok().map(e_process::ln_e))
        .flatten()
}

/// Evidence of a limit being crossed, in the launch: by itself, adjusted for all else that is tested, and what is left of that
/// without any one bucket; none where the launch is not near the level of harm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub weight: f64,
    pub ln_e: f64,
    pub ln_e_adjusted: f64,
    pub least_adjusted: Option<f64>,
}

/// What is said of a limit at a level of harm; `blind` is why no verdict can rest on its metric.
pub(super) fn verdict(
    comparison: &Comparison<'_>,
    limit: Limit,
    found: Found,
    level: f64,
    blind: Option<ReasonCode>,
) -> LimitVerdict {
    let treated = treated(comparison);
    let crossed = found.ln_e_adjusted >= level;
    // As with comparisons, no single moment carries a rollback, and what was shown stands when the numbers have turned stale.
    let confirmed = crossed && found.least_adjusted.is_some_and(|least| least >= level);
    let (verdict, reason) = match (blind, treated.n()) {
        _ if confirmed => (Verdict::Harm, None),
        _ if crossed => (Verdict::Undecided, Some(ReasonCode::Warning)),
        (Some(why @ (ReasonCode::Undefined | ReasonCode::AuditFailed | ReasonCode::NoBaseline)), _) => {
            (Verdict::Blind, Some(why))
        }
        (_, 0) => (Verdict::Blind, Some(ReasonCode::NoData)),
        (Some(why), _) => (Verdict::Blind, Some(why)),
        (None, units) if units < limit.min_units => (Verdict::Blind, Some(ReasonCode::BurnIn)),
        (None, _) => (Verdict::Undecided, Some(ReasonCode::Undecided)),
    };
    LimitVerdict {
        metric: comparison.pinned.metric.key.clone(),
        arm: comparison.arm.to_owned(),
        level: limit.level,
        value: estimates(&treated, &treated).ok().map(|[estimate, ..]| estimate.value()),
        units: treated.n(),
        weight: found.weight,
        ln_e: found.ln_e,
        verdict,
        reason,
    }
}

fn treated(comparison: &Comparison<'_>) -> Outcome {
    total(comparison.moments(), View::Settled).treatment
}
