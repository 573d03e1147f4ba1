//! Lowers the catalogue to the one rule form.

use std::collections::HashMap;
use std::sync::Arc;

use super::condition::AttributeTest;
use super::reason::Reason;
use super::snapshot::{Condition, Outcome, Rule, ServableGroup, Slice, Snapshot, Spec, Watch, WatchedArms};
use crate::domain::catalogue::Catalogue;
use crate::domain::condition;
use crate::domain::experiment::{BUCKETS, Experiment, Group, Status, buckets};
use crate::domain::gate::{Gate, GateRule};
use crate::domain::launch::{Launch, LaunchState, Target};
use crate::domain::stored::Stored;

/// Compiles everything. A document that cannot be compiled faults alone.
#[must_use]
pub fn compile(catalogue: &Catalogue) -> Snapshot {
    let context = Context::new(catalogue);
    let gates = catalogue.gates.iter().map(|(key, gate)| (key.clone(), context.gate(gate)));
    let experiments =
        catalogue.experiments.iter().map(|(key, experiment)| (key.clone(), context.experiment(experiment)));
    Snapshot { revision: catalogue.revision, gates: gates.collect(), experiments: experiments.collect() }
}

/// What lowering one entity needs to know of the others.
struct Context<'c> {
    gate_holdouts: HashMap<&'c str, Vec<(&'c str, Arc<Slice>)>>,
    experiment_holdouts: HashMap<&'c str, Vec<(&'c str, Arc<Slice>)>>,
    launches: HashMap<&'c Target, &'c Launch>,
}

impl<'c> Context<'c> {
    fn new(catalogue: &'c Catalogue) -> Self {
        let mut context = Self {
            gate_holdouts: HashMap::new(),
            experiment_holdouts: HashMap::new(),
            launches: HashMap::new(),
        };
        // In the order of their ids, so that the latest launch of a target stays.
        context.launches.extend(catalogue.launches.values().map(|launch| (&launch.target, launch.as_ref())));
        for stored in catalogue.holdouts.values().filter(|stored| !stored.archived) {
            let holdout = &stored.document;
            let slice = Arc::new(Slice {
                unit_type: holdout.unit_type.clone(),
                salt: holdout.salt.clone(),
                percentage: holdout.percentage,
            });
            for gate in &holdout.gates {
                let entry = context.gate_holdouts.entry(gate).or_default();
                entry.push((&holdout.key, Arc::clone(&slice)));
            }
            for experiment in &holdout.experiments {
                let entry = context.experiment_holdouts.entry(experiment).or_default();
                entry.push((&holdout.key, Arc::clone(&slice)));
            }
        }
        context
    }

    fn gate(&self, stored: &Stored<Gate>) -> Spec {
        let gate = &stored.document;
        if stored.archived || !gate.enabled {
            return closed(&gate.unit_type, &gate.salt, Reason::Disabled);
        }
        let mut rules = holdout_rules(self.gate_holdouts.get(gate.key.as_str()));
        for rule in &gate.rules {
            let Some(conditions) = attribute_tests(&rule.conditions) else {
                return closed(&gate.unit_type, &gate.salt, Reason::Faulty);
            };
            rules.push(Rule {
                id: rule.id.clone(),
                conditions: conditions.into_iter().map(Condition::Attribute).collect(),
                outcome: Outcome::Percentage(rule.percentage),
                reason: Reason::Rule,
                watch: self.watch_of_rule(gate, rule),
            });
        }
        Spec { unit_type: gate.unit_type.clone(), salt: gate.salt.clone(), rules, fallback: Reason::NoRule }
    }

    fn watch_of_rule(&self, gate: &Gate, rule: &GateRule) -> Option<Watch> {
        let target = Target::GateRule { gate: gate.key.clone(), rule: rule.id.clone() };
        let launch = self.launches.get(&target)?;
        let number = launch.epoch()?.number;
        let (epoch, percentage, reverted) = match launch.state {
            LaunchState::Ramping | LaunchState::Steady => (number, rule.percentage, false),
            // Who would have been treated goes on being recorded, so that recovery can be told.
            LaunchState::RolledBack => (number + 1, launch.percentage(), true),
            LaunchState::Completed | LaunchState::Cancelled => return None,
        };
        Some(Watch { launch: launch.id, epoch, arms: WatchedArms::ByPercentage { percentage, reverted } })
    }

