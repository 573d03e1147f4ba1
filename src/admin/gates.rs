//! Gates: made, changed, archived.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::reach::dependents;
use super::references::{Referent, rule_conditions};
use super::rollouts::{begin_launch_at_once, cancel_launch, end_launch, target, unit_type};
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::rule::Rule;
use crate::domain::stored::Document;
use crate::domain::violation::Checks;
use crate::engine::form::SEGMENT_PREFIX;
use crate::error::Result;

/// A rule above 0 percent is a launch. Whatever may let more units in passes the guard; percentages are changed by
/// [`Admin::set_rollout`](super::Admin::set_rollout).
impl Administered for Gate {
    fn conditions(&self) -> Vec<(String, &Condition)> {
        rule_conditions("gate", &self.rules)
    }

    fn namesake(catalogue: &Catalogue, key: &str) -> Option<&'static str> {
        catalogue.holdouts.contains_key(key).then_some(Holdout::KIND)
    }

    fn made(&self, edit: &mut Edit) -> Result<()> {
        check_no_segment("gate.key", &self.key)?;
        for rule in self.rules.iter().filter(|rule| self.enabled && rule.percentage > 0.0) {
            begin_launch_at_once(edit, self, rule)?;
        }
        Ok(())
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        check_unchanged(before, self)?;
        let wider: Vec<&Rule> = wider_rules(before, self).collect();
        if !wider.is_empty() {
            edit.allow_wider(&target(&self.key, ""))?;
        }
        for rule in wider {
            widen_rule(edit, self, rule)?;
        }
        for rule in before.rules.iter().filter(|rule| !self.enabled || self.rule(&rule.id).is_none()) {
            cancel_launch(edit, &self.key, &rule.id, "the rule was taken out of use");
        }
        if !decide_alike(before, self) {
            let dependents = dependents(edit.ruleset(), &self.key);
            // Switching off is always open.
            if self.enabled {
                edit.allow_all_wider(&dependents)?;
            }
            edit.regroup_all(&dependents, "a gate that it depends on was changed");
        }
        Ok(())
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        edit.pending.retires(Referent::Gate(&self.key));
        for rule in &self.rules {
            cancel_launch(edit, &self.key, &rule.id, "the gate was archived");
        }
        Ok(())
    }
}

/// A gate or holdout whose key looks like a segment's name would take that segment's place.
pub(super) fn check_no_segment(field: &str, key: &str) -> Result<()> {
    let mut checks = Checks::default();
    let message = format!("must not begin with `{SEGMENT_PREFIX}`");
    checks.require(!key.starts_with(SEGMENT_PREFIX), field, message);
    Ok(checks.finish()?)
}

/// Whether both lists of rules let the same units through.
pub(super) fn rules_decide_alike(one: &[Rule], other: &[Rule]) -> bool {
    let alike = |(one, other): (&Rule, &Rule)| Rule { name: other.name.clone(), ..one.clone() } == *other;
    one.len() == other.len() && one.iter().zip(other).all(alike)
}

fn check_unchanged(stored: &Gate, given: &Gate) -> Result<()> {
    let mut checks = Checks::default();
    check_fixed(&mut checks, "gate.unit_type", &stored.unit_type, &given.unit_type);
    check_fixed(&mut checks, "gate.salt", &stored.salt, &given.salt);
    let (was, is) = (stored.draws_missing_units, given.draws_missing_units);
    check_fixed(&mut checks, "gate.draws_missing_units", &was, &is);
    for (index, rule) in given.rules.iter().enumerate() {
        let before = stored.rule(&rule.id).map(|before| before.percentage);
        #[expect(clippy::float_cmp, reason = "the stored number itself is expected back")]
        let same = before.is_none_or(|before| before == rule.percentage);
        checks.require(
            same,
            format!("gate.rules[{index}].percentage"),
            format!("is changed with SetRollout; it is {}", before.unwrap_or_default()),
        );
    }
    Ok(checks.finish()?)
}

/// The rules of a gate that other units may reach than before: all when it is switched on, else those from the first one
/// on that is new, moved, or has other conditions. None while it is off.
fn wider_rules<'g>(stored: &Gate, given: &'g Gate) -> impl Iterator<Item = &'g Rule> {
    let same = |(before, after): &(&Rule, &Rule)| !after.reaches_others(before);
    let unmoved = match (stored.enabled, given.enabled) {
        (true, true) => stored.rules.iter().zip(&given.rules).take_while(same).count(),
        (false, true) => 0,
        (_, false) => given.rules.len(),
    };
    given.rules.iter().skip(unmoved)
}

/// A rule whose units may be others from now on: its live launch begins a new epoch; without one, a launch begins.
fn widen_rule(edit: &mut Edit, gate: &Gate, rule: &Rule) -> Result<()> {
    let launch = edit.catalogue().live_launch(&target(&gate.key, &rule.id)).cloned();
    match launch {
        Some(launch) if launch.unit_type == unit_type(gate, rule) => {
            edit.regroup(&launch, "the rule's conditions, draw or place were changed");
            return Ok(());
        }
        // What was seen of units of another kind says nothing of these.
        Some(launch) => end_launch(edit, &launch, "the rule draws units of another type"),
        None => {}
    }
    if rule.percentage > 0.0 { begin_launch_at_once(edit, gate, rule) } else { Ok(()) }
}

/// Whether both let the same units through.
fn decide_alike(one: &Gate, other: &Gate) -> bool {
    one.enabled == other.enabled && rules_decide_alike(&one.rules, &other.rules)
}
