//! Intervals for proportions and their differences, and exact tests.

use portcullis::stats::effect::Alternative;
use portcullis::stats::fisher;
use portcullis::stats::proportion::{
    DifferenceMethod, Method, Proportion, difference_interval, pooled_effect,
};

use super::case::Case;

/// One proportion.
pub(super) fn one(case: &mut Case<'_>) {
    let count = |field: &str| case.input[field].as_u64().unwrap();
    let method = match case.text("method") {
        "wilson" => Method::Wilson,
        "beta" => Method::ClopperPearson,
        "normal" => Method::Normal,
        other => panic!("unknown method {other}"),
    };
    let level = 1.0 - case.number("alpha");
    let found = Proportion::new(count("x"), count("n")).unwrap().interval(method, level);
    case.near("ci_lower", found.low);
    case.near("ci_upper", found.high);
}

/// The difference of two.
pub(super) fn two(case: &mut Case<'_>) {
    let count = |field: &str| case.input[field].as_u64().unwrap();
    let (control, treatment) = ((count("x_c"), count("n_c")), (count("x_t"), count("n_t")));
    let named = ["alternative", "alternative_treatment"].iter().find_map(|field| case.input.get(field));
    let method = case.input.get("method").and_then(|method| method.as_str());
    if method.is_none_or(|method| method.starts_with("fisher")) {
        let alternative = match named.and_then(|name| name.as_str()) {
            Some("less") => Alternative::Less,
            Some("greater") => Alternative::Greater,
            _ => Alternative::TwoSided,
        };
        case.near("p_value", fisher::ln_p(control, treatment, alternative).exp());
        return;
    }
    let method = match case.text("method") {
        "wald" => DifferenceMethod::Wald,
        "agresti-caffo" => DifferenceMethod::AgrestiCaffo,
        "newcomb" => DifferenceMethod::Newcombe,
        other => panic!("unknown method {other}"),
    };
    let arm = |(successes, units)| Proportion::new(successes, units).unwrap();
    let (control, treatment) = (arm(control), arm(treatment));
    let pooled = pooled_effect(&control, &treatment);
    case.holds("whether there is a pooled test", pooled.is_ok() == case.is_defined());
    if let Ok(pooled) = pooled {
        case.near("z_pooled", pooled.estimate / pooled.standard_error);
        case.near("p_pooled_two_sided", pooled.ln_p(Alternative::TwoSided, 0.0).exp());
    }
    if case.output.get("ci_lower").is_some_and(serde_json::Value::is_number) {
        let found = difference_interval(&control, &treatment, method, 1.0 - case.number("alpha"));
        case.near("ci_lower", found.low);
        case.near("ci_upper", found.high);
    }
}
