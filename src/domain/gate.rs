//! A gate: yes or no per user, by ordered rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, check_conditions};
use super::key::{MAX_PROSE_BYTES, check_document, check_hashed, check_key, check_length, check_percentage};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// Most rules of one gate.
pub const MAX_RULES: usize = 100;

/// A gate as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Unique name.
    pub key: String,
    /// What it is for.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Which id is bucketed.
    pub unit_type: String,
    /// Hashed with the unit's id.
    pub salt: String,
    /// False: off for everyone.
    pub enabled: bool,
    /// The first one that matches decides.
    pub rules: Vec<GateRule>,
}

/// One rule of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateRule {
    /// Unique within the gate; part of the hash.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Share of matching units that pass, 0 to 100.
    pub percentage: f64,
}

impl Document for Gate {
    const KIND: &'static str = "gate";

    fn key(&self) -> &str {
        &self.key
    }
}

impl Gate {
    /// Checks the whole document.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "gate", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "gate", &self.unit_type, &self.salt);
        let count = self.rules.len();
        checks.require(
            count <= MAX_RULES,
            "gate.rules",
            format!("must have at most {MAX_RULES}, has {count}"),
        );
        let mut ids = BTreeSet::new();
        for (index, rule) in self.rules.iter().take(MAX_RULES).enumerate() {
            let field = format!("gate.rules[{index}]");
            check_key(&mut checks, &format!("{field}.id"), &rule.id);
            checks.require(ids.insert(&rule.id), format!("{field}.id"), "must be unique within the gate");
            check_length(&mut checks, &format!("{field}.name"), &rule.name, MAX_PROSE_BYTES);
            check_conditions(&mut checks, &format!("{field}.conditions"), &rule.conditions);
            check_percentage(&mut checks, &format!("{field}.percentage"), rule.percentage);
        }
        checks.finish()
    }

    /// The rule of an id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&GateRule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The same gate with another percentage on one rule.
    #[must_use]
    pub fn with_percentage(&self, rule_id: &str, percentage: f64) -> Self {
        let mut gate = self.clone();
        for rule in gate.rules.iter_mut().filter(|rule| rule.id == rule_id) {
            rule.percentage = percentage;
        }
        gate
    }
}
