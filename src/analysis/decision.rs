//! The words of a decision, and the record of one.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::measurement::ArmUnits;
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;
use crate::stats::moments::Moments;

/// The actor of everything that the guard does by itself.
pub const GUARD: &str = "guard";

/// What is said of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Exposure may be raised.
    Allow,
    /// Not now.
    Hold,
    /// No: a latch is closed.
    Block,
    /// Harm: the treatment goes off.
    RollBack,
}

impl fmt::Display for DecisionKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Block => "block",
            Self::RollBack => "roll_back",
        })
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionAction {
    /// Nothing; what is said has changed.
    None,
    /// A launch began.
    Start,
    /// The next step came into force.
    Advance,
    /// A person changed the ramp or the allocation.
    Edit,
    /// The treatment was turned off.
    RollBack,
    /// One group was stopped.
    StopArm,
    /// The launch ended as planned.
    Complete,
    /// A person ended the launch.
    Cancel,
    /// A person opened a latch.
    ResolveLatch,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// Shown worse than the margin.
    Harm,
    /// A latch is closed.
    LatchClosed,
    /// Evidence of harm past the hold level.
    Warning,
    /// Numbers older than the metric's freshness.
    Stale,
    /// Nothing to count yet.
    NoData,
    /// Too few units or events for evidence to count.
    BurnIn,
    /// The guard has not looked yet.
    NotJudged,
    /// Neither shown harmful nor shown safe.
    Undecided,
    /// The step's duration or units are not reached.
    StepNotDone,
    /// No guardrail stands against it.
    NoHarmShown,
    /// Every guardrail is shown safe.
    Safe,
    /// The launch has ended.
    Ended,
    /// A person did it.
    Operator,
    /// The target has no launch.
    NoLaunch,
    /// No unit differs from any other.
    NoVariance,
}

/// One reason, with figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind.
    pub code: ReasonCode,
    /// The same in words.
    pub message: String,
    /// The metric it is about.
    pub metric: Option<String>,
    /// The arm it is about.
    pub arm: Option<String>,
}

impl Reason {
    /// A reason about the launch as a whole.
    #[must_use]
    pub fn of_launch(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), metric: None, arm: None }
    }
}

/// What is said of one metric in one arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Shown not worse than the ship margin.
    Safe,
    /// Shown worse than its margin.
    Harm,
    /// Neither.
    Undecided,
    /// No verdict can be given.
    Blind,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Safe => "safe",
            Self::Harm => "harm",
            Self::Undecided => "undecided",
            Self::Blind => "blind",
        })
    }
}

/// The verdict of one metric in one arm, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricVerdict {
    /// Key of the metric.
    pub metric: String,
    /// The treatment arm.
    pub arm: String,
    /// Whether it can hold and roll back.
    pub guardrail: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is blind or undecided.
    pub reason: Option<ReasonCode>,
    /// ln of the e-value for harm beyond the margin; 0 before burn-in.
    pub ln_e: f64,
    /// The same, adjusted for all guardrails and arms that were looked at.
    pub ln_e_adjusted: f64,
    /// ln of the e-value for no harm beyond the ship margin; 0 before burn-in.
    pub ln_e_safe: f64,
    /// Weight in the launch-level e-value; 0 for a metric that is no guardrail.
    pub weight: f64,
    /// The metric's scale; none before burn-in.
    pub scale: Option<f64>,
    /// What was measured, by epoch.
    pub epochs: Vec<EpochMoments>,
}

/// What was measured of the units first exposed in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMoments {
    /// Number of the epoch.
    pub epoch: u32,
    /// What they did within the epoch.
    pub within: Compared,
    /// What those of them did so far whose arm no planned step changes.
    pub settled: Compared,
}

/// Both sides of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The control arm.
    pub control: Moments,
    /// The treatment arm.
    pub treatment: Moments,
}

impl Compared {
    /// Units of the smaller arm.
    #[must_use]
    pub fn smaller(&self) -> u64 {
        self.control.n.min(self.treatment.n)
    }
}

/// All that one look at a launch found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// When the guard looked.
    pub at: Timestamp,
    /// Number of the epoch that was in force.
    pub epoch: u32,
    /// Event time up to which the numbers are complete; none without numbers.
    pub as_of: Option<Timestamp>,
    /// Event time up to which data had come in; none without numbers.
    pub watermark: Option<Timestamp>,
    /// How many units each arm got in each epoch.
    pub units: Vec<ArmUnits>,
    /// ln of the launch-level e-value.
    pub ln_e: f64,
    /// Whether the hold level is reached, or was and is not left yet.
    pub warned: bool,
    /// One for each metric and treatment arm still served.
    pub verdicts: Vec<MetricVerdict>,
}

/// Id of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub Uuid);

/// One decision, as recorded. It holds all that is needed to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Unique id.
    pub id: DecisionId,
    /// The launch as it stood when it was judged.
    pub launch: Launch,
    /// What the guard had found; none when a person acted before any look.
    pub judgement: Option<Judgement>,
    /// What was decided.
    pub kind: DecisionKind,
    /// What was done.
    pub action: DecisionAction,
    /// The arm that was acted on; none for all.
    pub arm: Option<String>,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
    /// Share in force afterwards.
    pub percentage: f64,
    /// A principal, or [`GUARD`].
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// Revision of the configuration afterwards.
    pub config_revision: i64,
}
