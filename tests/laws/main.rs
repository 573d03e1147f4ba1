//! Laws that hold for any input.
#![cfg(test)]

mod arbitrary;
mod estimates;
mod evaluation;
mod hard_inputs;

use portcullis::domain::metric::Direction;
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
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

proptest! {
    // What fails is shown, and becomes a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_logarithm_of_an_e_value_is_finite_for_any_evidence(score in finite(), information in finite()) {
        let ln_e = e_process::ln_e(Evidence { score, information: information.abs() });
        prop_assert!(ln_e.is_finite(), "{ln_e}");
    }

    #[test]
    fn an_e_value_is_finite_and_not_negative_for_any_values(
        control in vec(finite(), 30..60), treatment in vec(finite(), 30..60), direction in direction(),
        margin in 0.0_f64..0.999
    ) {
        let (control, treatment) = (outcome(&control), outcome(&treatment));
        let scale = e_process::first_scale(&control, &treatment).unwrap_or(1.0);
        for test in [Test::Harm(margin), Test::Safety(margin)] {
            if let Ok(evidence) = epoch_evidence(&control, &treatment, direction, test, scale) {
                prop_assert!(evidence.information >= 0.0);
                prop_assert!(e_process::ln_e(evidence).is_finite());
            }
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
