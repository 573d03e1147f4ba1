//! The scorecard of a launch: every metric, guardrail or not, by group and by segment, with what is known and what is not.

use super::comparison::{Comparison, View, total};
use super::decision::{Compared, EpochMoments};
use super::effects::{self, Contrast, IntervalMethod, Known, absolute, contrasts, points, relative, value};
use super::evidence::{Marked, difference, ln_e_harm};
use super::measurement::Measurement;
use super::sample_ratio::{self, is_trusted};
use super::tested::{comparisons_by_segment, first_scale};
use crate::domain::launch::{Launch, PinnedMetric};
use crate::domain::metric::Direction;
use crate::stats::anytime;
use crate::stats::e_process::{Evidence, Test, epoch_evidence};
use crate::stats::effect::{Alternative, Effect, Interval};
use crate::stats::outcome::{Outcome, estimates};
use crate::stats::undefined::Undefined;

/// One metric of a launch.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredMetric {
    /// Its key.
    pub metric: String,
    /// Whether it can hold the launch, or roll it back.
    pub guardrail: bool,
    /// Which way is better.
    pub direction: Direction,
    /// One for each group besides the control, in their order, those that were stopped as well.
    pub groups: Vec<ScoredGroup>,
}

/// One group against the control.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredGroup {
    /// All units.
    pub score: Score,
    /// By segment, column by column; empty where none are known.
    pub segments: Vec<ScoredSegment>,
}

/// One segment of a group against the same of the control.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredSegment {
    /// Attribute of the user.
    pub column: String,
    /// Its value at the unit's first exposure.
    pub value: String,
    /// The segment's units.
    pub score: Score,
    /// Whether the effect differs from that in the column's other segments.
    pub contrast: Known<Contrast>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Name of the arm.
    pub arm: String,
    /// Units of all epochs.
    pub units: u64,
    /// What they did within their epochs: the mean, or the ratio.
    pub mean: Known<f64>,
}

/// Units of a group against units of the control. Where shares were changed on the way, effects are those of each epoch, put
/// together by their precision: means of all epochs together would mix times and shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The control.
    pub control: Side,
    /// The group.
    pub group: Side,
    /// By how much the group's value exceeds the control's.
    pub effect: Known<f64>,
    /// The same as a share of the control's size.
    pub relative_effect: Known<f64>,
    /// Interval of the effect for one planned look.
    pub one_look: Known<Interval>,
    /// How that is found.
    pub one_look_method: IntervalMethod,
    /// Of the relative effect, for one planned look.
    pub one_look_relative: Known<Interval>,
    /// Of the effect, at every look.
    pub every_look: Known<Interval>,
    /// The same as a share of the metric's scale.
    pub every_look_relative: Known<Interval>,
    /// Two-sided, for no effect, for one planned look.
    pub p_value: Known<f64>,
    /// For no harm beyond the margin, at every look. Of all units: from the largest evidence of the looks that could be trusted.
    /// Of a segment: from the evidence there is now.
    pub p_value_at_every_look: f64,
    /// ln of the e-value for harm beyond the margin; 0 before the burn-in.
    pub ln_e: f64,
}

/// Every metric of a launch as measured, with intervals at `level`, in (0, 1).
#[must_use]
pub fn scorecard(launch: &Launch, measurement: &Measurement, level: f64) -> Vec<ScoredMetric> {
    launch.metrics.iter().map(|pinned| metric(launch, pinned, measurement, level)).collect()
}

fn metric(launch: &Launch, pinned: &PinnedMetric, measurement: &Measurement, level: f64) -> ScoredMetric {
    let compared = |name| Comparison::new(launch, pinned, name, None, Some(measurement));
    let mut groups: Vec<Comparison<'_>> =
        launch.arms.iter().skip(1).map(|arm| compared(arm.name.as_str())).collect();
    let scale = pinned.scale.or_else(|| groups.iter().find_map(first_scale));
    for group in &mut groups {
        group.scale = scale;
    }
    let trusted = is_trusted(sample_ratio::ln_e(launch, measurement));
    let of_whole = |whole: &Comparison<'_>| {
        let score = score(launch, whole, level);
        let before = launch.largest_evidence.of(&pinned.metric.key, whole.arm);
        let largest = if trusted { before.max(score.ln_e) } else { before };
        Score { p_value_at_every_look: anytime::p_value(largest), ..score }
    };
    let group = |whole: &Comparison<'_>| ScoredGroup {
        score: of_whole(whole),
        segments: segments(launch, measurement, whole, level),
    };
    ScoredMetric {
        metric: pinned.metric.key.clone(),
        guardrail: launch.is_guardrail(&pinned.metric),
        direction: pinned.metric.direction,
        groups: groups.iter().map(group).collect(),
    }
}

fn segments(
    launch: &Launch,
    measurement: &Measurement,
    whole: &Comparison<'_>,
    level: f64,
) -> Vec<ScoredSegment> {
    let Some(columns) = &measurement.columns else {
        return Vec::new();
    };
    let all = comparisons_by_segment(launch, measurement, whole, columns);
    let effects: Vec<Vec<Result<Effect, Undefined>>> = all
        .chunk_by(|(one, ..), (other, ..)| one == other)
        .map(|of_column| of_column.iter().map(|(_, _, comparison)| effect(comparison)).collect())
        .collect();
    let contrasts = contrasts(&effects).into_iter().flatten();
    let scored = all.into_iter().zip(contrasts).map(|((column, value, comparison), contrast)| {
        ScoredSegment { column, value, score: score(launch, &comparison, level), contrast }
    });
    scored.filter(|segment| segment.score.control.units + segment.score.group.units > 0).collect()
}

