//! Dynamic configs: made, changed, archived. They are no launches: what they give changes at once.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::references::rule_conditions;
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::config::DynamicConfig;
use crate::domain::experiment::Experiment;
use crate::domain::stored::Document;
use crate::domain::violation::Checks;
use crate::error::Result;

impl Administered for DynamicConfig {
    fn conditions(&self) -> Vec<(String, &Condition)> {
        rule_conditions("config", &self.rules)
    }

    fn namesake(catalogue: &Catalogue, key: &str) -> Option<&'static str> {
        catalogue.experiments.contains_key(key).then_some(Experiment::KIND)
    }

    fn changed(&self, _: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        check_fixed(&mut checks, "config.unit_type", &before.unit_type, &self.unit_type);
        check_fixed(&mut checks, "config.salt", &before.salt, &self.salt);
        Ok(checks.finish()?)
    }
}
