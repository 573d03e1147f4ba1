//! What is said of harmed guardrails since the rollback.

use super::super::recovery::{Recovered, TOLD_FOR_MS, recoveries, since_turned_off};
use super::*;
use crate::domain::metric::Direction;

/// What is said of the only guardrail of a launch that was rolled back for these numbers, when these came since; none where
/// it was not harmed.
fn told(metric: Metric, harm: [Moments; 2], since: [(u64, u64); 2]) -> Option<Recovered> {
    let mut launch = gate(vec![metric], vec![Step::at_once(50.0)]);
    let judgement = look(&launch, &harm);
    launch.end(LaunchState::RolledBack, NOW);
    let afterwards = since_turned_off(&launch, NOW).remove(0).launch;
    let measured = measured(&afterwards, &since.map(|(n, ones)| moments(n, ones)));
    let told = recoveries(&launch, None, &judgement, &measured);
    assert!(told.len() <= 1, "{told:?}");
    told.first().map(|recovery| recovery.recovered)
}

#[test]
fn a_harmed_guardrail_is_told_to_recover_by_what_came_since() {
    for (control, reverted, expected) in [
        ((20_000, 2_000), (20_000, 1_990), Recovered::Yes),
        ((20_000, 2_000), (20_000, 2_600), Recovered::Yes),
        ((20_000, 2_000), (20_000, 1_000), Recovered::NotYet),
        ((20_000, 2_000), (20_000, 1_700), Recovered::NotYet),
        // Some of the harm may be there yet.
        ((300, 30), (300, 30), Recovered::TooLittle),
        ((0, 0), (0, 0), Recovered::TooLittle),
        // All of it is gone, or all who would do it are.
        ((20_000, 0), (20_000, 0), Recovered::TooLittle),
    ] {
        assert_eq!(told(guardrail("buys"), harm(), [control, reverted]), Some(expected), "{reverted:?}");
    }
}

#[test]
fn an_error_that_only_the_treatment_had_has_gone_when_enough_come_without_it() {
    let errors = || Metric { direction: Direction::LowerIsBetter, ..guardrail("errors") };
    let only_there = || [moments(5_000, 0), moments(5_000, 250)];
    assert_eq!(told(errors(), only_there(), [(1_000, 0), (1_000, 0)]), Some(Recovered::Yes));
    assert_eq!(told(errors(), only_there(), [(100, 0), (100, 0)]), Some(Recovered::TooLittle));
    assert_eq!(told(errors(), only_there(), [(1_000, 0), (1_000, 60)]), Some(Recovered::NotYet));
}

#[test]
fn what_was_not_harmed_does_not_recover() {
    assert_eq!(
        told(guardrail("buys"), [moments(5_000, 250), moments(5_000, 500)], [(900, 90), (900, 90)]),
        None
    );
}

#[test]
fn it_is_told_of_rollbacks_alone_and_for_a_week() {
    let mut launch = ramp(Needs::Time);
    assert!(since_turned_off(&launch, NOW).is_empty());
    launch.end(LaunchState::RolledBack, NOW);
    let since = since_turned_off(&launch, NOW.plus_ms(TOLD_FOR_MS)).remove(0).launch;
    let epochs: Vec<(u32, Timestamp)> =
        since.epochs.iter().map(|epoch| (epoch.number, epoch.started_at)).collect();
    assert_eq!(epochs, [(2, NOW)]);
    assert!(since_turned_off(&launch, NOW.plus_ms(TOLD_FOR_MS + 1)).is_empty());
    launch.end(LaunchState::Cancelled, NOW);
    assert!(since_turned_off(&launch, NOW).is_empty());
}

#[test]
fn a_stopped_arm_is_told_of_by_what_came_since_while_the_launch_goes_on() {
    let mut launch = experiment();
    launch.begin_epoch(100.0, NOW);
    launch.stop_arm("b", NOW.plus_ms(HOUR_MS));
    launch.begin_epoch(100.0, NOW.plus_ms(2 * HOUR_MS));
    let later = NOW.plus_ms(3 * HOUR_MS);
    let [since] = since_turned_off(&launch, later).try_into().unwrap();
    assert_eq!(since.arm.as_deref(), Some("b"));
    let starts: Vec<(u32, Timestamp)> =
        since.launch.epochs.iter().map(|epoch| (epoch.number, epoch.started_at)).collect();
    assert_eq!(starts, [(2, NOW.plus_ms(HOUR_MS)), (3, NOW.plus_ms(2 * HOUR_MS))]);
    // Of the others nothing is told, however bad they were.
    let bad = [moments(20_000, 2_000), moments(20_000, 900), moments(20_000, 900)];
    let found = Measurement { as_of: later, ..measured(&experiment(), &[&bad[..], &bad[..2]].concat()) };
    let judgement = judge(&experiment(), Some(&found), NOW);
    let told = recoveries(&launch, since.arm.as_deref(), &judgement, &found);
    let arms: Vec<&str> = told.iter().map(|recovery| recovery.arm.as_str()).collect();
    assert_eq!(arms, ["b"]);
    assert!(since_turned_off(&launch, NOW.plus_ms(HOUR_MS + TOLD_FOR_MS + 1)).is_empty());
    launch.end(LaunchState::Completed, later);
    assert!(since_turned_off(&launch, later).is_empty());
}
