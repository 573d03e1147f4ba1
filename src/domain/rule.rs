//! A rule: conditions, and the share of the units meeting them that passes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, check_conditions, has_few_patterns};
use super::key::{
    MAX_PROSE_BYTES, check_key, check_length, check_percentage, check_salt, check_text, check_texts,
};
use super::parameters::Parameters;
use super::violation::Checks;

/// Most rules of one entity.
pub const MAX_RULES: usize = 100;

/// One rule of a gate, a segment or a dynamic config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique within the entity; part of the hash unless there is a salt.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// All must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Share of matching units that pass, 0 to 100.
    pub percentage: f64,
    /// Environments that it is limited to; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Hashed in place of the id. Brought along by imports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Which id is bucketed, where it is another than the entity's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_type: Option<String>,
    /// What the passing units of a dynamic config get; empty for gates and segments.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub value: Parameters,
    /// Name of the group that the passing units of a dynamic config are in, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Rule {
    /// A rule for everyone.
    #[must_use]
    pub fn everyone(id: &str, percentage: f64) -> Self {
        Self {
            id: id.to_owned(),
            name: String::new(),
            conditions: Vec::new(),
            percentage,
            environments: Vec::new(),
            salt: None,
            unit_type: None,
            value: Parameters::new(),
            group: None,
        }
    }

    fn check(&self, checks: &mut Checks, field: &str) {
        check_text(checks, &format!("{field}.id"), &self.id);
        check_length(checks, &format!("{field}.name"), &self.name, MAX_PROSE_BYTES);
        check_conditions(checks, &format!("{field}.conditions"), &self.conditions);
        check_percentage(checks, &format!("{field}.percentage"), self.percentage);
        check_texts(checks, &format!("{field}.environments"), &self.environments);
        check_salt(checks, &format!("{field}.salt"), self.salt.as_deref().unwrap_or_default());
        if let Some(unit_type) = &self.unit_type {
            check_key(checks, &format!("{field}.unit_type"), unit_type);
        }
    }

    /// Whether other units can meet it than `before`, whatever its percentage.
    #[must_use]
    pub fn reaches_others(&self, before: &Self) -> bool {
        let reach = |rule: &Self| Self {
            name: String::new(),
            percentage: 0.0,
            value: Parameters::new(),
            group: None,
            ..rule.clone()
        };
        reach(self) != reach(before)
    }
}

/// Checks the rules of an entity; `kind` is the entity's field.
pub fn check_rules(checks: &mut Checks, kind: &str, rules: &[Rule]) {
    let conditions = rules.iter().flat_map(|rule| &rule.conditions);
    if !has_few_patterns(checks, &format!("{kind}.rules"), conditions) {
        return;
    }
    let count = rules.len();
    checks.require(
        count <= MAX_RULES,
        format!("{kind}.rules"),
        format!("must have at most {MAX_RULES}, has {count}"),
    );
    let mut ids = BTreeSet::new();
    for (index, rule) in rules.iter().take(MAX_RULES).enumerate() {
        let field = format!("{kind}.rules[{index}]");
        rule.check(checks, &field);
        checks.require(
            ids.insert(&rule.id),
            format!("{field}.id"),
            format!("must be unique within the {kind}"),
        );
    }
}
