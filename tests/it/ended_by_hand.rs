//! Ending a launch by hand and beginning again: what was shown against it is not shaken off, and what may not act leaves nothing.

use std::time::Duration;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, DecideExperimentRequest, DecisionKind, Experiment, LaunchState, Layer, Metric,
    MetricAction, Policy, Reason, ReasonCode,
};

use crate::documents::{gate, guardrail, halves, layer, percentage, text, values};
use crate::guard::assert_refused;
use crate::overriding::override_launch;
use crate::policies::policy;
use crate::server::{Server, TestClock, eventually, experiment_target, gate_target};
use crate::visitors::{Crowd, check_gate, event, groups, heartbeat, ids, log, passing};

const HOUR_MS: i64 = 3_600_000;

async fn set(server: &Server, share: f64) -> Result<(), tonic::Status> {
    server.set_rollout(percentage("new_checkout", share)).await.map(drop)
}

fn says(answer: &CheckLaunchResponse, code: ReasonCode) -> bool {
    answer.reasons.iter().any(|reason| reason.code() == code)
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_only_holds_is_not_shaken_off_by_zero_and_a_hundred() {
    // Lowered first, so that the guard has not looked at the share in force when the launch ends.
    for on_the_way in [None, Some(40.0)] {
        let server = Server::start().await;
        let holds = Metric { action: MetricAction::Hold.into(), ..guardrail("signup", "visited_signup") };
        server.create_metric(holds).await;
        server.create_gate(gate("new_checkout", 50.0)).await;
        let target = gate_target("new_checkout");
        let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
        crowd
            .come_until(&server, "harm is shown", async |server| match server.check(&target).await {
                answer if says(&answer, ReasonCode::Harm) => Ok(()),
                answer => Err(format!("{answer:?}")),
            })
            .await;
        assert!(set(&server, 60.0).await.is_err());
        for share in on_the_way.into_iter().chain([0.0]) {
            set(&server, share).await.unwrap();
        }
        assert_refused(set(&server, 100.0).await, "LatchClosed");
        let answer = server.check(&target).await;
        assert_eq!((answer.decision(), answer.latches.len()), (DecisionKind::Block, 1));
        assert!(answer.latches[0].cause.contains("signup"), "{:?}", answer.latches);
        assert!(passing(&check_gate(&server, "new_checkout", &ids("probe", 60)).await).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_shadow_leaves_no_latch_when_a_person_raises_or_ends_it() {
    let server = Server::start().await;
    server.create_policy(Policy { shadow: true, ..policy() }).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    let would = |reason: &Reason| {
        reason.code() == ReasonCode::Shadow && reason.message.contains("would say roll_back")
    };
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5);
    crowd
        .come_until(&server, "it would be rolled back", async |server| match server.check(&target).await {
            answer if answer.reasons.iter().any(would) => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    for share in [60.0, 0.0, 70.0] {
        set(&server, share).await.unwrap();
        assert!(server.check(&target).await.latches.is_empty(), "at {share} %");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_place_of_an_overridden_launch_is_warned_and_not_latched() {
    let clock = TestClock::new();
    let server = Server::start_with(&clock).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let target = gate_target("new_checkout");
    // One moment carries the harm alone, so that it is a warning.
    clock.advance(Duration::from_secs(1));
    let passes = check_gate(&server, "new_checkout", &ids("first", 400)).await;
    let doers = passes.iter().filter(|(_, pass)| !**pass);
    log(&server, doers.map(|(visitor, _)| event(visitor, "visited_signup")).collect()).await;
    clock.advance(Duration::from_secs(1));
    let warned = |answer: &CheckLaunchResponse| says(answer, ReasonCode::Warning);
    let answer = server.check_until(&target, "it is warned of", warned).await;
    let warned = answer.launch.unwrap();
    assert_refused(set(&server, 60.0).await, "Warning");

    override_launch(&server, &warned.id, clock.now_ms() + HOUR_MS).await.unwrap();
    set(&server, 60.0).await.unwrap();
    let successor = |answer: &CheckLaunchResponse| {
        let launch = answer.launch.as_ref().unwrap();
        launch.id != warned.id && says(answer, ReasonCode::Warning)
    };
    let answer = server.check_until(&target, "the warning is carried over", successor).await;
    assert!(answer.latches.is_empty(), "{:?}", answer.latches);
    assert_eq!(answer.launch.unwrap().state(), LaunchState::Steady);
    assert_refused(set(&server, 70.0).await, "Warning");
    // Its end is another matter.
    set(&server, 0.0).await.unwrap();
    assert_refused(set(&server, 10.0).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_of_which_nothing_is_known_can_be_ended_and_begun_anew() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    assert!(set(&server, 60.0).await.is_err());
    set(&server, 0.0).await.unwrap();
    set(&server, 60.0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_was_abandoned_because_of_harm_leaves_a_latch_to_its_layer() {
    let server = Server::start().await;
    let holds = Metric { action: MetricAction::Hold.into(), ..guardrail("signup", "visited_signup") };
    server.create_metric(holds).await;
    let page = server.create_layer(layer("page", values(&[("color", text("none"))]))).await;
    let member = Experiment { layer: "page".to_owned(), ..halves("halves", "red") };
    let (running, _) = server.run_experiment(member).await;
    let mut wave = 0;
    eventually("harm is shown", async || {
        wave += 1;
        let served = groups(&server, "halves", &ids(&format!("wave-{wave}"), 120)).await;
        let doers = served.iter().filter(|(_, group)| *group == "control").map(|(visitor, _)| visitor);
        log(&server, doers.step_by(2).map(|visitor| event(visitor, "visited_signup")).collect()).await;
        heartbeat(&server).await;
        let answer = server.check(&experiment_target("halves")).await;
        if says(&answer, ReasonCode::Harm) { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    let decision = Some(Outcome::Abandon(true));
    let abandon = DecideExperimentRequest { key: running.key, revision: running.revision, decision };
    server.admin().decide_experiment(abandon).await.unwrap();
    let latches = server.check(&experiment_target("halves")).await.latches;
    assert!(latches.len() == 1 && latches[0].closed, "{latches:?}");
    let for_everyone = Layer { parameters: Some(values(&[("color", text("red"))])), ..page };
    assert_refused(server.update_layer(for_everyone).await, "LatchClosed");
}
