//! Compiles the rule form: names become places, and what is written is parsed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::bucketing::Prefix;
use super::condition::{Condition, UnitRef};
use super::form::{self, Ruleset};
use super::nesting::nesting_faults;
use super::snapshot::{Rule, Snapshot, Spec};

/// Compiles everything. An entity that cannot be compiled faults alone.
#[must_use]
pub fn compile(ruleset: &Ruleset) -> Snapshot {
    let (mut specs, mut count) = (Vec::new(), 0);
    let mut places = |names: &BTreeMap<String, Arc<form::Spec>>| -> HashMap<String, usize> {
        let first = count;
        count += names.len();
        names.keys().cloned().zip(first..).collect()
    };
    let gates = places(&ruleset.gates);
    let configs = places(&ruleset.configs);
    let layers = places(&ruleset.layers);
    let faults = nesting_faults(&ruleset.gates);
    let compiler = Compiler { ruleset, gates: &gates, configs: &configs };
    for (name, spec) in &ruleset.gates {
        let fault = faults.get(name.as_str()).cloned();
        specs.push(compiler.spec(name, spec, fault));
    }
    for (name, spec) in ruleset.configs.iter().chain(&ruleset.layers) {
        specs.push(compiler.spec(name, spec, None));
    }
    Snapshot { revision: ruleset.revision, specs, gates, configs, layers }
}

struct Compiler<'r> {
    ruleset: &'r Ruleset,
    gates: &'r HashMap<String, usize>,
    configs: &'r HashMap<String, usize>,
}

impl Compiler<'_> {
    fn spec(&self, name: &str, form: &Arc<form::Spec>, fault: Option<String>) -> Spec {
        let rules = match fault {
            Some(fault) => Err(fault),
            None => form.rules.iter().map(|rule| self.rule(form, rule)).collect(),
        };
        let (rules, fault) = match rules {
            Ok(rules) => (rules, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        let unit = UnitRef::new(&form.unit_type);
        Spec { name: name.to_owned(), form: Arc::clone(form), unit, rules, fault }
    }

    fn rule(&self, spec: &form::Spec, rule: &form::Rule) -> Result<Rule, String> {
        let conditions = rule.all_conditions().enumerate().map(|(index, condition)| {
            let place = |name: &str| self.gates.get(name).copied();
            Condition::compile(&condition, self.ruleset, place)
                .ok_or_else(|| format!("rule `{}`: condition {} is not valid", rule.id, index + 1))
        });
        // An experiment that hands over to another would be a cycle.
        let delegate = rule.delegate.as_ref().filter(|name| {
            let named = self.ruleset.configs.get(*name);
            named.is_some_and(|spec| spec.rules.iter().all(|rule| rule.delegate.is_none()))
        });
        Ok(Rule {
            unit: UnitRef::new(&rule.unit_type),
            prefix: Prefix::of_rule(&spec.salt, rule.salt.as_deref().unwrap_or(&rule.id)),
            conditions: conditions.collect::<Result<_, String>>()?,
            delegate: delegate.and_then(|name| self.configs.get(name).copied()),
        })
    }
}
