//! What each kind of document is lowered to, as a table.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::catalogue::Shelf;
use crate::domain::launch::{LaunchId, LaunchPlan, LaunchState, Step};
use crate::domain::stored::{Document, Stored};
use crate::domain::time::Timestamp;
use crate::engine::form::Spec;

const NOW: Timestamp = Timestamp(0);

/// Documents in use, by their keys.
fn shelf<T: Document + DeserializeOwned>(documents: &Value) -> Shelf<T> {
    let read = |document: &Value| serde_json::from_value::<T>(document.clone()).unwrap();
    let documents = documents.as_array().into_iter().flatten().map(read);
    documents.map(|document| (document.key().to_owned(), Arc::new(Stored::new(document, NOW)))).collect()
}

fn catalogue(documents: &Value) -> Catalogue {
    Catalogue {
        gates: shelf(&documents["gates"]),
        segments: shelf(&documents["segments"]),
        holdouts: shelf(&documents["holdouts"]),
        configs: shelf(&documents["configs"]),
        layers: shelf(&documents["layers"]),
        experiments: shelf(&documents["experiments"]),
        ..Catalogue::default()
    }
}

/// An entity on one line, and each of its rules on another.
fn lines(spec: &Spec) -> Vec<String> {
    let unit = if spec.requires_unit { "" } else { ", or none" };
    let state = if spec.enabled { "" } else { ", closed" };
    let default = json!(spec.default_value);
    let head = format!("{:?} of {}{unit}{state}: {default}, {}", spec.kind, spec.unit_type, spec.fallback);
    std::iter::once(head).chain(spec.rules.iter().map(rule_line)).collect()
}

fn rule_line(rule: &Rule) -> String {
    let conditions: Vec<String> =
        rule.all_conditions().map(|condition| serde_json::to_string(&condition).unwrap()).collect();
    let salt = rule.salt.as_ref().map(|salt| format!(" salt `{salt}`")).unwrap_or_default();
    let group = rule.group.as_ref().map(|group| format!(" {group}")).unwrap_or_default();
    let compared = if rule.is_experiment_group { " compared" } else { "" };
    let delegate = rule.delegate.as_ref().map(|key| format!(" by {key}")).unwrap_or_default();
    let watch = rule.watch.as_ref().map(|watch| format!(" epoch {} {:?}", watch.epoch, watch.arms));
    format!(
        "{}{salt} [{}] {} % of {}: {}{group}{compared}{delegate}, {}{}",
        rule.id,
        conditions.join(" "),
        rule.percentage,
        rule.unit_type,
        json!(rule.value),
        rule.reason,
        watch.unwrap_or_default()
    )
}

/// Checks what all documents are lowered to, by name.
fn check(catalogue: &Catalogue, expected: &[(&str, &[&str])]) {
    let Ruleset { gates, configs, layers, .. } = lower(catalogue);
    let specs = gates.iter().chain(&configs).chain(&layers);
    let found: BTreeMap<&str, Vec<String>> = specs.map(|(name, spec)| (name.as_str(), lines(spec))).collect();
    for (name, lines) in expected {
        assert_eq!(found[name], *lines, "{name}");
    }
    assert_eq!(found.len(), expected.len(), "{:?}", found.keys());
}

#[expect(clippy::needless_pass_by_value, reason = "the tables are easier to read")]
fn gate(key: &str, rules: Value) -> Value {
    json!({"key": key, "description": "", "owner": "", "tags": [], "unit_type": "user_id", "salt": "s", "enabled": true,
           "rules": rules})
}

fn experiment(more: &Value) -> Value {
    let mut experiment = json!({
        "key": "exp", "unit_type": "user_id", "salt": "es", "control_group": "a", "allocation": 100.0,
        "groups": [{"name": "a", "weight": 33.3, "parameters": {"x": 1}},
                   {"name": "b", "weight": 66.7, "parameters": {"x": 2}}],
        "status": {"state": "running"}
    });
    for (name, value) in more.as_object().unwrap() {
        experiment[name] = value.clone();
    }
    experiment
}

