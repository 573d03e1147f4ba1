//! From a comparison to its e-values: engines, views and fresh starts, each an e-process, and their weighted mean.

use super::comparison::{Comparison, Stretch, View, total};
use super::decision::Compared;
use crate::domain::metric::{Direction, Metric, MetricKind};
use crate::stats::combination::{Weighted, ln_weighted_mean};
use crate::stats::e_process::{self, Evidence, MIN_EPOCH_UNITS, Test};
use crate::stats::marks::{Bets, MAX_RATE, MIN_TREATED, Marks};
use crate::stats::outcome::Undefined;

/// What is staked on harm that begins late: half of it on the evidence from the second stretch on, a quarter on that from
/// the third on, and so forth. The rest is staked on the evidence of all stretches.
const STAKED_ON_LATE_HARM: f64 = 0.1;

/// Which marks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// Those of any treated unit.
    Any,
    /// Those of as many treated units as it takes to act.
    Enough,
}

/// ln of the e-value for harm beyond the metric's margin; 0 while nothing counts.
pub(super) fn ln_e_harm(comparison: &Comparison<'_>, marked: Marked) -> f64 {
    let marked = goes_by_marks(comparison).then_some(marked);
    let of_view = |view: &View| from_each_stretch(comparison, *view, marked);
    let views: Vec<Vec<f64>> = comparison.views().iter().map(of_view).collect();
    let from = |stretch: usize| mean(views.iter().map(|view| view.get(stretch).copied().unwrap_or_default()));
    if !comparison.starts_afresh {
        return from(0);
    }
    let stretches = comparison.stretches.len();
    let mut late = STAKED_ON_LATE_HARM;
    let mut parts = Vec::with_capacity(stretches + 1);
    for stretch in 0..stretches {
        let weight = if stretch == 0 {
            1.0 - STAKED_ON_LATE_HARM
        } else {
            late /= 2.0;
            late
        };
        parts.push(Weighted { weight, ln_e: from(stretch) });
    }
    // What is staked on stretches to come is not lost yet.
    parts.push(Weighted { weight: late, ln_e: 0.0 });
    ln_weighted_mean(&parts)
}

/// ln of the e-value for no harm as large as `margin`, from all stretches; 0 while nothing counts.
pub(super) fn ln_e_safe(comparison: &Comparison<'_>, margin: f64) -> f64 {
    let of_view = |view: &View| safety(comparison, *view, margin).map_or(0.0, e_process::ln_e);
    mean(comparison.views().iter().map(of_view))
}

/// Evidence of one view for no harm as large as `margin`, from all stretches.
pub(super) fn safety(comparison: &Comparison<'_>, view: View, margin: f64) -> Result<Evidence, Undefined> {
    if is_burnt_in(comparison, view) {
        all_stretches(comparison, view, Test::Safety(margin))
    } else {
        Err(Undefined::TooFewUnits)
    }
}

/// Why no view has evidence on means; none where one has.
pub(super) fn undefined(comparison: &Comparison<'_>) -> Option<Undefined> {
    let harm = Test::Harm(comparison.pinned.metric.margin);
    let of_view = |view: &View| all_stretches(comparison, *view, harm).err();
    comparison.views().iter().map(of_view).reduce(Option::and).flatten()
}

/// Evidence of one view from all stretches, or why there is none.
fn all_stretches(comparison: &Comparison<'_>, view: View, test: Test) -> Result<Evidence, Undefined> {
    let metric = &comparison.pinned.metric;
    let scale = comparison.scale.ok_or(Undefined::NoScale)?;
    let mut sum = Err(Undefined::TooFewUnits);
    for stretch in &comparison.stretches {
        sum = match (sum, evidence(view.of(&stretch.moments), metric, test, scale)) {
            (Ok(sum), Ok(more)) => Ok(sum + more),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            (Err(Undefined::TooFewUnits), Err(reason)) | (Err(reason), Err(_)) => Err(reason),
        };
    }
    sum
}

