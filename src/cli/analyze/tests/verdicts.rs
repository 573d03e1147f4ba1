//! Verdicts and decisions on tables.

use std::fmt::Write as _;

use serde_json::Value;

use super::*;

#[test]
fn the_moved_gate_is_rolled_back_for_retention_after_a_week() {
    let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_7"]));
    assert_eq!(found["decision"], "roll_back");
    assert_near(&found["e_value"], 24.5);
    let metric = &found["metrics"][0];
    let gate_40 = &metric["treatments"][0];
    assert_eq!((&metric["control"]["n"], &gate_40["n"]), (&44_700.into(), &45_489.into()));
    assert_near(&metric["control"]["mean"], 0.1902);
    assert_near(&gate_40["mean"], 0.1820);
    assert_near(&gate_40["e_value"], 24.5);
    assert_eq!(gate_40["verdict"], "harm");
    let text = analyze(&moved_gate(), |args| {
        of_moved_gate(args, &["retention_7"]);
        args.output.format = Format::Text;
    });
    let text = text.unwrap();
    for part in ["44,700", "45,489", "19.02 %", "18.20 %", "24.5", "decision: roll_back", "no times"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn the_moved_gate_is_held_when_retention_after_a_day_weighs_the_same() {
    let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_1", "retention_7"]));
    assert_eq!(found["decision"], "hold");
    assert_near(&found["e_value"], 12.97);
}

#[test]
fn the_moved_gate_shows_no_harm_after_a_day() {
    let found = json(&moved_gate(), |args| of_moved_gate(args, &["retention_1"]));
    assert_eq!(found["decision"], "hold");
    assert_near(&found["e_value"], 1.41);
    let message = found["reasons"][0]["message"].as_str().unwrap();
    assert!(message.contains("no harm shown"), "{message}");
}

#[test]
fn a_table_is_one_stretch_and_its_e_values_are_those_of_the_mixture() {
    let e_value = |guardrails: &[&str]| {
        json(&moved_gate(), |args| of_moved_gate(args, guardrails))["e_value"].as_f64().unwrap()
    };
    let published = [
        (&["retention_7"][..], 24.529),
        (&["retention_1", "retention_7"], 12.972),
        (&["retention_1"], 1.4147),
    ];
    for (guardrails, expected) in published {
        let found = e_value(guardrails);
        assert!((found - expected).abs() < 5e-4, "{guardrails:?}: {found}");
    }
}

#[test]
fn weights_are_those_of_the_flags() {
    let guardrails = ["retention_1", "retention_7:weight=3"];
    let found = json(&moved_gate(), |args| of_moved_gate(args, &guardrails));
    assert_near(&found["e_value"], (1.4147 + 3.0 * 24.5293) / 4.0);
}

#[test]
fn a_rise_is_harm_where_lower_is_better() {
    let table = table(&[arm("old", 2_000, 200), arm("new", 2_000, 400)]);
    let decision = |guardrail: &str| {
        json(&table, |args| args.guardrail = vec![guardrail.to_owned()])["decision"].clone()
    };
    assert_eq!(decision("value:lower_is_better"), "roll_back");
    assert_eq!(decision("value"), "allow");
}

#[test]
fn harm_within_the_margin_is_no_harm() {
    let table = table(&[arm("old", 20_000, 2_000), arm("new", 20_000, 1_800)]);
    let found = |guardrail: &str| json(&table, |args| args.guardrail = vec![guardrail.to_owned()]);
    assert_near(&found("value")["e_value"], 43.7);
    assert_near(&found("value:margin=0.02")["e_value"], 8.84);
    assert_eq!(found("value:margin=0.02")["decision"], "hold");
    assert_eq!(found("value:margin=0.3")["decision"], "allow");
}

/// What is said of 0 and 1 in two arms, as the moments of one look.
fn of_counts(control: (u64, u64), treatment: (u64, u64), guardrail: &str) -> Value {
    let line = |arm: &str, (n, ones): (u64, u64)| {
        let mean = ones as f64 / n as f64;
        let variance = mean * (1.0 - mean) * n as f64 / (n as f64 - 1.0);
        let moments = serde_json::json!({"look": 1, "arm": arm, "metric": "value", "n": n, "mean": mean, "variance": variance});
        format!("{moments}\n")
    };
    let lines = line("old", control) + &line("new", treatment);
    json(lines.as_bytes(), |args| {
        (args.unit, args.arm) = (None, None);
        args.guardrail = vec![guardrail.to_owned()];
    })
}

#[test]
fn a_p_value_of_four_in_a_thousand_only_holds() {
    let found = of_counts((50_000, 5_000), (50_000, 4_750), "value");
    assert_near(&found["e_value"], 6.9);
    assert_eq!((&found["decision"], &found["warned"]), (&"hold".into(), &true.into()));
}

#[test]
fn a_total_loss_at_one_percent_is_evidence_although_the_arm_has_no_spread() {
    let found = of_counts((99_000, 9_900), (1_000, 0), "value");
    assert_near(&found["ln_e"], 46.2);
    let new = &found["metrics"][0]["treatments"][0];
    assert_eq!((&new["interval_method"], &new["undefined"]["interval"]), (&"newcombe".into(), &Value::Null));
    assert!(
        new["interval"]["low"].as_f64().unwrap() < -0.1 && new["interval"]["high"].as_f64().unwrap() < -0.09
    );
    assert_eq!(new["undefined"]["one_look_relative"], "all units of an arm have the same value");
    assert!(new["intervals"][2]["every_look"]["high"].as_f64().unwrap() < 0.0);
}

#[test]
fn a_total_loss_of_twenty_units_is_no_evidence_yet() {
    let found = of_counts((99_000, 9_900), (20, 0), "value");
    assert_eq!((&found["e_value"], &found["reasons"][0]["code"]), (&1.0.into(), &"burn_in".into()));
    assert_eq!(found["metrics"][0]["treatments"][0]["undefined_reasons"]["every_look"], "burn_in");
}

#[test]
fn one_harmed_arm_is_stopped_alone() {
    let table = table(&[arm("old", 5_000, 500), arm("fine", 5_000, 500), arm("worse", 5_000, 300)]);
    let found = json(&table, |_| {});
    assert_eq!(found["decision"], "roll_back");
    assert_eq!((&found["action"], &found["stopped_arms"]), (&"stop_arms".into(), &vec!["worse"].into()));
}

#[test]
fn undefined_numbers_are_null_with_a_reason() {
    let table = table(&[arm("old", 200, 0), arm("new", 200, 100)]);
    let found = json(&table, |_| {});
    let new = &found["metrics"][0]["treatments"][0];
    assert_eq!(new["relative_effect"], Value::Null);
    assert_eq!(new["undefined"]["relative_effect"], "the control mean is 0");
    assert_eq!(new["undefined_reasons"]["relative_effect"], "control_is_zero");
    assert_eq!(new["effect"], 0.5);
}

#[test]
fn no_number_is_too_large() {
    let mut rows = "id,arm,value\n".to_owned();
    for unit in 0..400 {
        let (arm, value) = if unit % 2 == 0 { ("old", "1e300") } else { ("new", "-1.5e308") };
        writeln!(rows, "{unit},{arm},{value}").unwrap();
    }
    let found = json(rows.as_bytes(), |_| {});
    let new = &found["metrics"][0]["treatments"][0];
    assert_eq!((&new["mean"], &found["decision"]), (&Value::Null, &"hold".into()));
    assert_eq!(new["undefined"]["mean"], "too large for a number of 64 bits");
    let table = table(&[arm("old", 20_000, 19_000), arm("new", 20_000, 0)]);
    let found = json(&table, |_| {});
    assert_eq!((&found["e_value"], &found["decision"]), (&Value::Null, &"roll_back".into()));
    assert!(found["ln_e"].as_f64().unwrap() > 709.0);
}

/// Crashes of few at a share of one in a hundred.
fn crashes(shares: &[&str]) -> Value {
    let rows = table(&[arm("old", 990, 2), arm("new", 10, 3)]);
    json(&rows, |args| {
        args.guardrail = vec!["value:lower_is_better".to_owned()];
        args.shares = shares.iter().map(|share| (*share).to_owned()).collect();
    })
}

#[test]
fn a_few_crashes_at_one_percent_roll_back_where_the_shares_are_given() {
    let found = crashes(&["old=99", "new=1"]);
    // Half of 5,050, which the marks show, and half of the 1 that means show before their burn-in.
    assert_near(&found["e_value"], f64::midpoint(5_050.0, 1.0));
    assert_eq!(found["decision"], "roll_back");
    assert!(found["sample_ratio_e_value"].as_f64().unwrap() < 1.0, "{found}");
    assert!(!found["notes"].to_string().contains("--shares"), "{found}");
    let unknown = crashes(&[]);
    assert_eq!((&unknown["decision"], &unknown["sample_ratio_e_value"]), (&"hold".into(), &Value::Null));
    assert!(unknown["notes"].to_string().contains("sizes of the arms were not checked"), "{unknown}");
}

#[test]
fn arms_that_did_not_get_their_shares_hold_and_are_not_trusted() {
    let rows = table(&[arm("old", 5_000, 500), arm("new", 4_000, 200)]);
    let with = |shares: &'static [&'static str]| {
        json(&rows, |args| args.shares = shares.iter().map(|share| (*share).to_owned()).collect())
    };
    let even = with(&["old=1", "new=1"]);
    assert!(even["sample_ratio_e_value"].as_f64().unwrap() > 1_000.0, "{even}");
    assert_eq!(even["decision"], "hold");
    assert!(even["reasons"].to_string().contains("\"sample_ratio\""), "{even}");
    assert_eq!(even["p_value"], 1.0);
    assert_eq!(with(&["old=5", "new=4"])["decision"], "roll_back");
}
