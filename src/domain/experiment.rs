//! An experiment: groups of units that get different parameters.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bucket_set::{BUCKETS, BucketSet};
use super::condition::{Condition, check_conditions, has_few_patterns};
use super::key::{
    MAX_KEY_BYTES, check_document, check_hashed, check_key, check_percentage, check_salt, check_text,
    check_texts,
};
use super::parameters::{Parameters, check_parameters, check_shape};
use super::rule::MAX_RULES;
use super::stored::Document;
use super::violation::{Checks, Invalid};

/// Most groups of one experiment.
pub const MAX_GROUPS: usize = 100;

/// An experiment as people write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Unique name, also among dynamic configs.
    pub key: String,
    /// What is expected, and why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hypothesis: String,
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
    /// Two or more.
    pub groups: Vec<Group>,
    /// Name of the group that others are compared with.
    pub control_group: String,
    /// Share of units that take part, 0 to 100.
    pub allocation: f64,
    /// Who takes part; empty means everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targeting: Vec<Condition>,
    /// Units that are put in a group, whatever else is said. They are not measured. Those that do not list ids count only
    /// while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Layer whose parameters it sets, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// What units get that are in no group. Callers' defaults take the place of what is not given.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub default_parameters: Parameters,
    /// Keys of the metrics that the hypothesis is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primary_metrics: Vec<String>,
    /// Keys of further metrics to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_metrics: Vec<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Status::is_draft")]
    pub status: Status,
    /// Groups that the guard has stopped.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stopped_groups: BTreeSet<String>,
    /// The buckets that take part: in a layer, those of the layer that are its own. Without them the first ones, as
    /// many as the allocation says, of a draw under a salt of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<BucketSet>,
    /// Hashed to deal the buckets that take part, where that is not the layer's salt or this experiment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_salt: Option<String>,
    /// Whether targeting is tested before the allocation, as some imported experiments have it. It only decides which of
    /// the two reasons a unit gets that fails both.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub targeting_first: bool,
    /// Apps whose client keys may see it; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_apps: Vec<String>,
    /// Whether a user without an id of the unit type is drawn as if the id were empty, as imported entities have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draws_missing_units: bool,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Unique within the experiment.
    pub name: String,
    /// Id of its rule, where it was imported with another than its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Share of the experiment's units in percent.
    pub weight: f64,
    /// What its units get.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

/// Units that are put in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Unique within the experiment.
    pub id: String,
    /// Name of the group.
    pub group: String,
    /// Who: all must hold.
    pub conditions: Vec<Condition>,
}

/// Where an experiment stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// Being written.
    #[default]
    Draft,
    /// Running.
    Running,
    /// A group was shipped to everyone.
    Decided {
        /// Name of the shipped group.
        group: String,
        /// Share of units that get it, 0 to 100; the others get the control.
        #[serde(default = "everyone", skip_serializing_if = "is_everyone")]
        percentage: f64,
    },
    /// Ended without shipping.
    Abandoned,
}

fn everyone() -> f64 {
    100.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over this way")]
fn is_everyone(percentage: &f64) -> bool {
    *percentage >= 100.0
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => out.write_str("a draft"),
            Self::Running => out.write_str("running"),
            Self::Decided { group, .. } => write!(out, "decided for `{group}`"),
            Self::Abandoned => out.write_str("abandoned"),
        }
    }
}

impl Status {
    fn is_draft(&self) -> bool {
        *self == Self::Draft
    }
}

impl Document for Experiment {
    const KIND: &'static str = "experiment";

    fn key(&self) -> &str {
        &self.key
    }

    fn check(&self) -> Result<(), Invalid> {
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
        let overrides = self.overrides.iter().flat_map(|each| &each.conditions);
        if has_few_patterns(&mut checks, "experiment", self.targeting.iter().chain(overrides)) {
            check_conditions(&mut checks, "experiment.targeting", &self.targeting);
            self.check_overrides(&mut checks);
        }
        check_texts(&mut checks, "experiment.primary_metrics", &self.primary_metrics);
        check_texts(&mut checks, "experiment.secondary_metrics", &self.secondary_metrics);
        check_texts(&mut checks, "experiment.target_apps", &self.target_apps);
        if let Status::Decided { percentage, .. } = &self.status {
            check_percentage(&mut checks, "experiment.status.percentage", *percentage);
        }
        check_parameters(&mut checks, "experiment.default_parameters", &self.default_parameters);
        if let Some(layer) = &self.layer {
            check_key(&mut checks, "experiment.layer", layer);
        }
        let salt = self.allocation_salt.as_deref().unwrap_or_default();
        check_salt(&mut checks, "experiment.allocation_salt", salt);
        // Else the units that take part would all be of the first groups.
        checks.require(
            self.allocation_salt.as_ref() != Some(&self.salt),
            "experiment.allocation_salt",
            "must be another than the salt",
        );
        let count = self.buckets.as_ref().map_or(buckets(self.allocation), BucketSet::len);
        checks.require(
            count == buckets(self.allocation),
            "experiment.buckets",
            format!("must be as many as the allocation of {} % says, are {count}", self.allocation),
        );
        self.check_groups(&mut checks);
        checks.require(
            self.groups.iter().any(|group| group.name == self.control_group),
            "experiment.control_group",
            "must be the name of one of the groups",
        );
        checks.finish()
    }
}

