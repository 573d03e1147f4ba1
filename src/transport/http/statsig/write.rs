//! Writes the one rule form as the two JSON forms that SDKs download.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::dialect::{Condition, Entity, ProjectV1, ProjectV2, Rule, USER_ID_TYPE};
use super::names::{NameHash, djb2};
use crate::domain::condition::{
    self, Draw, EnvironmentField, IpField, Operator, Subject, TimeField, UserAgentField,
};
use crate::domain::parameters::Parameters;
use crate::domain::time::Timestamp;
use crate::domain::user::USER_ID;
use crate::engine::evaluate::MISSING_UNIT_RULE;
use crate::engine::form::{self, Ruleset, Spec, SpecKind, segment_name};

/// Enough of a hash that no two conditions ever share it.
const CONDITION_NAME_BYTES: usize = 24;

/// What is told along with the rules.
#[derive(Clone, Debug)]
pub struct Heading {
    /// When the configuration was changed; grows with every revision.
    pub changed_at: Timestamp,
    /// The environment of users for whom none is given.
    pub environment: String,
    /// The secret of the key that it is written for.
    pub secret: String,
}

/// The form with lists.
#[must_use]
pub fn write_v1(ruleset: &Ruleset, heading: &Heading) -> ProjectV1 {
    let write = |specs: &BTreeMap<String, Arc<Spec>>| -> Vec<Entity<Condition>> {
        let entity = |(name, spec): (&String, &Arc<Spec>)| Entity {
            name: Some(name.clone()),
            ..entity(spec, |condition| condition)
        };
        specs.iter().map(entity).collect()
    };
    let mut layers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (experiment, layer) in layers_of_experiments(ruleset) {
        layers.entry(layer).or_default().push(experiment);
    }
    ProjectV1 {
        has_updates: true,
        time: heading.changed_at.0,
        feature_gates: write(&ruleset.gates),
        dynamic_configs: write(&ruleset.configs),
        layer_configs: write(&ruleset.layers),
        layers,
        id_lists: id_lists(ruleset),
        default_environment: Some(heading.environment.clone()),
        hashed_sdk_key_used: Some(djb2(&heading.secret)),
    }
}

/// The form with maps.
#[must_use]
pub fn write_v2(ruleset: &Ruleset, heading: &Heading) -> ProjectV2 {
    let mut conditions = BTreeMap::new();
    let mut write = |specs: &BTreeMap<String, Arc<Spec>>| -> BTreeMap<String, Entity<String>> {
        let mut named = |condition| {
            let name = content_name(&condition);
            conditions.insert(name.clone(), condition);
            name
        };
        specs.iter().map(|(name, spec)| (name.clone(), entity(spec, &mut named))).collect()
    };
    let (feature_gates, dynamic_configs) = (write(&ruleset.gates), write(&ruleset.configs));
    let layer_configs = write(&ruleset.layers);
    ProjectV2 {
        has_updates: true,
        time: heading.changed_at.0,
        feature_gates,
        dynamic_configs,
        layer_configs,
        condition_map: conditions,
        experiment_to_layer: layers_of_experiments(ruleset).collect(),
        id_lists: id_lists(ruleset),
        default_environment: Some(heading.environment.clone()),
        hashed_sdk_key_used: Some(djb2(&heading.secret)),
        response_format: "dcs-v2".to_owned(),
    }
}

/// The same condition has the same name, and another has another.
fn content_name(condition: &Condition) -> String {
    let mut name = NameHash::Sha256.of(&json!(condition).to_string());
    name.truncate(CONDITION_NAME_BYTES);
    name
}

fn layers_of_experiments(ruleset: &Ruleset) -> impl Iterator<Item = (String, String)> {
    ruleset.configs.iter().filter_map(|(name, spec)| {
        let layer = spec.experiment.as_ref()?.layer.as_ref()?;
        ruleset.layers.contains_key(layer).then(|| (name.clone(), layer.clone()))
    })
}

fn id_lists(ruleset: &Ruleset) -> BTreeMap<String, bool> {
    ruleset.id_lists.keys().map(|name| (name.clone(), true)).collect()
}

fn entity<C>(spec: &Spec, mut place: impl FnMut(Condition) -> C) -> Entity<C> {
    let says_yes_or_no = spec.kind.says_yes_or_no();
    let facts = spec.experiment.as_ref();
    let layer = facts.filter(|facts| facts.layer.is_some());
    Entity {
        name: None,
        kind: if says_yes_or_no { "feature_gate" } else { "dynamic_config" }.to_owned(),
        salt: spec.salt.clone(),
        enabled: spec.enabled,
        default_value: value(says_yes_or_no, false, &spec.default_value),
        rules: rules(spec).iter().map(|one| rule(one, says_yes_or_no, &mut place)).collect(),
        id_type: id_type(&spec.unit_type),
        entity: match spec.kind {
            SpecKind::Gate => "feature_gate",
            SpecKind::Segment => "segment",
            SpecKind::Holdout => "holdout",
            SpecKind::Config => "dynamic_config",
            SpecKind::Experiment => "experiment",
            SpecKind::Layer => "layer",
        }
        .to_owned(),
        version: Some(spec.version),
        is_active: facts.map(|facts| facts.is_active),
        has_shared_params: layer.map(|_| true),
        explicit_parameters: layer.map(|facts| facts.explicit_parameters.clone()),
        target_app_ids: Some(spec.target_apps.clone()).filter(|apps| !apps.is_empty()),
    }
}

