//! The scorecard of a launch whose shares were changed on the way, and of one of which little is known.

use super::*;
use crate::analysis::effects::IntervalMethod;
use crate::analysis::scorecard::{Score, scorecard};
use crate::stats::e_process::{Test, epoch_evidence};
use crate::stats::undefined::Undefined;

fn row(epoch: u32, arm: &str, moments: Moments) -> ArmMoments {
    let (moments, settled) = (Outcome::Mean(moments), Outcome::Mean(moments));
    ArmMoments { epoch, week: 0, arm: arm.to_owned(), moments, settled, past: Vec::new() }
}

/// A launch of two epochs, with what both arms did in each.
fn two_epochs(epochs: [[Moments; 2]; 2]) -> (Launch, Measurement) {
    let mut launch = ramp_from(10.0, Needs::Time);
    launch.advance(START.plus_ms(1));
    let rows = (1..).zip(epochs).flat_map(|(epoch, [control, treatment])| {
        [row(epoch, CONTROL, control), row(epoch, TREATMENT, treatment)]
    });
    let metrics = BTreeMap::from([("buys".to_owned(), rows.collect())]);
    (launch, unbucketed(Vec::new(), metrics))
}

fn only_score(launch: &Launch, measurement: &Measurement) -> Score {
    let [metric] = &scorecard(launch, measurement, 0.95)[..] else { panic!("one metric") };
    metric.groups[0].score.clone()
}

#[test]
fn a_baseline_that_moves_while_shares_change_is_no_effect() {
    // Nothing differs within an epoch, and more units are treated in the better one: pooled means differ.
    let same = [[moments(9_000, 450), moments(1_000, 50)], [moments(2_000, 400), moments(8_000, 1_600)]];
    let (launch, measurement) = two_epochs(same);
    let score = only_score(&launch, &measurement);
    let (control, treated) = (score.control.mean.unwrap(), score.group.mean.unwrap());
    assert!(treated > 2.0 * control, "{control} {treated}");
    assert!(score.effect.unwrap().abs() < 1e-12, "{score:?}");
    assert!(score.relative_effect.unwrap().abs() < 1e-12 && score.p_value.unwrap() > 0.999, "{score:?}");
}

#[test]
fn effects_of_epochs_count_by_their_precision() {
    let epochs = [[moments(9_000, 900), moments(1_000, 80)], [moments(5_000, 500), moments(5_000, 450)]];
    let (launch, measurement) = two_epochs(epochs);
    let score = only_score(&launch, &measurement);
    let evidence = epochs.map(|arms| {
        let [control, treatment] = arms.map(Outcome::Mean);
        epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(0.0), 1.0).unwrap()
    });
    let sum = evidence[0] + evidence[1];
    assert!((score.effect.unwrap() + sum.score / sum.information).abs() < 1e-12);
    let interval = score.one_look.unwrap();
    let reach = 1.959_963_984_540_054 / sum.information.sqrt();
    assert!((f64::midpoint(interval.high, -interval.low) - reach).abs() < 1e-9, "{interval:?}");
    assert!(interval.high < 0.0 && score.every_look.unwrap().low < interval.low);
}

#[test]
fn epochs_too_small_for_evidence_are_said_to_be() {
    let few = [moments(20, 2), moments(20, 2)];
    let (launch, measurement) = two_epochs([few, few]);
    let score = only_score(&launch, &measurement);
    assert_eq!(
        (score.one_look, score.p_value),
        (Err(Undefined::TooFewInEpoch), Err(Undefined::TooFewInEpoch))
    );
    assert_eq!(score.effect, Ok(0.0));
}

#[test]
fn what_is_not_known_is_a_reason() {
    let launch = ramp(Needs::Time);
    let score = only_score(&launch, &measured(&launch, &[moments(0, 0), moments(1, 1)]));
    assert_eq!(score.control.mean, Err(Undefined::NoUnits));
    assert_eq!(score.group.mean, Ok(1.0));
    let why = Undefined::NoUnits;
    assert_eq!((score.one_look, score.p_value), (Err(why), Err(why)));
    assert_eq!(score.every_look, Err(Undefined::BurnIn));
    assert_eq!((score.ln_e, score.p_value_at_every_look), (0.0, 1.0));
    // Nobody in the treatment does it: the value is known, and its spread is not.
    let score = only_score(&launch, &measured(&launch, &[moments(2_000, 200), moments(2_000, 0)]));
    assert_eq!(score.effect, Ok(-0.1));
    let interval = score.one_look.unwrap();
    assert_eq!(score.one_look_method, IntervalMethod::Newcombe);
    assert!(interval.low < -0.1 && interval.high > -0.1 && interval.high < -0.08, "{interval:?}");
    assert_eq!(
        (score.one_look_relative, score.p_value),
        (Err(Undefined::NoVariance), Err(Undefined::NoVariance))
    );
    // With a spread on both sides it is Welch's.
    let score = only_score(&launch, &measured(&launch, &[moments(2_000, 200), moments(2_000, 1)]));
    assert_eq!((score.one_look.is_ok(), score.one_look_method), (true, IntervalMethod::Welch));
    // What is neither 0 nor 1 has no such interval.
    let sums = [Moments::from_mean_and_variance(2_000, 5.0, 4.0, 900), moments(2_000, 0)];
    let score = only_score(&launch, &measured(&launch, &sums));
    assert_eq!(score.one_look, Err(Undefined::NoVariance));
    assert!(score.every_look.is_ok_and(|ends| ends.high < 0.0) && score.ln_e > 10.0, "{score:?}");
}
