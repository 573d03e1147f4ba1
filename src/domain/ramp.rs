//! A ramp: the ordered steps of a launch, and what it takes to go from one to the next.

use serde::{Deserialize, Serialize};

use super::key::check_percentage;
use super::time::{DAY_MS, Timestamp};
use super::violation::{Checks, Invalid};

/// Most steps of one ramp.
pub const MAX_STEPS: usize = 100;

/// One step of a ramp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Share that gets the treatment, 0 to 100; for an experiment its allocation.
    pub percentage: f64,
    /// The least time it lasts, in milliseconds.
    #[serde(default)]
    pub min_duration_ms: i64,
    /// The least number of units in each arm, first exposed in this step.
    #[serde(default)]
    pub min_units: u64,
    /// What else it needs before the next one.
    #[serde(default)]
    pub needs: Needs,
}

/// What a step needs besides its duration and units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Nothing, as long as no guardrail holds the launch.
    #[default]
    Time,
    /// A person's approval of just this step.
    Approval,
    /// Every guardrail shown safe.
    Evidence,
}

/// A person's word that a step may be left for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Index of the step.
    pub step: usize,
    /// Who.
    pub principal: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Step {
    /// A percentage from now on.
    #[must_use]
    pub fn at_once(percentage: f64) -> Self {
        Self { percentage, min_duration_ms: 0, min_units: 0, needs: Needs::Time }
    }
}

/// Checks the steps of a ramp; `field` is the path of the list.
pub fn check_steps(field: &str, steps: &[Step]) -> Result<(), Invalid> {
    let mut checks = Checks::default();
    let count = steps.len();
    checks.require(
        (1..=MAX_STEPS).contains(&count),
        field,
        format!("must have 1 to {MAX_STEPS}, has {count}"),
    );
    let starts = count == 1 || steps.first().is_none_or(|step| step.percentage > 0.0);
    checks.require(
        starts,
        format!("{field}[0].percentage"),
        "must be above 0: a ramp begins with some units",
    );
    let mut floor = -1.0;
    for (index, step) in steps.iter().take(MAX_STEPS).enumerate() {
        let path = format!("{field}[{index}]");
        check_percentage(&mut checks, &format!("{path}.percentage"), step.percentage);
        let grows = step.percentage > floor || step.percentage.is_nan();
        checks.require(grows, format!("{path}.percentage"), "must be above that of the step before");
        floor = step.percentage;
        let duration = (0..=365 * DAY_MS).contains(&step.min_duration_ms);
        checks.require(duration, format!("{path}.min_duration"), "must be from 0 to 365 days");
    }
    checks.finish()
}
