//! What is kept of one metric in one arm, whatever the metric is made of.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::covariate::WithCovariate;
use super::estimate::Estimate;
use super::joint_moments::{PairMoments, RatioPairMoments};
use super::left_out;
use super::moments::Moments;
use super::undefined::Undefined;

/// What is kept of one metric in one arm. Both arms of a comparison are of one kind; an arm without units fits any.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A mean over units; a proportion is one.
    Mean(Moments),
    /// A ratio of two sums over units: numerator and denominator.
    Ratio(PairMoments),
    /// A mean over units with a covariate from before the first exposure.
    Adjusted(PairMoments),
    /// A ratio with the ratio that is its covariate.
    AdjustedRatio(RatioPairMoments),
}

/// How much was seen in an arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Units.
    pub units: u64,
    /// Units with a value other than zero.
    pub nonzero: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { units: self.units + other.units, nonzero: self.nonzero + other.nonzero }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Mean(Moments::default())
    }
}

impl From<Moments> for Outcome {
    fn from(moments: Moments) -> Self {
        Self::Mean(moments)
    }
}

impl Outcome {
    /// Units.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.counted().n
    }

    /// Units, and those of them with a value other than zero.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { units: self.n(), nonzero: self.counted().nonzero }
    }

    /// The moments of what is counted: of the value, or of a ratio's numerator.
    #[must_use]
    pub fn counted(&self) -> &Moments {
        match self {
            Self::Mean(moments) => moments,
            Self::Ratio(pair) | Self::Adjusted(pair) => &pair.first,
            Self::AdjustedRatio(pairs) => &pairs.outcome.first,
        }
    }

    /// Both sets of units together. Of two kinds the first stands.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Mean(a), Self::Mean(b)) => Self::Mean(a.merged(b)),
            (Self::Ratio(a), Self::Ratio(b)) => Self::Ratio(a.merged(b)),
            (Self::Adjusted(a), Self::Adjusted(b)) => Self::Adjusted(a.merged(b)),
            (Self::AdjustedRatio(a), Self::AdjustedRatio(b)) => Self::AdjustedRatio(a.merged(b)),
            (a, b) => {
                if a.n() == 0 {
                    b
                } else {
                    a
                }
            }
        }
    }

    /// What remains without what came between two earlier states of the same units, `before` and `after`.
    #[must_use]
    pub fn without(&self, before: &Self, after: &Self) -> Self {
        match self {
            Self::Mean(whole) => Self::Mean(left_out::moments(whole, before.counted(), after.counted())),
            Self::Ratio(whole) => Self::Ratio(left_out::pair(whole, &before.pair(), &after.pair())),
            Self::Adjusted(whole) => Self::Adjusted(left_out::pair(whole, &before.pair(), &after.pair())),
            Self::AdjustedRatio(whole) => {
                let ratios = |state: &Self| match state {
                    Self::AdjustedRatio(pairs) => *pairs,
                    _ => RatioPairMoments::default(),
                };
                Self::AdjustedRatio(left_out::ratio_pair(whole, &ratios(before), &ratios(after)))
            }
        }
    }

    /// Both values; of units that have not come yet, none.
    fn pair(&self) -> PairMoments {
        match self {
            Self::Ratio(pair) | Self::Adjusted(pair) => *pair,
            Self::Mean(_) | Self::AdjustedRatio(_) => PairMoments::default(),
        }
    }

    /// The arm's estimate by itself: its covariate is left aside.
    pub fn estimate(&self) -> Result<Estimate, Undefined> {
        match self {
            Self::Mean(moments) => Estimate::of_mean(moments),
            Self::Ratio(pair) => Estimate::of_ratio(pair),
            Self::Adjusted(pair) => Estimate::of_mean(&pair.first),
            Self::AdjustedRatio(pairs) => Estimate::of_ratio(&pairs.outcome),
        }
    }

    /// The arm with its covariate; none where its kind has none.
    #[must_use]
    pub fn with_covariate(&self) -> Option<Result<WithCovariate, Undefined>> {
        match self {
            Self::Mean(_) | Self::Ratio(_) => None,
            Self::Adjusted(pair) => Some(WithCovariate::of_means(pair)),
            Self::AdjustedRatio(pairs) => Some(WithCovariate::of_ratios(pairs)),
        }
    }
}

/// The estimates of control and treatment, and that of both together as if they were one arm.
///
/// A covariate is taken out of all three by the slope and about the mean of both arms together.
pub fn estimates(control: &Outcome, treatment: &Outcome) -> Result<[Estimate; 3], Undefined> {
    let both = control.merged(*treatment);
    if let Some(whole) = both.with_covariate().transpose()? {
        let (slope, centre) = (whole.slope(), whole.covariate());
        let of = |arm: &Outcome| {
            let arm = arm.with_covariate().ok_or(Undefined::TooFewUnits)??;
            arm.adjusted(slope, centre)
        };
        return Ok([of(control)?, of(treatment)?, whole.adjusted(slope, centre)?]);
    }
    Ok([control.estimate()?, treatment.estimate()?, both.estimate()?])
}
