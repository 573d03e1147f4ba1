//! The largest evidence of harm that a launch ever had, from which p-values follow that hold at every look.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Evidence that is larger by less than this, on the scale of logarithms, is not kept: a launch is not written for it.
const STEP: f64 = 0.25;

/// The largest e-values for harm at any look, as logarithms, each at most a quarter too small; 0 where there was none above 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LargestEvidence {
    /// Of the launch.
    pub launch: f64,
    /// Of each metric in each arm, by key and name.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
}

impl LargestEvidence {
    /// Whether there was none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self == &Self::default()
    }

    /// Of a metric in an arm.
    #[must_use]
    pub fn of(&self, metric: &str, arm: &str) -> f64 {
        self.metrics.get(metric).and_then(|arms| arms.get(arm)).copied().unwrap_or_default()
    }

    /// Keeps the launch's where it is larger than what is known.
    pub fn note_launch(&mut self, ln_e: f64) {
        if ln_e >= self.launch + STEP {
            self.launch = ln_e;
        }
    }

    /// Keeps that of a metric in an arm where it is larger than what is known.
    pub fn note(&mut self, metric: &str, arm: &str, ln_e: f64) {
        if ln_e >= self.of(metric, arm) + STEP {
            self.metrics.entry(metric.to_owned()).or_default().insert(arm.to_owned(), ln_e);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_larger_is_kept() {
        let mut found = LargestEvidence::default();
        for ln_e in [-2.0, 0.05, 1.0, 1.05, 0.0, 3.0, 2.0] {
            found.note_launch(ln_e);
            found.note("buys", "b", ln_e);
        }
        assert_eq!((found.launch, found.of("buys", "b"), found.of("buys", "c")), (3.0, 3.0, 0.0));
        let mut small = LargestEvidence::default();
        small.note("buys", "b", 0.05);
        assert!(small.is_none());
    }
}
