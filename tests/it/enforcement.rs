//! Every way to change something is walked: none raises exposure past a latch, a hold or a policy.

use std::collections::BTreeMap;

use portcullis::transport::grpc::wire;
use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    ApplyConfigurationRequest, ArchiveHoldoutRequest, ConditionOperator, ConfigRule, DecideExperimentRequest,
    DynamicConfig, Experiment, Gate, GetConfigRequest, GetExperimentDocumentRequest, GetGateRequest, Holdout,
    LaunchState, PauseLaunchRequest, PlanConfigurationRequest, Policy, ResumeLaunchRequest,
    SetRolloutRequest, Target, TargetKind,
};
use tonic::{Code, Status};

use crate::documents::{
    config_rule, gate, gate_for, guardrail, halves, id_list, number, override_of, passes, percentage, ramp,
    rule, step, test_of, values,
};
use crate::guard::harm;
use crate::policies::policy;
use crate::server::{Server, by, eventually, gate_target};
use crate::visitors::{Crowd, check_gate, groups, ids, user};

/// Calls that may let more units get something. Each is tried below.
const RAISE: [&str; 13] = [
    "SetRollout",
    "UpdateGate",
    "UpdateConfig",
    "UpdateExperiment",
    "UpdateHoldout",
    "UpdateSegment",
    "ArchiveHoldout",
    "StartExperiment",
    "DecideExperiment",
    "ApplyConfiguration",
    "ResumeLaunch",
    "CreateGate",
    "CreateConfig",
];

/// Calls that let nobody get more: reads, what lowers or ends, what nothing is served by, and what only lets a later call pass.
const HARMLESS: [&str; 63] = [
    "GetGate",
    "ListGates",
    "ArchiveGate",
    "CreateExperiment",
    "GetExperimentDocument",
    "ListExperiments",
    "ArchiveExperiment",
    "CreateHoldout",
    "GetHoldout",
    "ListHoldouts",
    "CreateSegment",
    "GetSegment",
    "ListSegments",
    "ArchiveSegment",
    "GetConfigDocument",
    "ListConfigs",
    "ArchiveConfig",
    "CreateLayer",
    "GetLayerDocument",
    "ListLayers",
    "UpdateLayer",
    "ArchiveLayer",
    "CreateMetric",
    "GetMetric",
    "ListMetrics",
    "UpdateMetric",
    "ArchiveMetric",
    "ListMetricVersions",
    "PreviewMetric",
    "GetMeasurement",
    "GetScorecard",
    "ListMeasurements",
    "CreatePolicy",
    "GetPolicy",
    "ListPolicies",
    "UpdatePolicy",
    "ArchivePolicy",
    "ExportConfiguration",
    "PlanConfiguration",
    "ReplayPolicy",
    "GetLaunch",
    "ListLaunches",
    "CheckLaunch",
    "ListDecisions",
    "GetDecision",
    "WatchDecisions",
    "ResolveLatch",
    "OverrideLaunch",
    "PauseLaunch",
    "CancelLaunch",
    "ApproveStep",
    "CreateWebhook",
    "GetWebhook",
    "ListWebhooks",
    "UpdateWebhook",
    "ArchiveWebhook",
    "ListDeliveries",
    "ResendDeliveries",
    "CreateSdkKey",
    "GetSdkKey",
    "ListSdkKeys",
    "UpdateSdkKey",
    "RevokeSdkKey",
];

#[test]
fn every_call_that_changes_something_is_walked_or_known_to_raise_nothing() {
    let descriptors: prost_types::FileDescriptorSet = prost::Message::decode(wire::DESCRIPTORS).unwrap();
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    let changing =
        services.filter(|service| !["EvaluationService", "EventService"].contains(&service.name()));
    let unknown: Vec<&str> = changing
        .flat_map(|service| &service.method)
        .map(prost_types::MethodDescriptorProto::name)
        .filter(|name| !RAISE.contains(name) && !HARMLESS.contains(name))
        .collect();
    assert!(unknown.is_empty(), "say whether these can raise exposure, and walk them if so: {unknown:?}");
}

fn page() -> DynamicConfig {
    let large = values(&[("size", number(20.0))]);
    let rule = ConfigRule { percentage: 50.0, ..config_rule("large", Vec::new(), large) };
    let default_value = Some(values(&[("size", number(10.0))]));
    DynamicConfig { key: "page".to_owned(), rules: vec![rule], default_value, ..DynamicConfig::default() }
}

