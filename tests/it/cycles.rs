//! Evidence has to cover a day, or a week, before it lets a launch go on.

use std::time::Duration;

use portcullis::transport::grpc::wire::{DecisionKind, EvidenceCycle, ExperimentStatus, Policy, ReasonCode};

use crate::documents::gate;
use crate::guard::assert_refused;
use crate::other_launches::{run_safe, ship, until_safe};
use crate::policies::policy;
use crate::server::{Server, TestClock, experiment_target, gate_target, wire_duration};

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shipped_once_its_evidence_covers_a_week() {
    let clock = TestClock::running();
    let server = Server::start_with(&clock).await;
    let running = run_safe(&server).await;
    until_safe(&server).await;
    let target = experiment_target("halves");
    let answer = server.check(&target).await;
    assert_eq!((answer.decision(), answer.reasons[0].code()), (DecisionKind::Hold, ReasonCode::StepNotDone));
    assert_refused(ship(&server, &running).await, "StepNotDone");
    clock.advance(Duration::from_hours(24 * 7 - 1));
    server
        .check_until(&target, "it is still held", |answer| answer.reasons[0].message.contains("covers 6012"))
        .await;
    assert_refused(ship(&server, &running).await, "StepNotDone");
    clock.advance(Duration::from_hours(2));
    server.check_until_allowed(&target).await;
    assert_eq!(ship(&server, &running).await.unwrap().status(), ExperimentStatus::Decided);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_keeps_the_cycle_that_it_began_with() {
    let server = Server::start().await;
    let cycle = async |key: &str| {
        server.create_gate(gate(key, 50.0)).await;
        server.check(&gate_target(key)).await.launch.unwrap().policy.unwrap().cycle.unwrap()
    };
    let of = |step: i64, ship: i64| EvidenceCycle {
        step: Some(wire_duration(step * DAY_MS)),
        ship: Some(wire_duration(ship * DAY_MS)),
    };
    assert_eq!(cycle("built_in").await, of(1, 7));
    let half = EvidenceCycle { step: Some(wire_duration(0)), ship: None };
    let made = server.create_policy(Policy { cycle: Some(half), ..policy() }).await.unwrap();
    assert_eq!(made.cycle, Some(of(0, 7)));
    assert_eq!(cycle("of_policy").await, of(0, 7));
}
