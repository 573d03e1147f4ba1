//! From a measurement to verdicts and one launch-level e-value.

use super::comparison::{Comparison, View, counts};
use super::decision::{
    ArmEvidence, Compared, EpochMoments, Judgement, Least, MetricVerdict, ReasonCode, SegmentVerdict, Verdict,
};
use super::evidence::{Marked, is_burnt_in, ln_e_safe};
use super::limits::LimitVerdict;
use super::measurement::{Blindness, Cause, Measurement};
use super::tally::{Tally, among_segments};
use super::tested::{Of, Place, tested};
use super::{influence, limits, sample_ratio};
use crate::domain::launch::{Epoch, Launch};
use crate::domain::limit::Limit;
use crate::domain::metric::Metric;
use crate::domain::time::Timestamp;
use crate::stats::anytime;
use crate::stats::e_process::MIN_EPOCH_UNITS;
use crate::stats::undefined::Undefined;

/// Level of the test that shows a guardrail safe.
pub const ALPHA_SAFE: f64 = 0.05;
/// What means of floats may be off by, as a share.
const ROUNDING: f64 = 1e-9;

/// Looks at a launch. Everything that is not known leaves its metric blind; nothing unknown counts as good.
#[must_use]
pub fn judge(launch: &Launch, measurement: Option<&Measurement>, now: Timestamp) -> Judgement {
    let tested = tested(launch, measurement);
    let own = tested.iter().map(|one| one.ln_e(Marked::Any)).collect();
    let whole = Tally::new(&tested, own);
    let level = -launch.alpha.ln();
    let kept_from = measurement.and_then(|found| found.kept_from);
    let stripped = measurement.map(|found| found.stripped.clone()).unwrap_or_default();
    let least = whole.reaches(level).then(|| influence::least(&tested, kept_from, &stripped));
    let shown = Shown { level, least: least.as_ref().map(|(least, _)| least), whole: &whole };

    let ln_e_sample_ratio = measurement.map_or(0.0, |found| sample_ratio::ln_e(launch, found));
    let look = Look { launch, measurement, now, trusted: sample_ratio::is_trusted(ln_e_sample_ratio) };
    let among_segments = among_segments(&tested, &whole.own);
    let (mut verdicts, mut segments, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for (index, one) in tested.into_iter().enumerate() {
        match &one.of {
            Of::Whole => verdicts.push(look.verdict(one.comparison, one.weight, &shown, index)),
            Of::Segment(place) => {
                let adjusted = among_segments.get(index).copied().flatten().unwrap_or_default();
                segments.push(look.segment(one.comparison, place, one.weight, (&shown, index), adjusted));
            }
            Of::Limit { limit, is_watched: true } => {
                limits.push(look.limit(&one.comparison, *limit, one.weight, &shown, index));
            }
            Of::SegmentsToCome | Of::Limit { .. } => {}
        }
    }
    let ln_e = whole.launch;
    Judgement {
        at: now,
        epoch: launch.epoch().map_or(0, |epoch| epoch.number),
        as_of: measurement.map(|found| found.as_of),
        watermark: measurement.map(|found| found.watermark),
        kept_from,
        stripped,
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
        columns: measurement.and_then(|found| found.columns.clone()),
        segments,
    }
}

impl Judgement {
    /// Whether it holds the launch because numbers are too old, whatever else it says.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let is_stale = |verdict: &MetricVerdict| {
            verdict.guardrail
                && verdict.verdict == Verdict::Blind
                && verdict.reason == Some(ReasonCode::Stale)
        };
        self.verdicts.iter().any(is_stale)
    }

    /// Keeps in the launch what later looks need: whether it is warned of, the scales of its metrics once there are any, and
    /// the largest evidence of a look that can be trusted.
    pub fn note_in(&self, launch: &mut Launch) {
        launch.warned = self.warned;
        if self.is_trusted() {
            launch.largest_evidence.note_launch(self.ln_e);
            for MetricVerdict { metric, arm, ln_e, .. } in &self.verdicts {
                launch.largest_evidence.note(metric, arm, *ln_e);
            }
        }
        for pinned in launch.metrics.iter_mut().filter(|pinned| pinned.scale.is_none()) {
            let mut of_metric = self.verdicts.iter().filter(|verdict| verdict.metric == pinned.metric.key);
            pinned.scale = of_metric.find_map(|verdict| verdict.scale);
        }
    }

    /// Whether the arms got the units that they were to get, as far as their shares are known, so that they can be compared.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        sample_ratio::is_trusted(self.ln_e_sample_ratio)
    }

    /// The p-value of the launch that holds at every look: 1 over the largest e-value of all looks that could be trusted, up
    /// to this one at the launch as it was judged.
    #[must_use]
    pub fn p_value(&self, launch: &Launch) -> f64 {
        self.p_value_of(launch.largest_evidence.launch, self.ln_e)
    }

    /// The same of one metric in one arm.
    #[must_use]
    pub fn p_value_of_verdict(&self, launch: &Launch, verdict: &MetricVerdict) -> f64 {
        self.p_value_of(launch.largest_evidence.of(&verdict.metric, &verdict.arm), verdict.ln_e)
    }

    fn p_value_of(&self, largest: f64, now: f64) -> f64 {
        anytime::p_value(if self.is_trusted() { largest.max(now) } else { largest })
    }
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

    fn segment(
        &self,
        comparison: Comparison<'_>,
        place: &Place,
        weight: f64,
        (shown, index): (&Shown<'_, '_>, usize),
        ln_e_adjusted: f64,
    ) -> SegmentVerdict {
        let mut epochs: Vec<EpochMoments> =
            comparison.stretches.into_iter().map(|stretch| stretch.moments).collect();
        if shown.least.is_none() {
            // Nothing rested on them.
            for moments in &mut epochs {
                moments.past = Vec::new();
            }
        }
        SegmentVerdict {
            metric: comparison.pinned.metric.key.clone(),
            arm: comparison.arm.to_owned(),
            column: place.column.clone(),
            value: place.value.clone(),
            harm: self.trusted && ln_e_adjusted >= shown.level,
            ln_e: shown.whole.own.get(index).copied().unwrap_or_default(),
            ln_e_adjusted,
            weight,
            epochs,
        }
    }

    fn limit(
        &self,
        comparison: &Comparison<'_>,
        limit: Limit,
        weight: f64,
        shown: &Shown<'_, '_>,
        index: usize,
    ) -> LimitVerdict {
        let at = |values: &[f64]| values.get(index).copied().unwrap_or_default();
        let found = limits::Found {
            weight,
            ln_e: at(&shown.whole.own),
            ln_e_adjusted: at(&shown.whole.adjusted),
            least_adjusted: shown.least.map(|least| at(&least.adjusted)),
        };
        limits::verdict(comparison, limit, found, shown.level, self.distrust(&comparison.pinned.metric))
    }

    /// Why no numbers of a metric can be believed, or are too old; none where they can.
    fn distrust(&self, metric: &Metric) -> Option<ReasonCode> {
        let blind = self.measurement.and_then(|found| found.blind.get(&metric.key));
        let age = self.measurement.map_or(0, |found| self.now.ms_since(found.watermark));
        let stale = (age > metric.freshness_ms).then_some(ReasonCode::Stale);
        let of_cause = |blind: &Blindness| match blind.cause {
            Cause::Stale => ReasonCode::Stale,
            Cause::Audit => ReasonCode::AuditFailed,
            Cause::Undefined => ReasonCode::Undefined,
            Cause::NoBaseline => ReasonCode::NoBaseline,
        };
        blind.map(of_cause).or(stale)
    }

    /// Why nothing can be said of a comparison; none where something can.
    fn blindness(
        &self,
        comparison: &Comparison<'_>,
        burnt_in: bool,
        undefined: Option<Undefined>,
    ) -> Option<ReasonCode> {
        match self.distrust(&comparison.pinned.metric) {
            Some(why @ (ReasonCode::Undefined | ReasonCode::AuditFailed | ReasonCode::NoBaseline)) => {
                Some(why)
            }
            _ if smaller(comparison.moments(), View::Within) == 0 => Some(ReasonCode::NoData),
            Some(why) => Some(why),
            None if !burnt_in || !is_watched(self.launch, comparison) => Some(ReasonCode::BurnIn),
            None => undefined.map(|why| match why {
                Undefined::NoVariance => ReasonCode::NoVariance,
                _ => ReasonCode::Undefined,
            }),
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