/// A gate that asks another gate, which asks a segment; a holdout over it; a config; an experiment.
async fn world(server: &Server) {
    server.create_segment(id_list("staff", &["probe-1", "probe-2", "probe-3", "probe-4"])).await;
    let subject = wire::condition::Subject::Segment("staff".to_owned());
    server.create_gate(gate_for("inner", 100.0, vec![test_of(subject, ConditionOperator::Fails, &[])])).await;
    let completed =
        Target { kind: TargetKind::GateRule.into(), key: "inner".to_owned(), rule_id: String::new() };
    server
        .check_until(&completed, "everyone passes the inner gate", |answer| {
            answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::Completed)
        })
        .await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate_for("new_checkout", 50.0, vec![passes("inner")])).await;
    let holdout = Holdout {
        key: "tenth".to_owned(),
        percentage: 10.0,
        gates: vec!["new_checkout".to_owned()],
        experiments: vec!["halves".to_owned()],
        ..Holdout::default()
    };
    server.create_config(page()).await;
    server.run_experiment(Experiment { allocation: Some(50.0), ..halves("halves", "red") }).await;
    server.create_holdout(holdout).await;
}

/// What some visitors get of everything.
async fn served(server: &Server) -> BTreeMap<String, (bool, bool, String)> {
    let visitors = ids("probe", 100);
    let passes = check_gate(server, "new_checkout", &visitors).await;
    let groups = groups(server, "halves", &visitors).await;
    let mut found = BTreeMap::new();
    for visitor in visitors {
        let request =
            GetConfigRequest { user: Some(user(&visitor)), config: "page".to_owned(), ..Default::default() };
        let answer = server.evaluation().get_config(request).await.unwrap().into_inner();
        let large = answer.parameters["size"].value == Some(number(20.0));
        found.insert(visitor.clone(), (passes[&visitor], large, groups[&visitor].clone()));
    }
    found
}

async fn stored_gate(server: &Server, key: &str) -> Gate {
    let request = GetGateRequest { key: key.to_owned() };
    server.admin().get_gate(request).await.unwrap().into_inner().gate.unwrap()
}

pub(crate) type Tried = Vec<(&'static str, Result<(), Status>)>;

/// Every way to let more units through the gate.
async fn raise_gate(server: &Server) -> Tried {
    let mut tried: Tried = Vec::new();
    let mut note = |what, outcome: Result<(), Status>| tried.push((what, outcome));
    let on = |share: f64| SetRolloutRequest { rule_id: String::new(), ..percentage("new_checkout", share) };
    note("a percentage", server.set_rollout(on(80.0)).await.map(drop));
    let steps = vec![step(0.5, 0, 0), step(99.0, 0, 0)];
    note("a ramp", server.set_rollout(ramp("new_checkout", steps)).await.map(drop));
    let gate = stored_gate(server, "new_checkout").await;
    let mut wider = gate.clone();
    wider.rules.insert(0, rule("all", 100.0, Vec::new()));
    note("a rule in front", server.update_gate(wider).await.map(drop));
    let mut wider = gate.clone();
    wider.rules.push(rule("rest", 100.0, Vec::new()));
    note("a rule behind", server.update_gate(wider).await.map(drop));
    let mut wider = gate.clone();
    wider.rules[0].percentage = 100.0;
    let refused = server.update_gate(wider).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "percentages are changed in one place");
    if gate.rules[0].percentage > 0.0 {
        let mut wider = gate.clone();
        wider.rules[0].conditions.clear();
        note("fewer conditions", server.update_gate(wider).await.map(drop));
        let mut wider = gate.clone();
        wider.rules[0].salt = Some("another".to_owned());
        note("another draw", server.update_gate(wider).await.map(drop));
    }
    // What it depends on. Taking units out of the inner gate is open, and letting them in again is not.
    let request = wire::GetSegmentRequest { key: "staff".to_owned() };
    let staff = server.admin().get_segment(request).await.unwrap().into_inner().segment.unwrap();
    note(
        "a smaller segment",
        server.update_segment(wire::Segment { ids: vec!["probe-1".to_owned()], ..staff }).await.map(drop),
    );
    let inner = stored_gate(server, "inner").await;
    let mut wider = inner.clone();
    wider.rules[0].conditions.clear();
    note("fewer conditions of the inner gate", server.update_gate(wider).await.map(drop));
    let yaml = "gates:\n- key: new_checkout\n  unit_type: user_id\n  salt: new_checkout\n  rules:\n  - id: everyone\n    percentage: 90\n";
    note("a configuration", apply(server, yaml).await);
    tried
}