/// The rules with those for users without an id: of the entity's unit type before all of them, and of a rule's own unit type
/// before that rule.
fn rules(spec: &Spec) -> Vec<form::Rule> {
    // Some SDKs evaluate the rules of what is disabled, and an entity without rules needs none for missing units.
    if !spec.enabled || spec.rules.is_empty() {
        return Vec::new();
    }
    let mut rules = Vec::new();
    if spec.requires_unit {
        rules.extend(missing_unit(spec, &spec.unit_type, &[]));
    }
    for rule in &spec.rules {
        if spec.requires_unit && rule.unit_type != spec.unit_type && rule.delegate.is_none() {
            rules.extend(missing_unit(spec, &rule.unit_type, &rule.conditions));
        }
        rules.push(rule.clone());
    }
    rules
}

/// Rules that give the default value to users who meet the conditions and have no id of a unit type: one for a missing id, and
/// one for an empty one. All SDKs agree on these two conditions; without them they would draw the empty id.
fn missing_unit(spec: &Spec, unit_type: &str, conditions: &[condition::Condition]) -> [form::Rule; 2] {
    [Value::Null, json!("")].map(|missing| {
        let subject = Subject::Unit(unit_type.to_owned());
        let condition = condition::Condition { subject, operator: Operator::Eq, values: vec![missing] };
        let conditions = conditions.iter().cloned().chain([condition]).collect();
        let value = spec.default_value.clone();
        form::Rule { percentage: 0.0, value, ..form::Rule::new(MISSING_UNIT_RULE, unit_type, conditions) }
    })
}

fn rule<C>(rule: &form::Rule, says_yes_or_no: bool, place: &mut impl FnMut(Condition) -> C) -> Rule<C> {
    let mut conditions: Vec<C> =
        rule.conditions.iter().map(|one| place(write_condition(one, &rule.unit_type))).collect();
    if conditions.is_empty() {
        conditions.push(place(everyone()));
    }
    Rule {
        name: rule.id.clone(),
        id: rule.id.clone(),
        salt: rule.salt.clone(),
        pass_percentage: rule.percentage,
        conditions,
        return_value: value(says_yes_or_no, true, &rule.value),
        id_type: id_type(&rule.unit_type),
        group_name: rule.group.clone(),
        config_delegate: rule.delegate.clone(),
        is_experiment_group: rule.is_experiment_group.then_some(true),
    }
}

fn value(says_yes_or_no: bool, yes: bool, value: &Parameters) -> Value {
    if says_yes_or_no { Value::Bool(yes) } else { json!(value) }
}

/// The id type of a unit type.
pub(super) fn id_type(unit_type: &str) -> String {
    if unit_type == USER_ID { USER_ID_TYPE.to_owned() } else { unit_type.to_owned() }
}

/// A condition that always holds.
fn everyone() -> Condition {
    Condition {
        kind: "public".to_owned(),
        target_value: Value::Null,
        operator: None,
        field: None,
        additional_values: Some(Map::new()),
        id_type: USER_ID_TYPE.to_owned(),
    }
}

fn write_condition(condition: &condition::Condition, unit_type: &str) -> Condition {
    let mut written = Condition { id_type: id_type(unit_type), ..everyone() };
    let (kind, field) = match &condition.subject {
        Subject::Gate(key) => return nested(condition.operator, key.clone(), written),
        Subject::Segment(key) => return nested(condition.operator, segment_name(key), written),
        Subject::Attribute(name) => ("user_field", Some(canonical_field(name))),
        Subject::Unit(unit_type) => {
            written.id_type = id_type(unit_type);
            ("unit_id", None)
        }
        Subject::Bucket(Draw { salt, unit_type }) => {
            written.id_type = id_type(unit_type);
            written.additional_values = Some(Map::from_iter([("salt".to_owned(), json!(salt))]));
            ("user_bucket", None)
        }
        Subject::Environment(EnvironmentField::Tier) => ("environment_field", Some("tier")),
        Subject::UserAgent(field) => ("ua_based", Some(user_agent_field(*field))),
        Subject::Ip(IpField::Country) => ("ip_based", Some("country")),
        Subject::Time(TimeField::Now) => ("current_time", Some("time")),
    };
    kind.clone_into(&mut written.kind);
    written.field = field.map(str::to_owned);
    written.operator = Some(condition.operator.to_string());
    let takes_one = condition.operator.takes_one_value();
    written.target_value = match condition.values.as_slice() {
        [only] if takes_one => only.clone(),
        values => Value::Array(values.to_vec()),
    };
    written
}

fn nested(operator: Operator, name: String, written: Condition) -> Condition {
    let kind = if operator == Operator::Fails { "fail_gate" } else { "pass_gate" };
    Condition { kind: kind.to_owned(), target_value: Value::String(name), ..written }
}

/// The spelling of an attribute's name that all SDKs know.
fn canonical_field(name: &str) -> &str {
    match name.to_lowercase().as_str() {
        "userid" | "user_id" => USER_ID_TYPE,
        "email" => "email",
        "ip" => "ip",
        "useragent" | "user_agent" => "userAgent",
        "country" => "country",
        "locale" => "locale",
        "appversion" | "app_version" => "appVersion",
        _ => name,
    }
}

fn user_agent_field(field: UserAgentField) -> &'static str {
    match field {
        UserAgentField::BrowserName => "browser_name",
        UserAgentField::BrowserVersion => "browser_version",
        UserAgentField::OsName => "os_name",
        UserAgentField::OsVersion => "os_version",
    }
}
