//! Bucketing and evaluation as Statsig does them.

mod imported;
mod sdks;

use portcullis::engine::bucketing;
use serde_json::Value;

const BUCKETING: &str = include_str!("bucketing.jsonl");

#[test]
fn units_keep_their_gates_and_groups_after_a_move_from_statsig() {
    let mut found = 0;
    for line in BUCKETING.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap();
        match text("kind") {
            "percentage" => {
                let percentage = case["percentage"].as_f64().unwrap();
                let passed = bucketing::passes(text("salt"), text("rule"), text("unit"), percentage);
                assert_eq!(passed, case["expected"].as_bool().unwrap(), "{line}");
            }
            "split" => {
                let bucket = bucketing::bucket(text("salt"), text("unit"));
                let bounds = case["bounds"].as_array().unwrap();
                let group = bounds.iter().position(|bound| bucket < bound.as_u64().unwrap()).unwrap();
                assert_eq!(case["groups"][group], case["expected"], "{line}");
            }
            kind => panic!("unknown kind {kind}"),
        }
        found += 1;
    }
    assert_eq!(found, 600);
}

#[test]
fn every_answer_of_the_real_sdks_is_reproduced() {
    let Some(folder) = crate::folder("statsig") else {
        return;
    };
    let checked = sdks::check_folder(&folder);
    if crate::is_own() {
        assert_eq!(checked, 51_967 + 1_080 + 120);
    }
}
