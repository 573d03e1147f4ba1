//! Which conditions can be written, as a table.

use serde_json::{Value, json};

use super::*;

/// What is wrong with a condition; empty where nothing is.
fn faults(written: &Value) -> Vec<String> {
    let condition: Condition = serde_json::from_value(written.clone()).unwrap();
    let mut checks = Checks::default();
    condition.check(&mut checks, "it");
    checks
        .finish()
        .err()
        .map(|invalid| invalid.0)
        .unwrap_or_default()
        .into_iter()
        .map(|fault| fault.field)
        .collect()
}

#[test]
fn what_all_readers_read_alike_can_be_written_and_nothing_else() {
    // Subject, operator, values that can be written, and values that can not.
    let exact = 9_007_199_254_740_992_i64;
    let table = [
        (
            json!({"attribute": "it"}),
            "any",
            json!([["a"], [1, 0.5, true], [exact], ["Ab", "ab"]]),
            json!([[], [""], [null], [["a"]], [{}], [exact + 1], [10.0], [0.00001], [1e21]]),
        ),
        (json!({"attribute": "it"}), "any_case_sensitive", json!([["Ab", "a"]]), json!([["Ab", "ab"]])),
        (json!({"attribute": "it"}), "array_contains_all", json!([["Ab", "a"]]), json!([["Ab", "ab"]])),
        (
            json!({"attribute": "it"}),
            "eq",
            json!([["a"], [0.1], [null], [false], [exact]]),
            json!([[], [""], ["a", "b"], [[]], [{}], [exact + 1]]),
        ),
        (
            json!({"attribute": "it"}),
            "gt",
            json!([[1], [-0.5], ["1e3"]]),
            json!([[], ["ten"], [" 1"], ["NaN"], [1, 2]]),
        ),
        (
            json!({"attribute": "it"}),
            "version_gt",
            json!([["2.10"], ["1-beta"]]),
            json!([["-1"], [""], ["2.x"], [2], [2.1], ["v2"]]),
        ),
        (
            json!({"attribute": "it"}),
            "before",
            json!([[10_000_000_000_i64], [253_402_300_799_999_i64]]),
            json!([
                [1_700_000_000],
                ["1700000000000"],
                [1_700_000_000_000.5],
                [-10_000_000_000_i64],
                [253_402_300_800_000_i64],
                ["2023-01-01T00:00:00Z"]
            ]),
        ),
        (
            json!({"attribute": "it"}),
            "str_matches",
            json!([["^a"]]),
            json!([["("], [""], [1], ["(?=a)"], ["\\w{500}"]]),
        ),
        (
            json!({"attribute": "it"}),
            "in_segment_list",
            json!([["vips"]]),
            json!([[], [1], ["a b"], ["a", "b"]]),
        ),
        (
            json!({"bucket": {"salt": "s", "unit_type": "user_id"}}),
            "any",
            json!([[-1], [0, 999]]),
            json!([[-2], [1000], ["5"], [0.5]]),
        ),
        (json!({"gate": "other"}), "fails", json!([[]]), json!([[true]])),
    ];
    for (subject, operator, good, bad) in table {
        for (values, expected) in [(good, vec![]), (bad, vec!["it.values"])] {
            for values in values.as_array().unwrap() {
                let mut written = subject.clone();
                written["operator"] = json!(operator);
                written["values"] = values.clone();
                let found: Vec<String> = faults(&written);
                let fields: Vec<&str> = found.iter().map(|field| field.split('[').next().unwrap()).collect();
                let fields: Vec<&str> = fields.into_iter().take(1).collect();
                assert_eq!(fields, expected, "{written}");
            }
        }
    }
}

#[test]
fn an_operator_must_suit_its_subject() {
    let bucket = json!({"bucket": {"salt": "s", "unit_type": "user_id"}});
    for (mut written, operator, values, suits) in [
        (bucket.clone(), "lt", json!([500]), true),
        (bucket.clone(), "none", json!([500]), true),
        (bucket.clone(), "any_case_sensitive", json!([500]), false),
        (bucket, "str_matches", json!(["5"]), false),
        (json!({"time": "now"}), "after", json!([1_700_000_000_000_i64]), true),
        (json!({"time": "now"}), "gt", json!([1_700_000_000_000_i64]), false),
        (json!({"gate": "other"}), "any", json!(["a"]), false),
        (json!({"unit": "user_id"}), "passes", json!([]), false),
    ] {
        written["operator"] = json!(operator);
        written["values"] = values;
        let expected: &[&str] = if suits { &[] } else { &["it.operator"] };
        assert_eq!(faults(&written), expected, "{written}");
    }
}

#[test]
fn an_entity_has_few_regular_expressions() {
    let pattern = Condition::attribute("email", Operator::StrMatches, vec![json!("^a")]);
    for (count, fits) in [(MAX_PATTERNS, true), (MAX_PATTERNS + 1, false)] {
        let conditions = vec![pattern.clone(); count];
        let mut checks = Checks::default();
        assert_eq!(has_few_patterns(&mut checks, "gate.rules", conditions.iter()), fits);
        assert_eq!(checks.finish().is_ok(), fits);
    }
}
