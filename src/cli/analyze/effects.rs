//! The effect of a treatment with its intervals, whatever the metric is made of: those for one planned look, and those that
//! hold at every look.

use serde::Serialize;

use crate::analysis::effects::{IntervalMethod, absolute, one_look, points, relative};
use crate::cli::number::{Interval, Number};
use crate::domain::metric::Direction;
use crate::stats::anytime;
use crate::stats::e_process::{Evidence, Test, epoch_evidence};
use crate::stats::effect::Alternative;
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// Levels of the intervals.
pub(super) const LEVELS: [f64; 3] = [0.80, 0.90, 0.95];

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
    /// How the intervals of the effect for one planned look are found; none where there are none.
    pub(super) method: Option<IntervalMethod>,
    pub(super) intervals: [Intervals; LEVELS.len()],
}

impl Effects {
    /// Compares an arm with the control; `scale` is the metric's, or why there is none.
    pub(super) fn new(
        control: &Outcome,
        treatment: &Outcome,
        direction: Direction,
        scale: Result<f64, Undefined>,
    ) -> Self {
        let (absolute, relative) = (absolute(control, treatment), relative(control, treatment));
        let (effect, relative_effect) = points(control, treatment, absolute, relative);
        let (effect, relative_effect) = (Number::new(effect), Number::new(relative_effect));
        let signed = match direction {
            Direction::HigherIsBetter => -1.0,
            Direction::LowerIsBetter => 1.0,
        };
        let evidence = scale.and_then(|scale| {
            let harm = epoch_evidence(control, treatment, direction, Test::Harm(0.0), scale)?;
            Ok((Evidence { score: signed * harm.score, ..harm }, scale))
        });
        let intervals = LEVELS.map(|level| {
            let (difference, _) = one_look(control, treatment, absolute, level);
            let share = relative.map(|effect| effect.interval(Alternative::TwoSided, level));
            let every_look = |unit: fn(f64) -> f64| {
                let found = evidence.and_then(|(evidence, scale)| {
                    let found = anytime::interval(evidence, level).ok_or(Undefined::TooLarge)?;
                    Ok((unit(scale) * found.low, unit(scale) * found.high))
                });
                Interval::new(found)
            };
            Intervals {
                level,
                one_look: Interval::of(difference),
                one_look_relative: Interval::of(share),
                every_look: every_look(|scale| scale),
                every_look_relative: every_look(|_| 1.0),
            }
        });
        let (found, method) = one_look(control, treatment, absolute, LEVELS[0]);
        Self { effect, relative: relative_effect, method: found.ok().map(|_| method), intervals }
    }
}