/// Every way to let more units get anything else.
async fn raise_others(server: &Server) -> Tried {
    let mut tried: Tried = Vec::new();
    let mut note = |what, outcome: Result<(), Status>| tried.push((what, outcome));
    let mut admin = server.admin();
    let request = wire::GetHoldoutRequest { key: "tenth".to_owned() };
    let tenth = admin.get_holdout(request).await.unwrap().into_inner().holdout.unwrap();
    note(
        "a smaller holdout",
        server.update_holdout(Holdout { percentage: 5.0, ..tenth.clone() }).await.map(drop),
    );
    note(
        "a holdout of less",
        server.update_holdout(Holdout { gates: Vec::new(), ..tenth.clone() }).await.map(drop),
    );
    let archive = ArchiveHoldoutRequest { key: tenth.key.clone(), revision: tenth.revision };
    note("no holdout", admin.archive_holdout(archive).await.map(drop));
    let raise = SetRolloutRequest { config: "page".to_owned(), ..percentage("", 80.0) };
    note("a config's percentage", server.set_rollout(raise).await.map(drop));
    let request = wire::GetConfigDocumentRequest { key: "page".to_owned() };
    let stored = admin.get_config_document(request).await.unwrap().into_inner().config.unwrap();
    let mut revalued = stored.clone();
    revalued.rules[0].value = Some(values(&[("size", number(30.0))]));
    note("another value", server.update_config(revalued).await.map(drop));
    let mut wider = stored;
    wider.rules.push(config_rule("rest", Vec::new(), values(&[("size", number(20.0))])));
    note("a config's rule behind", server.update_config(wider).await.map(drop));
    let request = GetExperimentDocumentRequest { key: "halves".to_owned() };
    let halves = admin.get_experiment_document(request).await.unwrap().into_inner().experiment.unwrap();
    let larger = Experiment { allocation: Some(100.0), ..halves.clone() };
    note("more allocation", server.update_experiment(larger).await.map(drop));
    let overrides = vec![override_of("friends", "treatment", &["probe-9"])];
    note("an override", server.update_experiment(Experiment { overrides, ..halves.clone() }).await.map(drop));
    let ship = DecideExperimentRequest {
        key: halves.key,
        revision: halves.revision,
        decision: Some(Outcome::ShipGroup("treatment".to_owned())),
    };
    note("a shipped group", admin.decide_experiment(ship).await.map(drop));
    tried
}

pub(crate) async fn apply(server: &Server, yaml: &str) -> Result<(), Status> {
    eventually("the configuration stands still", async || {
        let plan = PlanConfigurationRequest { yaml: yaml.to_owned(), prune: false };
        let revision = match server.configuration().plan_configuration(plan).await {
            Ok(plan) => plan.into_inner().revision,
            Err(status) => return Ok(Err(status)),
        };
        let request = ApplyConfigurationRequest { yaml: yaml.to_owned(), prune: false, revision };
        match server.configuration().apply_configuration(request).await {
            Err(status) if status.code() == Code::Aborted => Err(status.to_string()),
            applied => Ok(applied.map(drop)),
        }
    })
    .await
}

