//! What the benchmarks share: a project of many gates, in the form that SDKs download.

pub mod engine;
pub mod measured;

use portcullis::engine::compile::compile;
use portcullis::engine::form::Ruleset;
use portcullis::engine::snapshot::Snapshot;
use portcullis::transport::http::statsig::read::read;
use serde_json::{Map, Value, json};

/// How many gates there are.
pub const GATES: usize = 10_000;

/// The key of a gate.
pub fn key(index: usize) -> String {
    format!("gate_number_{index}")
}

/// A project of [`GATES`] gates: each lets 10 % of the users of three countries pass.
pub fn project() -> String {
    let conditions = json!({
        "three_countries": {
            "type": "user_field", "operator": "any", "field": "country", "idType": "userID",
            "targetValue": ["DE", "AT", "CH"], "additionalValues": {}
        }
    });
    let gate = |index: usize| {
        json!({
            "type": "feature_gate", "entity": "feature_gate", "idType": "userID", "enabled": true,
            "salt": format!("salt-{index}"), "defaultValue": false,
            "rules": [{
                "id": "some", "name": "some", "idType": "userID", "salt": format!("rule-salt-{index}"),
                "passPercentage": 10, "conditions": ["three_countries"], "returnValue": true
            }]
        })
    };
    let gates: Map<String, Value> = (0..GATES).map(|index| (key(index), gate(index))).collect();
    let project = json!({
        "has_updates": true, "time": 1, "feature_gates": gates, "dynamic_configs": {}, "layer_configs": {},
        "condition_map": conditions, "experiment_to_layer": {}, "id_lists": {}, "response_format": "dcs-v2"
    });
    project.to_string()
}

/// The same project, read.
pub fn ruleset() -> Ruleset {
    let read = read(&project()).expect("the project is valid");
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    read.ruleset
}

/// The same project, compiled.
pub fn snapshot() -> Snapshot {
    compile(&ruleset())
}