    fn experiment(&self, stored: &Stored<Experiment>) -> Spec {
        let experiment = &stored.document;
        let mut rules = holdout_rules(self.experiment_holdouts.get(experiment.key.as_str()));
        match (&experiment.status, stored.archived) {
            (Status::Running, false) => match self.running_rules(experiment) {
                Some(running) => rules.extend(running),
                None => return closed(&experiment.unit_type, &experiment.salt, Reason::Faulty),
            },
            (Status::Decided { group }, false) => {
                rules.extend(experiment.group(group).map(|group| Rule {
                    id: group.name.clone(),
                    conditions: Vec::new(),
                    outcome: Outcome::Group(servable(group)),
                    reason: Reason::Decided,
                    watch: None,
                }));
            }
            (Status::Draft | Status::Abandoned, _) | (_, true) => {
                return closed(&experiment.unit_type, &experiment.salt, Reason::NotRunning);
            }
        }
        let (unit_type, salt) = (experiment.unit_type.clone(), experiment.salt.clone());
        Spec { unit_type, salt, rules, fallback: Reason::NotAllocated }
    }

    /// Allocation, then targeting, then the groups.
    fn running_rules(&self, experiment: &Experiment) -> Option<Vec<Rule>> {
        let refuse = |id: &str, condition, reason| Rule {
            id: id.to_owned(),
            conditions: vec![condition],
            outcome: Outcome::Nothing,
            reason,
            watch: None,
        };
        let mut rules = Vec::new();
        let allocated = buckets(experiment.allocation);
        if allocated < BUCKETS {
            // A salt of its own, so that being in the experiment says nothing about the group.
            let condition =
                Condition::BucketFrom { salt: format!("{}:allocation", experiment.salt), bound: allocated };
            rules.push(refuse("allocation", condition, Reason::NotAllocated));
        }
        if !experiment.targeting.is_empty() {
            let tests = attribute_tests(&experiment.targeting)?;
            rules.push(refuse("targeting", Condition::NotAll(tests), Reason::NotTargeted));
        }
        let target = Target::Experiment { experiment: experiment.key.clone() };
        let launch = self.launches.get(&target);
        let mut bound = 0;
        for group in &experiment.groups {
            bound += buckets(group.weight);
            let stopped = experiment.stopped_groups.contains(&group.name);
            rules.push(Rule {
                id: group.name.clone(),
                conditions: vec![Condition::BucketBelow { salt: experiment.salt.clone(), bound }],
                outcome: if stopped { Outcome::Nothing } else { Outcome::Group(servable(group)) },
                reason: if stopped { Reason::GroupStopped } else { Reason::Rule },
                watch: launch.and_then(|launch| watch_of_group(launch, group, stopped)),
            });
        }
        Some(rules)
    }
}

fn watch_of_group(launch: &Launch, group: &Group, stopped: bool) -> Option<Watch> {
    let epoch = launch.epoch()?.number;
    let arms = WatchedArms::Group { arm: group.name.clone(), reverted: stopped || !launch.is_live() };
    Some(Watch { launch: launch.id, epoch, arms })
}

fn holdout_rules(holdouts: Option<&Vec<(&str, Arc<Slice>)>>) -> Vec<Rule> {
    let rule = |(key, slice): &(&str, Arc<Slice>)| Rule {
        id: format!("holdout:{key}"),
        conditions: vec![Condition::HeldOut(Arc::clone(slice))],
        outcome: Outcome::Nothing,
        reason: Reason::HeldOut,
        watch: None,
    };
    holdouts.into_iter().flatten().map(rule).collect()
}

fn attribute_tests(conditions: &[condition::Condition]) -> Option<Vec<AttributeTest>> {
    conditions.iter().map(AttributeTest::compile).collect()
}

fn servable(group: &Group) -> ServableGroup {
    ServableGroup { name: group.name.clone(), parameters: group.parameters.clone() }
}

/// An entity that gives nothing to anyone.
fn closed(unit_type: &str, salt: &str, fallback: Reason) -> Spec {
    Spec { unit_type: unit_type.to_owned(), salt: salt.to_owned(), rules: Vec::new(), fallback }
}
