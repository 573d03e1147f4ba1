//! Effects with their intervals and p-values: of means, proportions, ratios, quantiles, and with a covariate.

use portcullis::domain::metric::Direction;
use portcullis::stats::asymptotic::{Estimated, Sequence, Sides};
use portcullis::stats::covariate::{WithCovariate, absolute_effect, relative_effect};
use portcullis::stats::e_process::{Test, epoch_evidence};
use portcullis::stats::effect::{Alternative, Effect};
use portcullis::stats::estimate::Estimate;
use portcullis::stats::joint_moments::PairMoments;
use portcullis::stats::moments::{Moments, RawSums};
use portcullis::stats::non_inferiority::NonInferiority;
use portcullis::stats::outcome::Outcome;
use portcullis::stats::proportion::{Proportion, shown_difference};
use portcullis::stats::quantile::Quantile;
use portcullis::stats::undefined::Undefined;
use serde_json::Value;

use super::case::{Case, moments, number};

/// The units at which the other package's sequences are tightest unless it is told otherwise.
const USUAL_TUNING: f64 = 5_000.0;

/// Differences of means by plain sums.
pub(super) fn means(case: &mut Case<'_>) {
    judge(case, |arm| Estimate::of_mean(&moments(arm)));
    if case.spec_differs() {
        // There is no interval, and yet the pooled spread decides.
        let [control, treatment] = ["control", "treatment"].map(|arm| moments(&case.input[arm]));
        case.holds("that evidence can be had", decides(control, treatment));
    }
}

/// Differences of proportions, with the variance p(1 − p).
pub(super) fn proportions(case: &mut Case<'_>) {
    let counts = |arm: &Value| (arm["sum"].as_u64().unwrap(), arm["n"].as_u64().unwrap());
    judge(case, |arm| Estimate::of_proportion(counts(arm).0, counts(arm).1));
    if case.spec_differs() {
        let [control, treatment] = ["control", "treatment"].map(|arm| counts(&case.input[arm]));
        let [c, t] =
            [control, treatment].map(|(successes, units)| Proportion::new(successes, units).unwrap());
        let (_, interval) = shown_difference(&c, &t, 1.0 - case.number("alpha"));
        case.holds("that there is an interval", interval.low < interval.high);
        if control.1.min(treatment.1) >= 30 {
            let moments = |(successes, units): (u64, u64)| {
                let sum = successes as f64;
                RawSums { n: units, sum, sum_squares: sum, nonzero: successes }.about(0.0)
            };
            case.holds("that evidence can be had", decides(moments(control), moments(treatment)));
        }
    }
}

/// Differences of ratios of sums.
pub(super) fn ratios(case: &mut Case<'_>) {
    judge(case, |arm| Estimate::of_ratio(&pairs(arm, "n", ["num", "den"], "num_den_sum_products")));
}

/// Differences of quantiles, of independent events and of events that come in clusters.
pub(super) fn quantiles(case: &mut Case<'_>) {
    judge(case, |arm| {
        let of = |field: &str| number(&arm[field]);
        let names = ["main", "denominator"];
        let clusters = arm.get("n_clusters").is_some();
        let quantile = Quantile {
            share: of("nu"),
            value: of("quantile_hat"),
            low: of("quantile_lower"),
            high: of("quantile_upper"),
            events: arm["n"].as_u64().unwrap(),
            interval_events: arm["n_star"].as_u64().unwrap(),
            clusters: clusters.then(|| pairs(arm, "n_clusters", names, "main_denominator_sum_product")),
        };
        quantile.estimate()
    });
}

/// Differences of means less what a covariate explains.
pub(super) fn covariate(case: &mut Case<'_>) {
    let arm = |name: &str| pairs(&case.input[name], "n", ["post", "pre"], "post_pre_sum_products");
    let (control, treatment) = (arm("control"), arm("treatment"));
    let of = |moments: &PairMoments| WithCovariate::of_means(moments);
    let slope = of(&control.merged(treatment)).map_or(0.0, |both| both.slope());
    let effect = of(&control).and_then(|control| {
        let effect = if case.text("difference") == "relative" { relative_effect } else { absolute_effect };
        effect(&control, &of(&treatment)?, slope)
    });
    if case.output.get("theta").is_some() {
        case.near("theta", slope);
    }
    compare(case, effect, control.n() + treatment.n());
}

/// Welch's test on published means and standard deviations.
pub(super) fn welch(case: &mut Case<'_>) {
    let arm = |name: &str| {
        let of = |field: &str| case.number(&format!("{field}_{name}"));
        let n = case.input[format!("n_{name}")].as_u64().unwrap();
        Estimate::of_mean(&Moments::from_mean_and_variance(n, of("mean"), of("sd").powi(2), n))
    };
    let effect = arm("c").and_then(|control| Effect::absolute(&control, &arm("t")?));
    let Some(effect) = defined(case, effect) else {
        return;
    };
    let alternative = alternative(case.text("alternative_treatment"));
    case.near("t", effect.estimate / effect.standard_error);
    case.near("p_value", effect.ln_p(alternative, 0.0).exp());
}

