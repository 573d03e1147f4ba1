//! The two JSON forms of a project's rules: lists with conditions inside (`v1`), and maps with conditions apart (`v2`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A project in the form with lists. SDKs of the older kind read it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectV1 {
    /// Always true in a full answer.
    pub has_updates: bool,
    /// Milliseconds since 1970 of the last change.
    pub time: i64,
    /// Gates, segments and holdouts.
    pub feature_gates: Vec<Entity<Condition>>,
    /// Dynamic configs and experiments.
    pub dynamic_configs: Vec<Entity<Condition>>,
    /// Layers.
    pub layer_configs: Vec<Entity<Condition>>,
    /// Experiments by layer.
    pub layers: BTreeMap<String, Vec<String>>,
    /// Names of the id lists.
    pub id_lists: BTreeMap<String, bool>,
    /// The environment of users for whom none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_environment: Option<String>,
    /// Hash of the key that it was rendered for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashed_sdk_key_used: Option<String>,
}

/// A project in the form with maps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectV2 {
    /// Always true in a full answer.
    pub has_updates: bool,
    /// Milliseconds since 1970 of the last change.
    pub time: i64,
    /// Gates, segments and holdouts.
    pub feature_gates: BTreeMap<String, Entity<String>>,
    /// Dynamic configs and experiments.
    pub dynamic_configs: BTreeMap<String, Entity<String>>,
    /// Layers.
    pub layer_configs: BTreeMap<String, Entity<String>>,
    /// Conditions by the name that rules refer to.
    pub condition_map: BTreeMap<String, Condition>,
    /// Layers by experiment.
    pub experiment_to_layer: BTreeMap<String, String>,
    /// Names of the id lists.
    pub id_lists: BTreeMap<String, bool>,
    /// The environment of users for whom none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_environment: Option<String>,
    /// Hash of the key that it was rendered for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashed_sdk_key_used: Option<String>,
    /// `dcs-v2`.
    pub response_format: String,
}

/// A gate, segment, holdout, dynamic config, experiment or layer. `C` is a condition, or the name of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity<C> {
    /// Only in the form with lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `feature_gate` or `dynamic_config`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Hashed with the unit's id.
    #[serde(default)]
    pub salt: String,
    /// False: everyone gets the default value.
    pub enabled: bool,
    /// False for what says yes or no, else an object.
    pub default_value: Value,
    /// In order.
    pub rules: Vec<Rule<C>>,
    /// Which id is bucketed.
    #[serde(default = "user_id")]
    pub id_type: String,
    /// `feature_gate`, `segment`, `holdout`, `dynamic_config`, `experiment`, `autotune` or `layer`.
    pub entity: String,
    /// Grows with changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The experiment is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// The experiment is in a layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_shared_params: Option<bool>,
    /// The layer's parameters that the experiment sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit_parameters: Option<Vec<String>>,
    /// Apps whose keys may see it.
    #[serde(default, rename = "targetAppIDs", skip_serializing_if = "Option::is_none")]
    pub target_app_ids: Option<Vec<String>>,
}

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule<C> {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// Its id.
    pub id: String,
    /// Hashed in place of the id; an empty one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Share of matching units that pass, 0 to 100.
    pub pass_percentage: f64,
    /// All must hold.
    pub conditions: Vec<C>,
    /// True for what says yes or no, else an object.
    pub return_value: Value,
    /// Which id is bucketed.
    #[serde(default = "user_id")]
    pub id_type: String,
    /// The group of matching units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// The experiment that decides for matching units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_delegate: Option<String>,
    /// The group is one that a running experiment compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_experiment_group: Option<bool>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is tested, in lower case.
    #[serde(rename = "type")]
    pub kind: String,
    /// One value or a list.
    #[serde(default)]
    pub target_value: Value,
    /// How it is compared, in lower case.
    #[serde(default)]
    pub operator: Option<String>,
    /// Which attribute.
    #[serde(default)]
    pub field: Option<String>,
    /// The salt of a bucket.
    #[serde(default)]
    pub additional_values: Option<Map<String, Value>>,
    /// Which id.
    #[serde(default = "user_id")]
    pub id_type: String,
}

/// The id type of the user id.
pub const USER_ID_TYPE: &str = "userID";

fn user_id() -> String {
    USER_ID_TYPE.to_owned()
}
