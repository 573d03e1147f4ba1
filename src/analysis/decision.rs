//! The words of a decision, and the record of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::LimitVerdict;
use super::measurement::{ArmUnits, Blindness, Columns};
pub use crate::domain::decision_kind::DecisionKind;
use crate::domain::latch::Latch;
use crate::domain::launch::Launch;
use crate::domain::time::Timestamp;
use crate::stats::outcome::Outcome;
use crate::stats::undefined::Undefined;

/// The actor of everything that the guard does by itself.
pub const GUARD: &str = "guard";

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
    /// A person stopped further steps.
    Pause,
    /// A person let further steps be taken again.
    Resume,
    /// A person approved the step in force.
    Approve,
    /// A person let the launch pass what holds or blocks it.
    Override,
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
    /// The step's duration or units are not reached, or the evidence does not cover the cycle of the policy yet.
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
    /// The arms did not get the units that they were to get, so their numbers cannot be compared.
    SampleRatio,
    /// The metric cannot be computed from what was measured.
    Undefined,
    /// What its events look like is not to be believed.
    AuditFailed,
    /// Too little is stored from before the launch to tell where the metric's tail begins.
    NoBaseline,
    /// A person has paused the launch.
    Paused,
    /// The step in force waits for a person's approval.
    AwaitingApproval,
    /// A person has let the launch pass what holds or blocks it.
    Overridden,
    /// What would be done, and is not, because the policy or the guardrail is in shadow.
    Shadow,
    /// The policy of the environment does not let it.
    Policy,
    /// An absolute limit: a level that was crossed, or is watched.
    Limit,
    /// A guardrail is shown worse than its margin in one segment of the units.
    HarmInSegment,
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
    /// The segment it is about, for example `country=DE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

impl Reason {
    /// A reason about the launch as a whole.
    #[must_use]
    pub fn of_launch(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), metric: None, arm: None, segment: None }
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
    /// Why its means cannot be compared although there are enough units.
    pub undefined: Option<Undefined>,
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
    /// What was measured, by week of each epoch.
    pub epochs: Vec<EpochMoments>,
}

/// What is said of one guardrail in one arm and segment, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentVerdict {
    /// Key of the metric.
    pub metric: String,
    /// The treatment arm.
    pub arm: String,
    /// Attribute of the user.
    pub column: String,
    /// Its value at the unit's first exposure; [`OTHER`](super::measurement::OTHER) for all that have no segment of their own.
    pub value: String,
    /// Whether its evidence, adjusted for all segments that were looked at, reaches the level of harm.
    pub harm: bool,
    /// ln of the e-value for harm beyond the margin; 0 before burn-in.
    pub ln_e: f64,
    /// The same, adjusted for all segments that were looked at.
    pub ln_e_adjusted: f64,
    /// Weight in the launch-level e-value; 0 for a guardrail that only holds.
    pub weight: f64,
    /// What was measured, by week of each epoch; buckets are kept only where the level of harm is near.
    pub epochs: Vec<EpochMoments>,
}

impl MetricVerdict {
    /// What was measured, by epoch, its weeks together.
    #[must_use]
    pub fn by_epoch(&self) -> Vec<EpochMoments> {
        let of_epoch = |weeks: &[EpochMoments]| {
            let sum = |view: fn(&EpochMoments) -> Compared| {
                weeks.iter().map(view).fold(Compared::default(), Compared::merged)
            };
            let epoch = weeks.first().map_or(0, |week| week.epoch);
            let (within, settled) = (sum(|week| week.within), sum(|week| week.settled));
            EpochMoments { epoch, week: 0, within, settled, past: Vec::new() }
        };
        self.epochs.chunk_by(|one, other| one.epoch == other.epoch).map(of_epoch).collect()
    }
}

/// What was measured of the units first exposed in one week of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMoments {
    /// Number of the epoch.
    pub epoch: u32,
    /// Week of the epoch, from 0.
    pub week: u32,
    /// What they did within the epoch.
    pub within: Compared,
    /// What those of them did so far whose arm no planned step changes.
    pub settled: Compared,
    /// Both as they were at the ends of kept buckets, oldest first.
    pub past: Vec<PastMoments>,
}

