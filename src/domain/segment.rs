//! A segment: a set of users that conditions elsewhere refer to, by rules or by a list of ids.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::gate::check_yes_or_no;
use super::key::{check_document, check_hashed, check_length};
use super::rule::{Rule, check_rules};
use super::stored::Document;
use super::user::MAX_UNIT_BYTES;
use super::violation::{Checks, Invalid};

/// Most ids of one segment.
pub const MAX_IDS: usize = 100_000;

/// A segment as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
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
    /// Which id is listed, or bucketed.
    pub unit_type: String,
    /// Hashed with the unit's id.
    pub salt: String,
    /// A user is in it when the first rule that matches says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Ids of its units, in place of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}

impl Document for Segment {
    const KIND: &'static str = "segment";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "segment", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "segment", &self.unit_type, &self.salt);
        check_rules(&mut checks, "segment", &self.rules);
        check_yes_or_no(&mut checks, "segment", &self.rules);
        let ids = self.ids.as_deref().unwrap_or_default();
        checks.require(
            self.rules.is_empty() || self.ids.is_none(),
            "segment.ids",
            "must be left out where there are rules; a segment has rules or ids",
        );
        checks.require(
            ids.len() <= MAX_IDS,
            "segment.ids",
            format!("must have at most {MAX_IDS} entries, has {}", ids.len()),
        );
        let mut listed = HashSet::new();
        for (index, id) in ids.iter().take(MAX_IDS).enumerate() {
            // A list with an id twice would look like one with two that differ by case only.
            if !listed.insert(id) {
                checks.require(false, format!("segment.ids[{index}]"), "must be listed once");
            }
            if id.is_empty() || id.len() > MAX_UNIT_BYTES {
                let field = format!("segment.ids[{index}]");
                checks.require(!id.is_empty(), &field, "must not be empty");
                check_length(&mut checks, &field, id, MAX_UNIT_BYTES);
            }
        }
        checks.finish()
    }
}
