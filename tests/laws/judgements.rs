//! Laws of the assembled judgement: from what was measured to the launch-level e-value.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::analysis::decision::{Judgement, Verdict};
use portcullis::analysis::judge::judge;
use portcullis::analysis::measurement::{ArmMoments, Measurement, Past};
use portcullis::domain::launch::{
    CONTROL, Launch, LaunchId, LaunchPlan, PinnedMetric, Step, TREATMENT, Target,
};
use portcullis::domain::metric::{DEFAULT_SHIP_MARGIN, Direction, GUARDRAIL_TAG, Metric, MetricKind};
use portcullis::domain::time::Timestamp;
use portcullis::stats::outcome::Outcome;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::magnitudes::{self, mostly};
use super::{direction, finite, near, opposite, outcome};

const BUCKET_MS: i64 = 10_000;
const BUCKETS: usize = 6;

fn launch(direction: Direction, margin: f64, kind: MetricKind) -> Launch {
    let metric = Metric {
        tags: vec![GUARDRAIL_TAG.to_owned()],
        direction,
        margin,
        ship_margin: margin + DEFAULT_SHIP_MARGIN,
        ..Metric::of("value", kind, "done")
    };
    let plan = LaunchPlan {
        id: LaunchId(Uuid::nil()),
        target: Target::GateRule { gate: "gate".to_owned(), rule: "rule".to_owned() },
        unit_type: "user_id".to_owned(),
        steps: vec![Step::at_once(50.0)],
        arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
        metrics: vec![PinnedMetric { metric, revision: 1, scale: None }],
        rollback_percentage: 0.0,
        principal: "somebody".to_owned(),
    };
    Launch::begin(plan, Timestamp(0))
}

/// What each arm shows in each bucket, judged with the buckets kept apart or not.
fn judged(launch: &Launch, control: &[Outcome], treatment: &[Outcome], apart: bool) -> Judgement {
    let end = |bucket: usize| Timestamp((i64::try_from(bucket).unwrap() + 1) * BUCKET_MS);
    let now = end(BUCKETS);
    let row = |arm: &str, buckets: &[Outcome]| {
        let (mut so_far, mut past) = (Outcome::default(), Vec::new());
        for (bucket, outcome) in buckets.iter().enumerate() {
            so_far = so_far.merged(*outcome);
            past.push(Past { at: end(bucket), moments: so_far, settled: so_far });
        }
        let past = if apart { past } else { Vec::new() };
        ArmMoments { epoch: 1, week: 0, arm: arm.to_owned(), moments: so_far, settled: so_far, past }
    };
    let rows = vec![row(CONTROL, control), row(TREATMENT, treatment)];
    let measurement = Measurement {
        as_of: now,
        watermark: now,
        units: Vec::new(),
        shares: BTreeMap::new(),
        kept_from: apart.then_some(Timestamp(0)),
        stripped: BTreeSet::new(),
        metrics: BTreeMap::from([("value".to_owned(), rows)]),
        ..Measurement::default()
    };
    judge(launch, Some(&measurement), now)
}

/// The units of an arm, bucket by bucket.
fn buckets(value: impl Strategy<Value = f64>) -> impl Strategy<Value = Vec<Vec<f64>>> {
    vec(vec(value, 20..60), BUCKETS)
}

fn outcomes(buckets: &[Vec<f64>], factor: f64) -> Vec<Outcome> {
    let scaled = |values: &Vec<f64>| outcome(&values.iter().map(|value| value * factor).collect::<Vec<_>>());
    buckets.iter().map(scaled).collect()
}

fn without(outcomes: &[Outcome], left_out: usize) -> Vec<Outcome> {
    let kept = outcomes.iter().enumerate();
    kept.map(|(bucket, outcome)| if bucket == left_out { Outcome::default() } else { *outcome }).collect()
}

/// Whether evidence was had of them; that every number of their judgement is finite.
fn has_finite_numbers(
    control: &[Vec<f64>],
    treatment: &[Vec<f64>],
    direction: Direction,
    margin: f64,
) -> Result<bool, TestCaseError> {
    let launch = launch(direction, margin, MetricKind::Sum);
    let found = judged(&launch, &outcomes(control, 1.0), &outcomes(treatment, 1.0), true);
    let verdict = &found.verdicts[0];
    let least = found.least.map_or(0.0, |least| least.ln_e);
    for ln_e in
        [found.ln_e, least, found.ln_e_sample_ratio, verdict.ln_e, verdict.ln_e_adjusted, verdict.ln_e_safe]
    {
        prop_assert!(ln_e.is_finite(), "{found:?}");
    }
    Ok(verdict.undefined.is_none() && verdict.scale.is_some_and(|scale| scale.is_finite() && scale > 0.0))
}

#[test]
fn every_number_of_a_judgement_is_finite_for_values_of_any_one_size_and_nearly_always_defined() {
    let units = 30 * BUCKETS;
    let drawn = (magnitudes::two_arms(units..units + 1), direction(), 0.0_f64..0.9);
    mostly(200, 0.8, &drawn, |([control, treatment], direction, margin)| {
        let [control, treatment] =
            [control, treatment].map(|arm| arm.chunks(30).map(<[f64]>::to_vec).collect::<Vec<_>>());
        has_finite_numbers(&control, &treatment, direction, margin)
    });
}