/// What was measured up to an earlier moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastMoments {
    /// Event time up to which everything is counted.
    pub at: Timestamp,
    /// Within the epoch.
    pub within: Compared,
    /// Of settled units.
    pub settled: Compared,
}

/// Both sides of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The control arm.
    pub control: Outcome,
    /// The treatment arm.
    pub treatment: Outcome,
}

impl Compared {
    /// Units of the smaller arm.
    #[must_use]
    pub fn smaller(&self) -> u64 {
        self.control.n().min(self.treatment.n())
    }

    /// Both sets of units together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            control: self.control.merged(other.control),
            treatment: self.treatment.merged(other.treatment),
        }
    }

    /// What remains without what came between two earlier states.
    #[must_use]
    pub fn without(&self, before: &Self, after: &Self) -> Self {
        Self {
            control: self.control.without(&before.control, &after.control),
            treatment: self.treatment.without(&before.treatment, &after.treatment),
        }
    }
}

/// A stretch of event time whose share in the evidence can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// The least evidence that is left when any one bucket is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Least {
    /// ln of the launch-level e-value without it.
    pub ln_e: f64,
    /// The bucket; none where nothing had to be taken away, because too few treated units show the harm anyway.
    pub bucket: Option<Bucket>,
}

/// The evidence against one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmEvidence {
    /// Name of the arm.
    pub arm: String,
    /// ln of its part of the launch-level e-value; none without guardrails.
    pub ln_e: Option<f64>,
    /// Whether that reaches the level of harm, and without any one bucket as well.
    pub harmed: bool,
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
    /// From here on moments are kept apart by bucket of event time; none where the data have no times.
    pub kept_from: Option<Timestamp>,
    /// Metrics whose buckets were left out where their numbers were stored, so that harm in them is not confirmed here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stripped: BTreeSet<String>,
    /// How many units each arm got in each epoch.
    pub units: Vec<ArmUnits>,
    /// How many units each arm was dealt in each epoch, in the epoch of their first exposure.
    #[serde(default)]
    pub dealt: Vec<ArmUnits>,
    /// Shares of the arms of an experiment, where they are known.
    pub shares: BTreeMap<String, f64>,
    /// ln of the e-value against the arms having got the units they were to get.
    pub ln_e_sample_ratio: f64,
    /// ln of the launch-level e-value.
    pub ln_e: f64,
    /// The least that is left of it; none while it is below the level of harm.
    pub least: Option<Least>,
    /// The same by arm still served.
    pub arms: Vec<ArmEvidence>,
    /// Whether the hold level is reached, or was and is not left yet.
    pub warned: bool,
    /// Metrics that no verdict can rest on, whatever their numbers say.
    #[serde(default)]
    pub blind: BTreeMap<String, Blindness>,
    /// One for each metric and treatment arm still served.
    pub verdicts: Vec<MetricVerdict>,
    /// What is said of absolute limits, once everyone has the treatment.
    #[serde(default)]
    pub limits: Vec<LimitVerdict>,
    /// The columns that tell units apart, once their values are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// One for each guardrail, treatment arm still served and segment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentVerdict>,
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
    /// How long ago the guard had looked at the launch, or it had been measured where that is longer ago, in milliseconds; none
    /// when it never had.
    #[serde(default)]
    pub guard_age_ms: Option<i64>,
    /// Revision of the gate or experiment that it was made from; none in records from before this was kept.
    #[serde(default)]
    pub target_revision: Option<i64>,
    /// The latch that was closed on the target when the guard looked; none when a person acted.
    #[serde(default)]
    pub latch: Option<Latch>,
    /// Whether its reasons tell what is undecided in an allowance and since when a metric is blind, which those of older records
    /// do not.
    #[serde(default)]
    pub tells_undecided: bool,
}
