//! Absolute limits: what is watched once everyone has the treatment and nothing is left to compare with.

use std::time::Duration;

use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, DecisionAction, DecisionKind, LaunchState, Metric, MetricAction, MetricDirection,
    MetricLimit, ReasonCode, Verdict,
};

use crate::documents::{gate, guardrail};
use crate::guard::launch;
use crate::server::{Server, TestClock, eventually, fields, gate_target, wire_duration};
use crate::visitors::{check_gate, event, heartbeat, ids, log, passing};

fn limited(level: f64) -> Metric {
    let limit = MetricLimit { level, window: Some(wire_duration(3_600_000)), min_units: Some(100) };
    Metric {
        direction: MetricDirection::LowerIsBetter.into(),
        limit: Some(limit),
        ..guardrail("errors", "error_shown")
    }
}

/// Visitors come in waves, and one in `every` sees an error, until the guard's answer is as wanted.
async fn come(
    server: &Server,
    every: usize,
    what: &str,
    wanted: impl Fn(&CheckLaunchResponse) -> bool,
) -> CheckLaunchResponse {
    let mut wave = 0;
    eventually(what, async || {
        wave += 1;
        let visitors = ids(&format!("wave-{wave}"), 100);
        let passes = check_gate(server, "new_checkout", &visitors).await;
        assert_eq!(passes.len(), 100);
        log(server, visitors.iter().step_by(every).map(|visitor| event(visitor, "error_shown")).collect())
            .await;
        heartbeat(server).await;
        let answer = server.check(&gate_target("new_checkout")).await;
        if wanted(&answer) { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_crossed_by_everyone_rolls_back_without_any_control() {
    let server = Server::start().await;
    server.create_metric(limited(0.05)).await;
    server.create_gate(gate("new_checkout", 100.0)).await;
    let rolled_back = |answer: &CheckLaunchResponse| {
        answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack)
    };
    let answer = come(&server, 5, "the launch is rolled back", rolled_back).await;
    assert_eq!(answer.decision(), DecisionKind::Block);
    let crossed = &answer.limits[0];
    assert_eq!((crossed.verdict(), crossed.level, crossed.metric.as_str()), (Verdict::Harm, 0.05, "errors"));
    assert!(answer.verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Blind), "nothing is compared");
    let cause = &answer.latches[0].cause;
    assert!(cause.contains("without a comparison"), "{cause}");
    let decisions = server.decisions(&answer.launch.unwrap().id).await;
    let act = decisions.iter().find(|decision| decision.action() == DecisionAction::RollBack).unwrap();
    assert_eq!((act.reasons[0].code(), act.limits.len()), (ReasonCode::Limit, 1));
    assert!(passing(&check_gate(&server, "new_checkout", &ids("later", 50)).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_not_crossed_is_watched_for_its_window_and_then_the_launch_ends() {
    let clock = TestClock::running();
    let server = Server::start_with(&clock).await;
    server.create_metric(limited(0.3)).await;
    server.create_gate(gate("new_checkout", 100.0)).await;
    let allowed = |answer: &CheckLaunchResponse| {
        answer.decision() == DecisionKind::Allow && answer.limits.iter().any(|limit| limit.units >= 200)
    };
    let answer = come(&server, 10, "the limit is watched", allowed).await;
    assert_eq!(answer.reasons[0].code(), ReasonCode::Limit);
    assert_eq!((answer.limits[0].verdict(), answer.latches.len()), (Verdict::Undecided, 0));
    let begun = answer.launch.unwrap();
    assert_eq!(begun.state(), LaunchState::Steady);
    clock.advance(Duration::from_hours(2));
    eventually("the launch is completed", async || {
        heartbeat(&server).await;
        match launch(&server, &begun.id).await {
            launch if launch.state() == LaunchState::Completed => Ok(()),
            launch => Err(format!("{launch:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_a_guardrail_that_only_holds_is_crossed_and_turns_nothing_off() {
    let server = Server::start().await;
    server.create_metric(Metric { action: MetricAction::Hold.into(), ..limited(0.05) }).await;
    server.create_gate(gate("new_checkout", 100.0)).await;
    let crossed = |answer: &CheckLaunchResponse| {
        answer.limits.first().is_some_and(|limit| limit.verdict() == Verdict::Harm)
    };
    let answer = come(&server, 5, "the limit is crossed", crossed).await;
    assert_eq!((answer.decision(), answer.reasons[0].code()), (DecisionKind::Hold, ReasonCode::Limit));
    assert_eq!((answer.limits[0].weight, answer.latches.len()), (0.0, 0));
    let served = ids("later", 50);
    assert_eq!(passing(&check_gate(&server, "new_checkout", &served).await).len(), served.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_limit_is_named() {
    let server = Server::start().await;
    let limit = MetricLimit { level: 0.0, window: Some(wire_duration(0)), min_units: Some(1) };
    let wrong = Metric { limit: Some(limit), ..guardrail("errors", "error_shown") };
    let request = portcullis::transport::grpc::wire::CreateMetricRequest { metric: Some(wrong) };
    let refused = server.admin().create_metric(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["metric.limit.level", "metric.limit.window", "metric.limit.min_units"]);
}