/// Whether a view has seen enough for evidence on means to count.
pub(super) fn is_burnt_in(comparison: &Comparison<'_>, view: View) -> bool {
    let large = comparison.moments().any(|moments| view.of(moments).smaller() >= MIN_EPOCH_UNITS);
    large && is_enough(&total(comparison.moments(), view), &comparison.pinned.metric)
}

fn is_enough(total: &Compared, metric: &Metric) -> bool {
    e_process::burn_in_done(&total.control, &total.treatment, metric.min_units)
}

fn evidence(compared: &Compared, metric: &Metric, test: Test, scale: f64) -> Result<Evidence, Undefined> {
    e_process::epoch_evidence(&compared.control, &compared.treatment, metric.direction, test, scale)
}

/// Whether marks are counted besides means: for events that a unit has or has not, and few have. The share of both arms
/// together says nothing of their difference, so that going by it is no look at the evidence.
fn goes_by_marks(comparison: &Comparison<'_>) -> bool {
    let pooled = || {
        let Compared { control, treatment } = total(comparison.moments(), View::Within);
        let nonzero = control.counted().nonzero + treatment.counted().nonzero;
        nonzero as f64 / (control.n() + treatment.n()).max(1) as f64
    };
    comparison.pinned.metric.kind == MetricKind::Conversion
        && comparison.stretches.iter().any(|stretch| stretch.share.is_some())
        && comparison.scale.unwrap_or_else(pooled) <= MAX_RATE
}

/// ln of the e-values that begin afresh with each stretch and go on to the last.
fn from_each_stretch(comparison: &Comparison<'_>, view: View, marked: Option<Marked>) -> Vec<f64> {
    let metric = &comparison.pinned.metric;
    let mut since = Since::default();
    let mut values: Vec<f64> = comparison
        .stretches
        .iter()
        .rev()
        .map(|stretch| {
            since.add(stretch, view, metric, comparison.scale);
            since.ln_e(metric, marked)
        })
        .collect();
    values.reverse();
    values
}

/// What was seen since a stretch began.
#[derive(Default)]
struct Since {
    total: Compared,
    large: bool,
    evidence: Evidence,
    bets: Bets,
}

impl Since {
    fn add(&mut self, stretch: &Stretch, view: View, metric: &Metric, scale: Option<f64>) {
        let compared = view.of(&stretch.moments);
        self.total = self.total.merged(*compared);
        self.large |= compared.smaller() >= MIN_EPOCH_UNITS;
        let harm = Test::Harm(metric.margin);
        if let Some(Ok(more)) = scale.map(|scale| evidence(compared, metric, harm, scale)) {
            self.evidence = self.evidence + more;
        }
        if let Some(share) = view.share(stretch) {
            let treated = compared.treatment.counted().nonzero;
            let control = compared.control.counted().nonzero;
            let marks = Marks { share, treated, control };
            self.bets = self.bets + Bets::on(&marks, metric.direction, metric.margin);
        }
    }

    /// The mean of both engines where marks count. One that has nothing to say yet stands at 1, so that the other has the
    /// same weight before and after.
    fn ln_e(&self, metric: &Metric, marked: Option<Marked>) -> f64 {
        let counts = self.large && is_enough(&self.total, metric);
        let by_means = if counts { e_process::ln_e(self.evidence) } else { 0.0 };
        let Some(marked) = marked else {
            return by_means;
        };
        let too_few = metric.direction == Direction::LowerIsBetter
            && self.total.treatment.counted().nonzero < MIN_TREATED;
        let by_marks = if marked == Marked::Enough && too_few { 0.0 } else { self.bets.ln_e() };
        mean([by_means, by_marks].into_iter())
    }
}

/// ln of the mean of e-values, from their logarithms.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let parts: Vec<Weighted> = values.map(|ln_e| Weighted { weight: 1.0, ln_e }).collect();
    ln_weighted_mean(&parts)
}
