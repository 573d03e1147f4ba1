//! Arithmetic and bucketing against published vectors.
#![cfg(test)]

use portcullis::domain::metric::Direction;
use portcullis::engine::bucketing;
use portcullis::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
use portcullis::stats::moments::Moments;
use serde_json::Value;

const ENGINE_B: &str = include_str!("vectors/stats/spec_engineB.json");
const EPOCHS: &str = include_str!("vectors/stats/spec_epoch_combination.json");
const MULTIPLICITY: &str = include_str!("vectors/stats/spec_multiplicity_e.json");
const BUCKETING: &str = include_str!("vectors/statsig/bucketing.jsonl");

fn cases(file: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(file).unwrap()["cases"].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn assert_near(found: f64, expected: f64, absolute: f64, relative: f64, what: &str) {
    let reach = absolute + relative * expected.abs();
    assert!((found - expected).abs() <= reach, "{what}: {found}, expected {expected}");
}

fn moments(arm: &Value) -> Moments {
    let (sum, sum_squares) = (number(&arm["sum"]), number(&arm["sum_squares"]));
    Moments { n: arm["n"].as_u64().unwrap(), sum, sum_squares, nonzero: 0 }
}

/// Moments of units of which `ones` have the value 1 and the others 0.
fn proportion(n: u64, ones: u64) -> Moments {
    Moments { n, sum: ones as f64, sum_squares: ones as f64, nonzero: ones }
}

/// Evidence for harm where higher is better, on the scale of the control's mean.
fn fall(control: Moments, treatment: Moments, margin: f64) -> Evidence {
    let scale = control.mean().unwrap();
    epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(margin), scale).unwrap()
}

fn z(evidence: Evidence) -> f64 {
    evidence.score / evidence.information.sqrt()
}

#[test]
fn the_mixture_agrees_with_direct_evaluation_in_sixty_digits() {
    for case in cases(ENGINE_B) {
        let (id, input, output) = (case["id"].as_str().unwrap(), &case["input"], &case["output"]);
        let direction = match input["direction"].as_str().unwrap() {
            "lower_is_better" => Direction::LowerIsBetter,
            _ => Direction::HigherIsBetter,
        };
        let (control, treatment) = (moments(&input["control"]), moments(&input["treatment"]));
        let scale = number(&input["unit_U"]);
        let test = Test::Harm(number(&input["margin_relative"]));
        let found = epoch_evidence(&control, &treatment, direction, test, scale).unwrap();
        assert_near(found.score, number(&output["harm_score"]), 0.0, 1e-9, id);
        assert_near(found.information, number(&output["information"]), 0.0, 1e-9, id);
        assert_near(z(found), number(&output["harm_z"]), 0.0, 1e-9, id);
        assert_near(scale / found.information.sqrt(), number(&output["se_used"]), 0.0, 1e-10, id);
        let ln_e = e_process::ln_e(found);
        assert_near(ln_e, number(&output["log_e"]), 1e-8, 1e-9, id);
        assert_eq!(ln_e >= 20_f64.ln(), output["e_ge_20"].as_bool().unwrap(), "{id}");
    }
}

#[test]
fn epochs_add_their_scores_and_information() {
    for case in cases(EPOCHS) {
        let (id, output) = (case["id"].as_str().unwrap(), &case["output"]);
        let of_epoch = |epoch: &Value| {
            let (z, variance) = (number(&epoch["harm_z"]), number(&epoch["V"]));
            Evidence { score: z / variance.sqrt(), information: 1.0 / variance }
        };
        let epochs = case["input"]["epochs"].as_array().unwrap();
        let found = epochs.iter().map(of_epoch).reduce(|a, b| a + b).unwrap();
        assert_near(found.score, number(&output["harm_score"]), 0.0, 1e-12, id);
        assert_near(found.information, number(&output["information"]), 0.0, 1e-12, id);
        assert_near(z(found), number(&output["combined_z"]), 0.0, 1e-12, id);
        let effect = -found.score / found.information;
        assert_near(effect, number(&output["combined_rel_effect"]), 0.0, 1e-12, id);
        assert_near(e_process::ln_e(found), number(&output["log_e"]), 1e-9, 0.0, id);
    }
}

