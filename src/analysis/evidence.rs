//! From a comparison to its e-values: engines, views and fresh starts, each an e-process, and their weighted mean.

use super::comparison::{Comparison, Stretch, View, counts};
use super::decision::Compared;
use crate::domain::metric::{Direction, Metric, MetricKind};
use crate::stats::combination::{Weighted, ln_weighted_mean};
use crate::stats::e_process::{self, Evidence, MIN_EPOCH_UNITS, Test};
use crate::stats::marks::{Bets, MAX_RATE, MIN_TREATED, Marks};
use crate::stats::outcome::Counts;
use crate::stats::undefined::Undefined;

/// What is staked, when a second stretch begins, on evidence that starts afresh with it: this share of what the evidence is
/// worth then. Half as much is staked on the third stretch, and so on.
const STAKED_ON_SECOND_STRETCH: f64 = 0.25;

/// Which marks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// Those of any treated unit.
    Any,
    /// Those of as many treated units as it takes to act.
    Enough,
}

/// ln of the e-value for harm beyond the metric's margin; 0 while nothing counts.
///
/// E = Σ r_s·e(1…s − 1)·e(s…S) with the rest of the weight on e(1…S). Stretches have units of their own, so that a product over
/// two sets of them is an e-process, and a weighted mean of such products is one. While there is one stretch, E is its own.
pub(super) fn ln_e_harm(comparison: &Comparison<'_>, marked: Marked) -> f64 {
    let marked = goes_by_marks(comparison).then_some(marked);
    let stretches = &comparison.stretches;
    let up_to_each = running(comparison, marked, stretches.iter());
    let Some((whole, before)) = up_to_each.split_last() else {
        return 0.0;
    };
    let mut from_each = running(comparison, marked, stretches.iter().rev());
    from_each.reverse();
    let (mut parts, mut rest, mut weight) =
        (Vec::with_capacity(stretches.len()), 1.0, STAKED_ON_SECOND_STRETCH);
    for (before, since) in before.iter().zip(from_each.iter().skip(1)) {
        parts.push(Weighted { weight, ln_e: before + since });
        rest -= weight;
        weight /= 2.0;
    }
    parts.push(Weighted { weight: rest, ln_e: *whole });
    ln_weighted_mean(&parts)
}

/// ln of the e-value for no harm as large as `margin`, from all stretches; why there is none where no view has evidence.
pub(super) fn ln_e_safe(comparison: &Comparison<'_>, margin: f64) -> Result<f64, Undefined> {
    let found: Vec<_> = comparison.views().iter().map(|view| safety(comparison, *view, margin)).collect();
    if let Some(Err(reason)) = found.iter().copied().reduce(Result::or) {
        return Err(reason);
    }
    Ok(mean(found.into_iter().map(|found| found.map_or(0.0, e_process::ln_e))))
}

/// Evidence of one view for no harm as large as `margin`, from all stretches, or why there is none.
pub(super) fn safety(comparison: &Comparison<'_>, view: View, margin: f64) -> Result<Evidence, Undefined> {
    if is_burnt_in(comparison, view) {
        all_stretches(comparison, view, Test::Safety(margin))
    } else {
        Err(Undefined::BurnIn)
    }
}

/// Evidence of all units for any harm at all, from all stretches, or why there is none.
pub(super) fn difference(comparison: &Comparison<'_>) -> Result<Evidence, Undefined> {
    if is_burnt_in(comparison, View::Within) {
        all_stretches(comparison, View::Within, Test::Harm(0.0))
    } else {
        Err(Undefined::BurnIn)
    }
}

/// Evidence of one view from all stretches, or why there is none.
fn all_stretches(comparison: &Comparison<'_>, view: View, test: Test) -> Result<Evidence, Undefined> {
    let metric = &comparison.pinned.metric;
    // Where not even a scale can be had, any will do to tell why.
    let scale = comparison.scale.unwrap_or(1.0);
    let mut sum = Err(Undefined::TooFewInEpoch);
    for stretch in &comparison.stretches {
        sum = match (sum, evidence(view.of(&stretch.moments), metric, test, scale)) {
            (Ok(sum), Ok(more)) => Ok(sum + more),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(Undefined::TooFewInEpoch), Err(reason)) | (Err(reason), Err(_)) => Err(reason),
        };
    }
    if comparison.scale.is_some() { sum } else { sum.and(Err(Undefined::NoVariance)) }
}

