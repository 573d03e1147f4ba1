//! What is known so far of a metric that is neither shown harmful nor shown safe, and how long it takes to know the rest.

use super::comparison::{Comparison, View, total};
use super::decision::{Judgement, MetricVerdict};
use super::evidence::{ln_e_safe, safety};
use super::judge::ALPHA_SAFE;
use crate::domain::launch::Launch;
use crate::domain::time::DAY_MS;
use crate::stats::anytime::information_needed;
use crate::stats::outcome::estimates;
use crate::stats::root;

/// Harm larger than this share is not told apart.
const LARGEST_HARM: f64 = 0.99;

/// What is known so far, and what is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Harm of this share of the control, and more, is excluded at every look so far, with the error rate of the test that
    /// shows safety; none while even the largest harm is not.
    pub excluded: Option<f64>,
    /// How many more units the treatment is likely to need until it is shown safe, if there is no difference and both arms
    /// grow as they did; none before the burn-in.
    pub missing_units: Option<u64>,
    /// How many days that takes at the pace of the epoch in force; none where nobody came in it.
    pub missing_days: Option<f64>,
}

/// What is known of a metric in an arm, and what is missing until it is shown safe.
#[must_use]
pub fn outlook(launch: &Launch, judgement: &Judgement, verdict: &MetricVerdict) -> Outlook {
    let Some(comparison) = Comparison::of_verdict(launch, judgement, verdict) else {
        return Outlook { excluded: None, missing_units: None, missing_days: None };
    };
    let is_excluded = |harm: f64| ln_e_safe(&comparison, harm).is_ok_and(|ln_e| ln_e >= -ALPHA_SAFE.ln());
    let excluded = is_excluded(LARGEST_HARM).then(|| root::first_true(0.0, LARGEST_HARM, is_excluded));
    let missing = missing_units(&comparison);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast clamps at both ends"
    )]
    let missing_units = missing.map(|units| units.ceil() as u64);
    let missing_days = missing.zip(units_a_day(launch, judgement, &verdict.arm));
    Outlook { excluded, missing_units, missing_days: missing_days.map(|(units, pace)| units / pace) }
}

/// Information grows with the units, and without a difference every unit of it adds the ship margin to the score.
fn missing_units(comparison: &Comparison<'_>) -> Option<f64> {
    let margin = comparison.pinned.metric.ship_margin;
    let evidence = safety(comparison, View::Within, margin).ok()?;
    let total = total(comparison.moments(), View::Within);
    let [control, ..] = estimates(&total.control, &total.treatment).ok()?;
    let drift = margin * control.value().abs() / comparison.scale?;
    let needed = information_needed(evidence, drift, ALPHA_SAFE)?;
    Some(total.treatment.n() as f64 * (needed / evidence.information - 1.0))
}

/// How many units an arm gets a day in the epoch in force.
fn units_a_day(launch: &Launch, judgement: &Judgement, arm: &str) -> Option<f64> {
    let epoch = launch.epoch()?;
    let row = judgement.units.iter().find(|row| row.epoch == epoch.number && row.arm == arm)?;
    let days = judgement.as_of?.ms_since(epoch.started_at) as f64 / DAY_MS as f64;
    (days > 0.0 && row.units > 0).then(|| row.units as f64 / days)
}
