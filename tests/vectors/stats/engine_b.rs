//! The mixture on score and information, against direct evaluation in sixty digits.

use portcullis::domain::metric::Direction;
use portcullis::stats::anytime::threshold;
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
use portcullis::stats::outcome::Outcome;
use serde_json::Value;

use super::case::{Case, moments, number};

/// One epoch's evidence and its e-value.
pub(super) fn mixture(case: &mut Case<'_>) {
    let direction = match case.text("direction") {
        "lower_is_better" => Direction::LowerIsBetter,
        _ => Direction::HigherIsBetter,
    };
    let of_arm = |arm: &str| Outcome::Mean(moments(&case.input[arm]));
    let (control, treatment) = (of_arm("control"), of_arm("treatment"));
    let scale = case.number("unit_U");
    let test = Test::Harm(case.number("margin_relative"));
    let found = epoch_evidence(&control, &treatment, direction, test, scale).unwrap();
    case.near("harm_score", found.score);
    case.near("information", found.information);
    case.near("harm_z", found.score / found.information.sqrt());
    case.near("se_used", scale / found.information.sqrt());
    let ln_e = e_process::ln_e(found);
    case.near("log_e", ln_e);
    case.holds("e_ge_20", Some(ln_e >= 20_f64.ln()) == case.output["e_ge_20"].as_bool());
}

/// Several epochs' scores and information, added.
pub(super) fn epochs(case: &mut Case<'_>) {
    let of_epoch = |epoch: &Value| {
        let (z, variance) = (number(&epoch["harm_z"]), number(&epoch["V"]));
        Evidence { score: z / variance.sqrt(), information: 1.0 / variance }
    };
    let epochs = case.input["epochs"].as_array().unwrap();
    let found = epochs.iter().map(of_epoch).reduce(|a, b| a + b).unwrap();
    case.near("harm_score", found.score);
    case.near("information", found.information);
    case.near("combined_z", found.score / found.information.sqrt());
    case.near("combined_rel_effect", -found.score / found.information);
    case.near("log_e", e_process::ln_e(found));
}

/// The threshold in standard errors at a variance of the relative effect.
pub(super) fn thresholds(case: &mut Case<'_>) {
    let variance = case.number("relative_variance_V");
    let found = threshold(case.number("alpha"), 1.0 / variance).unwrap();
    case.near("z_threshold", found);
    case.near("upper_bound_at_zero_effect", found * variance.sqrt());
}
