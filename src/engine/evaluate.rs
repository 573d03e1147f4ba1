//! A snapshot and a user in, a decision with its reason out. Total: it always decides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bucketing;
use super::reason::Reason;
use super::snapshot::{Condition, Outcome, Rule, Snapshot, Spec, WatchedArms};
use crate::domain::event::{Assignment, Exposure};
use crate::domain::experiment::BUCKETS;
use crate::domain::launch::{CONTROL, LaunchId, TREATMENT};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// Which kind of entity a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A gate.
    Gate,
    /// An experiment.
    Experiment,
}

/// What a user gets, and why.
#[derive(Debug, PartialEq)]
pub struct Decision<'s> {
    /// Yes from a gate; in a group of an experiment.
    pub passed: bool,
    /// Why.
    pub reason: Reason,
    /// The rule that decided; empty when none did.
    pub rule_id: &'s str,
    /// The group served.
    pub group: Option<ServedGroup<'s>>,
    /// What to record, unless the caller asks not to.
    pub exposure: Option<Exposed<'s>>,
}

/// A group and its parameters.
#[derive(Debug, PartialEq)]
pub struct ServedGroup<'s> {
    /// Its name.
    pub name: &'s str,
    /// What its units get.
    pub parameters: &'s BTreeMap<String, Value>,
}

/// That a unit was seen, and in which arm of which launch.
#[derive(Debug, PartialEq, Eq)]
pub struct Exposed<'s> {
    /// Unit type of the unit.
    pub unit_type: &'s str,
    /// When.
    pub at: Timestamp,
    /// The arm; none where nothing is being launched.
    pub arm: Option<ExposedArm<'s>>,
}

/// An arm of a launch.
#[derive(Debug, PartialEq, Eq)]
pub struct ExposedArm<'s> {
    /// The launch.
    pub launch: LaunchId,
    /// Number of its epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: &'s str,
    /// The guard has turned the arm off, and the unit got the default.
    pub reverted: bool,
}

impl Exposed<'_> {
    /// The record of this exposure for the user it was made for.
    #[must_use]
    pub fn record(&self, user: &User) -> Option<Exposure> {
        Some(Exposure {
            unit_type: self.unit_type.to_owned(),
            unit_id: user.unit(self.unit_type)?.to_owned(),
            at: self.at,
            assignment: self.arm.as_ref().map(|arm| Assignment {
                launch: arm.launch,
                epoch: arm.epoch,
                arm: arm.arm.to_owned(),
                reverted: arm.reverted,
            }),
        })
    }
}

impl Decision<'_> {
    fn no(reason: Reason) -> Self {
        Self { passed: false, reason, rule_id: "", group: None, exposure: None }
    }
}

/// Decides what a user gets from a gate or an experiment.
#[must_use]
pub fn evaluate<'s>(
    snapshot: &'s Snapshot,
    entity: Entity,
    key: &str,
    user: &User,
    now: Timestamp,
) -> Decision<'s> {
    let specs = match entity {
        Entity::Gate => &snapshot.gates,
        Entity::Experiment => &snapshot.experiments,
    };
    let Some(spec) = specs.get(key) else {
        return Decision::no(Reason::UnknownKey);
    };
    let Some(unit) = user.unit(&spec.unit_type) else {
        return Decision::no(if spec.rules.is_empty() { spec.fallback } else { Reason::MissingUnit });
    };
    let rule = spec.rules.iter().find(|rule| matches(rule, user, unit));
    let mut decision = rule.map_or_else(|| Decision::no(spec.fallback), |rule| decide(spec, rule, unit));
    let arm = rule.and_then(|rule| exposed_arm(spec, rule, unit));
    decision.exposure = Some(Exposed { unit_type: &spec.unit_type, at: now, arm });
    decision
}

fn matches(rule: &Rule, user: &User, unit: &str) -> bool {
    rule.conditions.iter().all(|condition| match condition {
        Condition::HeldOut(slice) => slice.contains(user),
        Condition::BucketBelow { salt, bound } => bucketing::bucket(salt, unit, BUCKETS) < *bound,
        Condition::BucketFrom { salt, bound } => bucketing::bucket(salt, unit, BUCKETS) >= *bound,
        Condition::Attribute(test) => test.holds(user),
        Condition::NotAll(tests) => !tests.iter().all(|test| test.holds(user)),
    })
}

fn decide<'s>(spec: &Spec, rule: &'s Rule, unit: &str) -> Decision<'s> {
    let group = match &rule.outcome {
        Outcome::Group(group) => Some(ServedGroup { name: &group.name, parameters: &group.parameters }),
        Outcome::Percentage(_) | Outcome::Nothing => None,
    };
    let within = match rule.outcome {
        Outcome::Percentage(percentage) => bucketing::passes(&spec.salt, &rule.id, unit, percentage),
        Outcome::Group(_) | Outcome::Nothing => false,
    };
    Decision {
        passed: within || group.is_some(),
        reason: rule.reason,
        rule_id: &rule.id,
        group,
        exposure: None,
    }
}

/// The arm of the launch that watches the rule.
fn exposed_arm<'s>(spec: &Spec, rule: &'s Rule, unit: &str) -> Option<ExposedArm<'s>> {
    let watch = rule.watch.as_ref()?;
    let (arm, reverted) = match &watch.arms {
        WatchedArms::ByPercentage { percentage, reverted } => {
            let treated = bucketing::passes(&spec.salt, &rule.id, unit, *percentage);
            (if treated { TREATMENT } else { CONTROL }, *reverted)
        }
        WatchedArms::Group { arm, reverted } => (arm.as_str(), *reverted),
    };
    Some(ExposedArm { launch: watch.launch, epoch: watch.epoch, arm, reverted })
}
