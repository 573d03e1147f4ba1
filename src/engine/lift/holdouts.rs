//! Holdouts, and the rules by which gates, experiments and layers heed them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::condition::{Condition, Operator, Subject};
use crate::domain::holdout::{HOLDOUT_RULE, Holdout, Member};
use crate::engine::form::{Rule, Ruleset, Spec, SpecKind};

/// The holdouts of a ruleset in an order that agrees with all rules that heed several.
#[derive(Debug)]
pub(super) struct Holdouts<'r> {
    ruleset: &'r Ruleset,
    /// Place in the order, by key.
    places: BTreeMap<&'r str, u32>,
}

/// A rule by which an entity heeds a holdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link<'r> {
    /// Key of the holdout.
    pub(super) holdout: &'r str,
    /// Id of the rule.
    pub(super) id: &'r str,
}

impl<'r> Holdouts<'r> {
    pub(super) fn new(ruleset: &'r Ruleset) -> Self {
        let keys = ruleset.gates.iter().filter(|(_, spec)| is_plain(spec)).map(|(key, _)| (key.as_str(), 0));
        let mut holdouts = Self { ruleset, places: keys.collect() };
        holdouts.places = (0..).zip(holdouts.in_order()).map(|(place, key)| (key, place)).collect();
        holdouts
    }

    /// The rules of an entity that heed holdouts, where they stand in the common order. In a gate they come first.
    pub(super) fn links(&self, spec: &'r Spec) -> &'r [Rule] {
        let run = self.run(spec);
        let places: Vec<Option<&u32>> =
            run.iter().map(|rule| self.places.get(holdout_of(rule).unwrap_or_default())).collect();
        if places.is_sorted_by(|before, after| before < after) { run } else { &[] }
    }

    /// What is asked by a rule that was found by [`Self::links`].
    pub(super) fn link(rule: &'r Rule) -> Option<Link<'r>> {
        holdout_of(rule).map(|holdout| Link { holdout, id: &rule.id })
    }

    /// A holdout with what heeds it.
    pub(super) fn lifted(&self, key: &str, spec: &Spec) -> Option<Holdout> {
        let rule = spec.rules.first().filter(|_| is_plain(spec))?;
        let mut holdout = Holdout {
            key: key.to_owned(),
            description: String::new(),
            owner: String::new(),
            tags: Vec::new(),
            unit_type: spec.unit_type.clone(),
            salt: spec.salt.clone(),
            percentage: rule.percentage,
            gates: Vec::new(),
            experiments: Vec::new(),
            layers: Vec::new(),
            covers_all: false,
            precedence: self.precedence(key),
            rule_id: Some(rule.id.clone()).filter(|id| id != HOLDOUT_RULE),
            rule_salt: rule.salt.clone().filter(|salt| *salt != rule.id),
            link_ids: BTreeMap::new(),
        };
        for (gate, spec) in self.ruleset.gates.iter().filter(|(_, spec)| spec.kind == SpecKind::Gate) {
            if self.heeds(spec, Member::Gate(gate), &mut holdout) {
                holdout.gates.push(gate.clone());
            }
        }
        for (layer, spec) in &self.ruleset.layers {
            if self.heeds(spec, Member::Layer(layer), &mut holdout) {
                holdout.layers.push(layer.clone());
            }
        }
        for (experiment, spec) in
            self.ruleset.configs.iter().filter(|(_, spec)| spec.kind == SpecKind::Experiment)
        {
            let layer = spec.experiment.as_ref().and_then(|facts| facts.layer.as_deref());
            let member = Member::Experiment(experiment, layer);
            // A holdout of a layer is one of the experiments in it.
            let by_layer = holdout.layers.iter().any(|covered| Some(covered.as_str()) == layer);
            if self.heeds(spec, member, &mut holdout) && !by_layer {
                holdout.experiments.push(experiment.clone());
            }
        }
        Some(holdout)
    }

    /// Whether an entity heeds the holdout; the id of its rule is noted where it is not the usual one.
    fn heeds(&self, spec: &'r Spec, member: Member<'_>, holdout: &mut Holdout) -> bool {
        let mut links = self.links(spec).iter().filter_map(Self::link);
        let Some(link) = links.find(|link| link.holdout == holdout.key) else {
            return false;
        };
        if holdout.link_id(member) != link.id {
            holdout.link_ids.insert(member.to_string(), link.id.to_owned());
        }
        true
    }

    /// None is needed where the order of keys says the same.
    fn precedence(&self, key: &str) -> u32 {
        let by_key = self.places.values().is_sorted();
        self.places.get(key).copied().filter(|_| !by_key).unwrap_or(0)
    }

    /// Rules that ask holdouts, next to each other.
    fn run(&self, spec: &'r Spec) -> &'r [Rule] {
        let asks = |rule: &&Rule| self.is_link(rule, spec);
        let before = match spec.kind {
            SpecKind::Gate => 0,
            // Overrides come first.
            SpecKind::Experiment | SpecKind::Layer => {
                spec.rules.iter().take_while(|rule| !asks(rule)).count()
            }
            SpecKind::Segment | SpecKind::Holdout | SpecKind::Config => return &[],
        };
        let rules = spec.rules.get(before..).unwrap_or_default();
        let count = rules.iter().take_while(asks).count();
        rules.get(..count).unwrap_or_default()
    }

    fn is_link(&self, rule: &Rule, spec: &Spec) -> bool {
        let asks = holdout_of(rule).is_some_and(|key| self.places.contains_key(key));
        // A gate says no to whom is held out; the others give their default value.
        let closes = if spec.kind == SpecKind::Gate {
            rule.percentage <= 0.0
        } else {
            rule.percentage >= 100.0 && rule.value == spec.default_value && rule.group.is_none()
        };
        asks && closes
            && rule.environments.is_empty()
            && rule.unit_type == spec.unit_type
            && rule.delegate.is_none()
    }

    /// The holdouts in an order that agrees with those of all rules, as far as there is one; else by key.
    fn in_order(&self) -> Vec<&'r str> {
        let specs = self
            .ruleset
            .gates
            .values()
            .chain(self.ruleset.configs.values())
            .chain(self.ruleset.layers.values());
        let runs: Vec<Vec<&str>> =
            specs.map(|spec| self.run(spec).iter().filter_map(holdout_of).collect()).collect();
        let mut waiting: BTreeSet<&'r str> = self.places.keys().copied().collect();
        let mut order = Vec::new();
        while let Some(first) = waiting.first().copied() {
            let comes_after = |key: &str, other: &str| {
                runs.iter().any(|run| {
                    let place = |wanted: &str| run.iter().position(|key| *key == wanted);
                    place(other).is_some() && place(key) > place(other)
                })
            };
            let free = waiting.iter().find(|key| !waiting.iter().any(|other| comes_after(key, other)));
            let next = free.copied().unwrap_or(first);
            waiting.remove(next);
            order.push(next);
        }
        order
    }
}

/// The gate that is all that a rule asks.
fn holdout_of(rule: &Rule) -> Option<&str> {
    match rule.conditions.as_slice() {
        [Condition { subject: Subject::Gate(key), operator: Operator::Passes, .. }] => Some(key),
        _ => None,
    }
}

/// Whether a holdout is a share of the units, and nothing else.
fn is_plain(spec: &Spec) -> bool {
    let [rule] = spec.rules.as_slice() else { return false };
    spec.kind == SpecKind::Holdout
        && spec.enabled
        && rule.conditions.is_empty()
        && rule.environments.is_empty()
        && rule.unit_type == spec.unit_type
}
