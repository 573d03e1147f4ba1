//! From a measurement to verdicts and one launch-level e-value.

use super::decision::{EpochMoments, Judgement, MetricVerdict, ReasonCode, Verdict};
use super::measurement::Measurement;
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::time::Timestamp;
use crate::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};
use crate::stats::e_process::{self, Evidence, MIN_EPOCH_UNITS, Test};
use crate::stats::moments::Moments;

/// Level of the test that shows a guardrail safe.
pub const ALPHA_SAFE: f64 = 0.05;
/// What sums of floats may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// Looks at a launch. Everything that is not known leaves its metric blind; nothing unknown counts as good.
#[must_use]
pub fn judge(launch: &Launch, measurement: Option<&Measurement>, now: Timestamp) -> Judgement {
    let arms: Vec<&str> = launch.treatments().map(|arm| arm.name.as_str()).collect();
    let mut verdicts: Vec<MetricVerdict> = Vec::new();
    for pinned in &launch.metrics {
        let scale = pinned.scale.or_else(|| measurement.and_then(|found| first_scale(launch, pinned, found)));
        verdicts.extend(arms.iter().map(|arm| look(launch, pinned, arm, scale, measurement, now)));
    }
    adjust(&mut verdicts);
    for verdict in &mut verdicts {
        conclude(verdict, launch.alpha);
    }
    let ln_e = contribution(&verdicts, |_| true).unwrap_or(0.0);
    Judgement {
        at: now,
        as_of: measurement.map(|found| found.as_of),
        units: measurement.map(|found| found.units.clone()).unwrap_or_default(),
        ln_e,
        warned: is_warned(launch, ln_e),
        verdicts,
    }
}

/// ln of the weighted sum of the guardrails' e-values among the verdicts that `counts`; none where there are none.
#[must_use]
pub fn contribution(verdicts: &[MetricVerdict], counts: impl Fn(&MetricVerdict) -> bool) -> Option<f64> {
    let parts: Vec<Weighted> = verdicts
        .iter()
        .filter(|verdict| verdict.guardrail && counts(verdict))
        .map(|verdict| Weighted { weight: verdict.weight, ln_e: verdict.ln_e })
        .collect();
    (!parts.is_empty()).then(|| ln_weighted_sum(&parts))
}

/// The hold level is left only below half of it, so that a launch does not flicker.
fn is_warned(launch: &Launch, ln_e: f64) -> bool {
    let level = -launch.alpha_hold.ln();
    let level = if launch.warned { level - std::f64::consts::LN_2 } else { level };
    ln_e >= level
}

/// The scale of a metric, from the first arm that is through its burn-in.
fn first_scale(launch: &Launch, pinned: &PinnedMetric, measurement: &Measurement) -> Option<f64> {
    launch.treatments().find_map(|arm| {
        let (control, treatment) = totals(&epochs(launch, pinned, &arm.name, measurement));
        let done = e_process::burn_in_done(&control, &treatment, pinned.metric.min_units);
        done.then(|| e_process::first_scale(&control, &treatment)).flatten()
    })
}

/// One metric in one arm, before its verdict is known.
fn look(
    launch: &Launch,
    pinned: &PinnedMetric,
    arm: &str,
    scale: Option<f64>,
    measurement: Option<&Measurement>,
    now: Timestamp,
) -> MetricVerdict {
    let metric = &pinned.metric;
    let epochs = measurement.map(|found| epochs(launch, pinned, arm, found)).unwrap_or_default();
    let (control, treatment) = totals(&epochs);
    let burnt_in = e_process::burn_in_done(&control, &treatment, metric.min_units);
    let evidence = |test| {
        let scale = scale.filter(|_| burnt_in)?;
        let of_epoch = |epoch: &EpochMoments| {
            e_process::epoch_evidence(&epoch.control, &epoch.treatment, metric.direction, test, scale)
        };
        epochs.iter().filter_map(of_epoch).reduce(|a, b| a + b)
    };
    let harm = evidence(Test::Harm(metric.margin));
    let safety = evidence(Test::Safety(metric.ship_margin));
    let ln_e = |evidence: Option<Evidence>| evidence.map_or(0.0, e_process::ln_e);
    let counts = |epoch: &EpochMoments| epoch.control.n.min(epoch.treatment.n) >= MIN_EPOCH_UNITS;
    let age = measurement.map_or(0, |found| now.ms_since(found.as_of));
    let reason = if control.n == 0 || treatment.n == 0 {
        Some(ReasonCode::NoData)
    } else if age > metric.freshness_ms {
        Some(ReasonCode::Stale)
    } else if !burnt_in || !epochs.iter().any(counts) {
        Some(ReasonCode::BurnIn)
    } else if harm.is_none() {
        Some(ReasonCode::NoVariance)
    } else {
        None
    };
    MetricVerdict {
        metric: metric.key.clone(),
        arm: arm.to_owned(),
        guardrail: metric.is_guardrail(),
        verdict: Verdict::Undecided,
        reason,
        ln_e: ln_e(harm),
        ln_e_adjusted: ln_e(harm),
        ln_e_safe: ln_e(safety),
        weight: weight(launch, pinned),
        scale: scale.filter(|_| burnt_in),
        epochs,
    }
}

