//! Harm while nothing else is to happen: in the middle of a step, paused, before an approval, at the end, shipped.

use std::time::Duration;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    DecideExperimentRequest, Holdback, LaunchState, Metric, Policy, RampStep, ReasonCode, Target, TargetKind,
};

use super::{HARMFUL, HARMLESS, Habits, Scene, has_ended, signup};
use crate::documents::{gate, halves, percentage, ramp, step, text};
use crate::overriding::override_launch;
use crate::policies::policy;
use crate::ramps::{approval, pause, resume};
use crate::server::{gate_target, ms_of, wire_duration};
use crate::visitors::{get_experiment, ids};

const DAY_MS: i64 = 86_400_000;

/// A ramp of a gate that nobody passed before.
async fn ramping(steps: Vec<RampStep>) -> Scene {
    let scene = Scene::new(gate_target("new_checkout")).await;
    scene.server.create_metric(signup()).await;
    scene.server.create_gate(gate("new_checkout", 0.0)).await;
    scene.server.set_rollout(ramp("new_checkout", steps)).await.unwrap();
    scene
}

fn three_days() -> Vec<RampStep> {
    vec![step(50.0, 3 * DAY_MS, 0), step(100.0, 0, 0)]
}

/// A policy that keeps a twentieth without the treatment for a week.
fn with_holdback() -> Policy {
    let holdback = Holdback { percentage: 5.0, duration: Some(wire_duration(7 * DAY_MS)) };
    Policy { holdback: Some(holdback), ..policy() }
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_in_the_second_minute_of_three_days_is_turned_off_within_that_minute() {
    let mut scene = ramping(three_days()).await;
    let began = ms_of(scene.launch().await.epochs[0].start_time.as_ref().unwrap());
    while scene.clock.now_ms() < began + 60_000 {
        scene.clock.advance(Duration::from_secs(8));
        scene.come(40, HARMLESS).await;
    }
    scene.assert_untouched().await;
    loop {
        scene.clock.advance(Duration::from_secs(3));
        if has_ended(&scene.come(60, HARMFUL).await) {
            break;
        }
        assert!(scene.clock.now_ms() < began + 120_000, "the minute is over");
    }
    let decision = scene.assert_turned_off(&["signup"]).await;
    let after_ms = ms_of(decision.time.as_ref().unwrap()) - began;
    assert!((60_000..120_000).contains(&after_ms), "{after_ms} ms after the beginning");
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_while_paused_is_turned_off_and_resuming_is_no_way_back() {
    let mut scene = ramping(three_days()).await;
    scene.come(300, HARMLESS).await;
    let id = scene.launch().await.id;
    pause(&scene.server, &id).await.unwrap();
    scene.come(100, HARMLESS).await;
    assert_eq!(scene.launch().await.state(), LaunchState::Paused);
    scene.come_until_harm_is_seen(100, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
    assert!(resume(&scene.server, &id).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_while_an_approval_is_waited_for_is_turned_off() {
    let mut scene = ramping(vec![approval(50.0), step(100.0, 0, 0)]).await;
    let answer = scene.come(300, HARMLESS).await;
    assert_eq!(answer.reasons[0].code(), ReasonCode::AwaitingApproval, "{answer:?}");
    scene.come_until_harm_is_seen(100, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_at_the_end_of_a_launch_is_turned_off_by_what_the_holdback_shows() {
    let scene = Scene::new(gate_target("new_checkout")).await;
    scene.server.create_policy(with_holdback()).await.unwrap();
    scene.server.create_metric(Metric { min_units: Some(50), ..signup() }).await;
    scene.server.create_gate(gate("new_checkout", 0.0)).await;
    let raised = scene.server.set_rollout(percentage("new_checkout", 100.0)).await.unwrap();
    assert_eq!(raised.gate.unwrap().rules[0].percentage, 95.0);
    let mut scene = scene;
    scene.come(400, HARMLESS).await;
    scene.assert_untouched().await;
    scene.come_until_harm_is_seen(400, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_of_a_group_that_was_shipped_gives_everybody_the_control_again() {
    let shipment =
        Target { kind: TargetKind::Shipment.into(), key: "halves".to_owned(), ..Target::default() };
    let mut scene = Scene::new(shipment).await;
    scene.server.create_policy(with_holdback()).await.unwrap();
    scene.server.create_metric(Metric { min_units: Some(50), ..signup() }).await;
    let (running, begun) = scene.server.run_experiment(halves("halves", "red")).await;
    override_launch(&scene.server, &begun.id, scene.clock.now_ms() + DAY_MS).await.unwrap();
    let decision = Some(Outcome::ShipGroup("treatment".to_owned()));
    let request = DecideExperimentRequest { key: running.key, revision: running.revision, decision };
    scene.server.admin().decide_experiment(request).await.unwrap();

    let nearly_all: Habits<'_> = HARMLESS;
    scene.come(400, nearly_all).await;
    assert!(scene.of_arm("treatment").len() > 350, "nearly everybody has it");
    scene.come_until_harm_is_seen(400, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
    let visitors: Vec<String> = scene.of_arm("treatment").into_iter().chain(ids("new", 50)).collect();
    for answer in get_experiment(&scene.server, "halves", &visitors).await.values() {
        assert_eq!(answer.parameters["color"].value, Some(text("grey")));
    }
}
