//! Commands that answer and end, run as a user runs them.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

/// What a command that succeeds writes.
fn told(arguments: &[&str]) -> String {
    let output = run(arguments);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

const LOOKS: [&str; 6] =
    ["analyze", "tests/data/signups_by_look.jsonl", "--control", "old", "--guardrail", "signup"];
const CUSTOMERS: [&str; 8] =
    ["analyze", "tests/data/customers.csv", "--unit", "customer", "--arm", "arm", "--control", "current"];

#[test]
fn a_published_table_is_judged_look_by_look() {
    let found: Value = serde_json::from_str(&told(&[&LOOKS[..], &["--json"]].concat())).unwrap();
    let looks = found["looks"].as_array().unwrap();
    let decisions: Vec<&str> = looks.iter().map(|look| look["decision"].as_str().unwrap()).collect();
    let expected = ["hold", "hold", "hold", "hold", "hold", "roll_back", "roll_back", "roll_back"];
    assert_eq!(decisions, expected);
    assert!(looks[3]["e_value"].as_f64().unwrap() > 20.0, "held although it is past the level");
    assert_eq!(found["rolled_back_at"], 6);
    assert!(told(&LOOKS).contains("decision: roll_back, at look 6"));
}

#[test]
fn a_table_is_judged_with_all_that_its_columns_offer() {
    let folder = TempDir::new().unwrap();
    let plot = folder.path().join("effects.svg");
    let plot = plot.to_str().unwrap();
    let guardrails =
        ["--guardrail", "spent:covariate=spent_before:cap=150", "--guardrail", "orders:per=visits"];
    let more = ["--segment", "country", "--plot", plot, "--format", "json"];
    let found: Value =
        serde_json::from_str(&told(&[&CUSTOMERS[..], &guardrails[..], &more[..]].concat())).unwrap();
    assert_eq!((&found["decision"], &found["units"]), (&"roll_back".into(), &2_000.into()));
    let harmed: Vec<&str> = found["segments"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|segment| segment["harm"] == true)
        .map(|segment| segment["metric"].as_str().unwrap())
        .collect();
    assert_eq!(harmed, ["spent", "orders/visits"]);
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg "));
}

#[test]
fn a_plan_is_told_in_words_and_as_json() {
    let plan = ["plan", "--variation", "3", "--effect", "0.1", "--share", "0.01", "--daily", "1000000"];
    assert!(told(&plan).contains("found in 50 % of launches"));
    let found: Value = serde_json::from_str(&told(&[&plan[..], &["--json"]].concat())).unwrap();
    let days = found["harm"][0]["delays"][1]["days"].as_f64().unwrap();
    assert!((days * 24.0 - 16.3).abs() < 0.1, "{days}");
}

#[test]
fn bad_input_fails_and_is_named() {
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &["analyze", "tests/data/none.csv", "--control", "old", "--guardrail", "x"],
            1,
            "cannot read tests/data/none.csv",
        ),
        (
            &["analyze", "tests/data/customers.csv", "--control", "current", "--guardrail", "spent"],
            1,
            "--unit: must be given for a table with one row a unit",
        ),
        (&["analyze", "tests/data/customers.csv"], 2, "--control <ARM>"),
        (&["plan", "--rate", "2", "--effect", "0.1"], 1, "--rate: must be above 0 and below 1, is 2"),
        (&["plan", "--effect", "0.1"], 2, "--rate <SHARE>"),
    ];
    for (arguments, code, expected) in cases {
        let output = run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
        assert!(complaint.contains(expected), "{complaint}");
        assert!(output.stdout.is_empty());
    }
}
