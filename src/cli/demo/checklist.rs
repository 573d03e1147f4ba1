//! What the demo promises to show.

/// How many things there are to observe.
pub(super) const COUNT: u64 = 6;

/// What was observed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Checklist {
    /// The harmless ramp took every one of its steps and completed.
    pub(super) ramp_completed: bool,
    /// Afterwards every visitor gets the harmless feature.
    pub(super) feature_on: bool,
    /// The harmful launch was rolled back by the guard.
    pub(super) rolled_back: bool,
    /// Afterwards no visitor gets the harmful feature.
    pub(super) feature_off: bool,
    /// The latch refused the next raise.
    pub(super) raise_refused: bool,
    /// The experiment is running, and all its groups are served.
    pub(super) experiment_goes_on: bool,
}

impl Checklist {
    fn entries(&self) -> [(bool, &'static str); 6] {
        [
            (self.ramp_completed, "the harmless ramp reached its end"),
            (self.feature_on, "everyone gets the harmless feature"),
            (self.rolled_back, "the harmful launch was rolled back"),
            (self.feature_off, "nobody gets the harmful feature"),
            (self.raise_refused, "the latch refused the next raise"),
            (self.experiment_goes_on, "the experiment goes on"),
        ]
    }

    /// How many are observed.
    pub(super) fn observed(&self) -> u64 {
        self.entries().iter().map(|(seen, _)| u64::from(*seen)).sum()
    }

    /// Whether all are.
    pub(super) fn is_complete(&self) -> bool {
        self.observed() == COUNT
    }

    /// What is not observed yet.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.entries().iter().filter(|(seen, _)| !seen).map(|(_, what)| *what).collect()
    }
}
