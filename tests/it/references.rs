//! What documents refer to: it is there, it is in use, it is no cycle, and it stays as long as it is referred to.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    ArchiveExperimentRequest, ArchiveGateRequest, ArchiveHoldoutRequest, ArchiveLayerRequest,
    ArchiveSegmentRequest, Condition, ConditionOperator as Operator, CreateConfigRequest,
    CreateExperimentRequest, CreateGateRequest, CreateHoldoutRequest, CreateSegmentRequest, DynamicConfig,
    Experiment, Gate, Holdout, Segment,
};
use prost_types::Value;
use tonic::{Code, Status};

use crate::documents::{
    button_color_v3, condition, config_rule, gate, gate_for, halves, id_list, is_in, layer, override_of,
    passes, segment, test_of, text, values,
};
use crate::server::{Server, fields};

fn assert_names<T: std::fmt::Debug>(outcome: Result<T, Status>, expected: &[&str]) -> String {
    let status = outcome.expect_err("it is refused");
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, expected.iter().map(|it| (*it).to_owned()).collect()),
        "{status:?}"
    );
    status.message().to_owned()
}

fn assert_in_use<T: std::fmt::Debug>(outcome: Result<T, Status>, by: &str) {
    let status = outcome.expect_err("it is in use");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains(by), "{}", status.message());
}

async fn create_gate(server: &Server, gate: Gate) -> Result<(), Status> {
    server.admin().create_gate(CreateGateRequest { gate: Some(gate) }).await.map(drop)
}

