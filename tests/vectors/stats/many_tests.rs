//! Adjusted p-values.

use portcullis::stats::correction::{Correction, adjusted};

use super::case::{Case, numbers};

/// One list of p-values by one method.
pub(super) fn p_values(case: &mut Case<'_>) {
    let correction = match case.text("method") {
        "bonferroni" => Correction::Bonferroni,
        "holm" => Correction::Holm,
        "fdr_bh" => Correction::BenjaminiHochberg,
        "fdr_by" => Correction::BenjaminiYekutieli,
        other => panic!("unknown method {other}"),
    };
    let found = adjusted(&numbers(&case.input["p_values"]), correction);
    let alpha = case.number("alpha");
    let rejected: Vec<bool> = found.iter().map(|p| *p <= alpha).collect();
    case.all_near("adjusted", &found);
    case.holds("reject", serde_json::json!(rejected) == case.output["reject"]);
}
