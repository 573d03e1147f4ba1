//! The part of a configuration that one key may see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::condition::Subject;
use crate::domain::sdk_key::SdkKey;
use crate::engine::form::{Rule, Ruleset, Spec, SpecKind, segment_name};
use crate::engine::reason::Reason;
use crate::engine::snapshot::Snapshot;

/// A configuration as the holders of one key get it.
#[derive(Clone, Debug, Default)]
pub struct Scoped {
    /// What may be seen, and what that is built on. Rules know no environments any more.
    pub ruleset: Ruleset,
    /// Gates that are there for others only.
    pub hidden_gates: BTreeSet<String>,
    /// Dynamic configs and experiments that are there for others only.
    pub hidden_configs: BTreeSet<String>,
}

/// Limits a configuration to what a key may see. Rules of other environments are left out, and those of its own hold
/// without a condition. What could not be compiled gives its default value to everyone, as it does here.
#[must_use]
pub fn scoped(ruleset: &Ruleset, snapshot: &Snapshot, key: &SdkKey) -> Scoped {
    let faulty: BTreeSet<(SpecKind, &str)> = snapshot.faulty().map(|(kind, name, _)| (kind, name)).collect();
    let limit = |specs: &BTreeMap<String, Arc<Spec>>| -> BTreeMap<String, Arc<Spec>> {
        let spec = |(name, spec): (&String, &Arc<Spec>)| {
            let is_faulty = faulty.contains(&(spec.kind, name.as_str()));
            (name.clone(), limited(spec, is_faulty, &key.environment))
        };
        specs.iter().map(spec).collect()
    };
    let mut ruleset = Ruleset {
        revision: ruleset.revision,
        gates: limit(&ruleset.gates),
        configs: limit(&ruleset.configs),
        layers: limit(&ruleset.layers),
        id_lists: ruleset.id_lists.clone(),
    };
    let visible = |specs: &BTreeMap<String, Arc<Spec>>| -> BTreeSet<String> {
        let seen = specs.iter().filter(|(_, spec)| key.sees(&spec.target_apps));
        seen.map(|(name, _)| name.clone()).collect()
    };
    let (gates, configs, layers) =
        (visible(&ruleset.gates), visible(&ruleset.configs), visible(&ruleset.layers));
    ruleset.layers.retain(|name, _| layers.contains(name));
    let mut hidden_configs = delegates(&ruleset);
    hidden_configs.retain(|name| !configs.contains(name));
    ruleset.configs.retain(|name, _| configs.contains(name) || hidden_configs.contains(name));
    let hidden_gates = asked_gates(&ruleset, &gates);
    ruleset.gates.retain(|name, _| gates.contains(name) || hidden_gates.contains(name));
    Scoped { ruleset, hidden_gates, hidden_configs }
}

/// An entity with the rules of one environment.
fn limited(spec: &Arc<Spec>, is_faulty: bool, environment: &str) -> Arc<Spec> {
    if is_faulty {
        return Arc::new(Spec { rules: Vec::new(), fallback: Reason::Faulty, ..Spec::clone(spec) });
    }
    if spec.rules.iter().all(|rule| rule.environments.is_empty()) {
        return Arc::clone(spec);
    }
    // Cases are ignored, as they are where a user says the environment.
    let environment = environment.to_lowercase();
    let is_own = |one: &String| one.to_lowercase() == environment;
    let is_meant = |rule: &&Rule| rule.environments.is_empty() || rule.environments.iter().any(is_own);
    let rules = spec.rules.iter().filter(is_meant);
    let rules = rules.map(|rule| Rule { environments: Vec::new(), ..rule.clone() }).collect();
    Arc::new(Spec { rules, ..Spec::clone(spec) })
}

/// Experiments that the layers hand units over to.
fn delegates(ruleset: &Ruleset) -> BTreeSet<String> {
    let rules = ruleset.layers.values().flat_map(|spec| &spec.rules);
    rules.filter_map(|rule| rule.delegate.clone()).collect()
}

/// Gates beyond the visible ones that conditions ask, directly or not.
fn asked_gates(ruleset: &Ruleset, visible: &BTreeSet<String>) -> BTreeSet<String> {
    let of_gates = ruleset.gates.iter().filter(|(name, _)| visible.contains(*name)).map(|(_, spec)| spec);
    let others = ruleset.configs.values().chain(ruleset.layers.values());
    let mut to_do: Vec<&Arc<Spec>> = of_gates.chain(others).collect();
    let mut asked = BTreeSet::new();
    while let Some(spec) = to_do.pop() {
        for condition in spec.rules.iter().flat_map(|rule| &rule.conditions) {
            let name = match &condition.subject {
                Subject::Gate(key) => key.clone(),
                Subject::Segment(key) => segment_name(key),
                _ => continue,
            };
            if let Some(inner) = ruleset.gates.get(&name).filter(|_| !visible.contains(&name))
                && asked.insert(name)
            {
                to_do.push(inner);
            }
        }
    }
    asked
}
