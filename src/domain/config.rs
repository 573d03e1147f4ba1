//! A dynamic config: values per user, by ordered rules.

use serde::{Deserialize, Serialize};

use super::gate::enabled;
use super::key::{MAX_KEY_BYTES, check_document, check_hashed, check_texts};
use super::parameters::{Parameters, check_parameters};
use super::rule::{Rule, check_rules};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// A dynamic config as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicConfig {
    /// Unique name, also among experiments.
    pub key: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Which id is bucketed.
    pub unit_type: String,
    /// Hashed with the unit's id.
    pub salt: String,
    /// False: everyone gets the default value.
    #[serde(default = "enabled", skip_serializing_if = "Clone::clone")]
    pub enabled: bool,
    /// What units get that no rule gives a value.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub default_value: Parameters,
    /// The first one that matches decides: its value within the percentage, the default value outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Apps whose client keys may see it; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_apps: Vec<String>,
    /// Whether a user without an id of the unit type is drawn as if the id were empty, as imported entities have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draws_missing_units: bool,
}

impl DynamicConfig {
    /// The rule of an id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

impl Document for DynamicConfig {
    const KIND: &'static str = "config";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "config", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "config", &self.unit_type, &self.salt);
        check_texts(&mut checks, "config.target_apps", &self.target_apps);
        check_parameters(&mut checks, "config.default_value", &self.default_value);
        check_rules(&mut checks, "config", &self.rules);
        for (index, rule) in self.rules.iter().enumerate() {
            let field = format!("config.rules[{index}]");
            check_parameters(&mut checks, &format!("{field}.value"), &rule.value);
            let group = rule.group.as_deref().unwrap_or("_");
            let fits = !group.is_empty() && group.len() <= MAX_KEY_BYTES;
            checks.require(fits, format!("{field}.group"), format!("must be 1 to {MAX_KEY_BYTES} bytes"));
        }
        checks.finish()
    }
}
