//! A launch: any change that lets more units get a treatment, from its beginning to its end.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::largest_evidence::LargestEvidence;
use super::metric::{Action, Metric};
use super::policy::{Cycle, PinnedPolicy, Policy, Undecided};
use super::time::Timestamp;

pub use super::policy::{ALPHA, ALPHA_HOLD};
pub use super::ramp::{Approval, MAX_STEPS, Needs, Step, check_steps};

/// Arm of the units that reached a gate's rule and did not pass.
pub const CONTROL: &str = "control";
/// Arm of the units that passed a gate's rule.
pub const TREATMENT: &str = "treatment";

/// Id of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaunchId(pub Uuid);

impl fmt::Display for LaunchId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What a launch changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Target {
    /// One rule of a gate.
    GateRule {
        /// Key of the gate.
        gate: String,
        /// Id of the rule.
        rule: String,
    },
    /// One rule of a dynamic config.
    ConfigRule {
        /// Key of the config.
        config: String,
        /// Id of the rule.
        rule: String,
    },
    /// An experiment.
    Experiment {
        /// Key of the experiment.
        experiment: String,
    },
    /// The group of a decided experiment that everyone is to get, against its control.
    Shipment {
        /// Key of the experiment.
        experiment: String,
    },
    /// The units that a holdout lets go, against those that it still holds out.
    Holdout {
        /// Key of the holdout.
        holdout: String,
    },
}

impl Target {
    /// What paths begin with.
    pub const KINDS: [&str; 5] = ["gate", "config", "experiment", "shipment", "holdout"];

    /// The target in one word: `gate:KEY/RULE`, `config:KEY/RULE`, or `experiment:KEY`, `shipment:KEY`, `holdout:KEY`.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::GateRule { gate, rule } => format!("gate:{gate}/{rule}"),
            Self::ConfigRule { config, rule } => format!("config:{config}/{rule}"),
            Self::Experiment { experiment } => format!("experiment:{experiment}"),
            Self::Shipment { experiment } => format!("shipment:{experiment}"),
            Self::Holdout { holdout } => format!("holdout:{holdout}"),
        }
    }

    /// Whether both are of one gate, or one experiment. A latch bears on all rules of its gate, because another rule
    /// could let in the same units.
    #[must_use]
    pub fn is_same_entity(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::GateRule { gate: a, .. }, Self::GateRule { gate: b, .. })
            | (Self::ConfigRule { config: a, .. }, Self::ConfigRule { config: b, .. })
            | (Self::Experiment { experiment: a }, Self::Experiment { experiment: b })
            | (Self::Shipment { experiment: a }, Self::Shipment { experiment: b })
            | (Self::Holdout { holdout: a }, Self::Holdout { holdout: b }) => a == b,
            _ => false,
        }
    }

    /// Whether its arms are the two sides of a share, and not groups of units that never swap.
    #[must_use]
    pub fn splits_by_share(&self) -> bool {
        !matches!(self, Self::Experiment { .. })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GateRule { gate, rule } => write!(out, "gate {gate}, rule {rule}"),
            Self::ConfigRule { config, rule } => write!(out, "config {config}, rule {rule}"),
            Self::Experiment { experiment } => write!(out, "experiment {experiment}"),
            Self::Shipment { experiment } => write!(out, "shipped group of experiment {experiment}"),
            Self::Holdout { holdout } => write!(out, "release of holdout {holdout}"),
        }
    }
}

/// Where a launch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// More steps are to come.
    Ramping,
    /// More steps are to come, and a person has stopped them. It is still judged and protected.
    Paused,
    /// At its last step, and still compared with a control.
    Steady,
    /// Ended as planned.
    Completed,
    /// Ended by the guard.
    RolledBack,
    /// Ended by a person.
    Cancelled,
}