#[test]
fn gates_keep_their_rules_behind_their_holdouts() {
    let rules = json!([
        {"id": "de", "percentage": 10.5, "conditions": [{"attribute": "country", "operator": "any", "values": ["DE"]}],
         "environments": ["staging"]},
        {"id": "all", "percentage": 0, "salt": "", "unit_type": "device"},
    ]);
    let mut off = gate("off", rules.clone());
    off["enabled"] = json!(false);
    let mut old = gate("old", json!([]));
    old["draws_missing_units"] = json!(true);
    let holdout =
        json!({"key": "hold", "unit_type": "device", "salt": "hs", "percentage": 5, "gates": ["on"]});
    let first = json!({"key": "zero", "unit_type": "user_id", "salt": "zs", "percentage": 1, "gates": ["on"],
                       "rule_id": "zero:1", "rule_salt": "zr", "link_ids": {"gate:on": "link"}});
    let mut second = holdout.clone();
    second["precedence"] = json!(1);
    let documents = json!({"gates": [gate("on", rules), off, old], "holdouts": [first, second]});
    check(
        &catalogue(&documents),
        &[
            (
                "on",
                &[
                    "Gate of user_id: {}, no rule",
                    r#"link salt `` [{"gate":"zero","operator":"passes"}] 0 % of user_id: {}, held out"#,
                    r#"holdout:hold salt `` [{"gate":"hold","operator":"passes"}] 0 % of user_id: {}, held out"#,
                    r#"de [{"environment":"tier","operator":"any","values":["staging"]} {"attribute":"country","operator":"any","values":["DE"]}] 10.5 % of user_id: {}, rule"#,
                    "all salt `` [] 0 % of device: {}, rule",
                ],
            ),
            ("off", &["Gate of user_id, closed: {}, disabled"]),
            ("old", &["Gate of user_id, or none: {}, no rule"]),
            (
                "zero",
                &["Holdout of user_id, or none: {}, no rule", "zero:1 salt `zr` [] 1 % of user_id: {}, rule"],
            ),
            ("hold", &["Holdout of device, or none: {}, no rule", "holdout [] 5 % of device: {}, rule"]),
        ],
    );
}

