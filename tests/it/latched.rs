//! What a closed latch, a hold and a policy refuse besides gates: experiments, configs, layers and holdouts are walked.

use portcullis::transport::grpc::wire;
use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    ArchiveExperimentRequest, DecideExperimentRequest, Experiment, ExperimentStatus,
    GetConfigDocumentRequest, GetExperimentDocumentRequest, Holdout, LaunchState, Policy, StepNeeds,
    TargetKind,
};

use crate::documents::{
    config_rule, gate_for, guardrail, halves, layer, number, override_of, passes, percentage, step, text,
    values,
};
use crate::enforcement::{Tried, apply, assert_all_refused};
use crate::guard::assert_refused;
use crate::harm::{HARMFUL, Scene};
use crate::other_launches::{harm, large, on_page, page, red, target};
use crate::policies::policy;
use crate::server::{Server, experiment_target};
use crate::visitors::{check_gate, ids, passing};

async fn experiment(server: &Server) -> Experiment {
    let request = GetExperimentDocumentRequest { key: "halves".to_owned() };
    server.admin().get_experiment_document(request).await.unwrap().into_inner().experiment.unwrap()
}

async fn decide(server: &Server, outcome: Outcome) -> Result<Experiment, tonic::Status> {
    let Experiment { key, revision, .. } = experiment(server).await;
    let request = DecideExperimentRequest { key, revision, decision: Some(outcome) };
    Ok(server.admin().decide_experiment(request).await?.into_inner().experiment.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_raises_an_experiment_past_its_latch_nor_gives_everyone_what_it_tried() {
    let mut scene = Scene::new(experiment_target("halves")).await;
    scene.server.create_metric(guardrail("signup", "visited_signup")).await;
    let made = scene.server.create_layer(layer("page", values(&[("color", text("none"))]))).await;
    let member = Experiment { layer: "page".to_owned(), allocation: Some(50.0), ..halves("halves", "red") };
    scene.server.run_experiment(member).await;
    let experiments = vec!["halves".to_owned()];
    let holdout = Holdout { key: "tenth".to_owned(), percentage: 10.0, experiments, ..Holdout::default() };
    let tenth = scene.server.create_holdout(holdout).await;
    scene.come_until_harm_is_seen(300, HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;

    let server = &scene.server;
    let stored = experiment(server).await;
    let larger = Experiment { allocation: Some(100.0), ..stored.clone() };
    let overrides = vec![override_of("friends", "treatment", &["ada"])];
    let smaller = Holdout { percentage: 5.0, ..tenth.clone() };
    let without = Holdout { experiments: Vec::new(), ..tenth };
    let tried: Tried = vec![
        ("more allocation", server.update_experiment(larger).await.map(drop)),
        ("an override", server.update_experiment(Experiment { overrides, ..stored }).await.map(drop)),
        ("a shipped group", decide(server, Outcome::ShipGroup("treatment".to_owned())).await.map(drop)),
        ("a smaller holdout", server.update_holdout(smaller).await.map(drop)),
        ("a holdout of less", server.update_holdout(without).await.map(drop)),
    ];
    assert_all_refused(tried);

    // Its end is open, and the layer's default is no way around.
    let ended = decide(server, Outcome::Abandon(true)).await.unwrap();
    let for_everyone = || wire::Layer { parameters: Some(values(&[("color", text("red"))])), ..made.clone() };
    assert_refused(server.update_layer(for_everyone()).await, "LatchClosed");
    let archive = ArchiveExperimentRequest { key: ended.key, revision: ended.revision };
    server.admin().archive_experiment(archive).await.unwrap();
    assert_refused(server.update_layer(for_everyone()).await, "LatchClosed");
    let described = wire::Layer { description: "Colors.".to_owned(), ..made };
    server.update_layer(described).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_raises_a_config_past_its_latch() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_config(page(50.0, 20.0)).await;
    harm(&server, &target(TargetKind::ConfigRule, "page"), large).await;
    let request = GetConfigDocumentRequest { key: "page".to_owned() };
    let stored = server.admin().get_config_document(request).await.unwrap().into_inner().config.unwrap();
    let mut revalued = stored.clone();
    revalued.rules[0].value = Some(values(&[("size", number(30.0))]));
    let mut wider = stored.clone();
    wider.rules.push(config_rule("rest", Vec::new(), values(&[("size", number(20.0))])));
    let mut for_everyone = stored;
    for_everyone.default_value = Some(values(&[("size", number(20.0))]));
    assert_all_refused(vec![
        ("a percentage", server.set_rollout(on_page(80.0)).await.map(drop)),
        ("another value", server.update_config(revalued).await.map(drop)),
        ("a rule behind", server.update_config(wider).await.map(drop)),
        ("another default", server.update_config(for_everyone).await.map(drop)),
    ]);
    assert!(passing(&large(&server, &ids("probe", 60)).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_grows_past_no_hold_of_what_lets_those_in_whom_it_holds_out() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let holdout = Holdout { key: "tenth".to_owned(), percentage: 10.0, ..Holdout::default() };
    let tenth = server.create_holdout(holdout).await;
    server.create_gate(gate_for("as_it_was", 50.0, vec![passes("tenth")])).await;
    let larger = || Holdout { percentage: 40.0, ..tenth.clone() };
    let before = check_gate(&server, "as_it_was", &ids("probe", 100)).await;
    // Nothing is known of the gate's launch.
    assert_refused(server.update_holdout(larger()).await, "NoData");
    assert_eq!(check_gate(&server, "as_it_was", &ids("probe", 100)).await, before);
    server.set_rollout(percentage("as_it_was", 0.0)).await.unwrap();
    server.update_holdout(larger()).await.unwrap();
}

const SHIPPED_ELSEWHERE: &str = "
experiments:
- key: halves
  unit_type: user_id
  salt: halves
  groups:
  - {name: control, weight: 50, parameters: {color: grey}}
  - {name: treatment, weight: 50, parameters: {color: red}}
  control_group: control
  allocation: 100
  status: {state: decided, group: treatment}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_shipped_elsewhere_comes_by_the_policys_steps_and_not_without_evidence() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    assert_refused(apply(&server, SHIPPED_ELSEWHERE).await, "Policy");
    let ramped = Policy { ramp: vec![step(10.0, 0, 0)], ..policy() };
    server.create_policy(ramped).await.unwrap();
    apply(&server, SHIPPED_ELSEWHERE).await.unwrap();
    assert_eq!(experiment(&server).await.status(), ExperimentStatus::Decided);
    let shipped = red(&server, &ids("probe", 300)).await.values().filter(|it| **it).count();
    assert!((10..60).contains(&shipped), "{shipped} of 300 at 10 %");
    let shipment = target(TargetKind::Shipment, "halves");
    let launch = server.check(&shipment).await.launch.unwrap();
    let needs: Vec<StepNeeds> = launch.steps.iter().map(wire::RampStep::needs).collect();
    assert_eq!((launch.state(), needs), (LaunchState::Ramping, vec![StepNeeds::Evidence; 2]));
    apply(&server, SHIPPED_ELSEWHERE).await.unwrap();
    assert_eq!(server.check(&shipment).await.launch.unwrap().id, launch.id);
}
