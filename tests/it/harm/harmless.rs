//! What looks like harm and is none: nothing is turned off.

use std::time::Duration;

use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, DecisionKind, Event, Metric, MetricAudits, MetricDirection, MetricKind, ReasonCode,
    Verdict,
};

use super::{HARMFUL, HARMLESS, Habits, Scene, errors, signup};
use crate::documents::{gate, guardrail};
use crate::server::gate_target;

/// Half of either arm sign up, and three in ten see an error.
const BOTH: Habits<'_> = &[("visited_signup", |_| 0.5), ("error_shown", |_| 0.3)];

/// A gate at 50 % with these guardrails.
async fn launched(metrics: Vec<Metric>) -> Scene {
    let scene = Scene::new(gate_target("new_checkout")).await;
    for metric in metrics {
        scene.server.create_metric(metric).await;
    }
    scene.server.create_gate(gate("new_checkout", 50.0)).await;
    scene
}

fn says(answer: &CheckLaunchResponse, text: &str) -> bool {
    answer.reasons.iter().any(|reason| reason.message.contains(text))
}

fn e_value(answer: &CheckLaunchResponse, metric: &str) -> f64 {
    answer.verdicts.iter().find(|verdict| verdict.metric == metric).expect("its verdict").e_value
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_treatments_events_that_come_a_bucket_later_hold_and_turn_nothing_off() {
    // In the middle of a launch, and in its very first bucket.
    for before in [400, 0] {
        let mut scene = launched(vec![signup()]).await;
        if before > 0 {
            let answer = scene.come(before, HARMLESS).await;
            assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");
        }
        scene.clock.advance(Duration::from_secs(1));
        let done = scene.visit(800, HARMLESS).await;
        let mut treated = 0;
        let (late, in_time): (Vec<_>, Vec<_>) = done.into_iter().partition(|(arm, _)| {
            treated += usize::from(arm == "treatment");
            arm == "treatment" && treated % 2 == 0
        });
        let events = |done: Vec<(String, Event)>| done.into_iter().map(|(_, event)| event).collect();
        let answer = scene.send(events(in_time)).await;
        assert!(answer.e_value > 20.0, "it looks like harm: {}", answer.e_value);
        assert_eq!(answer.decision(), DecisionKind::Hold);
        assert!(says(&answer, "carried by one bucket") && answer.latches.is_empty(), "{answer:?}");

        scene.clock.advance(Duration::from_secs(1));
        let answer = scene.send(events(late)).await;
        assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");
        assert!(answer.e_value < 1.0 && answer.latches.is_empty(), "{}", answer.e_value);
        scene.assert_untouched().await;
    }
}

/// A gate whose guardrail counts errors, which are as frequent in both arms; and the treatment's events so far.
async fn counting_errors() -> (Scene, Vec<Event>) {
    let mut scene = launched(vec![Metric { kind: MetricKind::Count.into(), ..errors() }]).await;
    scene.clock.advance(Duration::from_secs(1));
    let done = scene.visit(600, BOTH).await;
    let repeated =
        done.iter().filter(|(arm, _)| arm == "treatment").map(|(_, event)| event.clone()).collect();
    let answer = scene.send(done.into_iter().map(|(_, event)| event).collect()).await;
    assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");
    (scene, repeated)
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_of_the_treatments_events_count_once() {
    let (scene, repeated) = counting_errors().await;
    let before = e_value(&scene.server.check(&scene.target).await, "errors");
    let answer = scene.send(repeated).await;
    assert_eq!((answer.decision(), e_value(&answer, "errors")), (DecisionKind::Allow, before));
    scene.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_repeats_makes_the_metric_blind_for_an_hour_and_turns_nothing_off() {
    let (mut scene, repeated) = counting_errors().await;
    let burst = std::iter::repeat_n(repeated, 20).flatten().collect();
    let answer = scene.send(burst).await;
    assert_eq!(answer.decision(), DecisionKind::Hold, "{answer:?}");
    assert!(answer.reasons.iter().any(|reason| reason.code() == ReasonCode::AuditFailed), "{answer:?}");
    assert!(says(&answer, "share of repeated events is 0."), "{answer:?}");
    scene.assert_untouched().await;

    scene.clock.advance(Duration::from_mins(62));
    let answer = scene.come(100, BOTH).await;
    assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");
    scene.assert_untouched().await;
}

/// One unit's mass of events, in the arm and of the metric that it would harm most.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_sends_ten_thousand_events_as_one_unit_turns_nothing_off() {
    let worse_up = MetricDirection::LowerIsBetter.into();
    let unbounded = Some(MetricAudits { max_without_value: Some(1.0), ..MetricAudits::default() });
    let spent = |key: &str, cap: Option<f64>| Metric {
        kind: MetricKind::Sum.into(),
        direction: worse_up,
        cap,
        audits: unbounded,
        ..guardrail(key, "error_shown")
    };
    let views = |key: &str, cap: Option<f64>| Metric {
        kind: MetricKind::Count.into(),
        cap,
        ..guardrail(key, "visited_signup")
    };
    let metrics = vec![
        signup(),
        errors(),
        spent("cost_capped", Some(50.0)),
        spent("cost", None),
        views("views_capped", Some(5.0)),
        views("views", None),
    ];
    let mut scene = launched(metrics).await;
    let answer = scene.come(600, BOTH).await;
    assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");
    let (treated, untreated) = (scene.of_arm("treatment").remove(0), scene.of_arm("control").remove(0));

    // Over some moments, so that it is not the rule against one moment that keeps it from being acted on.
    for _ in 0..5 {
        scene.clock.advance(Duration::from_secs(1));
        let burst =
            |bot: &str, name: &str| -> Vec<Event> { (0..2_000).map(|_| scene.now(bot, name)).collect() };
        let events = [burst(&treated, "error_shown"), burst(&untreated, "visited_signup")].concat();
        let answer = scene.send(events).await;
        for verdict in &answer.verdicts {
            assert!(verdict.e_value < 5.0, "{}: {}", verdict.metric, verdict.e_value);
        }
    }
    scene.assert_untouched().await;
    let answer = scene.come(100, BOTH).await;
    assert_eq!(answer.decision(), DecisionKind::Allow, "{answer:?}");

    // Metrics in which one unit counts no more than it may show harm all the same. Where one unit may count for anything
    // its spread hides all others: nothing is shown of them, neither harm nor safety.
    scene.come_until_harm_is_seen(200, HARMFUL).await;
    let decision = scene.assert_turned_off(&["views_capped"]).await;
    let of_metric = |key: &str| decision.verdicts.iter().find(|verdict| verdict.metric == key).unwrap();
    assert!(of_metric("signup").e_value > 20.0);
    for uncapped in ["views", "cost"] {
        let verdict = of_metric(uncapped);
        assert_eq!(verdict.verdict(), Verdict::Undecided, "{verdict:?}");
        assert!((0.9..1.1).contains(&verdict.e_value) && verdict.e_value_safe < 2.0, "{verdict:?}");
    }
}
