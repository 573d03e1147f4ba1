//! Power and sample sizes.

use portcullis::stats::effect::Alternative;
use portcullis::stats::planning::Plan;

use super::case::{Case, numbers};

/// Units of the first arm for a standardised effect, by the normal and by t, and the power of a thousand.
pub(super) fn power(case: &mut Case<'_>) {
    let alternative = match case.text("alternative") {
        "two-sided" => Alternative::TwoSided,
        "larger" => Alternative::Greater,
        "smaller" => Alternative::Less,
        other => panic!("unknown alternative {other}"),
    };
    let plan = Plan { alpha: case.number("alpha"), alternative, controls: case.number("ratio_n2_over_n1") };
    let (effect, power) = (case.number("effect_size_d"), case.number("power"));
    case.near("n1_normal", plan.units(effect, power).unwrap());
    case.near("n1_t", plan.units_by_t(effect, power).unwrap());
    case.near("power_at_n1000_normal", plan.power(effect, 1_000.0));
}

/// Units of a control, of which there are as many as of all treatments together, and of each treatment.
pub(super) fn per_arm(case: &mut Case<'_>) {
    let treatments = case.number("treatments") - 1.0;
    let corrected = case.input.get("bonferroni").is_some_and(|corrected| *corrected == true);
    let alpha = case.number("alpha") / if corrected { treatments } else { 1.0 };
    let variance = match case.text("kind") {
        "binomial" => case.number("baseline") * (1.0 - case.number("baseline")),
        _ => case.number("variance"),
    };
    let plan = Plan { alpha, alternative: Alternative::TwoSided, controls: treatments };
    let units = plan.units(case.number("mde") / variance.sqrt(), case.number("power")).unwrap();
    let mut found = vec![units.ceil(); numbers(&case.output["per_arm"]).len()];
    found[0] = (treatments * units).ceil();
    case.all_near("per_arm", &found);
    case.near("total", found.iter().sum());
}