/// A stretch of constant allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub number: u32,
    /// Share served.
    pub percentage: f64,
    /// The largest share below 100 that is planned from here on. The control above it stays control until then.
    pub ceiling: f64,
    /// Other units reach the rule than before, so that those of earlier epochs may get something else now.
    pub regrouped: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none for the one in force.
    pub ended_at: Option<Timestamp>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// `control` and `treatment` for a gate; the group's name for an experiment.
    pub name: String,
    /// When the guard stopped it.
    pub stopped_at: Option<Timestamp>,
}

/// A metric as it was when the launch began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PinnedMetric {
    /// The metric.
    pub metric: Metric,
    /// Its revision.
    pub revision: i64,
    /// Its scale, frozen at the first look after burn-in.
    pub scale: Option<f64>,
}

/// A launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Unique id.
    pub id: LaunchId,
    /// 1 when made, and one more with each change.
    pub revision: i64,
    /// What it changes.
    pub target: Target,
    /// Unit type of its units.
    pub unit_type: String,
    /// Where it stands.
    pub state: LaunchState,
    /// The planned steps.
    pub steps: Vec<Step>,
    /// Index of the step in force.
    pub current_step: usize,
    /// Steps that may be left, by the word of a person.
    #[serde(default)]
    pub approvals: Vec<Approval>,
    /// Stretches of constant allocation, oldest first; never empty.
    pub epochs: Vec<Epoch>,
    /// What is compared; the first is the control.
    pub arms: Vec<Arm>,
    /// Every metric in use when it began.
    pub metrics: Vec<PinnedMetric>,
    /// Chance of a false rollback.
    pub alpha: f64,
    /// Evidence of 1 over this holds the launch.
    pub alpha_hold: f64,
    /// Whether the hold level was reached and not yet left again.
    pub warned: bool,
    /// The largest evidence of harm at any look that could be trusted.
    #[serde(default, skip_serializing_if = "LargestEvidence::is_none")]
    pub largest_evidence: LargestEvidence,
    /// Where the guard falls back to.
    pub rollback_percentage: f64,
    /// The policy it began under.
    #[serde(default)]
    pub policy: PinnedPolicy,
    /// Its own choice of guardrails, besides what the policy attaches.
    #[serde(default)]
    pub choice: GuardrailChoice,
    /// A person's word that lets it pass what holds or blocks it.
    #[serde(default)]
    pub overridden: Option<Override>,
    /// Who began it.
    pub principal: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Guardrails that a launch takes or leaves by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardrailChoice {
    /// Keys of metrics that are its guardrails although the policy attaches them not.
    pub add: Vec<String>,
    /// Keys of metrics that are not its guardrails although the policy attaches them.
    pub drop: Vec<String>,
}

/// A person's word that lets one launch pass what holds or blocks it, for a while. Harm is still acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Who.
    pub principal: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What it takes to begin a launch.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    /// Id to give it.
    pub id: LaunchId,
    /// What it changes.
    pub target: Target,
    /// Unit type of its units.
    pub unit_type: String,
    /// The steps, checked.
    pub steps: Vec<Step>,
    /// Names of the arms, the control first.
    pub arms: Vec<String>,
    /// Every metric in use.
    pub metrics: Vec<PinnedMetric>,
    /// Where the guard falls back to.
    pub rollback_percentage: f64,
    /// Who begins it.
    pub principal: String,
}

impl GuardrailChoice {
    /// Whether a metric is a guardrail by this choice under a policy.
    #[must_use]
    pub fn attaches(&self, policy: &Policy, metric: &Metric) -> bool {
        let has_tag = metric.tags.iter().any(|tag| policy.guardrail_tags.contains(tag));
        let is_required = metric.tags.iter().any(|tag| policy.required_tags.contains(tag));
        is_required || self.add.contains(&metric.key) || (has_tag && !self.drop.contains(&metric.key))
    }
}

impl Launch {
    /// Begins a launch at its first step, under the policy that is built in.
    #[must_use]
    pub fn begin(plan: LaunchPlan, now: Timestamp) -> Self {
        Self::begin_under(PinnedPolicy::default(), GuardrailChoice::default(), plan, now)
    }

