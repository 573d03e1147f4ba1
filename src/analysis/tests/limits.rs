//! Absolute limits: what they spend, what they trust, and what they do.

use super::*;
use crate::analysis::measurement::{Blindness, Cause};
use crate::domain::limit::Limit;
use crate::domain::metric::Action as MetricAction;

/// Errors, of which at most one in twenty units may have one.
pub(super) fn errors(action: MetricAction) -> Metric {
    let limit = Some(Limit { level: 0.05, window_ms: HOUR_MS, min_units: 100 });
    let kind = MetricKind::Conversion;
    Metric { direction: Direction::LowerIsBetter, kind, limit, action, ..guardrail("errors") }
}

/// Everyone has it: an epoch of 50 percent that is over, and one of 100 percent.
pub(super) fn whole(metrics: Vec<Metric>) -> Launch {
    let mut launch = gate(metrics, vec![Step::at_once(50.0), Step::at_once(100.0)]);
    launch.advance(START.plus_ms(1));
    launch
}

/// What everyone did at 100 percent, and nobody before.
pub(super) fn everyone(launch: &Launch, treated: Moments) -> Measurement {
    let row = ArmMoments {
        epoch: 2,
        week: 0,
        arm: TREATMENT.to_owned(),
        moments: Outcome::Mean(treated),
        settled: Outcome::Mean(treated),
        past: Vec::new(),
    };
    let metrics = launch.metrics.iter().map(|pinned| (pinned.metric.key.clone(), vec![row.clone()]));
    unbucketed(Vec::new(), metrics.collect())
}

#[test]
fn a_limit_and_its_guardrail_share_the_alpha_of_the_launch() {
    let launch = whole(vec![errors(MetricAction::RollBack), guardrail("buys")]);
    let found = judge(&launch, Some(&everyone(&launch, moments(1_000, 20))), NOW);
    let weights: Vec<f64> = found.verdicts.iter().map(|verdict| verdict.weight).collect();
    let third = 1.0 / 3.0;
    assert!(weights.iter().all(|weight| (weight - third).abs() < 1e-12), "{weights:?}");
    assert!((found.limits[0].weight - third).abs() < 1e-12);
    // An experiment never gives everyone one of its groups, and has no limit to spend on.
    let target = Target::Experiment { experiment: "colour".to_owned() };
    let launch = launch_of(target, vec![errors(MetricAction::RollBack)]);
    let found = judge(&launch, Some(&measured(&launch, &same())), NOW);
    assert!((found.verdicts[0].weight - 1.0).abs() < 1e-12);
}

fn launch_of(target: Target, metrics: Vec<Metric>) -> Launch {
    launch(target, &[CONTROL, "a"], metrics, vec![Step::at_once(100.0)])
}

#[test]
fn a_crossed_limit_rolls_back_by_its_share_of_the_alpha() {
    let launch = whole(vec![errors(MetricAction::RollBack)]);
    let decide = |ones| {
        let found = judge(&launch, Some(&everyone(&launch, moments(1_000, ones))), NOW);
        (plan(&launch, &found, None, NOW).kind, found)
    };
    let (kind, found) = decide(90);
    assert_eq!((kind, found.limits[0].verdict), (DecisionKind::RollBack, Verdict::Harm));
    // Enough for the whole alpha, and not for the limit's half of it.
    let (kind, found) = decide(76);
    let ln_e = found.limits[0].ln_e.exp();
    assert!(ln_e > 20.0 && ln_e < 38.0, "{ln_e}");
    assert_ne!((kind, found.limits[0].verdict), (DecisionKind::RollBack, Verdict::Harm));
}

#[test]
fn a_limit_of_a_metric_that_is_not_to_be_believed_is_blind_and_holds() {
    let launch = whole(vec![errors(MetricAction::RollBack)]);
    for (cause, code) in [
        (Cause::Audit, ReasonCode::AuditFailed),
        (Cause::Stale, ReasonCode::Stale),
        (Cause::NoBaseline, ReasonCode::NoBaseline),
    ] {
        let message = "duplicates is 0.4, at most 0.05 expected".to_owned();
        let blind = BTreeMap::from([("errors".to_owned(), Blindness { cause, message, since: Some(NOW) })]);
        let measurement = Measurement { blind, ..everyone(&launch, moments(1_000, 20)) };
        let found = judge(&launch, Some(&measurement), NOW);
        assert_eq!((found.limits[0].verdict, found.limits[0].reason), (Verdict::Blind, Some(code)));
        let plan = plan(&launch, &found, None, NOW);
        assert_eq!((plan.kind, codes(&plan.reasons)[0]), (DecisionKind::Hold, code));
        assert!(plan.reasons[0].message.contains("at most 0.05 expected"), "{}", plan.reasons[0].message);
        assert_eq!(judge(&launch, found.measurement(&launch).as_ref(), NOW), found);
    }
}

#[test]
fn a_limit_does_what_its_metric_is_to_do() {
    let crossed = moments(2_000, 300);
    let decide = |action| {
        let launch = whole(vec![errors(action), guardrail("buys")]);
        let found = judge(&launch, Some(&everyone(&launch, crossed)), NOW);
        (plan(&launch, &found, None, NOW), found)
    };
    assert_eq!(decide(MetricAction::RollBack).0.action, Action::RollBack);
    let (held, found) = decide(MetricAction::Hold);
    assert_eq!((held.kind, held.action), (DecisionKind::Hold, Action::None));
    assert_eq!((held.reasons[0].code, found.limits[0].verdict), (ReasonCode::Limit, Verdict::Harm));
    let (told, found) = decide(MetricAction::Report);
    assert!(found.limits.is_empty());
    assert_ne!(told.action, Action::RollBack);
}
