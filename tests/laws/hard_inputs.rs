//! Whatever goes in, something comes out: an answer that is a number, or a reason.

use std::time::{Duration, Instant};

use portcullis::stats::boundary::{BetaBinomial, GammaExponential, OneSidedNormal, TwoSidedNormal};
use portcullis::stats::correction::{Correction, adjusted, e_benjamini_hochberg};
use portcullis::stats::covariate::{WithCovariate, absolute_effect, relative_effect};
use portcullis::stats::effect::{Alternative, Effect};
use portcullis::stats::estimate::Estimate;
use portcullis::stats::joint_moments::{PairMoments, RatioPairMoments};
use portcullis::stats::moments::{Moments, RawSums};
use portcullis::stats::order::{self, Rule};
use portcullis::stats::planning::Plan;
use portcullis::stats::proportion::{
    DifferenceMethod, Method, Proportion, difference_interval, pooled_effect,
};
use portcullis::stats::quantile::Quantile;
use portcullis::stats::sequential_planning::{Noise, SequentialPlan};
use portcullis::stats::undefined::Undefined;
use portcullis::stats::{beta, chi_square, fisher, normal, sample_ratio, segments, student};
use proptest::collection::vec;
use proptest::num::f64::ANY;
use proptest::prelude::*;

/// One answer must not take longer, on a slow machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

fn alternative() -> impl Strategy<Value = Alternative> {
    prop_oneof![Just(Alternative::TwoSided), Just(Alternative::Less), Just(Alternative::Greater)]
}

/// Counts of every size.
fn count() -> impl Strategy<Value = u64> {
    (0_u32..64, any::<u64>()).prop_map(|(shift, count)| count >> shift)
}

/// A level as it is asked for.
fn level() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.8), Just(0.9), Just(0.95), 1e-9_f64..1.0]
}

/// Whether an effect, or anything that follows from it, is no number.
fn is_broken(effect: Result<Effect, Undefined>, alternative: Alternative, level: f64) -> bool {
    effect.is_ok_and(|effect| {
        let interval = effect.interval(alternative, level);
        let ln_p = effect.ln_p(alternative, 0.0);
        !effect.estimate.is_finite()
            || effect.standard_error <= 0.0
            || !effect.standard_error.is_finite()
            || interval.low.is_nan()
            || interval.high.is_nan()
            || ln_p.is_nan()
            || ln_p > 0.0
    })
}

