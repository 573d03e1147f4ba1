//! What a guardrail that is shown harmful does: it rolls back, it holds, or it only tells.

use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, DecisionAction, DecisionKind, LaunchState, Metric, MetricAction, ReasonCode, Verdict,
};

use crate::documents::{gate, guardrail, percentage};
use crate::guard::assert_refused;
use crate::server::{Server, gate_target};
use crate::visitors::{Crowd, assert_share, check_gate, ids, passing};

/// A launch that harms its one guardrail, once that is shown.
async fn harmed(server: &Server, action: MetricAction) -> CheckLaunchResponse {
    let signup = guardrail("signup", "visited_signup");
    server.create_metric(Metric { action: action.into(), ..signup }).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.2, 0.5);
    crowd
        .come_until(server, "harm is shown", async |server| {
            let answer = server.check(&gate_target("new_checkout")).await;
            let mut verdicts = answer.verdicts.iter();
            let shown =
                verdicts.any(|verdict| verdict.metric == "signup" && verdict.verdict() == Verdict::Harm);
            if shown { Ok(answer) } else { Err(format!("{answer:?}")) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_holds_refuses_every_raise_and_turns_nothing_off() {
    let server = Server::start().await;
    let answer = harmed(&server, MetricAction::Hold).await;
    assert_eq!((answer.decision(), answer.reasons[0].code()), (DecisionKind::Hold, ReasonCode::Harm));
    assert_eq!((answer.e_value, answer.verdicts[0].weight, answer.latches.len()), (1.0, 0.0, 0));
    assert_refused(server.set_rollout(percentage("new_checkout", 80.0)).await, "Harm");
    let launch = answer.launch.unwrap();
    assert_eq!(launch.state(), LaunchState::Steady);
    let decisions = server.decisions(&launch.id).await;
    assert!(decisions.iter().all(|decision| decision.action() != DecisionAction::RollBack));
    let served = check_gate(&server, "new_checkout", &ids("later", 400)).await;
    assert_share(passing(&served).len(), served.len(), 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_reports_is_told_and_stands_against_nothing() {
    let server = Server::start().await;
    let answer = harmed(&server, MetricAction::Report).await;
    assert_eq!(answer.decision(), DecisionKind::Allow);
    assert!(!answer.verdicts.iter().any(|verdict| verdict.guardrail));
    server.set_rollout(percentage("new_checkout", 80.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_rolls_back_does() {
    let server = Server::start().await;
    let answer = harmed(&server, MetricAction::RollBack).await;
    server
        .check_until(&gate_target("new_checkout"), "it is rolled back", |answer| {
            answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::RolledBack)
        })
        .await;
    assert_eq!(answer.verdicts.iter().find(|verdict| verdict.metric == "signup").unwrap().weight, 1.0);
    assert!(passing(&check_gate(&server, "new_checkout", &ids("later", 50)).await).is_empty());
}
