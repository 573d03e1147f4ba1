//! The specification's worked examples, by their number, through what the guard says and does.

use super::*;
use crate::stats::e_process::{Test, epoch_evidence};

/// A guardrail that is judged by its means alone, at a share in percent and beyond a margin.
fn buys(percentage: f64, margin: f64) -> Launch {
    let metric = Metric { margin, ship_margin: margin + DEFAULT_SHIP_MARGIN, ..guardrail("buys") };
    gate(vec![metric], vec![Step::at_once(percentage)])
}

/// Events that few units have, so that their marks count, at a share in percent and beyond a margin.
fn events(percentage: f64, margin: f64, direction: Direction) -> Launch {
    let metric = Metric {
        kind: MetricKind::Conversion,
        direction,
        margin,
        ship_margin: margin + DEFAULT_SHIP_MARGIN,
        ..guardrail("events")
    };
    gate(vec![metric], vec![Step::at_once(percentage)])
}

fn assert_near(found: f64, expected: f64, reach: f64) {
    assert!((found - expected).abs() <= reach, "{found}, expected {expected}");
}

/// The standard error that the guard judges by.
fn standard_error([control, treatment]: [Moments; 2], margin: f64) -> f64 {
    let (control, treatment) = (Outcome::Mean(control), Outcome::Mean(treatment));
    let test = Test::Harm(margin);
    let found = epoch_evidence(&control, &treatment, Direction::HigherIsBetter, test, 1.0).unwrap();
    found.information.sqrt().recip()
}

/// What is found, said and done.
fn judged(launch: &Launch, arms: [Moments; 2]) -> (Judgement, Plan) {
    let found = look(launch, &arms);
    let plan = plan(launch, &found, None, NOW);
    (found, plan)
}

fn assert_rolled_back((found, plan): &(Judgement, Plan)) {
    assert_eq!((plan.kind, &plan.action), (DecisionKind::RollBack, &Action::RollBack));
    assert!(found.verdicts.iter().any(|verdict| verdict.verdict == Verdict::Harm), "{found:?}");
}

fn assert_only_warned((found, plan): &(Judgement, Plan)) {
    assert!(found.warned);
    assert_eq!((plan.kind, &plan.action), (DecisionKind::Hold, &Action::None));
    assert_eq!(plan.reasons[0].code, ReasonCode::Warning);
}

#[test]
fn example_1_a_fall_by_a_tenth_is_rolled_back_and_beyond_a_margin_of_two_percent_it_only_holds() {
    let arms = [moments(20_000, 2_000), moments(20_000, 1_800)];
    assert_near(standard_error(arms, 0.0), 0.002_931_8, 5e-8);
    let any = judged(&buys(50.0, 0.0), arms);
    assert_near(any.0.ln_e, 3.777, 5e-4);
    assert_near(any.0.ln_e.exp(), 43.7, 5e-2);
    assert_rolled_back(&any);
    let beyond = judged(&buys(50.0, 0.02), arms);
    assert_near(beyond.0.ln_e.exp(), 8.84, 5e-3);
    assert_only_warned(&beyond);
}

#[test]
fn example_2_a_p_value_of_four_in_a_thousand_only_holds() {
    let found = judged(&buys(50.0, 0.0), [moments(50_000, 5_000), moments(50_000, 4_750)]);
    assert_near(found.0.ln_e.exp(), 6.9, 5e-2);
    assert_only_warned(&found);
}

#[test]
fn example_3_a_total_loss_at_one_percent_is_rolled_back_and_one_of_twenty_units_is_not() {
    let arms = [moments(99_000, 9_900), moments(1_000, 0)];
    assert_near(standard_error(arms, 0.0), 0.009_49, 5e-6);
    let all = judged(&buys(1.0, 0.0), arms);
    assert_near(all.0.ln_e, 46.2, 5e-2);
    assert_rolled_back(&all);
    let (found, plan) = judged(&buys(1.0, 0.0), [moments(1_980, 198), moments(20, 0)]);
    assert_eq!((found.ln_e, found.warned, plan.action), (0.0, false, Action::None));
    assert_eq!(codes(&plan.reasons), [ReasonCode::BurnIn]);
}

/// The e-value that marks show: means stand at 1 before their burn-in, and the guardrail's e-value is the mean of both.
fn by_marks(found: &Judgement) -> f64 {
    2.0 * found.ln_e.exp() - 1.0
}

