//! What is kept of one metric in one arm, whatever the metric is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::joint_moments::PairMoments;
use super::moments::{Moments, RawSums};

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
}

/// Why an outcome says nothing. Nothing of this is ever shown or counted as a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undefined {
    /// An arm has too few units.
    TooFewUnits,
    /// No unit differs from any other.
    NoVariance,
    /// An arm's denominators sum to zero.
    NoDenominator,
    /// The sums hold no variance: it came out below zero by more than their rounding.
    NegativeVariance,
    /// A sum is beyond all numbers.
    Overflow,
    /// Nothing gives a scale to measure by.
    NoScale,
}

impl fmt::Display for Undefined {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::TooFewUnits => "an arm has too few units",
            Self::NoVariance => "no unit of an arm differs from the others",
            Self::NoDenominator => "the denominators of an arm sum to zero",
            Self::NegativeVariance => "the sums hold no variance",
            Self::Overflow => "a sum is beyond all numbers",
            Self::NoScale => "nothing gives a scale to measure by",
        })
    }
}

/// An arm's estimate with its variance per unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Units.
    pub n: u64,
    /// The mean, the ratio or the adjusted mean.
    pub value: f64,
    /// Variance per unit, at least 0; divided by n it is that of the value.
    pub variance: f64,
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

    /// The moments of what is counted: of the value, or of a ratio's numerator.
    #[must_use]
    pub fn counted(&self) -> &Moments {
        match self {
            Self::Mean(moments) => moments,
            Self::Ratio(pair) | Self::Adjusted(pair) => &pair.first,
        }
    }

    /// Both sets of units together. Of two kinds the first stands.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Mean(a), Self::Mean(b)) => Self::Mean(a.merged(b)),
            (Self::Ratio(a), Self::Ratio(b)) => Self::Ratio(a.merged(b)),
            (Self::Adjusted(a), Self::Adjusted(b)) => Self::Adjusted(a.merged(b)),
            (a, b) => {
                if a.n() == 0 {
                    b
                } else {
                    a
                }
            }
        }
    }

    /// What remains when everything is left out that came between two earlier states of the same units, `before` and
    /// `after`: the sums less the difference of the sums. Units of whom only the value changed meanwhile stay, without the
    /// change.
    #[must_use]
    pub fn without(&self, before: &Self, after: &Self) -> Self {
        let pair = |whole: &PairMoments, before: &Self, after: &Self| {
            let (first, second) = (Pivot::of(&whole.first), Pivot::of(&whole.second));
            let states = [Some(*whole), after.pair(), before.pair()];
            let [whole, after, before] = states.map(|pair| pair.unwrap_or_default());
            let products = |pair: &PairMoments| {
                let centred = pair.covariances().map_or(0.0, |(_, _, covariance)| covariance);
                let n = pair.n() as f64;
                centred * (n - 1.0).max(0.0) + n * first.distance(&pair.first) * second.distance(&pair.second)
            };
            PairMoments::from_sums(
                (first.left(&whole.first, &before.first, &after.first), first.place),
                (second.left(&whole.second, &before.second, &after.second), second.place),
                products(&whole) - (products(&after) - products(&before)),
            )
        };
        match self {
            Self::Mean(whole) => {
                let pivot = Pivot::of(whole);
                Self::Mean(pivot.left(whole, before.counted(), after.counted()).about(pivot.place))
            }
            Self::Ratio(whole) => Self::Ratio(pair(whole, before, after)),
            Self::Adjusted(whole) => Self::Adjusted(pair(whole, before, after)),
        }
    }

    fn pair(&self) -> Option<PairMoments> {
        match self {
            Self::Mean(_) => None,
            Self::Ratio(pair) | Self::Adjusted(pair) => Some(*pair),
        }
    }

    /// The estimate of one arm; `slope` is that of the adjustment.
    ///
    /// Ratio: R = M̄/D̄ with v = (s_M² − 2R·s_MD + R²·s_D²)/D̄² (delta method at the unit; Deng, Knoblich, Lu 2018). Adjusted:
    /// Ȳ − θ(X̄ − `centre`) with v = s_Y² − 2θ·s_XY + θ²·s_X² (Deng, Xu, Kohavi, Walker 2013).
    fn estimate(&self, slope: Slope) -> Result<Estimate, Undefined> {
        let n = self.n();
        let mean = self.counted().mean().ok_or(Undefined::TooFewUnits)?;
        let (value, variance) = match self {
            Self::Mean(moments) => (mean, moments.variance().ok_or(Undefined::TooFewUnits)?),
            Self::Ratio(pair) => {
                let per_unit =
                    pair.second.mean().filter(|mean| *mean != 0.0).ok_or(Undefined::NoDenominator)?;
                let ratio = mean / per_unit;
                (ratio, combined(pair, ratio)? / (per_unit * per_unit))
            }
            Self::Adjusted(pair) => {
                let distance = pair.second.mean().ok_or(Undefined::TooFewUnits)? - slope.centre;
                (mean - slope.theta * distance, combined(pair, slope.theta)?)
            }
        };
        let finite = value.is_finite() && variance.is_finite();
        if finite { Ok(Estimate { n, value, variance }) } else { Err(Undefined::Overflow) }
    }
}