fn score(launch: &Launch, comparison: &Comparison<'_>, level: f64) -> Score {
    let Compared { control, treatment } = total(comparison.moments(), View::Within);
    let (absolute, relative) = (effect(comparison), relative_effect(comparison));
    let (effect, relative_effect) = points(&control, &treatment, absolute, relative);
    let (one_look, one_look_method) = one_look(comparison, absolute, level);
    let evidence = signed_evidence(comparison);
    let every_look = |unit: fn(f64) -> f64| {
        let (evidence, scale) = (evidence?, comparison.scale.ok_or(Undefined::BurnIn)?);
        let found = anytime::interval(evidence, level).ok_or(Undefined::TooLarge)?;
        Ok(Interval { low: unit(scale) * found.low, high: unit(scale) * found.high })
    };
    let ln_e = ln_e_harm(comparison, Marked::Any);
    Score {
        control: side(launch.control(), &control),
        group: side(comparison.arm, &treatment),
        effect,
        relative_effect,
        one_look,
        one_look_method,
        one_look_relative: relative.map(|effect| effect.interval(Alternative::TwoSided, level)),
        every_look: every_look(|scale| scale),
        every_look_relative: every_look(|_| 1.0),
        p_value: absolute.map(|effect| effect.ln_p(Alternative::TwoSided, 0.0).exp()),
        p_value_at_every_look: anytime::p_value(ln_e),
        ln_e,
    }
}

fn side(arm: &str, outcome: &Outcome) -> Side {
    Side { arm: arm.to_owned(), units: outcome.n(), mean: value(outcome) }
}

/// The interval of the difference for one planned look, and how it is found.
fn one_look(
    comparison: &Comparison<'_>,
    absolute: Result<Effect, Undefined>,
    level: f64,
) -> (Known<Interval>, IntervalMethod) {
    match epochs(comparison).as_slice() {
        [only] => effects::one_look(&only.control, &only.treatment, absolute, level),
        _ => (absolute.map(|effect| effect.interval(Alternative::TwoSided, level)), IntervalMethod::Epochs),
    }
}

/// The difference of both sides: Welch's where units came in one epoch, else that of all epochs by their precision.
fn effect(comparison: &Comparison<'_>) -> Result<Effect, Undefined> {
    match epochs(comparison).as_slice() {
        [] => Err(Undefined::NoUnits),
        [only] => absolute(&only.control, &only.treatment),
        several => together(several, comparison.pinned.metric.direction),
    }
}

fn relative_effect(comparison: &Comparison<'_>) -> Result<Effect, Undefined> {
    match epochs(comparison).as_slice() {
        [] => Err(Undefined::NoUnits),
        [only] => relative(&only.control, &only.treatment),
        several => {
            let Compared { control, treatment } =
                several.iter().copied().reduce(Compared::merged).unwrap_or_default();
            let [control, ..] = estimates(&control, &treatment)?;
            together(several, comparison.pinned.metric.direction)?.as_share_of(&control)
        }
    }
}

/// The effect S/I over epochs, with the error 1/√I: each counts by its precision, and is judged by the spread of both sides.
fn together(epochs: &[Compared], direction: Direction) -> Result<Effect, Undefined> {
    let found = epochs.iter().map(|Compared { control, treatment }| {
        epoch_evidence(control, treatment, direction, Test::Harm(0.0), 1.0)
    });
    let sum = found.reduce(|sum, more| match (sum, more) {
        (Ok(sum), Ok(more)) => Ok(sum + more),
        (Ok(sum), Err(_)) | (Err(_), Ok(sum)) => Ok(sum),
        (Err(why), Err(_)) => Err(why),
    });
    let Evidence { score, information } = sum.unwrap_or(Err(Undefined::TooFewInEpoch))?;
    Ok(Effect {
        estimate: worse(direction) * score / information,
        standard_error: 1.0 / information.sqrt(),
        freedom: f64::INFINITY,
    })
}

/// Evidence for a difference upwards, once there is enough.
fn signed_evidence(comparison: &Comparison<'_>) -> Result<Evidence, Undefined> {
    let harm = difference(comparison)?;
    Ok(Evidence { score: worse(comparison.pinned.metric.direction) * harm.score, ..harm })
}

/// The sign of what is worse.
fn worse(direction: Direction) -> f64 {
    match direction {
        Direction::HigherIsBetter => -1.0,
        Direction::LowerIsBetter => 1.0,
    }
}

/// The epochs in which units came to both sides, weeks together.
fn epochs(comparison: &Comparison<'_>) -> Vec<Compared> {
    let moments: Vec<&EpochMoments> = comparison.moments().collect();
    let of_epoch = |weeks: &[&EpochMoments]| {
        weeks.iter().map(|week| week.within).reduce(Compared::merged).unwrap_or_default()
    };
    let epochs = moments.chunk_by(|one, other| one.epoch == other.epoch).map(of_epoch);
    epochs.filter(|compared| compared.smaller() > 0).collect()
}