#[test]
fn example_4_two_crashes_of_two_at_one_percent_hold_and_three_of_five_are_rolled_back() {
    let launch = events(1.0, 0.0, Direction::LowerIsBetter);
    let two = judged(&launch, [moments(990, 0), moments(10, 2)]);
    assert_near(by_marks(&two.0).ln(), 5.99, 5e-3);
    assert_near(by_marks(&two.0), 399.0, 0.5);
    assert_only_warned(&two);
    let three = judged(&launch, [moments(990, 2), moments(10, 3)]);
    assert_near(by_marks(&three.0), 5_050.0, 5.0);
    assert_rolled_back(&three);
}

#[test]
fn example_4_eight_crashes_of_eight_at_even_shares_are_rolled_back() {
    let found = judged(&events(50.0, 0.0, Direction::LowerIsBetter), [moments(90, 0), moments(90, 8)]);
    assert_near(by_marks(&found.0), 82.0, 0.5);
    assert_rolled_back(&found);
}

#[test]
fn example_4_twenty_crashes_of_twenty_five_at_even_shares_warn_as_long_as_means_say_nothing() {
    let arms = [moments(95, 5), moments(95, 20)];
    let any = judged(&events(50.0, 0.0, Direction::LowerIsBetter), arms);
    assert_near(by_marks(&any.0), 38.0, 0.5);
    assert_only_warned(&any);
    let beyond = judged(&events(50.0, 0.1, Direction::LowerIsBetter), arms);
    assert_near(by_marks(&beyond.0), 20.4, 0.05);
    assert_only_warned(&beyond);
}

#[test]
fn example_5_fewer_conversions_are_rolled_back_by_their_marks() {
    let arms = [moments(20_000, 2_000), moments(20_000, 1_700)];
    for (margin, marks, reach) in [(0.0, 24_100.0, 50.0), (0.05, 37.0, 0.5)] {
        let found = judged(&events(50.0, margin, Direction::HigherIsBetter), arms);
        let means = look(&buys(50.0, margin), &arms).ln_e.exp();
        assert_near(2.0 * found.0.ln_e.exp() - means, marks, reach);
        assert_rolled_back(&found);
    }
}

/// A launch with several guardrails of the same weight, of which the first falls just far enough for an e-value of its own, and
/// each other is as is given.
fn several(count: usize, first: f64, others: Moments) -> (Judgement, Plan) {
    let keys: Vec<String> = (0..count).map(|number| format!("buys_{number}")).collect();
    let launch = gate(keys.iter().map(|key| guardrail(key)).collect(), vec![Step::at_once(50.0)]);
    let control = moments(20_000, 2_000);
    let alone = |ones: &u64| look(&buys(50.0, 0.0), &[control, moments(20_000, *ones)]).ln_e;
    let fallen = (0..2_000).rev().find(|ones| alone(ones) >= first.ln()).unwrap();
    let rows = |(number, key): (usize, &String)| {
        let treatment = if number == 0 { moments(20_000, fallen) } else { others };
        let of_metric = measured(&launch, &[control, treatment]).metrics.remove(key).unwrap();
        (key.clone(), of_metric)
    };
    let measured = unbucketed(Vec::new(), keys.iter().enumerate().map(rows).collect());
    let found = judge(&launch, Some(&measured), NOW);
    let plan = plan(&launch, &found, None, NOW);
    (found, plan)
}

#[test]
fn example_6_one_guardrail_of_ten_carries_a_rollback() {
    let found = several(10, 400.0, moments(20_000, 2_600));
    let first = found.0.verdicts[0].ln_e.exp();
    assert!((400.0..440.0).contains(&first), "{first}");
    assert_near(found.0.ln_e.exp(), 0.1 * first, 0.06);
    assert_rolled_back(&found);
}

#[test]
fn example_6_one_guardrail_of_five_is_the_culprit_of_a_rollback() {
    let others = |ones: &u64| look(&buys(50.0, 0.0), &[moments(20_000, 2_000), moments(20_000, *ones)]).ln_e;
    let tenth = (2_000..2_600).find(|ones| others(ones) <= 0.1_f64.ln()).unwrap();
    let found = several(5, 100.0, moments(20_000, tenth));
    assert_near(found.0.ln_e.exp(), 20.5, 0.45);
    assert_rolled_back(&found);
    let harmed = found.0.verdicts.iter().filter(|verdict| verdict.verdict == Verdict::Harm);
    let harmed: Vec<&MetricVerdict> = harmed.collect();
    assert_eq!(harmed.iter().map(|verdict| verdict.metric.as_str()).collect::<Vec<_>>(), ["buys_0"]);
    assert_near(harmed[0].ln_e_adjusted, found.0.ln_e, 1e-9);
}
