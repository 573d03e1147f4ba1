//! The effect of a treatment with its intervals, whatever the metric is made of: those for one planned look, and those that
//! hold at every look.

use serde::Serialize;

use crate::cli::number::{Interval, Number};
use crate::domain::metric::Direction;
use crate::stats::anytime;
use crate::stats::covariate::{self, WithCovariate};
use crate::stats::e_process::{Evidence, Test, epoch_evidence};
use crate::stats::effect::{Alternative, Effect};
use crate::stats::estimate::Estimate;
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// Levels of the intervals.
pub(super) const LEVELS: [f64; 3] = [0.80, 0.90, 0.95];
/// Why there is no interval that holds at every look.
const NO_EVIDENCE: &str = "too few units or events so far, or no spread, for evidence to count";

/// The intervals of one level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Intervals {
    pub(super) level: f64,
    /// Of the effect, for one planned look.
    pub(super) one_look: Interval,
    /// Of the relative effect, for one planned look.
    pub(super) one_look_relative: Interval,
    /// Of the effect, at every look.
    pub(super) every_look: Interval,
    /// The same as a share of the metric's scale.
    pub(super) every_look_relative: Interval,
}

/// One arm against the control.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effects {
    pub(super) effect: Number,
    pub(super) relative: Number,
    pub(super) intervals: Vec<Intervals>,
}

/// The metric's value in an arm: a mean, also of what a covariate adjusts, or a ratio.
pub(super) fn value(outcome: &Outcome) -> Number {
    match outcome {
        Outcome::Mean(moments) => Number::new(moments.mean().ok_or("the arm has no units")),
        Outcome::Ratio(_) => estimate(outcome).map(|estimate| estimate.value()).into(),
        Outcome::Adjusted(pair) => Number::new(pair.first.mean().ok_or("the arm has no units")),
    }
}

/// The difference of two arms, judged as Welch's.
pub(super) fn absolute(control: &Outcome, treatment: &Outcome) -> Result<Effect, Undefined> {
    match adjusted(control, treatment)? {
        Some((control, treatment, slope)) => covariate::absolute_effect(&control, &treatment, slope),
        None => Effect::absolute(&estimate(control)?, &estimate(treatment)?),
    }
}

/// The difference as a share of the control's size, where that is clear of zero.
fn relative(control: &Outcome, treatment: &Outcome) -> Result<Effect, Undefined> {
    let plain = Effect::shown_relative(&estimate(control)?, &estimate(treatment)?)?;
    match adjusted(control, treatment)? {
        Some((control, treatment, slope)) => covariate::relative_effect(&control, &treatment, slope),
        None => Ok(plain),
    }
}

impl Effects {
    /// Compares an arm with the control; `scale` is the metric's, once it is through its burn-in.
    pub(super) fn new(
        control: &Outcome,
        treatment: &Outcome,
        direction: Direction,
        scale: Option<f64>,
    ) -> Self {
        let (absolute, relative) = (absolute(control, treatment), relative(control, treatment));
        let (effect, relative_effect) = points(control, treatment, absolute, relative);
        let signed = match direction {
            Direction::HigherIsBetter => -1.0,
            Direction::LowerIsBetter => 1.0,
        };
        let evidence = scale.and_then(|scale| {
            let harm = epoch_evidence(control, treatment, direction, Test::Harm(0.0), scale).ok()?;
            Some((Evidence { score: signed * harm.score, ..harm }, scale))
        });
        let intervals = LEVELS.map(|level| {
            let one_look = |effect: Result<Effect, Undefined>| {
                let ends = effect.map(|effect| effect.interval(Alternative::TwoSided, level));
                Interval::new(ends.map(|ends| (ends.low, ends.high)).map_err(Undefined::reason))
            };
            let every_look = |unit: fn(f64) -> f64| {
                let found = evidence.and_then(|(evidence, scale)| {
                    let found = anytime::interval(evidence, level)?;
                    Some((unit(scale) * found.low, unit(scale) * found.high))
                });
                Interval::new(found.ok_or(NO_EVIDENCE))
            };
            Intervals {
                level,
                one_look: one_look(absolute),
                one_look_relative: one_look(relative),
                every_look: every_look(|scale| scale),
                every_look_relative: every_look(|_| 1.0),
            }
        });
        Self { effect, relative: relative_effect, intervals: intervals.to_vec() }
    }
}

/// The effect and the relative one by themselves, which take no spread.
fn points(
    control: &Outcome,
    treatment: &Outcome,
    absolute: Result<Effect, Undefined>,
    relative: Result<Effect, Undefined>,
) -> (Number, Number) {
    let (base, other) = (value(control).0, value(treatment).0);
    let effect = match absolute {
        Ok(effect) => Ok(effect.estimate),
        Err(_) => other.and_then(|other| Ok(other - base?)),
    };
    let share = match relative {
        Ok(effect) => Ok(effect.estimate),
        Err(why @ (Undefined::ControlIsZero | Undefined::ControlNearZero)) => Err(why.reason()),
        Err(_) => effect.and_then(|effect| match base? {
            0.0 => Err(Undefined::ControlIsZero.reason()),
            base => Ok(effect / base.abs()),
        }),
    };
    (Number::new(effect), Number::new(share))
}

/// One arm's estimate without any adjustment.
fn estimate(outcome: &Outcome) -> Result<Estimate, Undefined> {
    match outcome {
        Outcome::Mean(moments) => Estimate::of_mean(moments),
        Outcome::Ratio(pair) => Estimate::of_ratio(pair),
        Outcome::Adjusted(pair) => Estimate::of_mean(&pair.first),
    }
}

/// Both arms with their covariate and the slope of both together; none where there is no covariate.
fn adjusted(
    control: &Outcome,
    treatment: &Outcome,
) -> Result<Option<(WithCovariate, WithCovariate, f64)>, Undefined> {
    let (Outcome::Adjusted(control), Outcome::Adjusted(treatment)) = (control, treatment) else {
        return Ok(None);
    };
    let slope = WithCovariate::of_means(&control.merged(*treatment))?.slope();
    Ok(Some((WithCovariate::of_means(control)?, WithCovariate::of_means(treatment)?, slope)))
}