#[test]
fn a_launch_is_judged_by_its_weighted_mean_and_culprits_by_adjusted_values() {
    for case in cases(MULTIPLICITY) {
        let (id, input, output) = (case["id"].as_str().unwrap(), &case["input"], &case["output"]);
        let pairs = numbers(&input["e_values"]).into_iter().zip(numbers(&input["weights"]));
        let parts: Vec<Weighted> = pairs.map(|(e, weight)| Weighted { weight, ln_e: e.ln() }).collect();
        let threshold = 1.0 / number(&input["alpha"]);
        let launch = ln_weighted_sum(&parts).exp();
        assert_near(launch, number(&output["launch_e"]), 0.0, 1e-10, id);
        assert_eq!(launch >= threshold, output["rollback"].as_bool().unwrap(), "{id}");
        let adjusted: Vec<f64> = ln_adjusted(&parts).into_iter().map(f64::exp).collect();
        for (found, expected) in adjusted.iter().zip(numbers(&output["adjusted_e"])) {
            assert_near(*found, expected, 0.0, 1e-10, id);
        }
        let culprits: Vec<u64> =
            (0..).zip(&adjusted).filter(|(_, e)| **e >= threshold).map(|(at, _)| at).collect();
        let expected: Vec<u64> =
            output["culprits"].as_array().unwrap().iter().map(|at| at.as_u64().unwrap()).collect();
        assert_eq!(culprits, expected, "{id}");
    }
}

#[test]
fn a_fall_by_a_tenth_on_twenty_thousand_units_an_arm_is_harm() {
    let found = fall(proportion(20_000, 2_000), proportion(20_000, 1_800), 0.0);
    assert_near(z(found), 3.411, 5e-4, 0.0, "z");
    assert_near(found.score, 116.34, 5e-3, 0.0, "score");
    assert_near(found.information, 1_163.4, 5e-2, 0.0, "information");
    assert_near(e_process::ln_e(found).exp(), 43.7, 5e-2, 0.0, "e-value");
}

#[test]
fn the_same_fall_beyond_a_margin_of_two_percent_only_holds() {
    let found = fall(proportion(20_000, 2_000), proportion(20_000, 1_800), 0.02);
    assert_near(z(found), 2.756, 5e-4, 0.0, "z");
    assert_near(e_process::ln_e(found).exp(), 8.84, 5e-3, 0.0, "e-value");
}

#[test]
fn a_p_value_of_four_in_a_thousand_is_not_enough_for_one_who_looks_all_the_time() {
    let found = fall(proportion(50_000, 5_000), proportion(50_000, 4_750), 0.0);
    assert_near(z(found), 2.665, 5e-4, 0.0, "z");
    assert_near(e_process::ln_e(found).exp(), 6.9, 5e-2, 0.0, "e-value");
}

#[test]
fn a_total_loss_at_one_percent_is_harm_by_the_spread_of_both_arms() {
    let found = fall(proportion(99_000, 9_900), proportion(1_000, 0), 0.0);
    assert_near(z(found), 10.5, 5e-2, 0.0, "z");
    assert_near(e_process::ln_e(found), 46.2, 5e-2, 0.0, "ln e");
}

#[test]
fn a_total_loss_of_twenty_units_is_no_evidence_yet() {
    let (control, treatment) = (proportion(99_000, 9_900), proportion(20, 0));
    let found = epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(0.0), 0.1);
    assert_eq!(found, None);
    // Even if it counted, it would say little.
    let variance = control.variance().unwrap() * 98_999.0 / 99_018.0 * (1.0 / 20.0 + 1.0 / 99_000.0);
    let evidence = Evidence { score: 0.1 * 0.1 / variance, information: 0.1 * 0.1 / variance };
    assert_near(z(evidence), 1.49, 5e-3, 0.0, "z");
    assert_near(e_process::ln_e(evidence).exp(), 1.38, 5e-3, 0.0, "e-value");
}

#[test]
fn one_guardrail_of_ten_can_carry_a_rollback() {
    let mut parts = vec![Weighted { weight: 0.1, ln_e: f64::NEG_INFINITY }; 10];
    parts[0].ln_e = 400_f64.ln();
    assert_near(ln_weighted_sum(&parts).exp(), 40.0, 0.0, 1e-12, "launch");
    let mut parts = vec![Weighted { weight: 0.2, ln_e: 0.1_f64.ln() }; 5];
    parts[0].ln_e = 100_f64.ln();
    assert_near(ln_weighted_sum(&parts).exp(), 20.08, 0.0, 1e-12, "launch");
    assert_near(ln_adjusted(&parts)[0].exp(), 20.08, 0.0, 1e-12, "culprit");
}

#[test]
fn units_keep_their_gates_and_groups_after_a_move_from_statsig() {
    let mut found = 0;
    for line in BUCKETING.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap();
        match text("kind") {
            "percentage" => {
                let percentage = number(&case["percentage"]);
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
