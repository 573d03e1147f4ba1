//! A snapshot and a user in, a decision with its reason out. Total: it always decides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bucketing;
use super::reason::Reason;
use super::snapshot::{Condition, Outcome, Rule, Snapshot, Spec, Watch, WatchedArms};
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
    /// No planned step changes the unit's arm.
    pub settled: bool,
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
                settled: arm.settled,
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
    let (decision, arm) =
        rule.map_or_else(|| (Decision::no(spec.fallback), None), |rule| decide(spec, rule, unit));
    Decision { exposure: Some(Exposed { unit_type: &spec.unit_type, at: now, arm }), ..decision }
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

fn decide<'s>(spec: &Spec, rule: &'s Rule, unit: &str) -> (Decision<'s>, Option<ExposedArm<'s>>) {
    let (passed, group, arm) = match &rule.outcome {
        Outcome::Nothing => (false, None, rule.watch.as_ref().and_then(exposed_group)),
        Outcome::Group(group) => {
            let served = ServedGroup { name: &group.name, parameters: &group.parameters };
            (true, Some(served), rule.watch.as_ref().and_then(exposed_group))
        }
        Outcome::Percentage(percentage) => {
            let part = bucketing::part(&spec.salt, &rule.id, unit);
            let passed = bucketing::is_within(part, *percentage);
            (passed, None, rule.watch.as_ref().and_then(|watch| exposed_share(watch, part, passed)))
        }
    };
    (Decision { passed, reason: rule.reason, rule_id: &rule.id, group, exposure: None }, arm)
}

/// The arm of a unit of a gate.
fn exposed_share(watch: &Watch, part: u64, passed: bool) -> Option<ExposedArm<'_>> {
    let WatchedArms::Share { percentage, ceiling } = watch.arms else {
        return None;
    };
    let treated = bucketing::is_within(part, percentage);
    Some(ExposedArm {
        launch: watch.launch,
        epoch: watch.epoch,
        arm: if treated { TREATMENT } else { CONTROL },
        settled: treated || !bucketing::is_within(part, ceiling),
        reverted: treated && !passed,
    })
}

/// The arm of a unit of an experiment.
fn exposed_group(watch: &Watch) -> Option<ExposedArm<'_>> {
    let WatchedArms::Group { arm, reverted } = &watch.arms else {
        return None;
    };
    Some(ExposedArm { launch: watch.launch, epoch: watch.epoch, arm, settled: true, reverted: *reverted })
}
