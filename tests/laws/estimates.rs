//! Laws of moments, effects and intervals.

use portcullis::stats::beta;
use portcullis::stats::correction::{Correction, adjusted, e_benjamini_hochberg};
use portcullis::stats::covariate::{WithCovariate, absolute_effect};
use portcullis::stats::effect::{Alternative, Effect, Interval};
use portcullis::stats::estimate::Estimate;
use portcullis::stats::joint_moments::{PairMoments, RatioPairMoments};
use portcullis::stats::moments::Moments;
use portcullis::stats::planning::Plan;
use portcullis::stats::proportion::{DifferenceMethod, Method, Proportion, difference_interval};
use portcullis::stats::student;
use proptest::collection::vec;
use proptest::prelude::*;

/// A unit's four values.
type Row = [f64; 4];

fn near(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * (1e-12 + a.abs().max(b.abs()))
}

fn alternative() -> impl Strategy<Value = Alternative> {
    prop_oneof![Just(Alternative::TwoSided), Just(Alternative::Less), Just(Alternative::Greater)]
}

fn mirrored(alternative: Alternative) -> Alternative {
    match alternative {
        Alternative::TwoSided => Alternative::TwoSided,
        Alternative::Less => Alternative::Greater,
        Alternative::Greater => Alternative::Less,
    }
}

fn arm() -> impl Strategy<Value = Estimate> {
    (2_u64..1_000_000_000, -1e6_f64..1e6, 1e-3_f64..1e9)
        .prop_map(|(n, value, variance)| Estimate::new(n, value, variance).unwrap())
}

fn proportion() -> impl Strategy<Value = Proportion> {
    (1_u64..1_000_000)
        .prop_flat_map(|units| (0..=units, Just(units)))
        .prop_map(|(successes, units)| Proportion::new(successes, units).unwrap())
}

/// Rows of values within a thousand of `offset`.
fn rows(offset: f64) -> impl Strategy<Value = Vec<Row>> {
    vec([-1e3_f64..1e3, 1.0_f64..1e3, -1e3_f64..1e3, 1.0_f64..1e3], 1..100)
        .prop_map(move |rows| rows.into_iter().map(|row| row.map(|value| offset + value)).collect())
}

fn moments(rows: &[Row]) -> RatioPairMoments {
    let mut moments = RatioPairMoments::default();
    for [a, b, c, d] in rows {
        moments.add((*a, *b), (*c, *d));
    }
    moments
}

/// All that follows from moments, as a list: means from `offset`, variances and covariances.
fn all_of(moments: &RatioPairMoments, offset: f64) -> Vec<f64> {
    let pivot = Moments::from_mean_and_variance(1, offset, 0.0, 1);
    let pairs = [moments.outcome, moments.covariate];
    let means = pairs.iter().flat_map(|pair| [pair.first, pair.second]);
    let mut all: Vec<f64> = means.map(|one| one.mean_above(&pivot).unwrap()).collect();
    for (first, second, product) in pairs.iter().filter_map(PairMoments::covariances) {
        all.extend([first, second, product]);
    }
    all.extend(moments.cross_covariances().into_iter().flatten().flatten());
    all
}

