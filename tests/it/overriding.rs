//! Overrides: one launch passes what holds or blocks it, loudly and for a while, and new harm is acted on all the same.

use std::time::Duration;

use portcullis::transport::grpc::wire::{
    Condition, ConditionOperator, DecisionAction, DecisionKind, Launch, OverrideLaunchRequest, ReasonCode,
    SetRolloutRequest, Target,
};
use tonic::{Code, Request, Status};

use crate::documents::{condition, gate, guardrail, percentage, ramp, rule, step};
use crate::guard::{assert_refused, harm, launch};
use crate::policies::policy;
use crate::ramps::{approval, assert_stays, pause};
use crate::server::{Server, TestClock, by, eventually, fields, gate_target, wire_time};
use crate::visitors::{Crowd, check_gate, ids, passing};

const HOUR_MS: i64 = 3_600_000;

fn request(id: &str, expires_at_ms: i64) -> OverrideLaunchRequest {
    OverrideLaunchRequest {
        launch_id: id.to_owned(),
        reason: "The numbers come tomorrow.".to_owned(),
        expire_time: Some(wire_time(expires_at_ms)),
    }
}

pub(crate) async fn override_launch(server: &Server, id: &str, expires_at_ms: i64) -> Result<Launch, Status> {
    let request = by("ada", request(id, expires_at_ms));
    Ok(server.guard().override_launch(request).await?.into_inner().launch.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_launch_passes_while_its_override_lasts_and_says_so() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(10.0, 0, 0), approval(20.0), step(50.0, HOUR_MS, 0), step(100.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    let target = gate_target("new_checkout");
    assert_stays(&server, &begun.id, 0).await;
    assert_eq!(server.check(&target).await.decision(), DecisionKind::Hold);

    let week = 7 * 24 * HOUR_MS;
    for wrong in [clock.now_ms(), clock.now_ms() + week + 1_000] {
        let refused = override_launch(&server, &begun.id, wrong).await.unwrap_err();
        assert_eq!(fields(&refused), ["expire_time"]);
    }
    let nameless = Request::new(request(&begun.id, clock.now_ms() + HOUR_MS));
    assert_eq!(server.guard().override_launch(nameless).await.unwrap_err().code(), Code::InvalidArgument);

    let overridden = override_launch(&server, &begun.id, clock.now_ms() + HOUR_MS).await.unwrap();
    assert_eq!(overridden.r#override.unwrap().principal, "ada");
    // It passes the guard, and no person.
    eventually("the first step is taken", async || {
        let launch = launch(&server, &begun.id).await;
        if launch.current_step == 1 { Ok(()) } else { Err(format!("{launch:?}")) }
    })
    .await;
    assert_stays(&server, &begun.id, 1).await;
    let answer = server.check(&target).await;
    let codes: Vec<ReasonCode> =
        answer.reasons.iter().map(portcullis::transport::grpc::wire::Reason::code).collect();
    assert_eq!(answer.decision(), DecisionKind::Hold);
    assert!(
        codes.contains(&ReasonCode::Overridden) && codes.contains(&ReasonCode::AwaitingApproval),
        "{codes:?}"
    );
    let taken = server.decisions(&begun.id).await;
    let taken = taken.iter().find(|decision| decision.action() == DecisionAction::Advance).unwrap();
    assert_eq!(taken.reasons[0].code(), ReasonCode::Overridden);
    assert!(taken.reasons.iter().any(|reason| reason.code() == ReasonCode::NoData), "{taken:?}");

    clock.advance(Duration::from_hours(1));
    let answer = server.check(&target).await;
    assert!(answer.reasons.iter().all(|reason| reason.code() != ReasonCode::Overridden), "{answer:?}");
    assert!(server.set_rollout(percentage("new_checkout", 90.0)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_harm_after_an_override_closes_the_latch() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let begun = server.check(&gate_target("new_checkout")).await.launch.unwrap();
    let expires_at = portcullis::clock::Clock::system().now().0 + HOUR_MS;
    override_launch(&server, &begun.id, expires_at).await.unwrap();
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    let answer = harm(&server, &mut crowd).await;
    assert_eq!(answer.decision(), DecisionKind::Block);
    assert!(passing(&check_gate(&server, "new_checkout", crowd.visitors()).await).is_empty());
    assert_refused(server.set_rollout(percentage("new_checkout", 1.0)).await, "LatchClosed");
    let decisions = server.decisions(&begun.id).await;
    let rolled_back = decisions.iter().find(|it| it.action() == DecisionAction::RollBack).unwrap();
    assert_eq!(rolled_back.reasons[0].code(), ReasonCode::Overridden, "loud also where it is of no avail");
    let refused = override_launch(&server, &begun.id, expires_at).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "an ended launch can not be overridden");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_of_one_launch_and_neither_lifts_a_pause_nor_a_policy() {
    let server = Server::start().await;
    let listed = portcullis::transport::grpc::wire::Policy { overriders: vec!["ada".to_owned()], ..policy() };
    server.create_policy(listed).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let mut made = gate("new_checkout", 20.0);
    let german: Condition = condition("country", ConditionOperator::Any, &["DE"]);
    made.rules.insert(0, rule("german", 20.0, vec![german]));
    server.create_gate(made).await;
    let on = |rule: &str, share: f64| SetRolloutRequest {
        rule_id: rule.to_owned(),
        ..percentage("new_checkout", share)
    };
    let of = |rule: &str| Target { rule_id: rule.to_owned(), ..gate_target("new_checkout") };
    let german = server.check(&of("german")).await.launch.unwrap();
    let expires_at = portcullis::clock::Clock::system().now().0 + HOUR_MS;
    let by_another = by("mallory", request(&german.id, expires_at));
    assert_refused(server.guard().override_launch(by_another).await, "Policy");
    override_launch(&server, &german.id, expires_at).await.unwrap();
    // The other rule's launch is held, and holds the gate as a whole.
    assert!(server.set_rollout(on("german", 30.0)).await.is_err());
    let everyone = server.check(&of("everyone")).await.launch.unwrap();
    override_launch(&server, &everyone.id, expires_at).await.unwrap();
    let raised = server.set_rollout(on("german", 30.0)).await.unwrap().launch.unwrap();
    assert!(raised.r#override.is_none(), "the launch that takes its place has no override");
    assert!(server.set_rollout(on("german", 40.0)).await.is_err());

    server.create_gate(gate("other", 0.0)).await;
    let steps = vec![step(10.0, HOUR_MS, 0), step(20.0, 0, 0)];
    let paused = server.set_rollout(ramp("other", steps)).await.unwrap().launch.unwrap();
    pause(&server, &paused.id).await.unwrap();
    override_launch(&server, &paused.id, expires_at).await.unwrap();
    assert_refused(server.set_rollout(percentage("other", 30.0)).await, "Paused");
    assert!(passing(&check_gate(&server, "other", &ids("probe", 100)).await).len() < 40);
}
