//! What a unit's number is made of, and what is kept of an arm's units.

use std::collections::BTreeMap;

use crate::stats::joint_moments::{PairMoments, RatioPairMoments};
use crate::stats::moments::Moments;
use crate::stats::outcome::Outcome;

/// Arms by name.
pub(super) type Arms = BTreeMap<String, Arm>;

/// One arm's units, and what is kept of them by guardrail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    pub(super) units: u64,
    pub(super) outcomes: Vec<Outcome>,
}

/// What a unit's number is made of, by the positions of columns, or of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measure {
    pub(super) value: usize,
    /// Values above it count as it.
    pub(super) cap: Option<f64>,
    /// The denominator, where the metric is a ratio of sums.
    pub(super) per: Option<usize>,
    /// A covariate from before the exposure, which the metric is adjusted by.
    pub(super) covariate: Option<usize>,
    /// The covariate's denominator, where the metric is a ratio; without one each unit counts as 1.
    pub(super) covariate_per: Option<usize>,
}

impl Measure {
    /// Positions of the columns it takes; the first is the value's.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        [Some(self.value), self.per, self.covariate, self.covariate_per].into_iter().flatten()
    }

    /// What is kept of no units.
    pub(super) fn empty(&self) -> Outcome {
        match (self.per, self.covariate) {
            (None, None) => Outcome::Mean(Moments::default()),
            (Some(_), None) => Outcome::Ratio(PairMoments::default()),
            (None, Some(_)) => Outcome::Adjusted(PairMoments::default()),
            (Some(_), Some(_)) => Outcome::AdjustedRatio(RatioPairMoments::default()),
        }
    }

    /// Adds one unit by its values, in the order of the columns.
    pub(super) fn add(&self, outcome: &mut Outcome, values: &[f64]) {
        let at = |place: usize| values.get(place).copied();
        let value = at(0).unwrap_or_default();
        let value = self.cap.map_or(value, |cap| value.min(cap));
        let beside = at(1).unwrap_or_default();
        match outcome {
            Outcome::Mean(moments) => moments.add(value),
            Outcome::Ratio(pair) | Outcome::Adjusted(pair) => pair.add(value, beside),
            Outcome::AdjustedRatio(pairs) => {
                pairs.add((value, beside), (at(2).unwrap_or_default(), at(3).unwrap_or(1.0)));
            }
        }
    }
}

impl Arm {
    /// An arm without units.
    pub(super) fn empty(measures: &[Measure]) -> Self {
        Self { units: 0, outcomes: measures.iter().map(Measure::empty).collect() }
    }

    /// What is kept of a guardrail.
    pub(super) fn outcome(&self, guardrail: usize) -> Outcome {
        self.outcomes.get(guardrail).copied().unwrap_or_default()
    }
}
