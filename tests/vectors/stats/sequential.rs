//! Results that hold at every look, of other packages and of exact blocks.

use portcullis::stats::asymptotic::{Estimated, Sequence, Sides};
use portcullis::stats::effect::Effect;
use portcullis::stats::estimate::Estimate;
use portcullis::stats::two_by_two::{Block, Prior, ln_e};
use serde_json::Value;

use super::case::{Case, moments, number, numbers};
use super::effects::decides;

/// What the other package cuts its one-sided p-values off at, as it searches for them.
const ONE_SIDED: (f64, f64) = (1e-5, 0.4999);

/// How near to zero an end of its interval counts as zero in that search.
const NEAR_ZERO: f64 = 1e-6;

/// Differences of means with a confidence sequence, on both sides or on one.
pub(super) fn means(case: &mut Case<'_>) {
    let [control, treatment] = ["control", "treatment"].map(|arm| moments(&case.input[arm]));
    let (units, relative) = (control.n + treatment.n, case.text("difference") == "relative");
    let effect = Estimate::of_mean(&control).and_then(|control| {
        let treatment = Estimate::of_mean(&treatment)?;
        if relative { Effect::relative(&control, &treatment) } else { Effect::absolute(&control, &treatment) }
    });
    if case.spec_differs() {
        // There is no interval, and yet the pooled spread decides.
        case.holds("that evidence can be had", decides(control, treatment));
    }
    if !case.is_defined() {
        // An absolute difference from a control of zero is shown here, and not by the other package.
        let shown_here = case.id().contains("zero_control_mean") && !relative;
        return case.holds("that there is no effect", effect.is_err() || shown_here);
    }
    let effect = effect.unwrap();
    let sides = match case.text("sided") {
        "greater" => Sides::Greater,
        "lesser" => Sides::Lesser,
        _ => Sides::Both,
    };
    let tuning = case.number("sequential_tuning_parameter");
    let sequence = Sequence::tightest_at(tuning, case.number("alpha"), sides);
    let found = Estimated { effect: effect.estimate, standard_error: effect.standard_error, units };
    case.near("effect", found.effect);
    case.near("se", found.standard_error);
    case.near("rho", sequence.rho());
    let (low, high) = sequence.interval(&found);
    case.near("ci_lower", low);
    case.near("ci_upper", high);
    let p = sequence.p_value(&found);
    if sides == Sides::Both {
        return case.near("p_value", p);
    }
    let p = p.clamp(ONE_SIDED.0, ONE_SIDED.1);
    let published = number(&case.output["p_value"]);
    let (low, high) = sequence.at(published).interval(&found);
    let end = if sides == Sides::Greater { low } else { high };
    // The other package's search ends where the interval at its p-value ends this near zero, in whatever unit. Where the error
    // itself is as small, every p-value does that.
    let searched_in_vain = end.abs() < NEAR_ZERO && found.standard_error < NEAR_ZERO;
    if searched_in_vain && !case.is_near("p_value", p) {
        return case.holds("that the p-value at least points the same way", p < ONE_SIDED.1);
    }
    case.near("p_value", p);
}

/// Two proportions in blocks.
pub(super) fn blocks(case: &mut Case<'_>) {
    let of = |block: &Value| {
        let count = |field: &str| block[field].as_u64().unwrap();
        Block {
            control: count("n_c"),
            control_successes: count("y_c"),
            treatment: count("n_t"),
            treatment_successes: count("y_t"),
        }
    };
    let blocks: Vec<Block> = case.input["blocks"].as_array().unwrap().iter().map(of).collect();
    let prior = Prior { proportion: number(&case.input["prior_p"]), units: number(&case.input["prior_n"]) };
    case.near("log_e", ln_e(&blocks, &numbers(&case.input["drop_grid"]), prior));
}
