//! What outlives a launch that a person ends, and what does not.

use super::super::left_behind::left_behind;
use super::limits::{errors, everyone, whole};
use super::segments::{by_country, countries};
use super::*;
use crate::domain::metric::Action as MetricAction;

fn left(launch: &Launch, judgement: &Judgement) -> Vec<ReasonCode> {
    codes(&left_behind(launch, Some(judgement)))
}

fn holding() -> Launch {
    let metric = Metric { action: MetricAction::Hold, ..guardrail("buys") };
    gate(vec![metric], vec![Step::at_once(50.0), Step::at_once(80.0)])
}

#[test]
fn whatever_was_shown_is_left_behind_also_where_it_only_holds() {
    let launch = holding();
    assert_eq!(left(&launch, &look(&launch, &harm())), [ReasonCode::Harm]);
    let launch = whole(vec![errors(MetricAction::Hold)]);
    let crossed = judge(&launch, Some(&everyone(&launch, moments(2_000, 300))), NOW);
    assert_eq!(left(&launch, &crossed), [ReasonCode::Limit]);
    let launch = by_country(vec![guardrail("buys")]);
    let in_one = judge(&launch, Some(&countries(&launch, 500, 20)), NOW);
    assert_eq!(left(&launch, &in_one)[0], ReasonCode::HarmInSegment);
    let launch = ramp(Needs::Time);
    let unlike = look(&launch, &[moments(5_000, 500), moments(2_500, 250)]);
    assert_eq!(left(&launch, &unlike), [ReasonCode::SampleRatio]);
}

#[test]
fn a_warning_is_left_behind_before_any_further_look_and_past_it() {
    let mut launch = ramp(Needs::Time);
    assert!(left_behind(&launch, None).is_empty());
    let warned = Judgement { warned: true, ..look(&launch, &same()) };
    assert_eq!(left(&launch, &warned), [ReasonCode::Warning]);
    warned.note_in(&mut launch);
    assert_eq!(codes(&left_behind(&launch, None)), [ReasonCode::Warning]);
}

#[test]
fn what_is_not_known_leaves_nothing_behind() {
    let launch = ramp(Needs::Evidence);
    assert!(left(&launch, &look(&launch, &same())).is_empty(), "undecided");
    assert!(left(&launch, &judge(&launch, None, NOW)).is_empty(), "blind");
    let late = judge(&launch, Some(&measured(&launch, &same())), NOW.plus_ms(30 * 24 * HOUR_MS));
    assert!(left(&launch, &late).is_empty(), "stale");
    let launch = gate(Vec::new(), vec![Step::at_once(50.0)]);
    assert!(left(&launch, &judge(&launch, None, NOW)).is_empty(), "without guardrails");
}

#[test]
fn what_is_in_shadow_leaves_nothing_behind() {
    let mut launch = ramp(Needs::Time);
    launch.policy.policy.shadow = true;
    launch.warned = true;
    assert!(left(&launch, &look(&launch, &harm())).is_empty());
    let mut launch = holding();
    launch.policy.policy.shadow_guardrails = vec!["buys".to_owned()];
    assert!(left(&launch, &look(&launch, &harm())).is_empty());
}
