//! What a unit's number is made of, and what is kept of an arm's units.

use std::collections::BTreeMap;

use crate::stats::joint_moments::PairMoments;
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

/// What a unit's number is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measure {
    /// Position of the column, or of the metric.
    pub(super) value: usize,
    /// Values above it count as it.
    pub(super) cap: Option<f64>,
    /// What is taken beside the value.
    pub(super) beside: Beside,
}

/// What is taken beside a unit's value, by the position of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing: the metric is the mean.
    Nothing,
    /// A denominator: the metric is the ratio of both sums.
    Per(usize),
    /// A covariate from before the exposure, which the mean is adjusted by.
    Covariate(usize),
}

impl Measure {
    /// Positions of the columns it takes, the value first.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let beside = match self.beside {
            Beside::Nothing => None,
            Beside::Per(column) | Beside::Covariate(column) => Some(column),
        };
        std::iter::once(self.value).chain(beside)
    }

    /// What is kept of no units.
    pub(super) fn empty(&self) -> Outcome {
        match self.beside {
            Beside::Nothing => Outcome::Mean(Moments::default()),
            Beside::Per(_) => Outcome::Ratio(PairMoments::default()),
            Beside::Covariate(_) => Outcome::Adjusted(PairMoments::default()),
        }
    }

    /// Adds one unit's values, in the order of the columns.
    pub(super) fn add(&self, outcome: &mut Outcome, value: f64, beside: f64) {
        let value = self.cap.map_or(value, |cap| value.min(cap));
        match outcome {
            Outcome::Mean(moments) => moments.add(value),
            Outcome::Ratio(pair) | Outcome::Adjusted(pair) => pair.add(value, beside),
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