async fn create_experiment(server: &Server, experiment: Experiment) -> Result<(), Status> {
    let request = CreateExperimentRequest { experiment: Some(experiment) };
    server.admin().create_experiment(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_refer_only_to_what_is_there() {
    let server = Server::start().await;
    server.create_segment(segment("by_rules", Vec::new())).await;
    let listed = |key: &str| condition("user_id", Operator::InSegmentList, &[key]);
    let conditions =
        || vec![passes("nothing"), is_in("nobody"), listed("nowhere"), listed("by_rules"), is_in("by_rules")];
    let paths = |list: &str| -> Vec<String> {
        ["[0].gate", "[1].segment", "[2].values[0]", "[3].values[0]"]
            .map(|path| format!("{list}{path}"))
            .to_vec()
    };
    let names = |paths: &[String], outcome: Result<(), Status>| {
        assert_names(outcome, &paths.iter().map(String::as_str).collect::<Vec<_>>());
    };
    names(
        &paths("gate.rules[0].conditions"),
        create_gate(&server, gate_for("new", 10.0, conditions())).await,
    );
    let request = CreateSegmentRequest { segment: Some(segment("new", conditions())) };
    let outcome = server.admin().create_segment(request).await.map(drop);
    names(&paths("segment.rules[0].conditions"), outcome);
    let rules = vec![config_rule("new", conditions(), values(&[]))];
    let config = DynamicConfig { key: "new".to_owned(), rules, ..DynamicConfig::default() };
    let outcome = server.admin().create_config(CreateConfigRequest { config: Some(config) }).await.map(drop);
    names(&paths("config.rules[0].conditions"), outcome);
    let targeted = Experiment { targeting: conditions(), ..button_color_v3() };
    names(&paths("experiment.targeting"), create_experiment(&server, targeted).await);
    let mut overridden = button_color_v3();
    overridden.overrides = vec![override_of("first", "Red", &["ada"])];
    overridden.overrides[0].conditions.push(passes("nothing"));
    let path = "experiment.overrides[0].conditions[1].gate";
    assert_names(create_experiment(&server, overridden).await, &[path]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_not_referred_to_any_more() {
    let server = Server::start().await;
    server.create_gate(gate("old", 10.0)).await;
    let archive = ArchiveGateRequest { key: "old".to_owned(), revision: 1 };
    server.admin().archive_gate(archive).await.unwrap();
    let outcome = create_gate(&server, gate_for("new", 10.0, vec![passes("old")])).await;
    assert_names(outcome, &["gate.rules[0].conditions[0].gate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_refused_with_their_path() {
    let server = Server::start().await;
    let outcome = create_gate(&server, gate_for("self", 10.0, vec![passes("self")])).await;
    let message = assert_names(outcome, &["gate.rules[0].conditions[0].gate"]);
    assert!(message.contains("self > self"), "{message}");

    let first = server.create_gate(gate("first", 10.0)).await;
    server.create_segment(segment("second", vec![passes("first")])).await;
    server.create_gate(gate_for("third", 10.0, vec![is_in("second")])).await;
    let german = condition("country", Operator::Any, &["DE"]);
    let mut closed = first.clone();
    closed.rules[0].conditions = vec![german, passes("third")];
    let message = assert_names(server.update_gate(closed).await, &["gate.rules[0].conditions[1].gate"]);
    assert!(message.contains("first > third > segment:second > first"), "{message}");

    // Referring twice to the same is no cycle, and neither is a holdout of both.
    server
        .create_gate(gate_for("fourth", 10.0, vec![passes("first"), is_in("second"), passes("third")]))
        .await;
    let gates = vec!["first".to_owned(), "third".to_owned()];
    server.create_holdout(Holdout { key: "both".to_owned(), gates, ..Holdout::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_deep_a_nesting_is_refused() {
    let server = Server::start().await;
    let name = |depth: usize| format!("depth-{depth}");
    server.create_gate(gate(&name(0), 10.0)).await;
    for depth in 1..=32 {
        server.create_gate(gate_for(&name(depth), 10.0, vec![passes(&name(depth - 1))])).await;
    }
    let outcome = create_gate(&server, gate_for("one-more", 10.0, vec![passes(&name(32))])).await;
    let message = assert_names(outcome, &["gate.rules[0].conditions[0].gate"]);
    assert!(message.contains("nests deeper than 32"), "{message}");
    // A draft is refused for what it will do once it is started.
    let targeting = vec![passes(&name(32)), condition("country", Operator::Any, &["DE"])];
    let outcome = create_experiment(&server, Experiment { targeting, ..button_color_v3() }).await;
    assert_names(outcome, &["experiment.targeting[0].gate"]);
    // What is at the bottom may not be put on top of something either.
    server.create_gate(gate("below", 10.0)).await;
    let mut bottom = server.create_gate(gate("unused", 10.0)).await;
    bottom.rules[0].conditions = vec![passes("below")];
    server.update_gate(bottom).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_once_in_its_space_of_names() {
    let server = Server::start().await;
    let taken = |outcome: Result<(), Status>, kind: &str| {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        assert!(status.message().contains(kind), "{}", status.message());
    };
    let holdout = |key: &str| CreateHoldoutRequest {
        holdout: Some(Holdout { key: key.to_owned(), ..Holdout::default() }),
    };
    let config = |key: &str| CreateConfigRequest {
        config: Some(DynamicConfig { key: key.to_owned(), ..DynamicConfig::default() }),
    };
    server.create_gate(gate("gate", 0.0)).await;
    taken(server.admin().create_holdout(holdout("gate")).await.map(drop), "gate `gate`");
    server.admin().create_holdout(holdout("holdout")).await.unwrap();
    taken(create_gate(&server, gate("holdout", 0.0)).await, "holdout `holdout`");
    server.create_experiment(button_color_v3()).await;
    taken(
        server.admin().create_config(config("button_color_v3")).await.map(drop),
        "experiment `button_color_v3`",
    );
    server.admin().create_config(config("config")).await.unwrap();
    taken(create_experiment(&server, halves("config", "red")).await, "config `config`");
    // Segments and layers have spaces of their own.
    server.create_segment(id_list("gate", &["ada"])).await;
    server.create_layer(layer("gate", values(&[]))).await;
    assert_names(create_gate(&server, gate("segment:gate", 0.0)).await, &["gate.key"]);
    assert_names(server.admin().create_holdout(holdout("segment:gate")).await, &["holdout.key"]);
    let inline =
        CreateSegmentRequest { segment: Some(segment("inline_targeting:button_color_v3", Vec::new())) };
    assert_names(server.admin().create_segment(inline).await, &["segment.key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_referred_to_is_not_archived() {
    let server = Server::start().await;
    let mut admin = server.admin();
    server.create_gate(gate("asked", 10.0)).await;
    server.create_holdout(Holdout { key: "held".to_owned(), ..Holdout::default() }).await;
    let team = server.create_segment(id_list("team", &["ada"])).await;
    server.create_gate(gate_for("asking", 10.0, vec![passes("asked"), passes("held"), is_in("team")])).await;
    let rules = vec![config_rule(
        "listed",
        vec![condition("email", Operator::NotInSegmentList, &["team"])],
        values(&[]),
    )];
    server.create_config(DynamicConfig { key: "config".to_owned(), rules, ..DynamicConfig::default() }).await;
    let archive = ArchiveGateRequest { key: "asked".to_owned(), revision: 1 };
    assert_in_use(admin.archive_gate(archive.clone()).await, "gate `asking`");
    let holdout = ArchiveHoldoutRequest { key: "held".to_owned(), revision: 1 };
    assert_in_use(admin.archive_holdout(holdout).await, "gate `asking`");
    let segment = ArchiveSegmentRequest { key: "team".to_owned(), revision: 1 };
    assert_in_use(admin.archive_segment(segment).await, "gate `asking`, config `config`");
    // A list that is referred to as one stays one.
    let by_rules = Segment { ids: Vec::new(), is_id_list: false, ..team };
    let message = assert_names(server.update_segment(by_rules).await, &["segment.ids"]);
    assert!(message.contains("config `config`"), "{message}");

    server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    let member =
        Experiment { layer: "page".to_owned(), targeting: vec![passes("asked")], ..halves("member", "red") };
    server.create_experiment(member).await;
    let layer = ArchiveLayerRequest { key: "page".to_owned(), revision: 1 };
    assert_in_use(admin.archive_layer(layer.clone()).await, "experiment `member`");
    assert_in_use(admin.archive_gate(archive.clone()).await, "experiment `member`");

    let experiment = ArchiveExperimentRequest { key: "member".to_owned(), revision: 1 };
    admin.archive_experiment(experiment).await.unwrap();
    admin.archive_layer(layer).await.unwrap();
    admin.archive_gate(ArchiveGateRequest { key: "asking".to_owned(), revision: 1 }).await.unwrap();
    admin.archive_gate(archive).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_tests_nothing_is_refused() {
    let server = Server::start().await;
    let country = || condition("country", Operator::Any, &["DE"]);
    let path = "gate.rules[0].conditions[0]";
    let cases: Vec<(Condition, &str)> = vec![
        (Condition { subject: None, ..country() }, ""),
        (Condition { operator: 0, ..country() }, ".operator"),
        (Condition { operator: 77, ..country() }, ".operator"),
        (Condition { subject: Some(Subject::Environment(77)), ..country() }, ".environment"),
        (Condition { subject: Some(Subject::UserAgent(0)), ..country() }, ".user_agent"),
        (Condition { subject: Some(Subject::Ip(77)), ..country() }, ".ip"),
        (Condition { subject: Some(Subject::Time(0)), ..country() }, ".time"),
        (Condition { values: vec![Value { kind: None }], ..country() }, ".values[0]"),
        (Condition { values: Vec::new(), ..country() }, ".values"),
        (condition("country", Operator::Any, &["DE", ""]), ".values[1]"),
        (condition("", Operator::Any, &["DE"]), ".attribute"),
        (condition("age", Operator::Gt, &["old"]), ".values"),
        (condition("age", Operator::VersionGt, &["new"]), ".values"),
        (condition("email", Operator::StrMatches, &["("]), ".values"),
        (condition("age", Operator::Before, &["2024-01-01"]), ".values"),
        (condition("age", Operator::Before, &["1700000000"]), ".values"),
        (condition("age", Operator::Passes, &[]), ".operator"),
        (Condition { operator: Operator::Any.into(), ..passes("open") }, ".operator"),
        (Condition { values: vec![text("yes")], ..passes("open") }, ".values"),
        (test_of(Subject::Unit("company id".to_owned()), Operator::Any, &["acme"]), ".unit"),
    ];
    server.create_gate(gate("open", 100.0)).await;
    for (condition, field) in cases {
        let described = format!("{condition:?}");
        let status =
            create_gate(&server, gate_for("new", 10.0, vec![condition])).await.expect_err(&described);
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec![format!("{path}{field}")]),
            "{described}"
        );
    }
}
