//! Whom a change of a gate, a segment or a holdout reaches: the targets of launches whose units depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::references::Referent;
use crate::domain::launch::Target;
use crate::engine::form::{Ruleset, Spec, SpecKind};

/// The gates, as targets without a rule, and the experiments whose conditions refer to a gate, segment or holdout of the
/// rule form, directly or through others. It is not among them itself.
pub(super) fn dependents(ruleset: &Ruleset, name: &str) -> BTreeSet<Target> {
    let mut reached: BTreeSet<&str> = BTreeSet::from([name]);
    let mut targets = BTreeSet::new();
    // One more level of nesting each time.
    loop {
        let found: Vec<(&String, &Arc<Spec>)> = referring(&ruleset.gates, &reached)
            .filter(|(other, _)| !reached.contains(other.as_str()))
            .collect();
        if found.is_empty() {
            break;
        }
        for (other, spec) in found {
            reached.insert(other);
            if spec.kind == SpecKind::Gate {
                targets.insert(Target::GateRule { gate: other.clone(), rule: String::new() });
            }
        }
    }
    let configs = referring(&ruleset.configs, &reached);
    let experiments = configs.filter(|(_, spec)| spec.kind == SpecKind::Experiment);
    targets.extend(experiments.map(|(key, _)| Target::Experiment { experiment: key.clone() }));
    targets
}

/// The entities with a condition that refers to one of these.
fn referring<'r>(
    specs: &'r BTreeMap<String, Arc<Spec>>,
    names: &BTreeSet<&str>,
) -> impl Iterator<Item = (&'r String, &'r Arc<Spec>)> {
    specs.iter().filter(|(_, spec)| {
        let conditions = spec.rules.iter().flat_map(|rule| &rule.conditions);
        let mut referents = conditions.filter_map(Referent::of);
        referents.any(|referent| names.contains(referent.name().as_str()))
    })
}
