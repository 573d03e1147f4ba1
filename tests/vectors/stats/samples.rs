//! What is taken of a sample: quantiles, caps, and the counts of its arms.

use portcullis::stats::order::{Rule, caps, quantile};
use portcullis::stats::sample_ratio;

use super::case::{Case, numbers};

/// Quantiles by several rules, and values moved to their caps.
pub(super) fn order(case: &mut Case<'_>) {
    let mut sorted = numbers(&case.input["x"]);
    sorted.sort_by(f64::total_cmp);
    if case.input.get("limits").is_some() {
        let limits = numbers(&case.input["limits"]);
        let (low, high) = caps(&sorted, limits[0], limits[1]).unwrap();
        case.near("sum", sorted.iter().map(|value| value.clamp(low, high)).sum());
        case.near("min", low);
        case.near("max", high);
        return;
    }
    let rule = match case.text("method") {
        "linear" => Rule::Linear,
        "higher" => Rule::Higher,
        "inverted_cdf" => Rule::InvertedCdf,
        other => panic!("unknown rule {other}"),
    };
    case.near("value", quantile(&sorted, case.number("q"), rule).unwrap());
}

/// Units of arms against planned shares.
pub(super) fn ratio(case: &mut Case<'_>) {
    let units = case.input["observed"].as_array().unwrap();
    let units: Vec<u64> = units.iter().map(|units| units.as_u64().unwrap()).collect();
    let found = sample_ratio::ln_p(&units, &numbers(&case.input["weights"])).unwrap();
    case.near("p_value", found.exp());
}