/// The estimates of control and treatment, and that of both together as if they were one arm.
pub fn estimates(control: &Outcome, treatment: &Outcome) -> Result<[Estimate; 3], Undefined> {
    let both = control.merged(*treatment);
    let slope = Slope::of(control, treatment, &both);
    Ok([control.estimate(slope)?, treatment.estimate(slope)?, both.estimate(slope)?])
}

/// How the covariate is taken out: by one slope for both arms, about the mean of both.
#[derive(Clone, Copy, Debug, Default)]
struct Slope {
    theta: f64,
    centre: f64,
}

impl Slope {
    /// θ = s_XY/s_X² over both arms; 0 where the covariate does not vary, or is none.
    fn of(control: &Outcome, treatment: &Outcome, both: &Outcome) -> Self {
        let (Outcome::Adjusted(control), Outcome::Adjusted(treatment)) = (control, treatment) else {
            return Self::default();
        };
        let within = |pair: &PairMoments| {
            let freedom = (pair.n() as f64 - 1.0).max(0.0);
            let (_, covariate, product) = pair.covariances().unwrap_or_default();
            (covariate * freedom, product * freedom)
        };
        let ((square, product), (other_square, other_product)) = (within(control), within(treatment));
        let theta = (product + other_product) / (square + other_square);
        let centre = both.pair().and_then(|pair| pair.second.mean()).unwrap_or_default();
        Self { theta: if theta.is_finite() { theta } else { 0.0 }, centre }
    }
}

/// The variance of a − factor·b per unit. What is below zero within the rounding of its parts is 0.
fn combined(pair: &PairMoments, factor: f64) -> Result<f64, Undefined> {
    let (first, second, covariance) = pair.covariances().ok_or(Undefined::TooFewUnits)?;
    let variance = first - 2.0 * factor * covariance + factor * factor * second;
    let rounding = 16.0 * f64::EPSILON * (first + factor * factor * second);
    if variance < -rounding {
        Err(Undefined::NegativeVariance)
    } else if variance <= rounding {
        Ok(0.0)
    } else {
        Ok(variance)
    }
}

/// What sums are taken about so that their differences keep their digits: the mean of the whole.
struct Pivot<'w> {
    whole: &'w Moments,
    place: f64,
}

impl<'w> Pivot<'w> {
    fn of(whole: &'w Moments) -> Self {
        Self { whole, place: whole.mean().unwrap_or(0.0) }
    }

    fn distance(&self, moments: &Moments) -> f64 {
        moments.mean_above(self.whole).unwrap_or(0.0)
    }

    /// Sums about the pivot.
    fn sums(&self, moments: &Moments) -> (f64, f64) {
        let (n, distance) = (moments.n as f64, self.distance(moments));
        (n * distance, moments.centred_squares() + n * distance * distance)
    }

    fn left(&self, whole: &Moments, before: &Moments, after: &Moments) -> RawSums {
        let less = |all: u64, before: u64, after: u64| all.saturating_sub(after.saturating_sub(before));
        let [all, early, late] = [whole, before, after].map(|moments| self.sums(moments));
        RawSums {
            n: less(whole.n, before.n, after.n),
            sum: all.0 - (late.0 - early.0),
            sum_squares: all.1 - (late.1 - early.1),
            nonzero: less(whole.nonzero, before.nonzero, after.nonzero),
        }
    }
}
