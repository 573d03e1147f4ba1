//! From a measurement to verdicts and one launch-level e-value.

use super::comparison::{Comparison, View, counts, total};
use super::decision::{
    ArmEvidence, Compared, EpochMoments, Judgement, Least, MetricVerdict, ReasonCode, Verdict,
};
use super::evidence::{Marked, is_burnt_in, ln_e_harm, ln_e_safe};
use super::limits::limits;
use super::measurement::{Cause, Measurement};
use super::tally::Tally;
use super::{influence, sample_ratio};
use crate::domain::launch::{Epoch, Launch, PinnedMetric};
use crate::domain::time::Timestamp;
use crate::stats::e_process::{self, MIN_EPOCH_UNITS};
use crate::stats::undefined::Undefined;

/// Level of the test that shows a guardrail safe.
pub const ALPHA_SAFE: f64 = 0.05;
/// What means of floats may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// Looks at a launch. Everything that is not known leaves its metric blind; nothing unknown counts as good.
#[must_use]
pub fn judge(launch: &Launch, measurement: Option<&Measurement>, now: Timestamp) -> Judgement {
    let comparisons = comparisons(launch, measurement);
    let weights = weights(launch, &comparisons);
    let own = comparisons.iter().map(|one| ln_e_harm(one, Marked::Any)).collect();
    let whole = Tally::new(&comparisons, &weights, own);
    let level = -launch.alpha.ln();
    let kept_from = measurement.and_then(|found| found.kept_from);
    let least = whole.reaches(level).then(|| influence::least(&comparisons, &weights, kept_from));
    let shown = Shown { level, least: least.as_ref().map(|(least, _)| least), whole: &whole };

    let age_ms = measurement.map_or(0, |found| now.ms_since(found.watermark));
    let limits = limits(launch, &comparisons, kept_from, age_ms);
    let ln_e_sample_ratio = measurement.map_or(0.0, |found| sample_ratio::ln_e(launch, found));
    let look = Look { launch, measurement, now, trusted: sample_ratio::is_trusted(ln_e_sample_ratio) };
    let verdicts: Vec<MetricVerdict> = comparisons
        .into_iter()
        .zip(weights)
        .enumerate()
        .map(|(index, (comparison, weight))| look.verdict(comparison, weight, &shown, index))
        .collect();
    let ln_e = whole.launch;
    Judgement {
        at: now,
        epoch: launch.epoch().map_or(0, |epoch| epoch.number),
        as_of: measurement.map(|found| found.as_of),
        watermark: measurement.map(|found| found.watermark),
        kept_from,
        units: measurement.map(|found| found.units.clone()).unwrap_or_default(),
        dealt: measurement.map(|found| found.dealt.clone()).unwrap_or_default(),
        shares: measurement.map(|found| found.shares.clone()).unwrap_or_default(),
        blind: measurement.map(|found| found.blind.clone()).unwrap_or_default(),
        ln_e_sample_ratio,
        ln_e,
        least: least
            .as_ref()
            .filter(|_| ln_e >= level)
            .map(|(least, bucket)| Least { ln_e: least.launch, bucket: *bucket }),
        arms: shown.arms(),
        warned: is_warned(launch, ln_e, &verdicts),
        verdicts,
        limits,
    }
}

impl Judgement {
    /// Keeps in the launch what later looks need: whether it is warned of, and the scales of its metrics once there are any.
    pub fn note_in(&self, launch: &mut Launch) {
        launch.warned = self.warned;
        for pinned in launch.metrics.iter_mut().filter(|pinned| pinned.scale.is_none()) {
            let mut of_metric = self.verdicts.iter().filter(|verdict| verdict.metric == pinned.metric.key);
            pinned.scale = of_metric.find_map(|verdict| verdict.scale);
        }
    }
}

