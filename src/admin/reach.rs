//! Whom a change of a gate, a segment or a holdout reaches: the targets of launches whose units depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::references::Referent;
use crate::domain::launch::Target;
use crate::engine::form::{Ruleset, Spec, SpecKind};

/// An entity with a condition that refers to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Referrer {
    /// A gate or a segment, by its name in the rule form.
    Nested(String),
    /// An experiment.
    Experiment(String),
}

/// The gates, as targets without a rule, and the experiments whose conditions refer to a gate, segment or holdout of the
/// rule form, directly or through others. It is not among them itself.
pub(super) fn dependents(ruleset: &Ruleset, name: &str) -> BTreeSet<Target> {
    targets(ruleset, referrers(ruleset, name))
}

/// What refers to a gate, segment or holdout of the rule form directly.
pub(super) fn referrers(ruleset: &Ruleset, name: &str) -> BTreeSet<Referrer> {
    referring(ruleset, &BTreeSet::from([name.to_owned()]))
}

/// These, and whatever refers to them directly or through others, as targets.
pub(super) fn targets(ruleset: &Ruleset, referrers: BTreeSet<Referrer>) -> BTreeSet<Target> {
    let mut found = BTreeSet::new();
    let mut new = referrers;
    // One more level of nesting each time.
    while !new.is_empty() {
        let nested = new.iter().filter_map(|referrer| match referrer {
            Referrer::Nested(name) => Some(name.clone()),
            Referrer::Experiment(_) => None,
        });
        let nested: BTreeSet<String> = nested.collect();
        found.append(&mut new);
        new = referring(ruleset, &nested).difference(&found).cloned().collect();
    }
    found.into_iter().filter_map(|referrer| target(ruleset, referrer)).collect()
}

/// A segment is no target: nothing is launched by it alone.
fn target(ruleset: &Ruleset, referrer: Referrer) -> Option<Target> {
    match referrer {
        Referrer::Nested(gate) => {
            let is_gate = ruleset.gates.get(&gate).is_some_and(|spec| spec.kind == SpecKind::Gate);
            is_gate.then_some(Target::GateRule { gate, rule: String::new() })
        }
        Referrer::Experiment(experiment) => Some(Target::Experiment { experiment }),
    }
}

/// The entities with a condition that refers to one of these.
fn referring(ruleset: &Ruleset, names: &BTreeSet<String>) -> BTreeSet<Referrer> {
    let refers = |spec: &Spec| {
        let conditions = spec.rules.iter().flat_map(|rule| &rule.conditions);
        let mut referents = conditions.filter_map(Referent::of);
        referents.any(|referent| names.contains(&referent.name()))
    };
    let of = |specs: &BTreeMap<String, Arc<Spec>>, kinds: &[SpecKind]| -> Vec<String> {
        let of_kind = specs.iter().filter(|(_, spec)| kinds.contains(&spec.kind) && refers(spec));
        of_kind.map(|(name, _)| name.clone()).collect()
    };
    let nested = of(&ruleset.gates, &[SpecKind::Gate, SpecKind::Segment, SpecKind::Holdout]);
    let experiments = of(&ruleset.configs, &[SpecKind::Experiment]);
    let nested = nested.into_iter().map(Referrer::Nested);
    nested.chain(experiments.into_iter().map(Referrer::Experiment)).collect()
}
