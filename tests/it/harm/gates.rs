//! Harm of a gate's rule, of each kind that may be.

use std::time::Duration;

use portcullis::transport::grpc::wire::{Metric, MetricKind};

use super::{HARMLESS, Habits, Scene, errors, signup};
use crate::documents::{gate, guardrail, percentage, ramp, step};
use crate::guard::assert_refused;
use crate::server::gate_target;

const DAY: Duration = Duration::from_hours(24);

/// A gate that lets a share pass, with these guardrails.
async fn launched(share: f64, metrics: Vec<Metric>) -> Scene {
    let scene = Scene::new(gate_target("new_checkout")).await;
    for metric in metrics {
        scene.server.create_metric(metric).await;
    }
    scene.server.create_gate(gate("new_checkout", share)).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_that_falls_by_a_fifth_is_turned_off() {
    let mut scene = launched(50.0, vec![signup()]).await;
    let fallen: Habits<'_> = &[("visited_signup", |arm| if arm == "treatment" { 0.4 } else { 0.5 })];
    let visitors = scene.come_until_harm_is_seen(200, fallen).await;
    assert!(visitors <= 3_000, "it took {visitors} visitors");
    scene.assert_turned_off(&["signup"]).await;
    assert_refused(scene.server.set_rollout(percentage("new_checkout", 60.0)).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_drops_to_zero_in_the_treatment_is_turned_off() {
    let of_kind = |kind: MetricKind| {
        let audits = Some(portcullis::transport::grpc::wire::MetricAudits {
            // What goes on for everybody else comes without a value.
            max_without_value: Some(1.0),
            ..Default::default()
        });
        Metric { kind: kind.into(), audits, ..guardrail("spent", "purchase") }
    };
    let nothing: Habits<'_> = &[("purchase", |arm| if arm == "treatment" { 0.0 } else { 0.3 })];
    for kind in [MetricKind::Conversion, MetricKind::Count, MetricKind::Sum] {
        let mut scene = launched(50.0, vec![of_kind(kind)]).await;
        scene.come_until_harm_is_seen(150, nothing).await;
        scene.assert_turned_off(&["spent"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_only_the_treatment_has_is_turned_off_at_a_tenth_of_the_visitors() {
    for rare in [false, true] {
        let mut scene = launched(0.0, vec![Metric { rare, ..errors() }]).await;
        let steps = vec![step(10.0, 3 * 86_400_000, 0), step(100.0, 0, 0)];
        scene.server.set_rollout(ramp("new_checkout", steps)).await.unwrap();
        let broken: Habits<'_> = &[("error_shown", |arm| if arm == "treatment" { 0.2 } else { 0.0 })];
        let visitors = scene.come_until_harm_is_seen(200, broken).await;
        assert!(visitors <= 1_200, "it took {visitors} visitors");
        scene.assert_turned_off(&["errors"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_that_begins_after_ten_harmless_days_is_turned_off() {
    let mut scene = launched(50.0, vec![signup()]).await;
    for _ in 0..10 {
        scene.clock.advance(DAY);
        scene.come(150, HARMLESS).await;
    }
    scene.assert_untouched().await;
    let late: Habits<'_> = &[("visited_signup", |arm| if arm == "treatment" { 0.3 } else { 0.5 })];
    let visitors = scene.come_until_harm_is_seen(150, late).await;
    assert!(visitors <= 1_500, "it took {visitors} visitors, as many as came before");
    scene.assert_turned_off(&["signup"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_guardrails_that_are_harmed_at_once_are_turned_off_and_so_is_either_alone() {
    let falls: fn(&str) -> f64 = |arm| if arm == "treatment" { 0.3 } else { 0.5 };
    let rises: fn(&str) -> f64 = |arm| if arm == "treatment" { 0.3 } else { 0.1 };
    for (signs_up, fails, harmed) in [
        (falls, rises, &["signup", "errors"][..]),
        (falls, |_: &str| 0.1, &["signup"][..]),
        (|_: &str| 0.5, rises, &["errors"][..]),
    ] {
        let mut scene = launched(50.0, vec![signup(), errors()]).await;
        let habits: Habits<'_> = &[("visited_signup", signs_up), ("error_shown", fails)];
        if harmed.len() == 2 {
            // In two moments, since none may carry a rollback alone: the look at the second one shows the harm of both.
            scene.come(500, habits).await;
            scene.come(500, habits).await;
        } else {
            let visitors = scene.come_until_harm_is_seen(100, habits).await;
            assert!(visitors <= 1_200, "{harmed:?} took {visitors} visitors");
        }
        let decision = scene.assert_turned_off(harmed).await;
        for verdict in decision.verdicts.iter().filter(|verdict| verdict.guardrail) {
            let is_harmed = harmed.contains(&verdict.metric.as_str());
            assert_eq!(verdict.e_value > 2.0, is_harmed, "{verdict:?}");
        }
    }
}
