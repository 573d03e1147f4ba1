//! Laws that hold for any input.
#![cfg(test)]

mod arbitrary;
mod estimates;
mod evaluation;
mod hard_inputs;
mod judgements;
mod magnitudes;

use magnitudes::mostly;
use portcullis::domain::metric::Direction;
use portcullis::stats::anytime;
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
use portcullis::stats::effect::Interval;
use portcullis::stats::moments::Moments;
use portcullis::stats::outcome::Outcome;
use proptest::collection::vec;
use proptest::prelude::*;

fn moments(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    for value in values {
        moments.add(*value);
    }
    moments
}

fn outcome(values: &[f64]) -> Outcome {
    Outcome::Mean(moments(values))
}

fn scaled(values: &[f64], factor: f64) -> Moments {
    moments(&values.iter().map(|value| value * factor).collect::<Vec<_>>())
}

/// Enough of them for evidence.
fn positive_values() -> impl Strategy<Value = Vec<f64>> {
    vec(0.0_f64..1_000.0, 30..200)
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::HigherIsBetter), Just(Direction::LowerIsBetter)]
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::HigherIsBetter => Direction::LowerIsBetter,
        Direction::LowerIsBetter => Direction::HigherIsBetter,
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-7 * (1.0 + a.abs().max(b.abs()))
}

/// Whether both tests could be made; that their evidence is then a number, and so is its e-value.
fn has_finite_e_values(
    [control, treatment]: [&[f64]; 2],
    direction: Direction,
    margin: f64,
) -> Result<bool, TestCaseError> {
    let (control, treatment) = (outcome(control), outcome(treatment));
    let scale = e_process::first_scale(&control, &treatment).unwrap_or(1.0);
    let mut defined = true;
    for test in [Test::Harm(margin), Test::Safety(margin)] {
        let found = epoch_evidence(&control, &treatment, direction, test, scale);
        defined &= found.is_ok();
        if let Ok(evidence) = found {
            prop_assert!(evidence.information >= 0.0);
            let ln_e = e_process::ln_e(evidence);
            prop_assert!(ln_e.is_finite(), "{evidence:?}: {ln_e}");
        }
    }
    Ok(defined)
}

#[test]
fn an_e_value_of_values_of_any_one_size_is_finite_and_nearly_always_defined() {
    let drawn = (magnitudes::two_arms(30..60), direction(), 0.0_f64..0.999);
    mostly(1_000, 0.8, &drawn, |([control, treatment], direction, margin)| {
        has_finite_e_values([&control, &treatment], direction, margin)
    });
}

proptest! {
    // What fails is shown, and becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_logarithm_of_an_e_value_is_finite_for_any_evidence(score in finite(), information in finite()) {
        let ln_e = e_process::ln_e(Evidence { score, information: information.abs() });
        prop_assert!(ln_e.is_finite(), "{ln_e}");
    }

    #[test]
    fn an_e_value_of_values_of_wildly_different_sizes_is_finite_or_has_a_reason(
        control in vec(finite(), 30..60), treatment in vec(finite(), 30..60), direction in direction(),
        margin in 0.0_f64..0.999
    ) {
        has_finite_e_values([&control, &treatment], direction, margin)?;
    }

    #[test]
    fn the_interval_that_holds_at_every_look_narrows_with_information_and_with_a_lower_level(
        estimate in -2.0_f64..2.0, exponent in -1.0_f64..8.0, more in 1.01_f64..100.0, level in 0.5_f64..0.999,
        lower in 0.1_f64..0.99
    ) {
        let at = |information: f64, level: f64| {
            anytime::interval(Evidence { score: estimate * information, information }, level).unwrap()
        };
        let width = |interval: Interval| interval.high - interval.low;
        let information = 10_f64.powf(exponent);
        let found = at(information, level);
        prop_assert!(found.low <= estimate && estimate <= found.high);
        prop_assert!(width(at(information * more, level)) < width(found));
        prop_assert!(width(at(information, level * lower)) < width(found));
    }

    #[test]
    fn the_interval_that_holds_at_every_look_excludes_zero_exactly_when_the_e_value_of_a_side_is_at_its_level(
        z in -8.0_f64..8.0, exponent in -1.0_f64..8.0, level in 0.5_f64..0.999
    ) {
        let information = 10_f64.powf(exponent);
        let evidence = Evidence { score: z * information.sqrt(), information };
        let found = anytime::interval(evidence, level).unwrap();
        let needed = (2.0 / (1.0 - level)).ln();
        let of_sides = [evidence.score, -evidence.score].map(|score| e_process::ln_e(Evidence { score, ..evidence }));
        // Where a side is on the edge rounding may decide.
        if of_sides.iter().all(|ln_e| !near(*ln_e, needed)) {
            prop_assert_eq!([found.low > 0.0, found.high < 0.0], of_sides.map(|ln_e| ln_e >= needed));
        }
    }

    #[test]
    fn the_unit_of_measurement_does_not_matter(
        control in positive_values(), treatment in positive_values(), direction in direction(),
        margin in 0.0_f64..0.5, factor in 1e-6_f64..1e6
    ) {
        let ln_e = |factor: f64| {
            let (control, treatment) =
                (Outcome::Mean(scaled(&control, factor)), Outcome::Mean(scaled(&treatment, factor)));
            let scale = e_process::first_scale(&control, &treatment)?;
            let test = Test::Harm(margin);
            epoch_evidence(&control, &treatment, direction, test, scale).map(e_process::ln_e)
        };
        match (ln_e(1.0), ln_e(factor)) {
            (Ok(one), Ok(other)) => prop_assert!(near(one, other), "{one} and {other}"),
            (one, other) => prop_assert_eq!(one, other),
        }
    }

    #[test]
    fn arms_and_direction_swapped_together_change_nothing(
        control in positive_values(), treatment in positive_values(), direction in direction()
    ) {
        let (a, b) = (outcome(&control), outcome(&treatment));
        let evidence = |control: &Outcome, treatment: &Outcome, direction| {
            epoch_evidence(control, treatment, direction, Test::Harm(0.0), 100.0).unwrap()
        };
        let plain = evidence(&a, &b, direction);
        let both = evidence(&b, &a, opposite(direction));
        let arms = evidence(&b, &a, direction);
        prop_assert!(near(plain.score, both.score) && near(plain.information, both.information));
        prop_assert!(near(plain.score, -arms.score) && near(plain.information, arms.information));
    }
}
