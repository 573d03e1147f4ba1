//! Uniform boundaries, against the package of their authors.

use portcullis::stats::boundary::{
    BetaBinomial, GammaExponential, OneSidedNormal, TwoSidedNormal, double_stitching, poly_stitching,
    proportion_interval,
};

use super::case::Case;

/// A boundary, the logarithm of a mixture or an interval.
pub(super) fn boundary(case: &mut Case<'_>) {
    let number = |field: &str| case.number(field);
    let one_sided = case.input["one_sided"].as_bool().unwrap_or(true);
    let tightest = || (number("v_opt"), number("alpha_opt"));
    let one = || OneSidedNormal::tightest_at(tightest().0, tightest().1);
    let two = || TwoSidedNormal::tightest_at(tightest().0, tightest().1);
    let value = match case.text("f") {
        "normal_mixture_bound" if one_sided => one().bound(number("v"), number("alpha")).unwrap(),
        "normal_mixture_bound" => two().bound(number("v"), number("alpha")),
        "normal_log_mixture" if one_sided => one().ln_value(number("s"), number("v")),
        "normal_log_mixture" => two().ln_value(number("s"), number("v")),
        "gamma_exponential_mixture_bound" => {
            let mixture = GammaExponential::tightest_at(tightest().0, tightest().1, number("c"));
            mixture.bound(number("v"), number("alpha")).unwrap()
        }
        "beta_binomial_log_mixture" => {
            let range = (number("g"), number("h"));
            let mixture = BetaBinomial::tightest_at(tightest().0, tightest().1, range, one_sided);
            mixture.ln_value(number("s"), number("v"))
        }
        "poly_stitching_bound" => {
            let shape = (number("s"), number("eta"));
            poly_stitching(number("v"), number("alpha"), number("v_min"), number("c"), shape)
        }
        // Half a logit a step, epochs that double, and a share of alpha that falls with their number to the power of 1.4.
        "double_stitching_bound" => {
            let (p, t, start) = (number("quantile_p"), number("t"), number("t_opt"));
            double_stitching(p, t, number("alpha"), start, (0.5, 1.4, 2.0))
        }
        "bernoulli_confidence_interval" => {
            let count = |field: &str| case.input[field].as_u64().unwrap();
            let (successes, trials) = (count("successes"), count("trials"));
            let (low, high) = proportion_interval(successes, trials, number("alpha"), number("t_opt"));
            case.near("ci_lower", low);
            return case.near("ci_upper", high);
        }
        unknown => panic!("{unknown} is no boundary"),
    };
    case.near("value", value);
}