fn within_patience<T>(answer: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let found = answer();
    assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn effects_of_any_values_are_numbers_or_reasons(
        control in vec([ANY, ANY, ANY, ANY], 0..8), treatment in vec([ANY, ANY, ANY, ANY], 0..8),
        alternative in alternative(), level in level(), slope in ANY
    ) {
        let moments = |rows: &[[f64; 4]]| {
            let mut moments = RatioPairMoments::default();
            for [a, b, c, d] in rows {
                moments.add((*a, *b), (*c, *d));
            }
            moments
        };
        let (control, treatment) = (moments(&control), moments(&treatment));
        for estimate in [
            |moments: &RatioPairMoments| Estimate::of_mean(&moments.outcome.first),
            |moments: &RatioPairMoments| Estimate::of_ratio(&moments.outcome),
        ] {
            if let (Ok(control), Ok(treatment)) = (estimate(&control), estimate(&treatment)) {
                for effect in [Effect::absolute, Effect::relative, Effect::shown_relative] {
                    prop_assert!(!is_broken(effect(&control, &treatment), alternative, level));
                }
            }
        }
        for adjusted in [
            |moments: &RatioPairMoments| WithCovariate::of_means(&moments.outcome),
            WithCovariate::of_ratios,
        ] {
            if let (Ok(control), Ok(treatment)) = (adjusted(&control), adjusted(&treatment)) {
                for slope in [slope, control.slope()] {
                    for effect in [absolute_effect, relative_effect] {
                        prop_assert!(!is_broken(effect(&control, &treatment, slope), alternative, level));
                    }
                }
            }
        }
    }

    #[test]
    fn moments_of_any_sums_have_a_variance_that_is_no_less_than_zero(
        n in count(), sum in ANY, sum_squares in ANY, pivot in ANY, mean in ANY, variance in ANY, products in ANY
    ) {
        let sums = RawSums { n, sum, sum_squares, nonzero: n };
        let pair = PairMoments::from_sums((sums, pivot), (sums, 0.0), products);
        for moments in [sums.about(pivot), Moments::from_mean_and_variance(n, mean, variance, n), pair.second] {
            prop_assert!(moments.variance().is_none_or(|variance| variance >= 0.0));
            prop_assert!(moments.merged(moments).variance().is_none_or(|variance| variance >= 0.0));
        }
    }

    #[test]
    fn distributions_of_any_arguments_return(
        x in ANY, freedom in ANY, p in ANY, a in ANY, b in ANY
    ) {
        let tails = within_patience(|| {
            [
                normal::ln_cdf(x),
                student::ln_sf(x, freedom.abs()),
                chi_square::ln_sf(x, freedom.abs()),
                student::quantile(p, freedom.abs()),
                normal::quantile(p),
            ]
        });
        if !x.is_nan() && freedom.is_normal() {
            prop_assert!(tails[..3].iter().all(|tail| *tail <= 0.0), "{x:e} {freedom:e}: {tails:?}");
        }
        let share = (p.abs() % 1.0).max(1e-300);
        within_patience(|| (beta::ln_beta(a.abs(), b.abs()), beta::quantile(share, a.abs(), b.abs())));
    }

    #[test]
    fn boundaries_of_any_arguments_return(v in ANY, tightest in ANY, scale in ANY, alpha in 1e-9_f64..0.5) {
        let (v, tightest, scale) = (v.abs(), tightest.abs(), scale.abs());
        within_patience(|| OneSidedNormal::tightest_at(tightest, alpha).bound(v, alpha));
        within_patience(|| TwoSidedNormal::tightest_at(tightest, alpha).bound(v, alpha));
        within_patience(|| GammaExponential::tightest_at(tightest, alpha, scale).bound(v, alpha));
        within_patience(|| BetaBinomial::tightest_at(tightest, alpha, (scale, 1.0), true).ln_value(tightest, v));
    }

    #[test]
    fn distributions_of_usual_arguments_are_numbers(
        exponent in -300.0_f64..300.0, freedom_exponent in -3.0_f64..18.0, share in 1e-300_f64..1.0
    ) {
        let (x, freedom) = (10_f64.powf(exponent), 10_f64.powf(freedom_exponent));
        let found = within_patience(|| {
            [
                student::ln_sf(x, freedom),
                student::ln_sf(-x, freedom),
                chi_square::ln_sf(x, freedom),
                -student::upper_quantile(0.5 * share, freedom),
                student::quantile(0.5 * share, freedom),
            ]
        });
        prop_assert!(found.iter().all(|value| *value <= 0.0), "{x:e} {freedom:e}: {found:?}");
    }

    #[test]
    fn proportions_of_any_counts_have_intervals(
        one in count(), more in count(), other in count(), further in count(), level in level(),
        alternative in alternative()
    ) {
        let arm = |successes: u64, failures: u64| {
            Proportion::new(successes, successes.saturating_add(failures).max(1))
        };
        let (control, treatment) = (arm(one, more).unwrap(), arm(other, further).unwrap());
        for method in [Method::Normal, Method::Wilson, Method::ClopperPearson] {
            let found = within_patience(|| control.interval(method, level));
            prop_assert!(0.0 <= found.low && found.low <= found.high && found.high <= 1.0, "{found:?}");
        }
        for method in [DifferenceMethod::Wald, DifferenceMethod::AgrestiCaffo, DifferenceMethod::Newcombe] {
            let found = difference_interval(&control, &treatment, method, level);
            prop_assert!(found.low <= found.high, "{found:?}");
        }
        prop_assert!(!is_broken(pooled_effect(&control, &treatment), alternative, level));
        let ln_p = within_patience(|| fisher::ln_p((one, more), (other, further), alternative));
        prop_assert!(ln_p <= 0.0, "{ln_p}");
    }

    #[test]
    fn units_in_any_shares_have_a_p_value_or_a_reason(
        units in vec(count(), 0..5), shares in vec(ANY, 0..5)
    ) {
        if let Ok(ln_p) = within_patience(|| sample_ratio::ln_p(&units, &shares)) {
            prop_assert!(ln_p <= 0.0, "{ln_p}");
        }
        let even = vec![1.0; units.len()];
        prop_assert!(sample_ratio::ln_p(&units, &even).is_ok() != units.is_empty());
    }

    #[test]
    fn many_tests_of_any_values_return(values in vec(ANY, 0..10), shares in [ANY, ANY], errors in vec(ANY, 2..6)) {
        use Correction::{BenjaminiHochberg, BenjaminiYekutieli, Bonferroni, Holm};
        for correction in [Bonferroni, Holm, BenjaminiHochberg, BenjaminiYekutieli] {
            prop_assert_eq!(adjusted(&values, correction).len(), values.len());
        }
        prop_assert_eq!(e_benjamini_hochberg(&values, shares[0]).len(), values.len());
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for rule in [Rule::Linear, Rule::Higher, Rule::InvertedCdf] {
            let found = order::quantile(&sorted, shares[0], rule);
            prop_assert!(found.is_none() || (0.0..=1.0).contains(&shares[0]));
        }
        let caps = order::caps(&sorted, shares[0], shares[1]);
        prop_assert!(caps.is_none_or(|(low, high)| low.total_cmp(&high).is_le()));
        if let Ok(quantile) = Quantile::of_units(&[values.clone(), sorted], shares[0]) {
            prop_assert!(quantile.estimate().is_ok_and(|found| found.variance() >= 0.0) || !values.is_empty());
        }
        let effects: Vec<Effect> = values
            .iter()
            .zip(&errors)
            .map(|(estimate, error)| Effect { estimate: *estimate, standard_error: *error, freedom: 9.0 })
            .collect();
        for segment in segments::compare(&effects).into_iter().flatten() {
            prop_assert!(segment.ln_p <= 0.0, "{effects:?} {segment:?}");
        }
    }

    #[test]
    fn plans_for_anything_are_numbers_or_reasons(
        alpha in ANY, controls in ANY, effect in ANY, power in ANY, units in ANY, alternative in alternative()
    ) {
        let plan = Plan { alpha, alternative, controls };
        let found = within_patience(|| {
            [plan.units(effect, power), plan.units_by_t(effect, power), plan.detectable(units, power)]
        });
        let noise = Noise::new(effect, controls, alpha);
        let sequential = SequentialPlan::new(alpha, controls).map(|plan| {
            [
                plan.units(effect, noise, power),
                plan.mean_units(effect, noise),
                plan.detectable(units, noise, power),
                plan.days(effect, noise, power, units),
                plan.inflation(alpha, power),
            ]
        });
        for number in found.into_iter().chain(sequential.into_iter().flatten()).flatten() {
            prop_assert!(number.is_finite());
        }
    }

    #[test]
    fn plans_for_usual_things_are_numbers(
        alpha in 1e-9_f64..0.3, controls in 1e-3_f64..1e3, effect in 1e-4_f64..10.0, power in 0.4_f64..0.999,
        weight in 0.01_f64..=1.0
    ) {
        let plan = Plan { alpha, alternative: Alternative::TwoSided, controls };
        prop_assert!(plan.units(effect, power).is_ok() && plan.units_by_t(effect, power).is_ok());
        let sequential = SequentialPlan::new(alpha, weight).unwrap();
        prop_assert!(sequential.units(effect, Noise::new(3.0, controls, 0.5), power).is_ok());
    }
}
