//! Everything a client needs for one user, decided here, in the form of the client SDKs.

use serde_json::{Map, Value, json};

use super::names::{NameHash, djb2_number};
use super::scope::Scoped;
use super::write::id_type;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::engine::evaluate::{Decision, Entity, Nested, evaluate};
use crate::engine::form::{Spec, SpecKind};
use crate::engine::snapshot::Snapshot;

/// The unit type of an id that stands for a device.
const DEVICE: &str = "stableid";

/// Decides everything that may be seen for one user, with names hashed. `snapshot` is the compiled form of `scoped`.
#[must_use]
pub fn initialize(
    scoped: &Scoped,
    snapshot: &Snapshot,
    user: &User,
    now: Timestamp,
    hash: NameHash,
) -> Map<String, Value> {
    let answer = Answer { scoped, hash };
    let ruleset = &scoped.ruleset;
    let decide = |entity: Entity, name: &str| evaluate(snapshot, entity, name, user, now);
    let gates = ruleset.gates.iter().filter(|(name, spec)| {
        // Segments and holdouts are asked by others only.
        spec.kind == SpecKind::Gate && !scoped.hidden_gates.contains(*name)
    });
    let gates = gates.map(|(name, spec)| answer.gate(name, spec, &decide(Entity::Gate, name)));
    let configs = ruleset.configs.iter().filter(|(name, _)| !scoped.hidden_configs.contains(*name));
    let configs = configs.map(|(name, spec)| {
        let entity = if spec.kind == SpecKind::Experiment { Entity::Experiment } else { Entity::Config };
        answer.config(name, spec, &decide(entity, name))
    });
    let layers =
        ruleset.layers.iter().map(|(name, spec)| answer.layer(name, spec, &decide(Entity::Layer, name)));
    let mut told = Map::from_iter([
        ("feature_gates".to_owned(), Value::Object(gates.collect())),
        ("dynamic_configs".to_owned(), Value::Object(configs.collect())),
        ("layer_configs".to_owned(), Value::Object(layers.collect())),
        ("param_stores".to_owned(), json!({})),
        ("sdkParams".to_owned(), json!({})),
        ("has_updates".to_owned(), json!(true)),
        ("hash_used".to_owned(), json!(hash.name())),
        ("evaluated_keys".to_owned(), evaluated_keys(user)),
    ]);
    if !user.private.is_empty() {
        told.insert("pa_hash".to_owned(), json!(private_hash(user)));
    }
    told
}

/// Tells a client whether its user's private attributes are those that answers were given for, without telling them.
fn private_hash(user: &User) -> String {
    let attributes = user.private.iter().map(|(name, value)| match value {
        Value::String(text) => djb2_number(&format!("{name}:{text}")),
        other => djb2_number(&format!("{name}:{other}")),
    });
    attributes.fold(0, u32::wrapping_add).to_string()
}

/// The ids that answers were given for.
fn evaluated_keys(user: &User) -> Value {
    let mut keys = Map::new();
    if !user.user_id.is_empty() {
        keys.insert("userID".to_owned(), json!(user.user_id));
    }
    if !user.custom_ids.is_empty() {
        keys.insert("customIDs".to_owned(), json!(user.custom_ids));
    }
    Value::Object(keys)
}

struct Answer<'a> {
    scoped: &'a Scoped,
    hash: NameHash,
}

impl Answer<'_> {
    fn gate(&self, name: &str, spec: &Spec, decision: &Decision<'_>) -> (String, Value) {
        let name = self.hash.of(name);
        let entry = json!({
            "name": name,
            "value": decision.passed,
            "rule_id": decision.rule_id,
            "id_type": id_type(&spec.unit_type),
            "secondary_exposures": self.exposures(&decision.nested),
        });
        (name, entry)
    }

    fn config(&self, name: &str, spec: &Spec, decision: &Decision<'_>) -> (String, Value) {
        let (name, mut entry) = self.entry(name, spec, decision);
        match &spec.experiment {
            Some(facts) => {
                entry.insert("is_experiment_active".to_owned(), json!(facts.is_active));
                entry.insert("is_user_in_experiment".to_owned(), json!(decision.is_in_experiment));
                if facts.layer.is_some() {
                    entry.insert("is_in_layer".to_owned(), json!(true));
                    entry.insert("explicit_parameters".to_owned(), json!(facts.explicit_parameters));
                }
            }
            None => {
                entry.insert("passed".to_owned(), json!(decision.passed));
            }
        }
        (name, Value::Object(entry))
    }

    fn layer(&self, name: &str, spec: &Spec, decision: &Decision<'_>) -> (String, Value) {
        let (name, mut entry) = self.entry(name, spec, decision);
        let experiment = decision.experiment.and_then(|experiment| {
            let facts = self.scoped.ruleset.configs.get(experiment)?.experiment.as_ref()?;
            Some((experiment, facts))
        });
        let own = decision.nested.get(..decision.own_nested).unwrap_or_default();
        entry.insert("undelegated_secondary_exposures".to_owned(), self.exposures(own));
        entry.insert("explicit_parameters".to_owned(), json!([]));
        if let Some((experiment, facts)) = experiment {
            entry.insert("explicit_parameters".to_owned(), json!(facts.explicit_parameters));
            entry.insert("allocated_experiment_name".to_owned(), json!(self.hash.of(experiment)));
            entry.insert("is_experiment_active".to_owned(), json!(facts.is_active));
            entry.insert("is_user_in_experiment".to_owned(), json!(decision.is_in_experiment));
        }
        (name, Value::Object(entry))
    }

    /// What answers of dynamic configs, experiments and layers have in common.
    fn entry(&self, name: &str, spec: &Spec, decision: &Decision<'_>) -> (String, Map<String, Value>) {
        let name = self.hash.of(name);
        let mut entry = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("value".to_owned(), json!(decision.value)),
            ("rule_id".to_owned(), json!(decision.rule_id)),
            ("group".to_owned(), json!(decision.rule_id)),
            ("id_type".to_owned(), json!(id_type(&spec.unit_type))),
            ("is_device_based".to_owned(), json!(spec.unit_type.eq_ignore_ascii_case(DEVICE))),
            ("secondary_exposures".to_owned(), self.exposures(&decision.nested)),
        ]);
        if let Some(group) = decision.group {
            entry.insert("group_name".to_owned(), json!(group));
        }
        (name, entry)
    }

    fn exposures(&self, nested: &[Nested<'_>]) -> Value {
        let exposure = |nested: &Nested<'_>| {
            json!({
                "gate": self.hash.of(nested.gate),
                "gateValue": nested.passed.to_string(),
                "ruleID": nested.rule_id,
            })
        };
        nested.iter().map(exposure).collect()
    }
}
