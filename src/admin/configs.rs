//! Dynamic configs: made, changed, archived.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::references::rule_conditions;
use super::ruled::{Ruled, begin_launches, change_rules, end_launches};
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::launch::Target;
use crate::domain::rule::Rule;
use crate::domain::stored::Document;
use crate::domain::violation::Checks;
use crate::error::Result;

/// A rule that gives its value to a share of units is a launch, as a gate's rule is. The default value changes at once; since
/// that is what the control gets, launches begin a new epoch with it.
impl Administered for DynamicConfig {
    fn conditions(&self) -> Vec<(String, &Condition)> {
        rule_conditions("config", &self.rules)
    }

    fn namesake(catalogue: &Catalogue, key: &str) -> Option<&'static str> {
        catalogue.experiments.contains_key(key).then_some(Experiment::KIND)
    }

    fn made(&self, edit: &mut Edit) -> Result<()> {
        begin_launches(edit, self)
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        let (was, is) = (before.draws_missing_units, self.draws_missing_units);
        check_fixed(&mut checks, "config.draws_missing_units", &was, &is);
        checks.finish()?;
        change_rules(edit, before, self)
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        end_launches(edit, self, "the config was archived");
        Ok(())
    }
}

impl Ruled for DynamicConfig {
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

    fn changes_control(&self, before: &Self) -> bool {
        self.default_value != before.default_value
    }

    fn target(key: &str, rule: &str) -> Target {
        Target::ConfigRule { config: key.to_owned(), rule: rule.to_owned() }
    }
}
