//! An experiment: groups of units that get different parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::{Condition, check_conditions};
use super::key::{MAX_KEY_BYTES, check_document, check_hashed, check_percentage, check_texts};
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// Most groups of one experiment.
pub const MAX_GROUPS: usize = 100;
/// Most parameters of one group.
pub const MAX_PARAMETERS: usize = 1_000;
/// Most bytes of one group's parameters as JSON.
pub const MAX_PARAMETER_BYTES: usize = 262_144;
/// Shares of an experiment are dealt in this many buckets.
pub const BUCKETS: u64 = 1_000;

/// An experiment as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Unique name.
    pub key: String,
    /// What is expected, and why.
    pub hypothesis: String,
    /// Who answers for it.
    pub owner: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// Which id is bucketed.
    pub unit_type: String,
    /// Hashed with the unit's id.
    pub salt: String,
    /// Two or more.
    pub groups: Vec<Group>,
    /// Name of the group that others are compared with.
    pub control_group: String,
    /// Share of units that take part, 0 to 100.
    pub allocation: f64,
    /// Who takes part; empty means everyone.
    pub targeting: Vec<Condition>,
    /// Keys of the metrics that the hypothesis is about.
    pub primary_metrics: Vec<String>,
    /// Where it stands.
    pub status: Status,
    /// Groups that the guard has stopped.
    pub stopped_groups: BTreeSet<String>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Unique within the experiment.
    pub name: String,
    /// Share of the experiment's units in percent.
    pub weight: f64,
    /// What its units get.
    pub parameters: BTreeMap<String, Value>,
}

/// Where an experiment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// Being written.
    Draft,
    /// Running.
    Running,
    /// A group was shipped to everyone.
    Decided {
        /// Name of the shipped group.
        group: String,
    },
    /// Ended without shipping.
    Abandoned,
}

impl Document for Experiment {
    const KIND: &'static str = "experiment";

    fn key(&self) -> &str {
        &self.key
    }
}

impl Experiment {
    /// Checks the whole document.
    pub fn check(&self) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        let prose = ("hypothesis", self.hypothesis.as_str());
        check_document(&mut checks, "experiment", &self.key, prose, &self.owner, &self.tags);
        check_hashed(&mut checks, "experiment", &self.unit_type, &self.salt);
        check_percentage(&mut checks, "experiment.allocation", self.allocation);
        checks.require(
            is_whole_buckets(self.allocation),
            "experiment.allocation",
            format!("must be a multiple of 0.1, is {}", self.allocation),
        );
        check_conditions(&mut checks, "experiment.targeting", &self.targeting);
        check_texts(&mut checks, "experiment.primary_metrics", &self.primary_metrics);
        self.check_groups(&mut checks);
        checks.require(
            self.groups.iter().any(|group| group.name == self.control_group),
            "experiment.control_group",
            "must be the name of one of the groups",
        );
        checks.finish()
    }

    fn check_groups(&self, checks: &mut Checks) {
        let count = self.groups.len();
        checks.require(
            (2..=MAX_GROUPS).contains(&count),
            "experiment.groups",
            format!("must have 2 to {MAX_GROUPS}, has {count}"),
        );
        let mut names = BTreeSet::new();
        let shape = self.groups.first().map(|group| parameter_shape(&group.parameters)).unwrap_or_default();
        for (index, group) in self.groups.iter().take(MAX_GROUPS).enumerate() {
            let field = format!("experiment.groups[{index}]");
            let fits = !group.name.is_empty() && group.name.len() <= MAX_KEY_BYTES;
            checks.require(fits, format!("{field}.name"), format!("must be 1 to {MAX_KEY_BYTES} bytes"));
            checks.require(names.insert(&group.name), format!("{field}.name"), "must be unique");
            let share = (0.0..=100.0).contains(&group.weight) && is_whole_buckets(group.weight);
            checks.require(
                share && buckets(group.weight) > 0,
                format!("{field}.weight"),
                format!("must be a multiple of 0.1 from 0.1 to 100, is {}", group.weight),
            );
            let parameters = format!("{field}.parameters");
            checks.require(
                group.parameters.len() <= MAX_PARAMETERS,
                &parameters,
                format!("must have at most {MAX_PARAMETERS} entries"),
            );
            let bytes = serde_json::to_vec(&group.parameters).map_or(usize::MAX, |json| json.len());
            checks.require(
                bytes <= MAX_PARAMETER_BYTES,
                &parameters,
                format!("must have at most {MAX_PARAMETER_BYTES} bytes as JSON"),
            );
            checks.require(
                parameter_shape(&group.parameters) == shape,
                &parameters,
                "must have the same names and types as those of the first group",
            );
        }
        let sum: u64 = self.groups.iter().map(|group| buckets(group.weight)).sum();
        let total: f64 = self.groups.iter().map(|group| group.weight).sum();
        checks.require(
            sum == BUCKETS,
            "experiment.groups",
            format!("weights must sum to 100, sum to {total}"),
        );
    }

    /// The group of a name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// How many of the buckets a share in percent is; 0 for anything that is not a share.
#[must_use]
pub fn buckets(percent: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast clamps, and NaN is 0"
    )]
    let count = (percent * 10.0).round() as u64;
    count.min(BUCKETS)
}

fn is_whole_buckets(percent: f64) -> bool {
    (percent * 10.0 - (percent * 10.0).round()).abs() < 1e-6
}

/// Names of the parameters with the names of their JSON types.
fn parameter_shape(parameters: &BTreeMap<String, Value>) -> BTreeMap<&str, &'static str> {
    parameters.iter().map(|(name, value)| (name.as_str(), json_type(value))).collect()
}

/// The name of a value's JSON type.
#[must_use]
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