pub(crate) fn assert_all_refused(tried: Tried) {
    assert!(!tried.is_empty());
    for (what, outcome) in tried {
        let status = outcome.err().unwrap_or_else(|| panic!("{what} went through"));
        assert_eq!(status.code(), Code::FailedPrecondition, "{what}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_raises_past_a_hold() {
    let server = Server::start().await;
    world(&server).await;
    let before = served(&server).await;
    // Nothing is known of any launch, since nobody does anything: all are held.
    assert_all_refused(raise_gate(&server).await);
    assert_all_refused(raise_others(&server).await);
    assert_eq!(served(&server).await, before);
    for path in ["/v1/gates/new_checkout", "/v1/rollout", "/admin", "/v1/download_config_specs"] {
        let answer = server.post(path, &[], "{\"percentage\":100}").await;
        assert!(!answer.status.is_success(), "{path}");
    }
    assert_eq!(served(&server).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_raises_past_a_latch() {
    let server = Server::start().await;
    world(&server).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
    assert_all_refused(raise_gate(&server).await);
    let request = wire::GetHoldoutRequest { key: "tenth".to_owned() };
    let tenth = server.admin().get_holdout(request).await.unwrap().into_inner().holdout.unwrap();
    let smaller = Holdout { percentage: 5.0, ..tenth };
    assert_all_refused(vec![("a smaller holdout", server.update_holdout(smaller).await.map(drop))]);
    let gate = stored_gate(&server, "new_checkout").await;
    let off = server.update_gate(Gate { enabled: Some(false), ..gate }).await.unwrap();
    let on = server.update_gate(Gate { enabled: Some(true), ..off }).await.map(drop);
    assert_all_refused(vec![("switching on", on)]);
    assert!(served(&server).await.values().all(|(passes, ..)| !passes));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_past_a_policy() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let draft = server.create_experiment(halves("halves", "red")).await;
    let mut closed = page();
    closed.rules[0].percentage = 0.0;
    let config = server.create_config(closed).await;
    let ramped = Policy { require_guardrails: true, ramp: vec![step(1.0, 3_600_000, 0)], ..policy() };
    server.create_policy(ramped).await.unwrap();
    let before = served_gate(&server).await;
    let mut admin = server.admin();
    let try_all = async |admin: &mut wire::admin_service_client::AdminServiceClient<
        tonic::transport::Channel,
    >| {
        let mut tried: Tried = vec![
            ("a rollout", server.set_rollout(percentage("new_checkout", 10.0)).await.map(drop)),
            (
                "a ramp",
                server
                    .set_rollout(ramp("new_checkout", vec![step(5.0, 0, 0), step(9.0, 0, 0)]))
                    .await
                    .map(drop),
            ),
        ];
        let create = wire::CreateGateRequest { gate: Some(gate("another", 50.0)) };
        tried.push(("a new gate", admin.create_gate(create).await.map(drop)));
        let create =
            wire::CreateConfigRequest { config: Some(DynamicConfig { key: "other".to_owned(), ..page() }) };
        tried.push(("a new config", admin.create_config(create).await.map(drop)));
        let raise = SetRolloutRequest { config: "page".to_owned(), ..percentage("", 10.0) };
        tried.push(("a config's rollout", server.set_rollout(raise).await.map(drop)));
        let mut wider = config.clone();
        wider.rules.push(config_rule("rest", Vec::new(), values(&[])));
        tried.push(("a config's rule", server.update_config(wider).await.map(drop)));
        let mut wider = stored_gate(&server, "new_checkout").await;
        wider.rules.push(rule("rest", 50.0, Vec::new()));
        tried.push(("a rule", server.update_gate(wider).await.map(drop)));
        let start = wire::StartExperimentRequest {
            key: draft.key.clone(),
            revision: draft.revision,
            guardrails: None,
        };
        tried.push(("a start", admin.start_experiment(start).await.map(drop)));
        let yaml = "gates:\n- key: new_checkout\n  unit_type: user_id\n  salt: new_checkout\n  rules:\n  - id: everyone\n    percentage: 90\n";
        tried.push(("a configuration", apply(&server, yaml).await));
        tried
    };
    assert_all_refused(try_all(&mut admin).await);
    assert_eq!(served_gate(&server).await, before);
    // With a guardrail launches may begin, and a configuration's percentage is reached by the policy's steps.
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let yaml = "gates:\n- key: new_checkout\n  unit_type: user_id\n  salt: new_checkout\n  rules:\n  - id: everyone\n    percentage: 90\n- key: brand_new\n  unit_type: user_id\n  salt: brand_new\n  rules:\n  - id: everyone\n    percentage: 40\n";
    for _ in 0..2 {
        apply(&server, yaml).await.unwrap();
        for key in ["new_checkout", "brand_new"] {
            assert_eq!(stored_gate(&server, key).await.rules[0].percentage, 1.0, "{key}");
        }
    }
}

async fn served_gate(server: &Server) -> BTreeMap<String, bool> {
    check_gate(server, "new_checkout", &ids("probe", 100)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_with_a_paused_launch_is_a_raise_as_well() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(50.0, 3_600_000, 0), step(100.0, 0, 0)];
    let begun = server.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    let (launch_id, reason) = (begun.id, "Why not.".to_owned());
    let pause = PauseLaunchRequest { launch_id: launch_id.clone(), reason: reason.clone() };
    server.guard().pause_launch(by("ada", pause)).await.unwrap();
    let resume = || by("ada", ResumeLaunchRequest { launch_id: launch_id.clone(), reason: reason.clone() });
    assert_all_refused(vec![("going on", server.guard().resume_launch(resume()).await.map(drop))]);
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
    assert_all_refused(vec![("going on", server.guard().resume_launch(resume()).await.map(drop))]);
    assert_eq!(
        server.check(&gate_target("new_checkout")).await.launch.unwrap().state(),
        LaunchState::RolledBack
    );
}