/// Whether a view has seen enough for evidence on means to count.
pub(super) fn is_burnt_in(comparison: &Comparison<'_>, view: View) -> bool {
    let large = comparison.moments().any(|moments| view.of(moments).smaller() >= MIN_EPOCH_UNITS);
    large && is_enough(counts(comparison.moments(), view), &comparison.pinned.metric)
}

fn is_enough([control, treatment]: [Counts; 2], metric: &Metric) -> bool {
    e_process::burn_in_done(control, treatment, metric.min_units)
}

fn evidence(compared: &Compared, metric: &Metric, test: Test, scale: f64) -> Result<Evidence, Undefined> {
    e_process::epoch_evidence(&compared.control, &compared.treatment, metric.direction, test, scale)
}

/// Whether marks are counted besides means: for events that a unit has or has not, and few have. The share of both arms
/// together says nothing of their difference, so that going by it is no look at the evidence; once there is a scale it tells
/// the same and stays. The scale of what is 0 or 1 is the control's share, or where that is less a twentieth of a spread of at
/// most a half, so that both are at or under [`MAX_RATE`] together.
fn goes_by_marks(comparison: &Comparison<'_>) -> bool {
    let pooled = || {
        let [control, treatment] = counts(comparison.moments(), View::Within);
        let both = control + treatment;
        both.nonzero as f64 / both.units.max(1) as f64
    };
    comparison.pinned.metric.kind == MetricKind::Conversion
        && comparison.stretches.iter().any(|stretch| stretch.share.is_some())
        && (comparison.pinned.metric.rare || comparison.scale.unwrap_or_else(pooled) <= MAX_RATE)
}

/// ln of the e-values of the first stretch, of the first two, and so on: the mean over the views.
fn running<'c>(
    comparison: &'c Comparison<'_>,
    marked: Option<Marked>,
    stretches: impl Iterator<Item = &'c Stretch>,
) -> Vec<f64> {
    let metric = &comparison.pinned.metric;
    let mut seen: Vec<(View, Seen)> =
        comparison.views().iter().map(|view| (*view, Seen::default())).collect();
    let with_next = |stretch: &Stretch| {
        for (view, seen) in &mut seen {
            seen.add(stretch, *view, metric, comparison.scale);
        }
        mean(seen.iter().map(|(_, seen)| seen.ln_e(metric, marked)))
    };
    stretches.map(with_next).collect()
}

/// What was seen in some stretches.
#[derive(Default)]
struct Seen {
    counts: [Counts; 2],
    large: bool,
    evidence: Evidence,
    bets: Bets,
}

impl Seen {
    fn add(&mut self, stretch: &Stretch, view: View, metric: &Metric, scale: Option<f64>) {
        let compared = view.of(&stretch.moments);
        let [control, treatment] = [compared.control.counts(), compared.treatment.counts()];
        self.counts = [self.counts[0] + control, self.counts[1] + treatment];
        self.large |= compared.smaller() >= MIN_EPOCH_UNITS;
        let harm = Test::Harm(metric.margin);
        if let Some(Ok(more)) = scale.map(|scale| evidence(compared, metric, harm, scale)) {
            self.evidence = self.evidence + more;
        }
        if let Some(share) = view.share(stretch) {
            let marks = Marks { share, treated: treatment.nonzero, control: control.nonzero };
            self.bets = self.bets + Bets::on(&marks, metric.direction, metric.margin);
        }
    }

    /// The mean of both engines where marks count. One that has nothing to say yet stands at 1, so that the other has the
    /// same weight before and after.
    fn ln_e(&self, metric: &Metric, marked: Option<Marked>) -> f64 {
        let counts = self.large && is_enough(self.counts, metric);
        let by_means = if counts { e_process::ln_e(self.evidence) } else { 0.0 };
        let Some(marked) = marked else {
            return by_means;
        };
        let too_few = metric.direction == Direction::LowerIsBetter && self.counts[1].nonzero < MIN_TREATED;
        let by_marks = if marked == Marked::Enough && too_few { 0.0 } else { self.bets.ln_e() };
        mean([by_means, by_marks].into_iter())
    }
}

/// ln of the mean of e-values, from their logarithms.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let parts: Vec<Weighted> = values.map(|ln_e| Weighted { weight: 1.0, ln_e }).collect();
    ln_weighted_mean(&parts)
}