/// A guardrail's weight in the launch: all guardrails and arms the launch began with sum to 1.
fn weight(launch: &Launch, pinned: &PinnedMetric) -> f64 {
    if !pinned.metric.is_guardrail() {
        return 0.0;
    }
    let total: f64 = launch.guardrails().map(|other| other.metric.weight).sum();
    let arms = launch.arms.len().saturating_sub(1).max(1) as f64;
    pinned.metric.weight / total / arms
}

fn epochs(launch: &Launch, pinned: &PinnedMetric, arm: &str, measurement: &Measurement) -> Vec<EpochMoments> {
    let of_epoch = |number: u32| EpochMoments {
        epoch: number,
        control: measurement.moments(&pinned.metric.key, number, launch.control()),
        treatment: measurement.moments(&pinned.metric.key, number, arm),
    };
    launch.epochs.iter().map(|epoch| of_epoch(epoch.number)).collect()
}

/// Only for burn-in and scale: evidence is never taken from sums pooled over epochs.
fn totals(epochs: &[EpochMoments]) -> (Moments, Moments) {
    epochs.iter().fold((Moments::default(), Moments::default()), |(control, treatment), epoch| {
        (control.merged(epoch.control), treatment.merged(epoch.treatment))
    })
}

/// Adjusts the guardrails' e-values for one another. The weight of stopped arms is lost and not dealt out again, as in
/// the launch-level e-value, so that no verdict claims what the launch as a whole does not show.
fn adjust(verdicts: &mut [MetricVerdict]) {
    let mut guardrails: Vec<&mut MetricVerdict> =
        verdicts.iter_mut().filter(|verdict| verdict.guardrail).collect();
    let mut parts: Vec<Weighted> =
        guardrails.iter().map(|verdict| Weighted { weight: verdict.weight, ln_e: verdict.ln_e }).collect();
    let lost = 1.0 - parts.iter().map(|part| part.weight).sum::<f64>();
    if lost > ROUNDING {
        parts.push(Weighted { weight: lost, ln_e: f64::NEG_INFINITY });
    }
    for (verdict, adjusted) in guardrails.iter_mut().zip(ln_adjusted(&parts)) {
        verdict.ln_e_adjusted = adjusted;
    }
}

/// Harm that was shown stands even when the numbers have turned stale since.
fn conclude(verdict: &mut MetricVerdict, alpha: f64) {
    let (outcome, reason) = if verdict.ln_e_adjusted >= -alpha.ln() {
        (Verdict::Harm, None)
    } else {
        match verdict.reason {
            Some(ReasonCode::NoVariance) if same_means(verdict) => {
                (Verdict::Undecided, Some(ReasonCode::NoVariance))
            }
            Some(reason) => (Verdict::Blind, Some(reason)),
            None if verdict.ln_e_safe >= -ALPHA_SAFE.ln() => (Verdict::Safe, None),
            None => (Verdict::Undecided, Some(ReasonCode::Undecided)),
        }
    };
    verdict.verdict = outcome;
    verdict.reason = reason;
}

/// Arms without any spread that agree are no concern; where they do not, something broke that cannot be weighed.
fn same_means(verdict: &MetricVerdict) -> bool {
    verdict.epochs.iter().all(|epoch| {
        let means = epoch.control.mean().zip(epoch.treatment.mean());
        means.is_none_or(|(control, treatment)| (control - treatment).abs() <= ROUNDING * control.abs())
    })
}
