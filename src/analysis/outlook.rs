//! What is known so far of a metric that is neither shown harmful nor shown safe, and how long it takes to know the rest.

use super::comparison::{Comparison, View, total};
use super::decision::{Judgement, MetricVerdict};
use super::evidence::{ln_e_safe, safety};
use super::judge::ALPHA_SAFE;
use crate::domain::launch::Launch;
use crate::domain::metric::Direction;
use crate::domain::time::DAY_MS;
use crate::stats::anytime::information_needed;
use crate::stats::outcome::estimates;
use crate::stats::root;
use crate::stats::undefined::Undefined;

/// A fall by more than this share is not told apart from the loss of all.
const LARGEST_FALL: [f64; 1] = [0.99];
/// Where to look for a rise that is excluded. The error of a large one is mostly the control's, so that of two the larger may
/// have less evidence against it, and is excluded all the same: it is more than the smaller.
const RISES: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// What is known so far, and what is missing, each as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Harm of this share of the control, and more, is excluded at every look so far, with the error rate of the test that
    /// shows safety. A rise may be of more than the whole.
    pub excluded: Result<f64, Undefined>,
    /// How many more units the treatment is likely to need until it is shown safe, if there is no difference and both arms
    /// grow as they did.
    pub missing_units: Result<u64, Undefined>,
    /// How many days that takes at the pace of the epoch in force.
    pub missing_days: Result<f64, Undefined>,
}

/// What is known of a metric in an arm, and what is missing until it is shown safe.
#[must_use]
pub fn outlook(launch: &Launch, judgement: &Judgement, verdict: &MetricVerdict) -> Outlook {
    let Some(comparison) = Comparison::of_verdict(launch, judgement, verdict) else {
        let why = Undefined::NoUnits;
        return Outlook { excluded: Err(why), missing_units: Err(why), missing_days: Err(why) };
    };
    let missing = missing_units(&comparison);
    let pace = units_a_day(launch, judgement, &verdict.arm).ok_or(Undefined::NoTraffic);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast clamps at both ends"
    )]
    let missing_units = missing.map(|units| units.ceil() as u64);
    let missing_days = missing.and_then(|units| Ok(units / pace?));
    Outlook { excluded: excluded(&comparison), missing_units, missing_days }
}

/// The smallest harm that is excluded.
fn excluded(comparison: &Comparison<'_>) -> Result<f64, Undefined> {
    let sizes = match comparison.pinned.metric.direction {
        Direction::HigherIsBetter => LARGEST_FALL.as_slice(),
        Direction::LowerIsBetter => &RISES,
    };
    let is_excluded = |harm: f64| ln_e_safe(comparison, harm).is_ok_and(|ln_e| ln_e >= -ALPHA_SAFE.ln());
    let margin = comparison.pinned.metric.ship_margin;
    ln_e_safe(comparison, margin)?;
    let found = sizes.iter().copied().find(|harm| is_excluded(*harm)).ok_or(Undefined::NothingExcluded)?;
    Ok(root::first_true(0.0, found, is_excluded))
}

/// Information grows with the units, and without a difference every unit of it adds the ship margin to the score.
fn missing_units(comparison: &Comparison<'_>) -> Result<f64, Undefined> {
    let margin = comparison.pinned.metric.ship_margin;
    let evidence = safety(comparison, View::Within, margin)?;
    let total = total(comparison.moments(), View::Within);
    let [control, ..] = estimates(&total.control, &total.treatment)?;
    let drift = margin * control.value().abs() / comparison.scale.ok_or(Undefined::BurnIn)?;
    let needed = information_needed(evidence, drift, ALPHA_SAFE).ok_or(Undefined::NeverDetected)?;
    Ok(total.treatment.n() as f64 * (needed / evidence.information - 1.0))
}

/// How many units an arm gets a day in the epoch in force.
fn units_a_day(launch: &Launch, judgement: &Judgement, arm: &str) -> Option<f64> {
    let epoch = launch.epoch()?;
    let row = judgement.units.iter().find(|row| row.epoch == epoch.number && row.arm == arm)?;
    let days = judgement.as_of?.ms_since(epoch.started_at) as f64 / DAY_MS as f64;
    (days > 0.0 && row.units > 0).then(|| row.units as f64 / days)
}
