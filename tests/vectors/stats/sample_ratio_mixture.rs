//! The sample-ratio test that holds at every look, against the package of its authors' method.

use portcullis::stats::anytime::p_value;
use portcullis::stats::sequential_sample_ratio::{Dealt, ln_bayes_factor};
use serde_json::Value;

use super::case::{Case, numbers};

/// Units that come in batches.
pub(super) fn batches(case: &mut Case<'_>) {
    let shares = numbers(&case.input["null_probabilities"]);
    let concentration = case.number("dirichlet_concentration");
    let mut arms: Vec<Dealt> = shares.into_iter().map(|share| Dealt { units: 0, share }).collect();
    let (mut factors, mut p_values, mut posteriors) = (Vec::new(), Vec::new(), Vec::new());
    let mut largest = f64::NEG_INFINITY;
    let count = |units: &Value| units.as_u64().unwrap();
    for batch in case.input["increments"].as_array().unwrap() {
        for (arm, units) in arms.iter_mut().zip(batch.as_array().unwrap()) {
            arm.units += count(units);
        }
        let factor = ln_bayes_factor(&arms, concentration);
        largest = factor.max(largest);
        factors.push(factor);
        p_values.push(p_value(largest));
        posteriors.push(1.0 / (1.0 + (-factor).exp()));
    }
    case.all_near("log_bayes_factor", &factors);
    case.all_near("p_value", &p_values);
    case.all_near("posterior_probability", &posteriors);
}
