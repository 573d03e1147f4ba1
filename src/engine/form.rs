//! The one rule form that every entity is lowered to: what SDKs download, and what is compiled here.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::bucketing;
use super::reason::Reason;
use crate::domain::condition::{Condition, EnvironmentField, Operator, Subject};
use crate::domain::launch::LaunchId;
use crate::domain::parameters::Parameters;
use crate::domain::time::Timestamp;

/// Everything that is evaluated, by name. Gates, segments and holdouts share one space of names; so do dynamic configs
/// and experiments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ruleset {
    /// Revision of the configuration it was lowered from.
    pub revision: i64,
    /// Gates by key, holdouts by key, segments by [`segment_name`].
    pub gates: BTreeMap<String, Arc<Spec>>,
    /// Dynamic configs and experiments by key.
    pub configs: BTreeMap<String, Arc<Spec>>,
    /// Layers by key.
    pub layers: BTreeMap<String, Arc<Spec>>,
    /// Id lists by key of their segment.
    pub id_lists: BTreeMap<String, Arc<IdList>>,
}

/// One entity: the first rule that matches decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What it was lowered from.
    pub kind: SpecKind,
    /// Which id is bucketed where a rule does not say otherwise.
    pub unit_type: String,
    /// Hashed with the unit's id.
    pub salt: String,
    /// False: everyone gets the default value.
    pub enabled: bool,
    /// A user without an id of the unit type gets the default value, and is not drawn as if the id were empty.
    pub requires_unit: bool,
    /// What a unit gets that no rule gives a value; empty for what says yes or no.
    pub default_value: Parameters,
    /// In order.
    pub rules: Vec<Rule>,
    /// The reason when no rule matches.
    pub fallback: Reason,
    /// Grows with changes of the entity; 0 when not known.
    pub version: i64,
    /// Apps whose client keys may see it; empty means all.
    pub target_apps: Vec<String>,
    /// For experiments, what they are beyond their rules.
    pub experiment: Option<ExperimentFacts>,
}

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecKind {
    /// A gate.
    Gate,
    /// A segment.
    Segment,
    /// A holdout: yes means held out.
    Holdout,
    /// A dynamic config.
    Config,
    /// An experiment.
    Experiment,
    /// A layer.
    Layer,
}

impl SpecKind {
    /// Whether it gives no value but yes or no.
    #[must_use]
    pub fn says_yes_or_no(self) -> bool {
        matches!(self, Self::Gate | Self::Segment | Self::Holdout)
    }
}

/// What an experiment is beyond its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExperimentFacts {
    /// It is running.
    pub is_active: bool,
    /// The layer it is in.
    pub layer: Option<String>,
    /// The layer's parameters that it sets.
    pub explicit_parameters: Vec<String>,
}

/// One rule: it matches when all conditions hold, and then decides alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Hashed in place of the id.
    pub salt: Option<String>,
    /// Which id is bucketed.
    pub unit_type: String,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Environments that it is limited to; empty means all.
    pub environments: Vec<String>,
    /// Share of matching units that pass, 0 to 100.
    pub percentage: f64,
    /// What passing units get; empty for what says yes or no.
    pub value: Parameters,
    /// The group that matching units are in.
    pub group: Option<String>,
    /// The group is one that a running experiment compares.
    pub is_experiment_group: bool,
    /// The experiment that decides for matching units.
    pub delegate: Option<String>,
    /// Why matching units get what they get.
    pub reason: Reason,
    /// The launch that watches it.
    pub watch: Option<Watch>,
}

/// The launch that watches a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The launch.
    pub launch: LaunchId,
    /// Number of its epoch.
    pub epoch: u32,
    /// Which arm a unit is in.
    pub arms: WatchedArms,
    /// Attributes of the user that are kept with the exposure.
    pub segments: Vec<String>,
}

/// Which arm a unit is in.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchedArms {
    /// Treatment within the percentage that the launch serves, or served before it was rolled back, else control. Control
    /// above the ceiling stays control through the planned steps.
    Share {
        /// In percent.
        percentage: f64,
        /// In percent.
        ceiling: f64,
    },
    /// Of a holdout: control within what it still holds out, treatment beyond that within what it held out before the
    /// launch; all others are in no arm.
    Released {
        /// Held out still, in percent.
        held: f64,
        /// Held out before, in percent.
        until: f64,
        /// The guard holds the treatment out again.
        reverted: bool,
    },
    /// A group of an experiment.
    Group {
        /// Its name.
        arm: String,
        /// The guard has turned it off.
        reverted: bool,
    },
}

/// Ids of a segment's units, by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdList {
    /// The digests, as [`bucketing::list_digest`] makes them.
    pub digests: HashSet<u64>,
    /// Changes when an id does.
    pub revision: i64,
    /// When the ids were last changed.
    pub updated_at: Timestamp,
}

impl IdList {
    /// A list of ids.
    #[must_use]
    pub fn new<'i>(ids: impl IntoIterator<Item = &'i str>, revision: i64, updated_at: Timestamp) -> Self {
        Self { digests: ids.into_iter().map(bucketing::list_digest).collect(), revision, updated_at }
    }
}

impl Rule {
    /// A rule for everyone that gives its value.
    #[must_use]
    pub fn new(id: impl Into<String>, unit_type: &str, conditions: Vec<Condition>) -> Self {
        Self {
            id: id.into(),
            salt: None,
            unit_type: unit_type.to_owned(),
            conditions,
            environments: Vec::new(),
            percentage: 100.0,
            value: Parameters::new(),
            group: None,
            is_experiment_group: false,
            delegate: None,
            reason: Reason::Rule,
            watch: None,
        }
    }

    /// Its conditions, the one on the environment included.
    pub fn all_conditions(&self) -> impl Iterator<Item = Condition> + '_ {
        let limit = (!self.environments.is_empty()).then(|| Condition {
            subject: Subject::Environment(EnvironmentField::Tier),
            operator: Operator::Any,
            values: self.environments.iter().cloned().map(Into::into).collect(),
        });
        limit.into_iter().chain(self.conditions.iter().cloned())
    }
}

/// The name of a segment among the gates.
#[must_use]
pub fn segment_name(key: &str) -> String {
    format!("{SEGMENT_PREFIX}{key}")
}

/// What names of segments begin with. They are never reported as exposures.
pub const SEGMENT_PREFIX: &str = "segment:";
