//! A gate: yes or no per user, by ordered rules.

use serde::{Deserialize, Serialize};

use super::key::{check_document, check_hashed, check_texts};
use super::rule::{Rule, check_rules};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// A gate as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Unique name.
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
    /// False: off for everyone.
    #[serde(default = "enabled", skip_serializing_if = "Clone::clone")]
    pub enabled: bool,
    /// The first one that matches decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Apps whose client keys may see it; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_apps: Vec<String>,
    /// Whether a user without an id of the unit type is drawn as if the id were empty, as imported entities have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draws_missing_units: bool,
}

/// What a gate or a dynamic config is where it does not say.
pub(super) fn enabled() -> bool {
    true
}

impl Document for Gate {
    const KIND: &'static str = "gate";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "gate", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "gate", &self.unit_type, &self.salt);
        check_texts(&mut checks, "gate.target_apps", &self.target_apps);
        check_rules(&mut checks, "gate", &self.rules);
        check_yes_or_no(&mut checks, "gate", &self.rules);
        checks.finish()
    }
}

impl Gate {
    /// The rule of an id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

/// Checks that rules give no values: gates and segments say yes or no.
pub(super) fn check_yes_or_no(checks: &mut Checks, kind: &str, rules: &[Rule]) {
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("{kind}.rules[{index}]");
        checks.require(
            rule.value.is_empty(),
            format!("{field}.value"),
            "must be empty; it is for dynamic configs",
        );
        checks.require(
            rule.group.is_none(),
            format!("{field}.group"),
            "must be empty; it is for dynamic configs",
        );
    }
}
