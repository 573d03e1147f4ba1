//! Ramps under a person's hand: steps that wait for an approval, pauses, cancelling, and what an outage leaves undone.

use std::time::Duration;

use portcullis::transport::grpc::wire::{
    ApproveStepRequest, CancelLaunchRequest, Decision, DecisionAction, DecisionKind, ExperimentStatus,
    GetExperimentDocumentRequest, Launch, LaunchState, PauseLaunchRequest, RampStep, ReasonCode,
    ResumeLaunchRequest, RollbackTo, SetRolloutRequest, StepNeeds,
};
use tonic::{Code, Request, Status};

use crate::documents::{button_color_v3, gate, guardrail, percentage, ramp, step};
use crate::guard::{assert_refused, harm, launch};
use crate::home::Home;
use crate::server::{Server, TestClock, by, eventually, gate_target};
use crate::visitors::{Crowd, check_gate, passing};

pub(crate) fn approval(percentage: f64) -> RampStep {
    RampStep { needs: StepNeeds::Approval.into(), ..step(percentage, 0, 0) }
}

async fn begin(server: &Server, steps: Vec<RampStep>) -> Launch {
    server.create_gate(gate("new_checkout", 0.0)).await;
    server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap()
}

pub(crate) async fn pause(server: &Server, id: &str) -> Result<Launch, Status> {
    let request = PauseLaunchRequest { launch_id: id.to_owned(), reason: "Wait for Monday.".to_owned() };
    Ok(server.guard().pause_launch(by("ada", request)).await?.into_inner().launch.unwrap())
}

pub(crate) async fn resume(server: &Server, id: &str) -> Result<Launch, Status> {
    let request = ResumeLaunchRequest { launch_id: id.to_owned(), reason: "It is Monday.".to_owned() };
    Ok(server.guard().resume_launch(by("ada", request)).await?.into_inner().launch.unwrap())
}

pub(crate) async fn cancel(server: &Server, id: &str) -> Result<Launch, Status> {
    let request = CancelLaunchRequest { launch_id: id.to_owned(), reason: "Not needed.".to_owned() };
    Ok(server.guard().cancel_launch(by("ada", request)).await?.into_inner().launch.unwrap())
}

fn approve_request(id: &str, step: i32) -> ApproveStepRequest {
    ApproveStepRequest { launch_id: id.to_owned(), step, reason: "Support is ready.".to_owned() }
}

pub(crate) async fn approve(server: &Server, id: &str, step: i32) -> Result<Launch, Status> {
    let request = by("ada", approve_request(id, step));
    Ok(server.guard().approve_step(request).await?.into_inner().launch.unwrap())
}

pub(crate) async fn until_at(server: &Server, id: &str, step: i32) -> Launch {
    eventually("the step is in force", async || match launch(server, id).await {
        launch if launch.current_step == step => Ok(launch),
        launch => Err(format!("{launch:?}")),
    })
    .await
}

/// The guard has looked, and has taken no step.
pub(crate) async fn assert_stays(server: &Server, id: &str, step: i32) {
    server.until_looked().await;
    assert_eq!(launch(server, id).await.current_step, step);
}