/// Every metric in every arm still served, with its scale.
pub(super) fn comparisons<'l>(launch: &'l Launch, measurement: Option<&Measurement>) -> Vec<Comparison<'l>> {
    let of_metric = |pinned: &'l PinnedMetric| {
        let arms = launch.treatments().map(|arm| Comparison::new(launch, pinned, &arm.name, measurement));
        let mut arms: Vec<Comparison<'l>> = arms.collect();
        let scale = pinned.scale.or_else(|| arms.iter().find_map(first_scale));
        for comparison in &mut arms {
            comparison.scale = scale;
        }
        arms
    };
    launch.metrics.iter().flat_map(of_metric).collect()
}

/// What each comparison weighs in the launch-level e-value.
pub(super) fn weights(launch: &Launch, comparisons: &[Comparison<'_>]) -> Vec<f64> {
    comparisons.iter().map(|comparison| weight(launch, comparison.pinned)).collect()
}

/// The scale that a comparison gives its metric, once it is through its burn-in.
fn first_scale(comparison: &Comparison<'_>) -> Option<f64> {
    let [control, treatment] = counts(comparison.moments(), View::Within);
    if !e_process::burn_in_done(control, treatment, comparison.pinned.metric.min_units) {
        return None;
    }
    let Compared { control, treatment } = total(comparison.moments(), View::Within);
    e_process::first_scale(&control, &treatment).ok()
}

/// The evidence of all comparisons, and the least of it without any one bucket, where it reaches the level of harm.
struct Shown<'t, 'l> {
    level: f64,
    whole: &'t Tally<'l>,
    least: Option<&'t Tally<'l>>,
}

impl Shown<'_, '_> {
    fn arms(&self) -> Vec<ArmEvidence> {
        let reaches = |ln_e: Option<f64>| ln_e.is_some_and(|ln_e| ln_e >= self.level);
        let of_arm = |(arm, ln_e): &(&str, Option<f64>)| {
            let harmed = reaches(*ln_e) && reaches(self.least.and_then(|least| least.arm(arm)));
            ArmEvidence { arm: (*arm).to_owned(), ln_e: *ln_e, harmed }
        };
        self.whole.arms.iter().map(of_arm).collect()
    }
}

/// What one look knows besides the evidence.
struct Look<'l, 'm> {
    launch: &'l Launch,
    measurement: Option<&'m Measurement>,
    now: Timestamp,
    trusted: bool,
}

impl Look<'_, '_> {
    fn verdict(
        &self,
        comparison: Comparison<'_>,
        weight: f64,
        shown: &Shown<'_, '_>,
        index: usize,
    ) -> MetricVerdict {
        let metric = &comparison.pinned.metric;
        let views = comparison.views();
        let burnt_in = views.iter().any(|view| is_burnt_in(&comparison, *view));
        let safe = ln_e_safe(&comparison, metric.ship_margin);
        let undefined = safe.err().filter(|_| burnt_in);
        let safe = safe.unwrap_or(0.0);
        let at = |values: &[f64]| values.get(index).copied().unwrap_or_default();
        let adjusted = at(&shown.whole.adjusted);
        let reason = self.blindness(&comparison, burnt_in, undefined);
        let (verdict, reason) = if !self.trusted && reason != Some(ReasonCode::NoData) {
            (Verdict::Blind, Some(ReasonCode::SampleRatio))
        } else if adjusted >= shown.level {
            // Harm that was shown stands even when the numbers have turned stale since.
            let confirmed = shown.least.is_some_and(|least| at(&least.adjusted) >= shown.level);
            if confirmed { (Verdict::Harm, None) } else { (Verdict::Undecided, Some(ReasonCode::Warning)) }
        } else {
            match reason {
                Some(ReasonCode::NoVariance) if same_means(&comparison) => (Verdict::Undecided, reason),
                Some(_) => (Verdict::Blind, reason),
                None if safe >= -ALPHA_SAFE.ln() => (Verdict::Safe, None),
                None => (Verdict::Undecided, Some(ReasonCode::Undecided)),
            }
        };
        MetricVerdict {
            metric: metric.key.clone(),
            arm: comparison.arm.to_owned(),
            guardrail: self.launch.is_guardrail(metric),
            verdict,
            reason,
            undefined,
            ln_e: at(&shown.whole.own),
            ln_e_adjusted: adjusted,
            ln_e_safe: safe,
            weight,
            scale: comparison.scale.filter(|_| burnt_in),
            epochs: comparison.stretches.into_iter().map(|stretch| stretch.moments).collect(),
        }
    }

    /// Why nothing can be said of a comparison; none where something can.
    fn blindness(
        &self,
        comparison: &Comparison<'_>,
        burnt_in: bool,
        undefined: Option<Undefined>,
    ) -> Option<ReasonCode> {
        let age = self.measurement.map_or(0, |found| self.now.ms_since(found.watermark));
        let key = &comparison.pinned.metric.key;
        let blind = self.measurement.and_then(|found| found.blind.get(key)).map(|blind| match blind.cause {
            Cause::Stale => ReasonCode::Stale,
            Cause::Audit => ReasonCode::AuditFailed,
            Cause::Undefined => ReasonCode::Undefined,
        });
        if matches!(blind, Some(ReasonCode::Undefined | ReasonCode::AuditFailed)) {
            blind
        } else if smaller(comparison.moments(), View::Within) == 0 {
            Some(ReasonCode::NoData)
        } else if blind.is_some() {
            blind
        } else if age > comparison.pinned.metric.freshness_ms {
            Some(ReasonCode::Stale)
        } else if !burnt_in || !is_watched(self.launch, comparison) {
            Some(ReasonCode::BurnIn)
        } else {
            undefined.map(|why| match why {
                Undefined::NoVariance => ReasonCode::NoVariance,
                _ => ReasonCode::Undefined,
            })
        }
    }
}

/// Whether the share in force is compared at all: by units that came in it, or by earlier ones that are settled. Old
/// evidence says nothing of a new share.
fn is_watched(launch: &Launch, comparison: &Comparison<'_>) -> bool {
    let units = |epoch: &Epoch, view: View| {
        let of_epoch = comparison.moments().filter(|moments| moments.epoch == epoch.number);
        smaller(of_epoch, view)
    };
    let watched = |epoch: &Epoch| {
        (epoch.ended_at.is_none() && units(epoch, View::Within) >= MIN_EPOCH_UNITS)
            || (launch.settled_until(epoch).is_none() && units(epoch, View::Settled) >= MIN_EPOCH_UNITS)
    };
    !launch.has_both_arms() || launch.epochs.iter().any(watched)
}

/// Units of the smaller arm.
fn smaller<'m>(moments: impl Iterator<Item = &'m EpochMoments>, view: View) -> u64 {
    let [control, treatment] = counts(moments, view);
    control.units.min(treatment.units)
}