/// Tests of proportions by the normal, with and without a margin.
pub(super) fn non_inferiority(case: &mut Case<'_>) {
    let arm = |name: &str| {
        let count = |field: &str| case.input[format!("{field}_{name}")].as_u64().unwrap();
        Estimate::of_proportion(count("x"), count("n")).unwrap()
    };
    let (control, treatment) = (arm("c"), arm("t"));
    let level = case.number("interval_size");
    let (effect, interval, ln_p) = if case.input.get("non_inferiority_margin_relative").is_some() {
        let direction = match case.text("preferred_direction") {
            "increase" => Direction::HigherIsBetter,
            _ => Direction::LowerIsBetter,
        };
        let margin = case.number("non_inferiority_margin_relative");
        let found = NonInferiority::new(&control, &treatment, direction, margin).unwrap();
        case.near("null_hypothesis", found.limit);
        (found.effect, found.interval(level), found.ln_p())
    } else {
        let effect = Effect::absolute(&control, &treatment).unwrap().by_normal();
        (effect, effect.interval(Alternative::TwoSided, level), effect.ln_p(Alternative::TwoSided, 0.0))
    };
    case.near("difference", effect.estimate);
    case.near("ci_lower", interval.low);
    case.near("ci_upper", interval.high);
    case.near("p-value", ln_p.exp());
    let significant = ln_p < (1.0 - level).ln();
    case.holds("is_significant", case.output["is_significant"].as_bool() == Some(significant));
}

/// Judges one arm's estimate against the other's, absolute or relative, for one look or all.
fn judge(case: &mut Case<'_>, estimate: impl Fn(&Value) -> Result<Estimate, Undefined>) {
    let effect = if case.text("difference") == "relative" { Effect::relative } else { Effect::absolute };
    let (control, treatment) = (&case.input["control"], &case.input["treatment"]);
    let found = estimate(control).and_then(|control| effect(&control, &estimate(treatment)?));
    compare(case, found, control["n"].as_u64().unwrap() + treatment["n"].as_u64().unwrap());
}

fn compare(case: &mut Case<'_>, effect: Result<Effect, Undefined>, units: u64) {
    let Some(effect) = defined(case, effect) else {
        return;
    };
    let alpha = case.number("alpha");
    case.near("effect", effect.estimate);
    case.near("se", effect.standard_error);
    let (low, high, p) = if case.input.get("method").is_some_and(|method| method == "sequential") {
        let tuning = case.input.get("sequential_tuning_parameter").and_then(Value::as_f64);
        let sequence = Sequence::tightest_at(tuning.unwrap_or(USUAL_TUNING), alpha, Sides::Both);
        let found = Estimated { effect: effect.estimate, standard_error: effect.standard_error, units };
        case.near("rho", sequence.rho());
        let (low, high) = sequence.interval(&found);
        (low, high, sequence.p_value(&found))
    } else {
        let alternative = case
            .input
            .get("sided")
            .map_or(Alternative::TwoSided, |sided| alternative(sided.as_str().unwrap()));
        let interval = effect.interval(alternative, 1.0 - alpha);
        case.near("dof", effect.freedom);
        (interval.low, interval.high, effect.ln_p(alternative, 0.0).exp())
    };
    case.near("ci_lower", low);
    case.near("ci_upper", high);
    case.near("p_value", p);
}

/// The effect, where it is to be defined; that it is undefined, where it is not.
fn defined(case: &mut Case<'_>, effect: Result<Effect, Undefined>) -> Option<Effect> {
    if case.is_defined() {
        case.holds(&format!("{effect:?}: that there is an effect"), effect.is_ok());
        return effect.ok();
    }
    // An absolute difference from a control of zero is shown here, and not by the other package.
    let shown_here = case.id().contains("zero_control_mean") && case.text("difference") == "absolute";
    case.holds("that there is no effect", effect.is_err() || shown_here);
    None
}

/// Whether the guard has evidence of these arms.
pub(super) fn decides(control: Moments, treatment: Moments) -> bool {
    let (control, treatment) = (Outcome::Mean(control), Outcome::Mean(treatment));
    epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(0.0), 1.0).is_ok()
}

fn alternative(name: &str) -> Alternative {
    match name {
        "two" | "two-sided" => Alternative::TwoSided,
        "lesser" | "less" | "smaller" => Alternative::Less,
        "greater" | "larger" => Alternative::Greater,
        other => panic!("unknown alternative {other}"),
    }
}

/// The moments of two values whose plain sums are named after them.
fn pairs(arm: &Value, n: &str, [first, second]: [&str; 2], products: &str) -> PairMoments {
    let sums = |name: &str| {
        let of = |field: &str| number(&arm[format!("{name}_{field}")]);
        let (sum, sum_squares) = (of("sum"), of("sum_squares"));
        (RawSums { n: arm[n].as_u64().unwrap(), sum, sum_squares, nonzero: 0 }, 0.0)
    };
    PairMoments::from_sums(sums(first), sums(second), number(&arm[products]))
}
