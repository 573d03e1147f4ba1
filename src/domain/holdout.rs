//! A holdout: a slice of units that never gets a set of features.

use serde::{Deserialize, Serialize};

use super::key::{check_document, check_hashed, check_percentage, check_texts};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// A holdout as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
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
    /// Share of units held out, 0 to 100.
    pub percentage: f64,
    /// Keys of the gates it covers.
    pub gates: Vec<String>,
    /// Keys of the experiments it covers.
    pub experiments: Vec<String>,
}

impl Document for Holdout {
    const KIND: &'static str = "holdout";

    fn key(&self) -> &str {
        &self.key
    }
}

impl Holdout {
    /// Checks the whole document.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("description", self.description.as_str());
        check_document(&mut checks, "holdout", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "holdout", &self.unit_type, &self.salt);
        check_percentage(&mut checks, "holdout.percentage", self.percentage);
        check_texts(&mut checks, "holdout.gates", &self.gates);
        check_texts(&mut checks, "holdout.experiments", &self.experiments);
        checks.finish()
    }
}