/// The weight in the launch of a guardrail that rolls back: all of them in all arms the launch began with sum to 1.
fn weight(launch: &Launch, pinned: &PinnedMetric) -> f64 {
    if !launch.is_guardrail(&pinned.metric) || !pinned.metric.rolls_back() {
        return 0.0;
    }
    let weighty = launch.guardrails().filter(|other| other.metric.rolls_back());
    let total: f64 = weighty.map(|other| other.metric.weight).sum();
    let arms = launch.arms.len().saturating_sub(1).max(1) as f64;
    pinned.metric.weight / total / arms
}

/// The hold level is left only below half of it, so that a launch does not flicker, and not for want of numbers.
fn is_warned(launch: &Launch, ln_e: f64, verdicts: &[MetricVerdict]) -> bool {
    let weighed = verdicts.iter().any(|verdict| verdict.guardrail && verdict.scale.is_some());
    let level = -launch.alpha_hold.ln();
    let level = if launch.warned { level - std::f64::consts::LN_2 } else { level };
    ln_e >= level || (launch.warned && !weighed)
}

/// Arms without any spread that agree are no concern; where they do not, something broke that cannot be weighed.
fn same_means(comparison: &Comparison<'_>) -> bool {
    comparison.moments().all(|moments| {
        let Compared { control, treatment } = &moments.within;
        let means = control.counted().mean().zip(treatment.counted().mean());
        means.is_none_or(|(control, treatment)| (control - treatment).abs() <= ROUNDING * control.abs())
    })
}
