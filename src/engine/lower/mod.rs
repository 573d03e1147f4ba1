//! Lowers the catalogue to the one rule form.

mod experiment;
mod gate;
mod layer;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::form::{IdList, Rule, Ruleset, Watch, WatchedArms, segment_name};
use super::reason::Reason;
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::{Condition, Operator};
use crate::domain::holdout::{Holdout, Member};
use crate::domain::launch::{Launch, LaunchState, Target};
use crate::domain::parameters::Parameters;
use crate::domain::rule;

/// Lowers everything.
#[must_use]
pub fn lower(catalogue: &Catalogue) -> Ruleset {
    let context = Context::new(catalogue);
    let mut ruleset = Ruleset { revision: catalogue.revision, ..Ruleset::default() };
    for (key, stored) in &catalogue.gates {
        ruleset.gates.insert(key.clone(), Arc::new(context.gate(stored)));
    }
    for (key, stored) in &catalogue.segments {
        ruleset.gates.insert(segment_name(key), Arc::new(gate::segment(stored)));
        if let Some(ids) = stored.document.ids.as_ref().filter(|_| !stored.archived) {
            let list = IdList::new(ids.iter().map(String::as_str), stored.revision, stored.updated_at);
            ruleset.id_lists.insert(key.clone(), Arc::new(list));
        }
    }
    for (key, stored) in &catalogue.holdouts {
        ruleset.gates.insert(key.clone(), Arc::new(context.holdout(stored)));
    }
    for (key, stored) in &catalogue.configs {
        ruleset.configs.insert(key.clone(), Arc::new(context.config(stored)));
    }
    for (key, stored) in &catalogue.experiments {
        let (spec, targeting) = context.experiment(stored);
        ruleset.configs.insert(key.clone(), Arc::new(spec));
        if let Some((name, spec)) = targeting {
            ruleset.gates.insert(name, Arc::new(spec));
        }
    }
    for (key, stored) in &catalogue.layers {
        ruleset.layers.insert(key.clone(), Arc::new(context.layer(stored)));
    }
    ruleset
}

/// What lowering one entity needs to know of the others.
struct Context<'c> {
    catalogue: &'c Catalogue,
    /// In order of precedence.
    holdouts: Vec<Covering<'c>>,
    launches: HashMap<&'c Target, &'c Launch>,
}

/// A holdout with what it covers, to be found among thousands.
struct Covering<'c> {
    holdout: &'c Holdout,
    gates: HashSet<&'c str>,
    experiments: HashSet<&'c str>,
    layers: HashSet<&'c str>,
}

impl<'c> Covering<'c> {
    fn new(holdout: &'c Holdout) -> Self {
        let keys = |keys: &'c [String]| keys.iter().map(String::as_str).collect();
        Self {
            holdout,
            gates: keys(&holdout.gates),
            experiments: keys(&holdout.experiments),
            layers: keys(&holdout.layers),
        }
    }

    /// Whether it holds units out of a gate, an experiment or a layer.
    fn covers(&self, member: Member<'_>) -> bool {
        self.holdout.covers_all
            || match member {
                Member::Gate(key) => self.gates.contains(key),
                Member::Experiment(key, layer) => {
                    self.experiments.contains(key) || layer.is_some_and(|layer| self.layers.contains(layer))
                }
                Member::Layer(key) => self.layers.contains(key),
            }
    }
}

impl<'c> Context<'c> {
    fn new(catalogue: &'c Catalogue) -> Self {
        let mut launches = HashMap::new();
        // The live launch of a target comes last, and stays.
        for live in [false, true] {
            let of_kind = catalogue.launches.values().filter(|launch| launch.is_live() == live);
            launches.extend(of_kind.map(|launch| (&launch.target, launch.as_ref())));
        }
        let in_use = catalogue.holdouts.values().filter(|stored| !stored.archived);
        let mut holdouts: Vec<&Holdout> = in_use.map(|stored| &stored.document).collect();
        holdouts.sort_by_key(|holdout| (holdout.precedence, &holdout.key));
        let holdouts = holdouts.into_iter().map(Covering::new).collect();
        Self { catalogue, holdouts, launches }
    }

    /// The rules that keep held out units from a member. With a value, units get it; without, they get no.
    fn holdout_rules(&self, member: Member<'_>, unit_type: &str, value: Option<&Parameters>) -> Vec<Rule> {
        let covering = self.holdouts.iter().filter(|covering| covering.covers(member));
        let rule = |Covering { holdout, .. }: &Covering<'_>| Rule {
            salt: Some(String::new()),
            percentage: if value.is_some() { 100.0 } else { 0.0 },
            value: value.cloned().unwrap_or_default(),
            reason: Reason::HeldOut,
            ..Rule::new(
                holdout.link_id(member),
                unit_type,
                vec![Condition::gate(&holdout.key, Operator::Passes)],
            )
        };
        covering.map(rule).collect()
    }
}

/// A rule that people wrote.
fn written_rule(rule: &rule::Rule, unit_type: &str) -> Rule {
    Rule {
        salt: rule.salt.clone(),
        environments: rule.environments.clone(),
        percentage: rule.percentage,
        value: rule.value.clone(),
        group: rule.group.clone(),
        ..Rule::new(&rule.id, rule.unit_type.as_deref().unwrap_or(unit_type), rule.conditions.clone())
    }
}

/// The arms of a launch that follow a share.
fn watch_of_share(launch: &Launch) -> Option<Watch> {
    let last = launch.epoch()?;
    let (epoch, _) = watched_epoch(launch)?;
    let arms = WatchedArms::Share { percentage: last.percentage, ceiling: last.ceiling };
    Some(watch(launch, epoch, arms))
}

/// What is recorded of a launch's units in an epoch.
fn watch(launch: &Launch, epoch: u32, arms: WatchedArms) -> Watch {
    Watch { launch: launch.id, epoch, arms, segments: launch.policy.policy.segments.clone() }
}

/// The number that exposures of a launch are recorded under, and whether it was rolled back; none where it is watched no
/// more.
fn watched_epoch(launch: &Launch) -> Option<(u32, bool)> {
    let last = launch.epoch()?;
    match launch.state {
        LaunchState::Ramping | LaunchState::Paused | LaunchState::Steady => Some((last.number, false)),
        // Who would have been treated goes on being recorded, so that recovery can be told.
        LaunchState::RolledBack => Some((last.number + 1, true)),
        LaunchState::Completed | LaunchState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests;
