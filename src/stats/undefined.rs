//! Why a number is undefined: what stands in its place, and never a zero.

use serde::{Deserialize, Serialize};

/// Why a number is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undefined {
    /// An arm has no units.
    NoUnits,
    /// An arm has fewer than two units.
    TooFewUnits,
    /// No stretch of constant shares has enough units in both arms for evidence.
    TooFewInEpoch,
    /// Too few units, or too few expected events, for evidence to count.
    BurnIn,
    /// Fewer than two segments have an effect with an error, so that none can be set beside the others.
    TooFewSegments,
    /// Every unit of an arm has the same value, or its spread is lost to rounding.
    NoVariance,
    /// A relative effect where the control has nothing to be relative to.
    ControlIsZero,
    /// A relative effect whose control is too uncertain to divide by.
    ControlNearZero,
    /// The denominators of an arm's ratio add up to zero.
    NoDenominator,
    /// A quantile so far out that its interval would reach beyond the events.
    TooFewEvents,
    /// Sums or squares beyond what a float can hold.
    TooLarge,
    /// More successes than units, or planned shares that are not positive numbers, one for each arm.
    NoSuchCounts,
    /// Not even the largest harm is excluded yet.
    NothingExcluded,
    /// No unit came since the share was changed, so that there is no pace.
    NoTraffic,
    /// A plan for an effect of zero, without traffic, or at a level that is no probability.
    NeverDetected,
}

impl Undefined {
    /// The reason in words, to follow "undefined: ".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoUnits => "the arm has no units",
            Self::TooFewUnits => "an arm has fewer than 2 units",
            Self::TooFewInEpoch => "an arm has fewer than 30 units in each epoch",
            Self::BurnIn => "too few units or events so far for evidence to count",
            Self::TooFewSegments => "fewer than two segments have an effect with an error",
            Self::NoVariance => "all units of an arm have the same value",
            Self::ControlIsZero => "the control mean is 0",
            Self::ControlNearZero => "the control mean is less than 10 standard errors away from 0",
            Self::NoDenominator => "the denominators of an arm add up to 0",
            Self::TooFewEvents => "an arm has too few events for this quantile",
            Self::TooLarge => "too large for a number of 64 bits",
            Self::NoSuchCounts => "the counts do not fit what they are compared with",
            Self::NothingExcluded => "no size of harm is excluded yet",
            Self::NoTraffic => "no unit came since the share was changed",
            Self::NeverDetected => "no number of units can show this",
        }
    }
}