async fn last(server: &Server, id: &str, action: DecisionAction) -> Decision {
    let decisions = server.decisions(id).await;
    decisions.into_iter().rfind(|decision| decision.action() == action).expect("it is on record")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_needs_an_approval_waits_for_just_that_one() {
    let server = Server::start().await;
    let begun =
        begin(&server, vec![step(10.0, 0, 0), approval(20.0), approval(50.0), step(80.0, 0, 0)]).await;
    until_at(&server, &begun.id, 1).await;
    assert_stays(&server, &begun.id, 1).await;
    let answer = server.check(&gate_target("new_checkout")).await;
    assert_eq!(answer.decision(), DecisionKind::Hold);
    assert_eq!(answer.reasons[0].code(), ReasonCode::AwaitingApproval);
    assert_refused(server.set_rollout(percentage("new_checkout", 90.0)).await, "AwaitingApproval");

    for wrong in [0, 2, 3, 99] {
        let refused = approve(&server, &begun.id, wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{wrong}");
    }
    let nameless = Request::new(approve_request(&begun.id, 1));
    assert_eq!(server.guard().approve_step(nameless).await.unwrap_err().code(), Code::InvalidArgument);
    let silent = ApproveStepRequest { reason: " ".to_owned(), ..approve_request(&begun.id, 1) };
    let refused = server.guard().approve_step(by("ada", silent)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    let approved = approve(&server, &begun.id, 1).await.unwrap();
    assert_eq!((approved.approvals[0].step, approved.approvals[0].principal.as_str()), (1, "ada"));
    until_at(&server, &begun.id, 2).await;
    assert_stays(&server, &begun.id, 2).await;
    let decision = last(&server, &begun.id, DecisionAction::Approve).await;
    assert_eq!(decision.actor, "ada");
    assert!(decision.reasons[0].message.contains("Support is ready."), "{decision:?}");

    approve(&server, &begun.id, 2).await.unwrap();
    until_at(&server, &begun.id, 3).await;
    assert_eq!(approve(&server, &begun.id, 3).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_share_in_the_place_of_a_step_that_needs_an_approval_needs_one_too() {
    let server = Server::start().await;
    let begun = begin(&server, vec![approval(20.0), step(80.0, 0, 0)]).await;
    server.set_rollout(ramp("new_checkout", vec![step(10.0, 0, 0), step(20.0, 0, 0)])).await.unwrap();
    assert_stays(&server, &begun.id, 0).await;
    approve(&server, &begun.id, 0).await.unwrap();
    let launch = until_at(&server, &begun.id, 1).await;
    assert_eq!(launch.epochs.iter().map(|epoch| epoch.percentage).collect::<Vec<_>>(), [20.0, 10.0, 20.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_launch_takes_no_step_until_it_is_resumed() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    let hour = 3_600_000;
    let begun = begin(&server, vec![step(10.0, hour, 0), step(50.0, hour, 0), step(100.0, 0, 0)]).await;
    assert_eq!(resume(&server, &begun.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(pause(&server, &begun.id).await.unwrap().state(), LaunchState::Paused);
    assert_eq!(pause(&server, &begun.id).await.unwrap_err().code(), Code::FailedPrecondition);
    clock.advance(Duration::from_hours(3));
    assert_stays(&server, &begun.id, 0).await;
    let answer = server.check(&gate_target("new_checkout")).await;
    assert_eq!((answer.decision(), answer.reasons[0].code()), (DecisionKind::Hold, ReasonCode::Paused));
    assert_refused(server.set_rollout(percentage("new_checkout", 60.0)).await, "Paused");
    // Lowering is open, and lifts no pause.
    let steps = vec![step(5.0, 0, 0), step(8.0, 0, 0)];
    let lowered = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    assert_eq!((lowered.state(), lowered.epochs.len()), (LaunchState::Paused, 2));
    assert_stays(&server, &begun.id, 0).await;

    assert_eq!(resume(&server, &begun.id).await.unwrap().state(), LaunchState::Ramping);
    let launch = until_at(&server, &begun.id, 1).await;
    assert_eq!(launch.state(), LaunchState::Steady);
    assert_eq!(pause(&server, &begun.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(last(&server, &begun.id, DecisionAction::Pause).await.kind(), DecisionKind::Hold);
    assert_eq!(last(&server, &begun.id, DecisionAction::Resume).await.actor, "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_in_a_paused_or_waiting_launch_is_rolled_back_at_once() {
    for waits in [false, true] {
        let server = Server::start().await;
        server.create_metric(guardrail("signup", "visited_signup")).await;
        let first = if waits { approval(50.0) } else { step(50.0, 3_600_000, 0) };
        let begun = begin(&server, vec![first, step(100.0, 0, 0)]).await;
        if !waits {
            pause(&server, &begun.id).await.unwrap();
            // To go on is a raise, and nothing is known yet.
            assert!(resume(&server, &begun.id).await.is_err());
        }
        let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
        harm(&server, &mut crowd).await;
        assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());
        for ended in [
            resume(&server, &begun.id).await,
            approve(&server, &begun.id, 0).await,
            cancel(&server, &begun.id).await,
        ] {
            assert_eq!(ended.unwrap_err().code(), Code::FailedPrecondition);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_is_held_as_long_as_nothing_is_known() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let begun = begin(&server, vec![step(50.0, 3_600_000, 0), step(100.0, 0, 0)]).await;
    pause(&server, &begun.id).await.unwrap();
    let target = gate_target("new_checkout");
    server.check_until(&target, "the guard has looked", |answer| answer.judge_time.is_some()).await;
    assert_refused(resume(&server, &begun.id).await, "NoData");
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
    crowd
        .come_until(&server, "the launch is resumed", async |server| {
            resume(server, &begun.id).await.map_err(|status| format!("{status:?}"))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_launch_falls_back_as_a_rollback_does_and_closes_no_latch() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 30.0)).await;
    let raise =
        SetRolloutRequest { rollback_to: RollbackTo::Previous.into(), ..percentage("new_checkout", 60.0) };
    let begun = server.set_rollout(raise).await.unwrap().launch.unwrap();
    assert_eq!(cancel(&server, &begun.id).await.unwrap().state(), LaunchState::Cancelled);
    let decision = last(&server, &begun.id, DecisionAction::Cancel).await;
    assert_eq!((decision.percentage, decision.actor.as_str()), (30.0, "ada"));
    let raised = server.set_rollout(percentage("new_checkout", 31.0)).await.unwrap();
    assert_eq!(raised.gate.unwrap().rules[0].percentage.to_bits(), 31.0_f64.to_bits());

    let (running, launch) = server.run_experiment(button_color_v3()).await;
    cancel(&server, &launch.id).await.unwrap();
    let request = GetExperimentDocumentRequest { key: running.key };
    let stored = server.admin().get_experiment_document(request).await.unwrap().into_inner();
    assert_eq!(stored.experiment.unwrap().status(), ExperimentStatus::Abandoned);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_steps_are_taken_one_by_one_and_no_approval_is_skipped() {
    let (clock, home) = (TestClock::new(), Home::new().await);
    let server = Server::start_in(home, clock.clock()).await;
    let hour = 3_600_000;
    let steps = vec![step(10.0, hour, 0), step(20.0, hour, 0), approval(30.0), step(40.0, 0, 0)];
    let begun = begin(&server, steps).await;
    let home = server.stop().await;
    clock.advance(Duration::from_hours(100));
    let server = Server::start_in(home, clock.clock()).await;
    until_at(&server, &begun.id, 1).await;
    // The second step's time begins with the step, not with the outage.
    assert_stays(&server, &begun.id, 1).await;
    clock.advance(Duration::from_hours(1));
    until_at(&server, &begun.id, 2).await;
    let home = server.stop().await;
    clock.advance(Duration::from_hours(100));
    let server = Server::start_in(home, clock.clock()).await;
    assert_stays(&server, &begun.id, 2).await;
    let launch = launch(&server, &begun.id).await;
    assert_eq!(launch.epochs.iter().map(|epoch| epoch.percentage).collect::<Vec<_>>(), [10.0, 20.0, 30.0]);
}