impl Experiment {
    fn check_groups(&self, checks: &mut Checks) {
        let count = self.groups.len();
        checks.require(
            (2..=MAX_GROUPS).contains(&count),
            "experiment.groups",
            format!("must have 2 to {MAX_GROUPS}, has {count}"),
        );
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let none = Parameters::new();
        let shape = self.groups.first().map_or(&none, |group| &group.parameters);
        for (index, group) in self.groups.iter().take(MAX_GROUPS).enumerate() {
            let field = format!("experiment.groups[{index}]");
            let fits = !group.name.is_empty() && group.name.len() <= MAX_KEY_BYTES;
            checks.require(fits, format!("{field}.name"), format!("must be 1 to {MAX_KEY_BYTES} bytes"));
            let is_named_anew = names.insert(&group.name);
            checks.require(is_named_anew, format!("{field}.name"), "must be unique");
            let share = (0.0..=100.0).contains(&group.weight) && is_whole_buckets(group.weight);
            checks.require(
                share && buckets(group.weight) > 0,
                format!("{field}.weight"),
                format!("must be a multiple of 0.1 from 0.1 to 100, is {}", group.weight),
            );
            check_text(checks, &format!("{field}.id"), group.rule_id());
            // A name that is there twice is an id that is there twice as well.
            let has_own_id = ids.insert(group.rule_id()) || !is_named_anew;
            checks.require(has_own_id, format!("{field}.id"), "must be unique");
            let parameters = format!("{field}.parameters");
            check_parameters(checks, &parameters, &group.parameters);
            check_shape(checks, &parameters, &group.parameters, shape, "those of the first group");
        }
        if !self.default_parameters.is_empty() {
            let field = "experiment.default_parameters";
            check_shape(checks, field, &self.default_parameters, shape, "those of the groups");
        }
        let sum: u64 = self.groups.iter().map(|group| buckets(group.weight)).sum();
        let total: f64 = self.groups.iter().map(|group| group.weight).sum();
        checks.require(
            sum == BUCKETS.unsigned_abs(),
            "experiment.groups",
            format!("weights must sum to 100, sum to {total}"),
        );
    }

    fn check_overrides(&self, checks: &mut Checks) {
        let count = self.overrides.len();
        checks.require(
            count <= MAX_RULES,
            "experiment.overrides",
            format!("must have at most {MAX_RULES}, has {count}"),
        );
        let mut ids = BTreeSet::new();
        for (index, each) in self.overrides.iter().take(MAX_RULES).enumerate() {
            let field = format!("experiment.overrides[{index}]");
            check_text(checks, &format!("{field}.id"), &each.id);
            checks.require(
                ids.insert(&each.id),
                format!("{field}.id"),
                "must be unique within the experiment",
            );
            let known = self.group(&each.group).is_some();
            checks.require(known, format!("{field}.group"), "must be the name of one of the groups");
            let conditions = format!("{field}.conditions");
            checks.require(!each.conditions.is_empty(), &conditions, "must have at least one entry");
            check_conditions(checks, &conditions, &each.conditions);
        }
    }

    /// Names of the parameters that it sets.
    pub fn parameter_names(&self) -> impl Iterator<Item = &String> {
        self.groups.first().into_iter().flat_map(|group| group.parameters.keys())
    }

    /// The overrides that count as it stands. One that lists ids is for a look at a group, at any time; any other could let
    /// anybody in, and counts only while the guard watches.
    pub fn overrides_in_force(&self) -> impl Iterator<Item = &Override> {
        let is_running = self.status == Status::Running;
        self.overrides.iter().filter(move |each| is_running || each.lists_ids())
    }

    /// The buckets that take part.
    #[must_use]
    pub fn allocated(&self) -> BucketSet {
        self.buckets.clone().unwrap_or_else(|| BucketSet::first(buckets(self.allocation)))
    }

    /// The group of a name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

impl Override {
    /// Whether it is for listed ids alone.
    #[must_use]
    pub fn lists_ids(&self) -> bool {
        self.conditions.iter().any(Condition::lists_ids)
    }
}

impl Group {
    /// Id of the rule that serves it.
    #[must_use]
    pub fn rule_id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
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
    count.min(BUCKETS.unsigned_abs())
}

fn is_whole_buckets(percent: f64) -> bool {
    (percent * 10.0 - (percent * 10.0).round()).abs() < 1e-6
}