fn width(interval: Interval) -> f64 {
    interval.high - interval.low
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_moments_is_associative_and_gives_the_whole_wherever_the_values_lie(
        (offset, a, b, c) in prop_oneof![Just(0.0), Just(1e6), Just(-1e12)]
            .prop_flat_map(|offset| (Just(offset), rows(offset), rows(offset), rows(offset)))
    ) {
        let (first, second, third) = (moments(&a), moments(&b), moments(&c));
        let whole = moments(&[a, b, c].concat());
        for merged in [
            first.merged(second).merged(third),
            first.merged(second.merged(third)),
            third.merged(first).merged(second),
        ] {
            prop_assert_eq!(merged.outcome.n(), whole.outcome.n());
            prop_assert_eq!(merged.outcome.first.nonzero, whole.outcome.first.nonzero);
            for (found, expected) in all_of(&merged, offset).into_iter().zip(all_of(&whole, offset)) {
                prop_assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{found} and {expected}");
            }
        }
    }

    #[test]
    fn merging_nothing_changes_nothing(rows in rows(5.0)) {
        let moments = moments(&rows);
        prop_assert_eq!(moments.merged(RatioPairMoments::default()), moments);
        prop_assert_eq!(RatioPairMoments::default().merged(moments), moments);
    }

    #[test]
    fn where_units_lie_does_not_change_their_spread(rows in rows(0.0), shift in -1e9_f64..1e9) {
        let mut shifted = Moments::default();
        let mut plain = Moments::default();
        for row in &rows {
            plain.add(row[0]);
            shifted.add(row[0] + shift);
        }
        match (plain.variance(), shifted.variance()) {
            (Some(plain), Some(shifted)) => prop_assert!((plain - shifted).abs() <= 1e-6 * plain + 1e-6),
            (plain, shifted) => prop_assert_eq!(plain, shifted),
        }
    }

    #[test]
    fn intervals_grow_with_the_level_and_hold_the_estimate(
        control in arm(), treatment in arm(), low in 0.01_f64..0.99, more in 0.001_f64..0.009
    ) {
        let effect = Effect::absolute(&control, &treatment).unwrap();
        let at = |level| effect.interval(Alternative::TwoSided, level);
        prop_assert!(width(at(low)) < width(at(low + more)));
        prop_assert!(at(low).low <= effect.estimate && effect.estimate <= at(low).high);
    }

    #[test]
    fn intervals_shrink_with_the_units(
        n in 2_u64..1_000_000, value in -1e3_f64..1e3, variance in 1e-3_f64..1e6, level in 0.5_f64..0.999
    ) {
        let effect = |n| {
            let arm = Estimate::new(n, value, variance).unwrap();
            Effect::absolute(&arm, &arm).unwrap().interval(Alternative::TwoSided, level)
        };
        prop_assert!(width(effect(n)) > width(effect(2 * n)));
    }

    #[test]
    fn an_interval_excludes_zero_exactly_when_the_p_value_is_below_its_level(
        control in arm(), treatment in arm(), alternative in alternative(), level in 0.01_f64..0.999
    ) {
        let effect = Effect::absolute(&control, &treatment).unwrap();
        let interval = effect.interval(alternative, level);
        let excluded = interval.low > 0.0 || interval.high < 0.0;
        let ln_p = effect.ln_p(alternative, 0.0);
        // Where both are on the edge rounding may decide.
        if !near(ln_p, (1.0 - level).ln(), 1e-6) {
            prop_assert_eq!(excluded, ln_p < (1.0 - level).ln());
        }
    }

    #[test]
    fn swapped_arms_mirror_the_effect(control in arm(), treatment in arm(), alternative in alternative()) {
        let one = Effect::absolute(&control, &treatment).unwrap();
        let other = Effect::absolute(&treatment, &control).unwrap();
        prop_assert!(near(one.estimate, -other.estimate, 1e-12));
        prop_assert!(near(one.standard_error, other.standard_error, 1e-12));
        prop_assert!(near(one.freedom, other.freedom, 1e-9));
        prop_assert!(near(one.ln_p(alternative, 0.0), other.ln_p(mirrored(alternative), 0.0), 1e-6));
    }

    #[test]
    fn the_unit_of_measurement_changes_no_p_value_and_no_relative_effect(
        control in arm(), treatment in arm(), alternative in alternative(), factor in 1e-100_f64..1e100
    ) {
        let scaled = |arm: &Estimate| {
            Estimate::new(arm.n(), arm.value() * factor, arm.variance() * factor * factor).unwrap()
        };
        for effect in [Effect::absolute, Effect::relative] {
            let plain = effect(&control, &treatment).unwrap();
            let other = effect(&scaled(&control), &scaled(&treatment)).unwrap();
            prop_assert!(near(plain.ln_p(alternative, 0.0), other.ln_p(alternative, 0.0), 1e-6));
        }
        let relative = |effect: Result<Effect, _>| effect.unwrap().estimate;
        prop_assert!(near(
            relative(Effect::relative(&control, &treatment)),
            relative(Effect::relative(&scaled(&control), &scaled(&treatment))),
            1e-9
        ));
    }

    #[test]
    fn swapped_arms_mirror_an_adjusted_effect(one in rows(0.0), other in rows(0.0), slope in -10.0_f64..10.0) {
        let of = |rows: &[Row]| WithCovariate::of_means(&moments(rows).outcome);
        if let (Ok(control), Ok(treatment)) = (of(&one), of(&other)) {
            let plain = absolute_effect(&control, &treatment, slope);
            let mirror = absolute_effect(&treatment, &control, slope);
            match (plain, mirror) {
                (Ok(plain), Ok(mirror)) => {
                    prop_assert!(near(plain.estimate, -mirror.estimate, 1e-9));
                    prop_assert!(near(plain.standard_error, mirror.standard_error, 1e-9));
                }
                (plain, mirror) => prop_assert_eq!(plain, mirror),
            }
        }
    }

    #[test]
    fn proportions_have_intervals_that_hold_their_share(
        arm in proportion(), level in 0.01_f64..0.999_999
    ) {
        for method in [Method::Normal, Method::Wilson, Method::ClopperPearson] {
            let found = arm.interval(method, level);
            prop_assert!(found.low <= arm.share() + 1e-12 && arm.share() <= found.high + 1e-12, "{found:?}");
            prop_assert!(found.low >= 0.0 && found.high <= 1.0);
        }
    }

    #[test]
    fn swapped_proportions_mirror_the_interval(
        control in proportion(), treatment in proportion(), level in 0.01_f64..0.999
    ) {
        for method in [DifferenceMethod::Wald, DifferenceMethod::AgrestiCaffo, DifferenceMethod::Newcombe] {
            let one = difference_interval(&control, &treatment, method, level);
            let other = difference_interval(&treatment, &control, method, level);
            prop_assert!((one.low + other.high).abs() < 1e-12 && (one.high + other.low).abs() < 1e-12);
        }
    }

    #[test]
    fn adjusted_p_values_are_no_smaller_and_keep_their_order(p_values in vec(0.0_f64..=1.0, 0..30)) {
        use Correction::{BenjaminiHochberg, BenjaminiYekutieli, Bonferroni, Holm};
        for correction in [Bonferroni, Holm, BenjaminiHochberg, BenjaminiYekutieli] {
            let found = adjusted(&p_values, correction);
            prop_assert_eq!(found.len(), p_values.len());
            for (p, q) in p_values.iter().zip(&found) {
                prop_assert!(*q >= *p && *q <= 1.0);
                for (other_p, other_q) in p_values.iter().zip(&found) {
                    prop_assert!(p >= other_p || q <= other_q, "{p} {q} {other_p} {other_q}");
                }
            }
        }
    }

    #[test]
    fn e_values_that_stand_out_are_the_largest(ln_e_values in vec(-5.0_f64..20.0, 0..30)) {
        let found = e_benjamini_hochberg(&ln_e_values, 0.05);
        let least = ln_e_values.iter().zip(&found).filter(|(_, out)| **out).map(|(ln_e, _)| *ln_e);
        let least = least.fold(f64::INFINITY, f64::min);
        for (ln_e, out) in ln_e_values.iter().zip(&found) {
            prop_assert_eq!(*ln_e >= least, *out);
        }
        let count = found.iter().filter(|out| **out).count() as f64;
        prop_assert!(count < 1.0 || least >= (ln_e_values.len() as f64 / (0.05 * count)).ln());
    }

    #[test]
    fn tails_fall_and_their_quantiles_follow(
        t in -50.0_f64..50.0, more in 0.01_f64..10.0, freedom in 0.5_f64..1e7, q in 1e-12_f64..0.999
    ) {
        prop_assert!(student::ln_sf(t + more, freedom) <= student::ln_sf(t, freedom));
        let back = student::ln_sf(student::upper_quantile(q, freedom), freedom).exp();
        prop_assert!(near(back, q, 1e-8), "{back} and {q}");
    }

    #[test]
    fn the_incomplete_beta_function_and_its_mirror_make_one(
        x in 0.001_f64..0.999, a in 0.1_f64..1e4, b in 0.1_f64..1e4
    ) {
        let sum = beta::ln_regularized(x, 1.0 - x, a, b).exp() + beta::ln_regularized(1.0 - x, x, b, a).exp();
        prop_assert!((sum - 1.0).abs() < 1e-10, "{sum}");
    }

    #[test]
    fn power_grows_with_units_and_effect(
        alpha in 0.001_f64..0.2, alternative in alternative(), controls in 0.1_f64..100.0, effect in 0.001_f64..2.0,
        units in 2.0_f64..1e6
    ) {
        let plan = Plan { alpha, alternative, controls };
        let effect = if alternative == Alternative::Less { -effect } else { effect };
        for power in [Plan::power, Plan::power_by_t] {
            let found = power(&plan, effect, units);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&found));
            prop_assert!(found <= power(&plan, effect, 1.5 * units) + 1e-9);
            prop_assert!(found <= power(&plan, 1.5 * effect, units) + 1e-9);
        }
    }
}
