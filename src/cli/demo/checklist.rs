//! What the demo promises to show, and what of it was observed.

use std::collections::BTreeSet;

/// Everything that the demo promises.
pub(super) const PROMISES: [Promise; 10] = [
    Promise::RampCompleted,
    Promise::FeatureOn,
    Promise::RolledBack,
    Promise::FeatureOff,
    Promise::RaiseRefused,
    Promise::LatchResolved,
    Promise::BlindHeld,
    Promise::ArmStopped,
    Promise::ExperimentGoesOn,
    Promise::ShipRefused,
];

/// One thing to observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// The harmless ramp took every one of its steps and completed.
    RampCompleted,
    /// Afterwards every visitor gets the harmless feature.
    FeatureOn,
    /// The harmful launch was rolled back by the guard.
    RolledBack,
    /// Afterwards no visitor gets the harmful feature.
    FeatureOff,
    /// The latch refused the next raise.
    RaiseRefused,
    /// A person resolved the latch with a reason, and it stands open.
    LatchResolved,
    /// A launch whose guardrail has no data was held, and goes on being served as it was.
    BlindHeld,
    /// The harmful group of the experiment was stopped by the guard.
    ArmStopped,
    /// The experiment is running, and all its other groups are served.
    ExperimentGoesOn,
    /// The harmful group could not be shipped.
    ShipRefused,
}

impl Promise {
    fn text(self) -> &'static str {
        match self {
            Self::RampCompleted => "the harmless ramp reached its end",
            Self::FeatureOn => "everyone gets the harmless feature",
            Self::RolledBack => "the harmful launch was rolled back",
            Self::FeatureOff => "nobody gets the harmful feature",
            Self::RaiseRefused => "the latch refused the next raise",
            Self::LatchResolved => "the latch was resolved with a reason",
            Self::BlindHeld => "a launch without data was held, and served as before",
            Self::ArmStopped => "the harmful group of the experiment was stopped",
            Self::ExperimentGoesOn => "the experiment goes on with its other groups",
            Self::ShipRefused => "the harmful group could not be shipped",
        }
    }
}

/// What was observed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Checklist(BTreeSet<Promise>);

impl Checklist {
    /// Notes what was looked for, where it was seen.
    pub(super) fn note(&mut self, promise: Promise, seen: bool) {
        if seen {
            self.0.insert(promise);
        }
    }

    /// Whether it was observed.
    pub(super) fn has(&self, promise: Promise) -> bool {
        self.0.contains(&promise)
    }

    /// How many are observed.
    pub(super) fn observed(&self) -> usize {
        self.0.len()
    }

    /// What is not observed yet.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        PROMISES.iter().filter(|promise| !self.has(**promise)).map(|promise| promise.text()).collect()
    }
}
