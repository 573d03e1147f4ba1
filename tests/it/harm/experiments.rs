//! One bad arm of an experiment with four: it goes off alone, and the others go on.

use std::collections::BTreeMap;

use portcullis::transport::grpc::wire::{
    DecisionAction, DecisionKind, EvaluationReason, Experiment, ExperimentGroup, GetExperimentResponse,
    LaunchState,
};
use prost_types::Value;

use super::{HARMLESS, Habits, Scene, signup};
use crate::documents::{text, values};
use crate::server::experiment_target;
use crate::visitors::{get_experiment, ids};

const GROUPS: [(&str, &str); 5] =
    [("control", "grey"), ("a", "red"), ("b", "green"), ("c", "blue"), ("d", "white")];

/// So many groups, a color each, the control first.
pub(super) fn colors(key: &str, groups: usize) -> Experiment {
    let group = |(name, color): (&str, &str)| ExperimentGroup {
        name: name.to_owned(),
        weight: 100.0 / groups as f64,
        parameters: Some(values(&[("color", text(color))])),
        id: None,
    };
    let groups = GROUPS.into_iter().take(groups).map(group).collect();
    Experiment { key: key.to_owned(), groups, ..Experiment::default() }
}

fn color(answer: &GetExperimentResponse) -> Option<Value> {
    answer.parameters.get("color").and_then(|color| color.value.clone())
}

async fn served(scene: &Scene, visitors: &[String]) -> BTreeMap<String, GetExperimentResponse> {
    get_experiment(&scene.server, "five_colors", visitors).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_arm_of_four_goes_off_alone_and_the_others_go_on_being_served_and_watched() {
    let mut scene = Scene::new(experiment_target("five_colors")).await;
    scene.server.create_metric(signup()).await;
    scene.server.run_experiment(colors("five_colors", 5)).await;
    let bad_c: Habits<'_> = &[("visited_signup", |arm| if arm == "c" { 0.15 } else { 0.5 })];
    scene.come_until_harm_is_seen(250, bad_c).await;

    let answer = scene.server.check(&scene.target).await;
    let latches: Vec<_> = answer.latches.iter().map(|latch| (latch.arm.as_str(), latch.closed)).collect();
    assert_eq!(latches, [("c", true)]);
    let launch = answer.launch.unwrap();
    assert_eq!(launch.state(), LaunchState::Steady);
    let decisions = scene.server.decisions(&launch.id).await;
    let stop = decisions.iter().find(|decision| decision.action() == DecisionAction::StopArm).unwrap();
    assert_eq!((stop.kind(), stop.arm.as_str()), (DecisionKind::RollBack, "c"));

    let visitors: Vec<String> = scene.visitors.keys().cloned().collect();
    for (visitor, answer) in served(&scene, &visitors).await {
        let arm = scene.visitors[&visitor].as_str();
        if arm == "c" {
            assert_eq!((answer.reason(), answer.group.as_str()), (EvaluationReason::GroupStopped, ""));
            assert_ne!(color(&answer), Some(text("blue")));
        } else {
            let own = GROUPS.iter().find(|(name, _)| *name == arm).unwrap();
            assert_eq!((answer.group.as_str(), color(&answer)), (arm, Some(text(own.1))));
        }
    }

    // Who comes now is dealt among the others, and those are compared on.
    let new = served(&scene, &ids("later", 200)).await;
    let mut groups: Vec<&str> = new.values().map(|answer| answer.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups, ["", "a", "b", "control", "d"]);
    assert!(new.values().all(|answer| color(answer) != Some(text("blue"))));
    let before: u64 = units(&scene).await;
    for _ in 0..3 {
        scene.come(150, HARMLESS).await;
    }
    assert!(units(&scene).await > before, "the others are counted on");
    let answer = scene.server.check(&scene.target).await;
    assert_eq!((answer.latches.len(), answer.launch.unwrap().state()), (1, LaunchState::Steady));

    // Harm of another arm is acted on as well.
    let bad_a: Habits<'_> = &[("visited_signup", |arm| if arm == "a" { 0.05 } else { 0.5 })];
    for _ in 0..20 {
        if scene.come(250, bad_a).await.latches.len() > 1 {
            break;
        }
    }
    let off = served(&scene, &ids("at-last", 200)).await;
    assert!(off.values().all(|answer| !["a", "c"].contains(&answer.group.as_str())));
    assert!(off.values().any(|answer| answer.group == "b"));
}

/// How many units of the arms that are still compared were counted.
async fn units(scene: &Scene) -> u64 {
    let answer = scene.server.check(&scene.target).await;
    let epochs =
        answer.verdicts.iter().filter(|verdict| verdict.metric == "signup").flat_map(|it| &it.epochs);
    epochs.filter_map(|epoch| epoch.treatment).map(|treatment| treatment.n.unsigned_abs()).sum()
}
