//! Gates: made, changed, archived.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::reach::dependents;
use super::references::{Referent, rule_conditions};
use super::ruled::{Ruled, begin_launches, change_rules, end_launches};
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::Target;
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
        begin_launches(edit, self)
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        let (was, is) = (before.draws_missing_units, self.draws_missing_units);
        check_fixed(&mut checks, "gate.draws_missing_units", &was, &is);
        checks.finish()?;
        change_rules(edit, before, self)?;
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
        end_launches(edit, self, "the gate was archived");
        Ok(())
    }
}

impl Ruled for Gate {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn rules_mut(&mut self) -> &mut Vec<Rule> {
        &mut self.rules
    }

    fn unit_type(&self) -> &str {
        &self.unit_type
    }

    fn salt(&self) -> &str {
        &self.salt
    }

    fn is_enabled(&self) -> bool {
        self.enabled
    }

    fn target(key: &str, rule: &str) -> Target {
        Target::GateRule { gate: key.to_owned(), rule: rule.to_owned() }
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

/// Whether both let the same units through.
fn decide_alike(one: &Gate, other: &Gate) -> bool {
    one.enabled == other.enabled && rules_decide_alike(&one.rules, &other.rules)
}
