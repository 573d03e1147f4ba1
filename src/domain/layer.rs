//! A layer: parameters that several experiments share, each with buckets of its own.

use serde::{Deserialize, Serialize};

use super::key::{check_document, check_hashed, check_texts};
use super::parameters::{Parameters, check_parameters};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// A layer as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
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
    /// Hashed with the unit's id to deal the layer's buckets.
    pub salt: String,
    /// The shared parameters, with what units get that are in none of the experiments.
    pub parameters: Parameters,
    /// Apps whose client keys may see it; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_apps: Vec<String>,
    /// Whether a user without an id of the unit type is drawn as if the id were empty, as imported entities have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draws_missing_units: bool,
}

impl Document for Layer {
    const KIND: &'static str = "layer";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "layer", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "layer", &self.unit_type, &self.salt);
        check_texts(&mut checks, "layer.target_apps", &self.target_apps);
        check_parameters(&mut checks, "layer.parameters", &self.parameters);
        checks.finish()
    }
}
