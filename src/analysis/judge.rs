//! From a measurement to verdicts and one launch-level e-value.

use super::decision::{Compared, EpochMoments, Judgement, MetricVerdict, ReasonCode, Verdict};
use super::measurement::{ArmMoments, Measurement};
use crate::domain::launch::{Epoch, Launch, PinnedMetric};
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
        epoch: launch.epoch().map_or(0, |epoch| epoch.number),
        as_of: measurement.map(|found| found.as_of),
        watermark: measurement.map(|found| found.watermark),
        units: measurement.map(|found| found.units.clone()).unwrap_or_default(),
        ln_e,
        warned: is_warned(launch, ln_e, &verdicts),
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

/// The hold level is left only below half of it, so that a launch does not flicker, and not for want of numbers.
fn is_warned(launch: &Launch, ln_e: f64, verdicts: &[MetricVerdict]) -> bool {
    let weighed = verdicts.iter().any(|verdict| verdict.guardrail && verdict.scale.is_some());
    let level = -launch.alpha_hold.ln();
    let level = if launch.warned { level - std::f64::consts::LN_2 } else { level };
    ln_e >= level || (launch.warned && !weighed)
}

/// The scale of a metric, from the first arm that is through its burn-in.
fn first_scale(launch: &Launch, pinned: &PinnedMetric, measurement: &Measurement) -> Option<f64> {
    launch.treatments().find_map(|arm| {
        let Compared { control, treatment } = total(&epochs(launch, pinned, &arm.name, measurement), within);
        let done = e_process::burn_in_done(&control, &treatment, pinned.metric.min_units);
        done.then(|| e_process::first_scale(&control, &treatment)).flatten()
    })
}

/// Two views of one launch, each an e-process of its own: what units did within the epoch of their first exposure, and
/// what those did so far whose arm no planned step changes. The first has all units and forgets those that come back, the
/// second keeps them. Their mean is an e-process too. In a launch of one step both are the same.
const VIEWS: [View; 2] = [within, |epoch| epoch.settled];

/// Picks a view.
pub(super) type View = fn(&EpochMoments) -> Compared;

/// The first view.
pub(super) fn within(epoch: &EpochMoments) -> Compared {
    epoch.within
}

/// What one view shows.
struct Seen {
    burnt_in: bool,
    harm: Option<Evidence>,
    safety: Option<Evidence>,
}

fn see(epochs: &[EpochMoments], view: View, pinned: &PinnedMetric, scale: Option<f64>) -> Seen {
    let metric = &pinned.metric;
    let Compared { control, treatment } = total(epochs, view);
    let burnt_in = e_process::burn_in_done(&control, &treatment, metric.min_units)
        && epochs.iter().any(|epoch| view(epoch).smaller() >= MIN_EPOCH_UNITS);
    let evidence = |test| {
        let scale = scale.filter(|_| burnt_in)?;
        let of_epoch = |epoch: &EpochMoments| {
            let Compared { control, treatment } = view(epoch);
            e_process::epoch_evidence(&control, &treatment, metric.direction, test, scale)
        };
        epochs.iter().filter_map(of_epoch).reduce(|a, b| a + b)
    };
    Seen {
        burnt_in,
        harm: evidence(Test::Harm(metric.margin)),
        safety: evidence(Test::Safety(metric.ship_margin)),
    }
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
    let seen = VIEWS.map(|view| see(&epochs, view, pinned, scale));
    let mean_ln_e = |pick: fn(&Seen) -> Option<Evidence>| {
        let weight = 1.0 / VIEWS.len() as f64;
        let part = |seen: &Seen| Weighted { weight, ln_e: pick(seen).map_or(0.0, e_process::ln_e) };
        ln_weighted_sum(&seen.each_ref().map(part))
    };
    let harm = mean_ln_e(|seen| seen.harm);
    let burnt_in = seen.iter().any(|seen| seen.burnt_in);
    let age = measurement.map_or(0, |found| now.ms_since(found.watermark));
    let reason = if total(&epochs, within).smaller() == 0 {
        Some(ReasonCode::NoData)
    } else if age > metric.freshness_ms {
        Some(ReasonCode::Stale)
    } else if !burnt_in || !is_watched(launch, &epochs) {
        Some(ReasonCode::BurnIn)
    } else if seen.iter().all(|seen| seen.harm.is_none()) {
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
        ln_e: harm,
        ln_e_adjusted: harm,
        ln_e_safe: mean_ln_e(|seen| seen.safety),
        weight: weight(launch, pinned),
        scale: scale.filter(|_| burnt_in),
        epochs,
    }
}

/// Whether the share in force is compared at all: by units that came in it, or by earlier ones that are settled. Old
/// evidence says nothing of a new share.
fn is_watched(launch: &Launch, moments: &[EpochMoments]) -> bool {
    let enough = |compared: Compared| compared.smaller() >= MIN_EPOCH_UNITS;
    let watched = |(epoch, moments): (&Epoch, &EpochMoments)| {
        (epoch.ended_at.is_none() && enough(moments.within))
            || (launch.settled_until(epoch).is_none() && enough(moments.settled))
    };
    !launch.has_both_arms() || launch.epochs.iter().zip(moments).any(watched)
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
    let of_epoch = |epoch: u32| {
        let row = |arm| measurement.row(&pinned.metric.key, epoch, arm);
        let (control, treatment) = (row(launch.control()), row(arm));
        let compare = |pick: fn(&ArmMoments) -> Moments| Compared {
            control: control.map(pick).unwrap_or_default(),
            treatment: treatment.map(pick).unwrap_or_default(),
        };
        EpochMoments { epoch, within: compare(|row| row.moments), settled: compare(|row| row.settled) }
    };
    launch.epochs.iter().map(|epoch| of_epoch(epoch.number)).collect()
}

/// One view's sums over all epochs, for burn-in, scale and messages: evidence is never taken from pooled sums.
pub(super) fn total(epochs: &[EpochMoments], view: View) -> Compared {
    epochs.iter().map(view).fold(Compared::default(), |sum, epoch| Compared {
        control: sum.control.merged(epoch.control),
        treatment: sum.treatment.merged(epoch.treatment),
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
        let means = epoch.within.control.mean().zip(epoch.within.treatment.mean());
        means.is_none_or(|(control, treatment)| (control - treatment).abs() <= ROUNDING * control.abs())
    })
}
