//! The effect of a treatment, whatever the metric is made of, and whether it differs between segments.

use serde::Serialize;

use crate::stats::correction::{Correction, adjusted};
use crate::stats::covariate::{self, WithCovariate};
use crate::stats::effect::{Alternative, Effect, Interval};
use crate::stats::outcome::Outcome;
use crate::stats::proportion::{DifferenceMethod, Proportion, difference_interval};
use crate::stats::segments::{Segment, compare};
use crate::stats::undefined::Undefined;

/// What is known, or why it is not.
pub type Known<T> = Result<T, Undefined>;

/// One segment beside the others of its column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// Its effect drawn towards that of all segments, by as much as chance alone scatters them.
    pub shrunk: f64,
    /// By how much its effect exceeds that of the others together.
    pub interaction: f64,
    /// The p-value of that for one planned look, corrected after Holm for all segments that were compared.
    pub p_value: f64,
}

/// The metric's value in an arm: a mean or a ratio, before any adjustment.
pub fn value(outcome: &Outcome) -> Known<f64> {
    match outcome {
        // A mean takes no spread, and so one unit is enough.
        Outcome::Mean(_) | Outcome::Adjusted(_) => outcome.counted().mean().ok_or(Undefined::NoUnits),
        Outcome::Ratio(_) | Outcome::AdjustedRatio(_) => outcome.estimate().map(|estimate| estimate.value()),
    }
}

/// The difference of two arms, judged as Welch's.
pub fn absolute(control: &Outcome, treatment: &Outcome) -> Result<Effect, Undefined> {
    match with_slope(control, treatment)? {
        Some((control, treatment, slope)) => covariate::absolute_effect(&control, &treatment, slope),
        None => Effect::absolute(&control.estimate()?, &treatment.estimate()?),
    }
}

/// How the interval of a difference for one planned look is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Welch's, from the spread of each arm.
    Welch,
    /// Newcombe's, of units that are 0 or 1, where Welch's is undefined because all of an arm are the same.
    Newcombe,
    /// Of several epochs put together by their precision.
    Epochs,
}

/// The interval of a difference for one planned look, and how it is found: by Welch's, where `absolute` is defined.
pub fn one_look(
    control: &Outcome,
    treatment: &Outcome,
    absolute: Result<Effect, Undefined>,
    level: f64,
) -> (Known<Interval>, IntervalMethod) {
    let proportions = || Proportion::of_outcome(control).zip(Proportion::of_outcome(treatment));
    match (absolute, absolute.err().and_then(|_| proportions())) {
        (Err(_), Some((control, treatment))) => {
            let method = DifferenceMethod::Newcombe;
            (Ok(difference_interval(&control, &treatment, method, level)), IntervalMethod::Newcombe)
        }
        (effect, _) => {
            (effect.map(|effect| effect.interval(Alternative::TwoSided, level)), IntervalMethod::Welch)
        }
    }
}

/// The difference as a share of the control's size, where that is clear of zero.
pub fn relative(control: &Outcome, treatment: &Outcome) -> Result<Effect, Undefined> {
    let plain = Effect::shown_relative(&control.estimate()?, &treatment.estimate()?)?;
    match with_slope(control, treatment)? {
        Some((control, treatment, slope)) => covariate::relative_effect(&control, &treatment, slope),
        None => Ok(plain),
    }
}

/// The difference and the relative one by themselves, which take no spread.
pub fn points(
    control: &Outcome,
    treatment: &Outcome,
    absolute: Result<Effect, Undefined>,
    relative: Result<Effect, Undefined>,
) -> (Known<f64>, Known<f64>) {
    let (base, other) = (value(control), value(treatment));
    let effect = match absolute {
        Ok(effect) => Ok(effect.estimate),
        Err(_) => other.and_then(|other| Ok(other - base?)),
    };
    let share = match relative {
        Ok(effect) => Ok(effect.estimate),
        Err(why @ (Undefined::ControlIsZero | Undefined::ControlNearZero)) => Err(why),
        Err(_) => effect.and_then(|effect| match base? {
            0.0 => Err(Undefined::ControlIsZero),
            base => Ok(effect / base.abs()),
        }),
    };
    (effect, share)
}

/// Compares the effects of the segments of each column with one another; one that has no error is left out. P-values are
/// corrected for all segments of all columns.
#[must_use]
pub fn contrasts(columns: &[Vec<Result<Effect, Undefined>>]) -> Vec<Vec<Known<Contrast>>> {
    let compared = columns.iter().map(|effects| {
        let sound: Vec<Effect> = effects.iter().filter_map(|effect| effect.ok()).collect();
        compare(&sound)
    });
    let compared: Vec<_> = compared.collect();
    let p_values: Vec<f64> = compared.iter().flatten().flatten().map(|segment| segment.ln_p.exp()).collect();
    let mut p_values = adjusted(&p_values, Correction::Holm).into_iter();
    let of_column = |(effects, compared): (&Vec<Result<Effect, Undefined>>, Result<Vec<Segment>, _>)| {
        let why = compared.as_ref().err().copied().unwrap_or(Undefined::TooFewSegments);
        let mut compared = compared.unwrap_or_default().into_iter();
        let mut of_effect = |effect: &Result<Effect, Undefined>| {
            (*effect)?;
            let found = compared.next().ok_or(why)?;
            let p_value = p_values.next().unwrap_or(1.0);
            Ok(Contrast { shrunk: found.shrunk, interaction: found.interaction.estimate, p_value })
        };
        effects.iter().map(&mut of_effect).collect()
    };
    columns.iter().zip(compared).map(of_column).collect()
}

/// Both arms with their covariate and the slope of both together; none where there is no covariate.
fn with_slope(
    control: &Outcome,
    treatment: &Outcome,
) -> Result<Option<(WithCovariate, WithCovariate, f64)>, Undefined> {
    let (Some(one), Some(other)) = (control.with_covariate(), treatment.with_covariate()) else {
        return Ok(None);
    };
    let both = control.merged(*treatment).with_covariate().transpose()?;
    let slope = both.map_or(0.0, |both| both.slope());
    Ok(Some((one?, other?, slope)))
}