    /// Begins a launch at its first step, under a policy.
    #[must_use]
    pub fn begin_under(
        mut policy: PinnedPolicy,
        choice: GuardrailChoice,
        plan: LaunchPlan,
        now: Timestamp,
    ) -> Self {
        policy.policy.cycle.get_or_insert_default();
        let percentage = plan.steps.first().map_or(0.0, |step| step.percentage);
        let arms = plan.arms.into_iter().map(|name| Arm { name, stopped_at: None }).collect();
        let mut launch = Self {
            id: plan.id,
            revision: 1,
            target: plan.target,
            unit_type: plan.unit_type,
            state: LaunchState::Steady,
            steps: plan.steps,
            current_step: 0,
            approvals: Vec::new(),
            epochs: Vec::new(),
            arms,
            metrics: plan.metrics,
            alpha: policy.policy.alpha,
            alpha_hold: policy.policy.alpha_hold,
            warned: false,
            largest_evidence: LargestEvidence::default(),
            rollback_percentage: plan.rollback_percentage,
            policy,
            choice,
            overridden: None,
            principal: plan.principal,
            started_at: now,
            ended_at: None,
        };
        launch.state = launch.state_of_step();
        launch.begin_epoch(percentage, now);
        launch
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, LaunchState::Ramping | LaunchState::Paused | LaunchState::Steady)
    }

    /// The step in force.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.current_step)
    }

    /// What the step in force needs before more units may get the treatment.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.step().map_or(Needs::Time, |step| step.needs)
    }

    /// Whether the step in force waits for a person's approval.
    #[must_use]
    pub fn awaits_approval(&self) -> bool {
        let is_approved = self.approvals.iter().any(|approval| approval.step == self.current_step);
        self.needs() == Needs::Approval && self.next_step().is_some() && !is_approved
    }

    /// The step after the one in force.
    #[must_use]
    pub fn next_step(&self) -> Option<&Step> {
        self.steps.get(self.current_step + 1)
    }

    /// The latest epoch.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// Share in force.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        self.epoch().map_or(0.0, |epoch| epoch.percentage)
    }

    /// Whether the share in force leaves units to both sides.
    #[must_use]
    pub fn has_both_arms(&self) -> bool {
        self.percentage() > 0.0 && (!self.target.splits_by_share() || self.percentage() < 100.0)
    }

    /// Name of the control arm.
    #[must_use]
    pub fn control(&self) -> &str {
        self.arms.first().map_or(CONTROL, |arm| arm.name.as_str())
    }

    /// The arms compared with the control that are still served.
    pub fn treatments(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().skip(1).filter(|arm| arm.stopped_at.is_none())
    }

    /// Its guardrails.
    pub fn guardrails(&self) -> impl Iterator<Item = &PinnedMetric> {
        self.metrics.iter().filter(|pinned| self.is_guardrail(&pinned.metric))
    }

    /// Whether a metric can hold it, or roll it back. One that is only reported stands against nothing.
    #[must_use]
    pub fn is_guardrail(&self, metric: &Metric) -> bool {
        let stands = metric.action != Action::Report && self.choice.attaches(&self.policy.policy, metric);
        stands && !self.is_for_show(metric)
    }

    /// Whether a metric says what it would do to it as a guardrail, and does nothing.
    #[must_use]
    pub fn is_for_show(&self, metric: &Metric) -> bool {
        self.policy.policy.shadow_guardrails.contains(&metric.key)
    }

    /// What a raise needs to be shown: evidence where the policy does not go on without.
    #[must_use]
    pub fn needs_safety(&self, needs: Needs) -> bool {
        needs == Needs::Evidence || self.policy.policy.undecided == Undecided::Hold
    }

    /// How much time its evidence must cover.
    #[must_use]
    pub fn cycle(&self) -> Cycle {
        self.policy.policy.cycle.unwrap_or(Cycle::NONE)
    }

    /// The override in force at `now`.
    #[must_use]
    pub fn override_at(&self, now: Timestamp) -> Option<&Override> {
        self.overridden.as_ref().filter(|overridden| now < overridden.expires_at)
    }

    /// Takes the next step, if there is one.
    pub fn advance(&mut self, now: Timestamp) {
        if let Some(percentage) = self.next_step().map(|step| step.percentage) {
            self.current_step += 1;
            self.state = self.state_of_step();
            self.begin_epoch(percentage, now);
        }
    }

    /// Keeps further steps from being taken.
    pub fn pause(&mut self) {
        self.state = LaunchState::Paused;
    }

    /// Lets further steps be taken again.
    pub fn resume(&mut self) {
        self.state = self.state_of_step();
    }

    /// Lets the step in force be left.
    pub fn approve(&mut self, principal: String, reason: String, now: Timestamp) {
        self.approvals.push(Approval { step: self.current_step, principal, reason, at: now });
    }

    /// Replaces the ramp by other steps, the first of them from now on. The epoch goes on where its share stays.
    pub fn replan(&mut self, steps: Vec<Step>, now: Timestamp) {
        let percentage = steps.first().map_or(0.0, |step| step.percentage);
        self.steps = steps;
        self.current_step = 0;
        self.approvals.clear();
        // A pause is lifted by its own name only.
        if self.state != LaunchState::Paused || self.next_step().is_none() {
            self.state = self.state_of_step();
        }
        #[expect(clippy::float_cmp, reason = "the same number is the same share")]
        if percentage != self.percentage() {
            self.begin_epoch(percentage, now);
        }
    }

    /// Ends the epoch in force and begins another with the same share, because other units are reached from now on.
    pub fn regroup(&mut self, now: Timestamp) {
        self.begin_epoch(self.percentage(), now);
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.regrouped = true;
        }
    }

    /// Ends the epoch in force and begins another.
    pub fn begin_epoch(&mut self, percentage: f64, now: Timestamp) {
        let number = self.epoch().map_or(1, |epoch| epoch.number + 1);
        let ceiling = if self.target.splits_by_share() {
            let planned = self.steps.iter().skip(self.current_step).map(|step| step.percentage);
            planned.filter(|planned| *planned < 100.0).fold(percentage, f64::max)
        } else {
            // Arms of an experiment never swap units, whatever its allocation.
            100.0
        };
        self.end_epoch(now);
        self.epochs.push(Epoch {
            number,
            percentage,
            ceiling,
            regrouped: false,
            started_at: now,
            ended_at: None,
        });
    }

    /// Until when the settled units of an epoch, whose arm no planned step changes, have been in the arm of their first
    /// exposure: the end of the last epoch since with a share from the epoch's own to its ceiling and with the same units
    /// reached; none while that goes on.
    #[must_use]
    pub fn settled_until(&self, epoch: &Epoch) -> Option<Timestamp> {
        let since = self.epochs.iter().skip_while(|other| other.number < epoch.number);
        let settled = |other: &&Epoch| {
            let same_units = other.number == epoch.number || !other.regrouped;
            same_units && (epoch.percentage..=epoch.ceiling).contains(&other.percentage)
        };
        since.take_while(settled).last().and_then(|last| last.ended_at)
    }

    /// Stops one arm; the others go on.
    pub fn stop_arm(&mut self, name: &str, now: Timestamp) {
        for arm in self.arms.iter_mut().filter(|arm| arm.name == name && arm.stopped_at.is_none()) {
            arm.stopped_at = Some(now);
        }
    }

    /// Ends the launch.
    pub fn end(&mut self, state: LaunchState, now: Timestamp) {
        self.state = state;
        self.ended_at = Some(now);
        self.end_epoch(now);
    }

    fn end_epoch(&mut self, now: Timestamp) {
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.ended_at.get_or_insert(now);
        }
    }

    fn state_of_step(&self) -> LaunchState {
        if self.next_step().is_some() { LaunchState::Ramping } else { LaunchState::Steady }
    }
}
