//! Many e-values made one, and those that stand out found again.

use portcullis::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};

use super::case::{Case, numbers};

/// The launch's weighted mean and the adjusted value of each guardrail.
pub(super) fn e_values(case: &mut Case<'_>) {
    let pairs = numbers(&case.input["e_values"]).into_iter().zip(numbers(&case.input["weights"]));
    let parts: Vec<Weighted> = pairs.map(|(e, weight)| Weighted { weight, ln_e: e.ln() }).collect();
    let threshold = 1.0 / case.number("alpha");
    let launch = ln_weighted_sum(&parts).exp();
    case.near("launch_e", launch);
    case.holds("rollback", Some(launch >= threshold) == case.output["rollback"].as_bool());
    let adjusted: Vec<f64> = ln_adjusted(&parts).into_iter().map(f64::exp).collect();
    case.all_near("adjusted_e", &adjusted);
    let culprits: Vec<u64> =
        (0..).zip(&adjusted).filter(|(_, e)| **e >= threshold).map(|(at, _)| at).collect();
    case.holds("culprits", serde_json::json!(culprits) == case.output["culprits"]);
}
