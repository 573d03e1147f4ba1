//! The specification's worked examples of one planned look, and of planning.

use portcullis::stats::effect::{Alternative, Effect};
use portcullis::stats::estimate::Estimate;
use portcullis::stats::proportion::{DifferenceMethod, Proportion, pooled_effect, shown_difference};
use portcullis::stats::sequential_planning::{Noise, SequentialPlan};
use portcullis::stats::undefined::Undefined;

fn assert_near(found: f64, expected: f64, absolute: f64) {
    assert!((found - expected).abs() <= absolute, "{found}, expected {expected}");
}

/// One guardrail with all of an alpha of 5 %.
fn plan() -> SequentialPlan {
    SequentialPlan::new(0.05, 1.0).unwrap()
}

/// A metric with a squared coefficient of variation of 9, in the hundredth of the units.
fn noise() -> Noise {
    Noise::new(3.0, 1.0 / 99.0, 0.0)
}

/// The hours of a day that 10,000 treated units come in.
fn hours(effect: f64) -> f64 {
    24.0 * plan().days(effect, noise(), 0.5, 10_000.0).unwrap()
}

#[test]
fn one_planned_look_would_have_called_it_harm() {
    let arm = |ones| Estimate::of_proportion(ones, 50_000).unwrap();
    let effect = Effect::absolute(&arm(5_000), &arm(4_750)).unwrap();
    assert_near(effect.ln_p(Alternative::Less, 0.0).exp(), 0.003_8, 5e-5);
}

#[test]
fn a_total_loss_at_one_percent_has_no_plain_interval_and_is_shown_all_the_same() {
    let control = Estimate::of_proportion(9_900, 99_000).unwrap();
    let treatment = Estimate::of_proportion(0, 1_000).unwrap();
    assert_eq!(Effect::absolute(&control, &treatment), Err(Undefined::NoVariance));
    // What Welch's test would have divided by: the control's error alone.
    assert_near(control.squared_error().sqrt(), 0.000_95, 5e-6);
    assert_near(0.1 / control.squared_error().sqrt(), 105.0, 0.5);
    let arms = (Proportion::new(9_900, 99_000).unwrap(), Proportion::new(0, 1_000).unwrap());
    assert_near(pooled_effect(&arms.0, &arms.1).unwrap().standard_error, 0.009_49, 5e-5);
    let (method, interval) = shown_difference(&arms.0, &arms.1, 0.95);
    assert_eq!(method, DifferenceMethod::Newcombe);
    assert!(interval.low < -0.1 && interval.high < -0.095, "{interval:?}");
}

#[test]
fn a_total_loss_of_twenty_units_is_next_to_nothing_beside_the_pooled_spread() {
    let (control, treatment) = (Proportion::new(198, 1_980).unwrap(), Proportion::new(0, 20).unwrap());
    let pooled = pooled_effect(&control, &treatment).unwrap();
    assert_near(-pooled.estimate / pooled.standard_error, 1.49, 5e-3);
    let plain = Estimate::of_proportion(198, 1_980).unwrap().squared_error().sqrt();
    assert_near(0.1 / plain, 14.8, 5e-2);
}

#[test]
fn a_fall_by_a_tenth_is_planned_to_be_found_in_sixteen_hours() {
    let units = plan().units(0.1, noise(), 0.5).unwrap();
    assert_near(units, 6_800.0, 50.0);
    assert_near(hours(0.1), 16.0, 0.5);
}

#[test]
fn a_fall_by_a_half_is_planned_to_be_found_in_thirty_nine_minutes() {
    assert_near(plan().units(0.5, noise(), 0.5).unwrap(), 272.0, 1.0);
    assert_near(60.0 * hours(0.5), 39.0, 0.5);
}
