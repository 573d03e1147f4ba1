//! After a rollback: whether those who had the treatment are back at the level of the others.

use std::time::Duration;

use portcullis::transport::grpc::wire::{CheckLaunchResponse, Event, LaunchState, Recovery, RecoveryState};

use super::experiments::colors;
use super::{HARMFUL, HARMLESS, Habits, Scene, signup};
use crate::commands::run;
use crate::documents::gate;
use crate::server::{experiment_target, gate_target};

/// A gate that was rolled back for what half of its visitors got.
async fn rolled_back() -> Scene {
    let mut scene = Scene::new(gate_target("new_checkout")).await;
    scene.server.create_metric(signup()).await;
    scene.server.create_gate(gate("new_checkout", 50.0)).await;
    scene.come_until_harm_is_seen(400, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
    scene
}

/// Everybody comes again, and one in so many of those signs up who had the treatment; one in two of the others does.
async fn come_again(scene: &Scene, one_in: usize) {
    scene.clock.advance(Duration::from_secs(1));
    let visitors: Vec<String> = scene.visitors.keys().cloned().collect();
    assert!(scene.serve(&visitors).await.values().all(|arm| arm == "control"), "all get the same now");
    let doers = |arm: &str, one_in: usize| -> Vec<Event> {
        let visitors = scene.of_arm(arm);
        visitors.iter().step_by(one_in).map(|visitor| scene.now(visitor, "visited_signup")).collect()
    };
    let events = [doers("treatment", one_in), doers("control", 2)].concat();
    scene.send(events).await;
}

async fn told(scene: &Scene, what: &str, state: RecoveryState) -> Recovery {
    let fits = |answer: &CheckLaunchResponse| {
        answer.recoveries.first().is_some_and(|recovery| recovery.state() == state)
    };
    let answer = scene.server.check_until(&scene.target, what, fits).await;
    assert_eq!(answer.recoveries.len(), 1, "{answer:?}");
    answer.recoveries.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_the_treatment_is_told_to_have_recovered_or_not_yet() {
    for (one_in, state, line) in [
        (2, RecoveryState::Recovered, "is recovered after it was turned off"),
        (10, RecoveryState::NotYet, "is not_yet after it was turned off"),
    ] {
        let scene = rolled_back().await;
        let nothing = told(&scene, "nobody has done anything since", RecoveryState::TooLittleData).await;
        assert_eq!((nothing.metric.as_str(), nothing.arm.as_str()), ("signup", "treatment"));
        assert!(nothing.harm_before > 0.4 && nothing.harm_since_low.is_none(), "{nothing:?}");

        come_again(&scene, one_in).await;
        let recovery = told(&scene, "they came again", state).await;
        // A sample of others was looked at as well.
        let (control, reverted) = (recovery.control.unwrap(), recovery.reverted.unwrap());
        assert!(usize::try_from(reverted.n).unwrap() >= scene.of_arm("treatment").len(), "{recovery:?}");
        assert!(usize::try_from(control.n).unwrap() >= scene.of_arm("control").len(), "{recovery:?}");
        assert!(recovery.harm_since_low < recovery.harm_since_high && recovery.as_of.is_some());
        let checked = run(Some(&scene.server), &["launch", "check", "new_checkout"]).await;
        assert!(checked.out.contains(line), "{}", checked.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arm_that_was_stopped_is_told_to_have_recovered_while_the_others_go_on() {
    let mut scene = Scene::new(experiment_target("colors")).await;
    scene.server.create_metric(signup()).await;
    scene.server.run_experiment(colors("colors", 4)).await;
    let bad_b: Habits<'_> = &[("visited_signup", |arm| if arm == "b" { 0.15 } else { 0.5 })];
    scene.come_until_harm_is_seen(300, bad_b).await;
    let nothing = told(&scene, "nobody has come since", RecoveryState::TooLittleData).await;
    assert_eq!((nothing.metric.as_str(), nothing.arm.as_str()), ("signup", "b"));
    assert!(nothing.harm_before > 0.3, "{nothing:?}");
    let mut came = 0;
    while scene.come(600, HARMLESS).await.recoveries[0].state() != RecoveryState::Recovered {
        came += 600;
        assert!(came < 6_000, "{:?}", scene.server.check(&scene.target).await.recoveries);
    }
    let recovery = told(&scene, "it has recovered", RecoveryState::Recovered).await;
    // Who was there before the stop is not counted.
    let reverted = usize::try_from(recovery.reverted.unwrap().n).unwrap();
    assert!(reverted < scene.visitors.len() / 2, "{recovery:?}");
    let launch = scene.launch().await;
    assert_eq!(launch.state(), LaunchState::Steady);
}
