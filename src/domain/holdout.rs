//! A holdout: a slice of units that never gets a set of features.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::key::{check_document, check_hashed, check_percentage, check_salt, check_text, check_texts};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// Id of a holdout's rule, unless it was imported with another.
pub const HOLDOUT_RULE: &str = "holdout";

/// A holdout as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Unique name, also among gates.
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
    /// Share of units held out, 0 to 100.
    pub percentage: f64,
    /// Keys of the gates it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// Keys of the experiments it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<String>,
    /// Keys of the layers it covers, with the experiments in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// It covers all gates, experiments and layers, present and future.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub covers_all: bool,
    /// Where several holdouts hold a unit out, the one with the lowest precedence is named as the reason, then the one
    /// with the first key.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub precedence: u32,
    /// Id of its rule, where it was imported with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// Hashed in place of the rule's id, where it was imported with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_salt: Option<String>,
    /// Ids of the rules that hold units out, by what they cover, for example `gate:checkout`; brought along by imports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub link_ids: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over this way")]
fn is_zero(precedence: &u32) -> bool {
    *precedence == 0
}

/// What a holdout covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member<'m> {
    /// A gate.
    Gate(&'m str),
    /// An experiment, and the layer it is in.
    Experiment(&'m str, Option<&'m str>),
    /// A layer.
    Layer(&'m str),
}

impl fmt::Display for Member<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate(key) => write!(out, "gate:{key}"),
            Self::Experiment(key, _) => write!(out, "experiment:{key}"),
            Self::Layer(key) => write!(out, "layer:{key}"),
        }
    }
}

impl Document for Holdout {
    const KIND: &'static str = "holdout";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "holdout", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "holdout", &self.unit_type, &self.salt);
        check_percentage(&mut checks, "holdout.percentage", self.percentage);
        check_texts(&mut checks, "holdout.gates", &self.gates);
        check_texts(&mut checks, "holdout.experiments", &self.experiments);
        check_texts(&mut checks, "holdout.layers", &self.layers);
        let lists = [&self.gates, &self.experiments, &self.layers];
        checks.require(
            !self.covers_all || lists.iter().all(|list| list.is_empty()),
            "holdout.covers_all",
            "must be false where gates, experiments or layers are listed",
        );
        check_text(&mut checks, "holdout.rule_id", self.rule_id.as_deref().unwrap_or(HOLDOUT_RULE));
        check_salt(&mut checks, "holdout.rule_salt", self.rule_salt.as_deref().unwrap_or_default());
        for (member, id) in &self.link_ids {
            check_text(&mut checks, &format!("holdout.link_ids[{member}]"), id);
        }
        checks.finish()
    }
}

impl Holdout {
    /// Id of the rule that holds units out of a member.
    #[must_use]
    pub fn link_id(&self, member: Member<'_>) -> String {
        self.link_ids.get(&member.to_string()).cloned().unwrap_or_else(|| format!("holdout:{}", self.key))
    }
}