#[test]
fn segments_are_rules_or_ids_and_configs_have_values() {
    let list = |key: &str, ids: Value| json!({"key": key, "unit_type": "device", "salt": "", "ids": ids});
    let config = json!({
        "key": "config", "unit_type": "user_id", "salt": "", "enabled": true, "default_value": {"x": 0},
        "rules": [{"id": "r", "percentage": 50, "value": {"x": 1}, "group": "one"}]
    });
    let many: Vec<String> = (0..=1_000).map(|number| number.to_string()).collect();
    let documents = json!({
        "segments": [list("few", json!(["a", "B"])), list("cased", json!(["a", "A"])), list("none", json!([])),
                     list("many", json!(many))],
        "configs": [config],
    });
    let listed = |key: &str| {
        format!(
            r#"ids [{{"unit":"device","operator":"in_segment_list","values":["{key}"]}}] 100 % of device: {{}}, rule"#
        )
    };
    let segment = "Segment of device, or none: {}, no rule";
    check(
        &catalogue(&documents),
        &[
            (
                "segment:few",
                &[
                    segment,
                    r#"ids [{"unit":"device","operator":"any_case_sensitive","values":["a","B"]}] 100 % of device: {}, rule"#,
                ],
            ),
            ("segment:cased", &[segment, &listed("cased")]),
            ("segment:none", &[segment, &listed("none")]),
            ("segment:many", &[segment, &listed("many")]),
            (
                "config",
                &[r#"Config of user_id: {"x":0}, no rule"#, r#"r [] 50 % of user_id: {"x":1} one, rule"#],
            ),
        ],
    );
}

#[test]
fn experiments_hold_out_allocate_target_and_deal() {
    let one = experiment(&json!({"key": "one"}));
    let two = experiment(&json!({
        "key": "two", "allocation": 0.2, "default_parameters": {"x": 0}, "stopped_groups": ["b"],
        "targeting": [{"gate": "g", "operator": "passes"}],
        "overrides": [{"id": "qa", "group": "b", "conditions": [{"unit": "user_id", "operator": "any", "values": ["q"]}]}],
    }));
    let three = experiment(&json!({
        "key": "three", "targeting_first": true, "buckets": "0-999", "allocation_salt": "dice",
        "targeting": [{"gate": "g", "operator": "fails"}],
    }));
    let of = |key: &str, status: &Value| {
        experiment(&json!({"key": key, "status": status, "default_parameters": {"x": 0}}))
    };
    let holdout =
        json!({"key": "hold", "unit_type": "user_id", "salt": "", "percentage": 5, "experiments": ["two"]});
    let documents = json!({
        "experiments": [
            one, two, three, of("draft", &json!({"state": "draft"})), of("ended", &json!({"state": "abandoned"})),
            of("shipped", &json!({"state": "decided", "group": "b"})),
        ],
        "holdouts": [holdout],
    });
    let a = r#"a [{"bucket":{"salt":"es","unit_type":"user_id"},"operator":"lt","values":[333]}] 100 % of user_id: {"x":1} a compared, rule"#;
    let b = r#"b [{"bucket":{"salt":"es","unit_type":"user_id"},"operator":"lt","values":[1000]}] 100 % of user_id: {"x":2} b compared, rule"#;
    let given = r#"Experiment of user_id: {"x":0}, not allocated"#;
    check(
        &catalogue(&documents),
        &[
            ("one", &["Experiment of user_id: {}, not allocated", a, b]),
            (
                "two",
                &[
                    given,
                    // Whoever is put in a group that was stopped gets what all of it get.
                    r#"qa salt `` [{"unit":"user_id","operator":"any","values":["q"]}] 100 % of user_id: {"x":0}, group stopped"#,
                    r#"holdout:hold salt `` [{"gate":"hold","operator":"passes"}] 100 % of user_id: {"x":0}, held out"#,
                    r#"layerAssignment salt `` [{"bucket":{"salt":"es:allocation","unit_type":"user_id"},"operator":"none","values":[0,1]}] 100 % of user_id: {"x":0}, not allocated"#,
                    r#"targetingGate salt `` [{"gate":"g","operator":"fails"}] 100 % of user_id: {"x":0}, not targeted"#,
                    a,
                    r#"b [{"bucket":{"salt":"es","unit_type":"user_id"},"operator":"lt","values":[1000]}] 100 % of user_id: {"x":0}, group stopped"#,
                ],
            ),
            (
                "three",
                &[
                    "Experiment of user_id: {}, not allocated",
                    r#"inlineTargetingRules salt `` [{"segment":"inline_targeting:three","operator":"fails"}] 100 % of user_id: {}, not targeted"#,
                    r#"layerAssignment salt `` [{"bucket":{"salt":"dice","unit_type":"user_id"},"operator":"any","values":[-1]}] 100 % of user_id: {}, not allocated"#,
                    a,
                    b,
                ],
            ),
            (
                "segment:inline_targeting:three",
                &[
                    "Segment of user_id, or none: {}, no rule",
                    r#"inline_targeting [{"gate":"g","operator":"fails"}] 100 % of user_id: {}, rule"#,
                ],
            ),
            ("draft", &[given, r#"prestart salt `` [] 100 % of user_id: {"x":0}, not running"#]),
            ("ended", &[given, r#"abandoned salt `` [] 100 % of user_id: {"x":0}, not running"#]),
            ("shipped", &[given, r#"launchedGroup salt `` [] 100 % of user_id: {"x":2} b, decided"#]),
            ("hold", &["Holdout of user_id, or none: {}, no rule", "holdout [] 5 % of user_id: {}, rule"]),
        ],
    );
}

#[test]
fn layers_hand_their_buckets_over_with_all_of_their_parameters() {
    let layer = json!({"key": "layer", "unit_type": "user_id", "salt": "ls", "parameters": {"x": 0, "y": 0}});
    let overrides = json!([{"id": "qa", "group": "b", "conditions": [{"unit": "user_id", "operator": "any", "values": ["q"]}]}]);
    let within = |key: &str, more: Value| {
        let mut document = experiment(&more);
        document["key"] = json!(key);
        document["layer"] = json!("layer");
        document
    };
    let documents = json!({
        "layers": [layer],
        "experiments": [
            within("member", json!({"allocation": 0.1, "buckets": "7", "overrides": overrides})),
            within("draft", json!({"allocation": 0.1, "status": {"state": "draft"}})),
        ],
        "holdouts": [{"key": "hold", "unit_type": "user_id", "salt": "", "percentage": 5, "layers": ["layer"]}],
    });
    let all = r#"{"x":0,"y":0}"#;
    let q = r#"[{"unit":"user_id","operator":"any","values":["q"]}]"#;
    let held = format!(
        r#"holdout:hold salt `` [{{"gate":"hold","operator":"passes"}}] 100 % of user_id: {all}, held out"#
    );
    let head = format!("Experiment of user_id: {all}, not allocated");
    let bucket = r#"{"bucket":{"salt":"ls","unit_type":"user_id"}"#;
    let group = |bound: u32, rest: &str, name: &str| {
        format!(
            r#"{name} [{{"bucket":{{"salt":"es","unit_type":"user_id"}},"operator":"lt","values":[{bound}]}}] 100 % of user_id: {rest} {name} compared, rule"#
        )
    };
    check(
        &catalogue(&documents),
        &[
            (
                "layer",
                &[
                    &format!("Layer of user_id: {all}, not allocated"),
                    &format!("member qa salt `` {q} 100 % of user_id: {all} by member, rule"),
                    &held,
                    &format!(
                        r#"experimentAssignment salt `` [{bucket},"operator":"any","values":[7]}}] 100 % of user_id: {all} by member, rule"#
                    ),
                ],
            ),
            (
                "member",
                &[
                    &head,
                    &format!(r#"qa salt `` {q} 100 % of user_id: {{"x":2,"y":0}} b, override"#),
                    &held,
                    &format!(
                        r#"layerAssignment salt `` [{bucket},"operator":"none","values":[7]}}] 100 % of user_id: {all}, not allocated"#
                    ),
                    &group(333, r#"{"x":1,"y":0}"#, "a"),
                    &group(1_000, r#"{"x":2,"y":0}"#, "b"),
                ],
            ),
            ("draft", &[&head, &held, &format!("prestart salt `` [] 100 % of user_id: {all}, not running")]),
            ("hold", &["Holdout of user_id, or none: {}, no rule", "holdout [] 5 % of user_id: {}, rule"]),
        ],
    );
}

fn launch(number: u128, target: Target, steps: &[f64]) -> Launch {
    let plan = LaunchPlan {
        id: LaunchId(Uuid::from_u128(number)),
        target,
        unit_type: "user_id".to_owned(),
        steps: steps.iter().copied().map(Step::at_once).collect(),
        arms: vec!["a".to_owned(), "b".to_owned()],
        metrics: Vec::new(),
        rollback_percentage: 0.0,
        principal: String::new(),
    };
    Launch::begin(plan, NOW)
}

#[test]
fn launches_watch_the_rules_of_their_targets() {
    let rule = |id: &str| json!({"id": id, "percentage": 20});
    let documents = json!({
        "gates": [gate("gate", json!([rule("ramping"), rule("rolled_back"), rule("cancelled"), rule("none")]))],
        "experiments": [experiment(&json!({"stopped_groups": ["b"]}))],
    });
    let mut catalogue = catalogue(&documents);
    let of_rule = |rule: &str| Target::GateRule { gate: "gate".to_owned(), rule: rule.to_owned() };
    let ended = |number, target, state| {
        let mut launch = launch(number, target, &[20.0, 50.0]);
        launch.end(state, NOW);
        launch
    };
    for launch in [
        // Of an ended and a live launch of one target the live one watches, whichever is older.
        launch(1, of_rule("ramping"), &[20.0, 50.0, 100.0]),
        ended(2, of_rule("ramping"), LaunchState::RolledBack),
        ended(3, of_rule("rolled_back"), LaunchState::RolledBack),
        ended(4, of_rule("cancelled"), LaunchState::Cancelled),
        launch(5, Target::Experiment { experiment: "exp".to_owned() }, &[100.0]),
    ] {
        catalogue.launches.insert(launch.id, Arc::new(launch));
    }
    check(
        &catalogue,
        &[
            (
                "gate",
                &[
                    "Gate of user_id: {}, no rule",
                    "ramping [] 20 % of user_id: {}, rule epoch 1 Share { percentage: 20.0, ceiling: 50.0 }",
                    "rolled_back [] 20 % of user_id: {}, rule epoch 2 Share { percentage: 20.0, ceiling: 50.0 }",
                    "cancelled [] 20 % of user_id: {}, rule",
                    "none [] 20 % of user_id: {}, rule",
                ],
            ),
            (
                "exp",
                &[
                    "Experiment of user_id: {}, not allocated",
                    r#"a [{"bucket":{"salt":"es","unit_type":"user_id"},"operator":"lt","values":[333]}] 100 % of user_id: {"x":1} a compared, rule epoch 1 Group { arm: "a", reverted: false }"#,
                    r#"b [{"bucket":{"salt":"es","unit_type":"user_id"},"operator":"lt","values":[1000]}] 100 % of user_id: {}, group stopped epoch 1 Group { arm: "b", reverted: true }"#,
                ],
            ),
        ],
    );
}