proptest! {
    // Each case draws hundreds of values. What fails is shown, and becomes a test of its own.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_of_a_judgement_is_finite_for_values_of_wildly_different_sizes(
        control in buckets(finite()), treatment in buckets(finite()), direction in direction(),
        margin in 0.0_f64..0.9
    ) {
        has_finite_numbers(&control, &treatment, direction, margin)?;
    }

    #[test]
    fn buckets_put_together_are_judged_as_the_whole(
        control in buckets(0.0_f64..9.0), treatment in buckets(0.0_f64..8.0), direction in direction()
    ) {
        let launch = launch(direction, 0.0, MetricKind::Sum);
        let (control, treatment) = (outcomes(&control, 1.0), outcomes(&treatment, 1.0));
        let whole = |outcomes: &[Outcome]| {
            vec![outcomes.iter().fold(Outcome::default(), |sum, outcome| sum.merged(*outcome))]
        };
        let apart = judged(&launch, &control, &treatment, true);
        let together = judged(&launch, &whole(&control), &whole(&treatment), false);
        prop_assert!(near(apart.ln_e, together.ln_e));
        prop_assert!(near(apart.verdicts[0].ln_e_safe, together.verdicts[0].ln_e_safe));
    }

    #[test]
    fn a_bucket_that_is_left_out_leaves_what_would_be_without_it(
        control in buckets(0.0_f64..9.0), treatment in buckets(0.0_f64..5.0)
    ) {
        let mut launch = launch(Direction::HigherIsBetter, 0.0, MetricKind::Sum);
        launch.metrics[0].scale = Some(4.5);
        let (control, treatment) = (outcomes(&control, 1.0), outcomes(&treatment, 1.0));
        let found = judged(&launch, &control, &treatment, true);
        let Some(least) = found.least else {
            return Ok(());
        };
        let remaining = |bucket| judged(&launch, &without(&control, bucket), &without(&treatment, bucket), false).ln_e;
        let expected = (0..BUCKETS).map(remaining).fold(found.ln_e, f64::min);
        prop_assert!(near(least.ln_e, expected), "{least:?} and {expected}");
    }

    #[test]
    fn the_unit_of_measurement_does_not_change_a_verdict(
        control in buckets(0.0_f64..9.0), treatment in buckets(0.0_f64..8.0), direction in direction(),
        margin in 0.0_f64..0.2, factor in 1e-6_f64..1e6
    ) {
        let launch = launch(direction, margin, MetricKind::Sum);
        let judged = |factor| judged(&launch, &outcomes(&control, factor), &outcomes(&treatment, factor), true);
        let (one, other) = (judged(1.0), judged(factor));
        prop_assert!(near(one.ln_e, other.ln_e), "{} and {}", one.ln_e, other.ln_e);
        prop_assert!(near(one.verdicts[0].ln_e_safe, other.verdicts[0].ln_e_safe));
        prop_assert_eq!(one.verdicts[0].verdict, other.verdicts[0].verdict);
    }

    #[test]
    fn arms_and_direction_swapped_together_are_judged_alike(
        control in buckets(0.0_f64..9.0), treatment in buckets(0.0_f64..8.0), direction in direction()
    ) {
        let (control, treatment) = (outcomes(&control, 1.0), outcomes(&treatment, 1.0));
        let mut plain = launch(direction, 0.0, MetricKind::Sum);
        let mut mirrored = launch(opposite(direction), 0.0, MetricKind::Sum);
        plain.metrics[0].scale = Some(4.0);
        mirrored.metrics[0].scale = Some(4.0);
        let one = judged(&plain, &control, &treatment, true);
        let other = judged(&mirrored, &treatment, &control, true);
        prop_assert!(near(one.ln_e, other.ln_e), "{} and {}", one.ln_e, other.ln_e);
        // What is safe depends on which arm the margin is a share of.
        let harms = [one, other].map(|found| found.verdicts[0].verdict == Verdict::Harm);
        prop_assert_eq!(harms[0], harms[1]);
    }

    #[test]
    fn marks_are_finite_for_any_counts(
        treated in any::<u32>(), control in any::<u32>(), share in 0.0_f64..=1.0, direction in direction(),
        margin in 0.0_f64..0.999
    ) {
        use portcullis::stats::marks::{Bets, Marks};
        let (treated, control) = (u64::from(treated), u64::from(control));
        let found = Bets::on(&Marks { share, treated, control }, direction, margin).ln_e();
        prop_assert!(found.is_finite(), "{found}");
    }

    #[test]
    fn the_sample_ratio_has_an_e_value_for_any_counts(
        units in vec(any::<u32>(), 2..5), weights in vec(0.001_f64..1.0, 5)
    ) {
        use portcullis::stats::sequential_sample_ratio::{Dealt, ln_e};
        let total: f64 = weights.iter().take(units.len()).sum();
        let dealt = |(units, weight): (&u32, &f64)| Dealt { units: u64::from(*units), share: weight / total };
        let arms: Vec<Dealt> = units.iter().zip(&weights).map(dealt).collect();
        prop_assert!(ln_e(&[arms]).is_finite());
    }
}
