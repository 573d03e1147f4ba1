//! Documents that can not be: each wrong field is named by its path.

use portcullis::transport::grpc::wire::{
    ConfigRule, CreateConfigRequest, CreateExperimentRequest, CreateGateRequest, CreateHoldoutRequest,
    CreateLayerRequest, CreateSegmentRequest, DynamicConfig, Experiment, Gate, Holdout, Layer, Segment,
};
use prost_types::Value;
use prost_types::value::Kind;
use tonic::{Code, Status};

use crate::documents::{
    config_rule, gate, halves, id_list, layer, number, override_of, rule, segment, text, values,
};
use crate::server::{Server, fields};

/// What makes a document bad, and the field that is named for it.
type Faults<T> = Vec<(fn(&mut T), &'static str)>;
/// The same for an experiment, with all fields that are named.
type ManyFaults = (fn(&mut Experiment), &'static [&'static str]);

fn assert_names<T: std::fmt::Debug>(outcome: Result<T, Status>, expected: &[&str]) {
    let status = outcome.expect_err("it is refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(fields(&status), expected, "{status:?}");
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

fn endless() -> prost_types::Struct {
    values(&[("size", number(f64::NAN))])
}

#[tokio::test(flavor = "multi_thread")]
async fn gates() {
    let server = Server::start().await;
    let cases: Faults<Gate> = vec![
        (|gate| gate.target_apps = vec![String::new()], "gate.target_apps[0]"),
        (|gate| gate.salt = Some(long(257)), "gate.salt"),
        (|gate| gate.rules[0].id = long(257), "gate.rules[0].id"),
        (|gate| gate.rules[0].environments = vec![String::new()], "gate.rules[0].environments[0]"),
        (|gate| gate.rules[0].salt = Some(long(257)), "gate.rules[0].salt"),
        (|gate| gate.rules[0].unit_type = "company id".to_owned(), "gate.rules[0].unit_type"),
        (|gate| gate.rules[0].name = long(16_385), "gate.rules[0].name"),
        (|gate| gate.unit_type = long(129), "gate.unit_type"),
    ];
    for (change, field) in cases {
        let mut wrong = gate("new", 0.0);
        change(&mut wrong);
        assert_names(server.admin().create_gate(CreateGateRequest { gate: Some(wrong) }).await, &[field]);
    }
    let rules = (0..101).map(|number| rule(&format!("rule-{number}"), 0.0, Vec::new())).collect();
    let many = Gate { rules, ..gate("new", 0.0) };
    assert_names(server.admin().create_gate(CreateGateRequest { gate: Some(many) }).await, &["gate.rules"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments() {
    let server = Server::start().await;
    let create = async |segment: Segment| {
        server.admin().create_segment(CreateSegmentRequest { segment: Some(segment) }).await
    };
    assert_names(server.admin().create_segment(CreateSegmentRequest::default()).await, &["segment"]);
    assert_names(create(Segment { key: "not a key".to_owned(), ..id_list("", &[]) }).await, &["segment.key"]);
    assert_names(create(id_list("new", &["ada", ""])).await, &["segment.ids[1]"]);
    assert_names(create(id_list("new", &[&long(1_025)])).await, &["segment.ids[0]"]);
    let both = Segment { ids: vec!["ada".to_owned()], ..segment("new", Vec::new()) };
    assert_names(create(both).await, &["segment.ids"]);
    let ids = (0..100_001).map(|number| number.to_string()).collect();
    assert_names(create(Segment { ids, ..id_list("new", &[]) }).await, &["segment.ids"]);
    let rules = vec![rule("who", 101.0, Vec::new()), rule("who", 1.0, Vec::new())];
    let expected = ["segment.rules[0].percentage", "segment.rules[1].id"];
    assert_names(create(Segment { rules, ..segment("new", Vec::new()) }).await, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn configs() {
    let server = Server::start().await;
    let create = async |config: DynamicConfig| {
        server.admin().create_config(CreateConfigRequest { config: Some(config) }).await
    };
    let config = || DynamicConfig { key: "new".to_owned(), ..DynamicConfig::default() };
    assert_names(server.admin().create_config(CreateConfigRequest::default()).await, &["config"]);
    let wrong = DynamicConfig { default_value: Some(endless()), ..config() };
    assert_names(create(wrong).await, &["config.default_value[size]"]);
    let nothing = values(&[("size", Value { kind: None })]);
    let wrong = DynamicConfig { rules: vec![config_rule("all", Vec::new(), nothing)], ..config() };
    assert_names(create(wrong).await, &["config.rules[0].value[size]"]);
    let large = values(&[("text", text(&long(262_144)))]);
    let wrong = DynamicConfig { rules: vec![config_rule("all", Vec::new(), large)], ..config() };
    assert_names(create(wrong).await, &["config.rules[0].value"]);
    let grouped = ConfigRule { group: Some(long(129)), ..config_rule("all", Vec::new(), values(&[])) };
    assert_names(
        create(DynamicConfig { rules: vec![grouped], ..config() }).await,
        &["config.rules[0].group"],
    );
    let wrong = ConfigRule { percentage: -1.0, ..config_rule("all", Vec::new(), values(&[])) };
    assert_names(
        create(DynamicConfig { rules: vec![wrong], ..config() }).await,
        &["config.rules[0].percentage"],
    );
    assert_names(
        create(DynamicConfig { target_apps: vec![long(129)], ..config() }).await,
        &["config.target_apps[0]"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn layers() {
    let server = Server::start().await;
    let create =
        async |layer: Layer| server.admin().create_layer(CreateLayerRequest { layer: Some(layer) }).await;
    assert_names(server.admin().create_layer(CreateLayerRequest::default()).await, &["layer"]);
    assert_names(create(layer("new", endless())).await, &["layer.parameters[size]"]);
    let mut deep = Value { kind: Some(Kind::BoolValue(true)) };
    for _ in 0..33 {
        deep = Value { kind: Some(Kind::ListValue(prost_types::ListValue { values: vec![deep] })) };
    }
    assert_names(create(layer("new", values(&[("deep", deep)]))).await, &["layer.parameters[deep]"]);
    let wrong =
        Layer { target_apps: vec![String::new()], unit_type: "a b".to_owned(), ..layer("", values(&[])) };
    assert_names(create(wrong).await, &["layer.key", "layer.unit_type", "layer.target_apps[0]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn experiments() {
    let server = Server::start().await;
    let cases: Vec<ManyFaults> = vec![
        (|it| it.buckets = Some("1000".to_owned()), &["experiment.buckets"]),
        (|it| it.buckets = Some("0-9".to_owned()), &["experiment.buckets"]),
        (|it| it.allocation_salt = Some(long(257)), &["experiment.allocation_salt"]),
        (|it| it.layer = "not a key".to_owned(), &["experiment.layer"]),
        (|it| it.default_parameters = Some(endless()), &["experiment.default_parameters[size]"]),
        (
            |it| it.default_parameters = Some(values(&[("color", number(1.0))])),
            &["experiment.default_parameters"],
        ),
        (|it| it.secondary_metrics = vec!["no_such".to_owned()], &["experiment.secondary_metrics[0]"]),
        (|it| it.target_apps = vec![String::new()], &["experiment.target_apps[0]"]),
        (|it| it.groups[1].id = Some("control".to_owned()), &["experiment.groups[1].id"]),
        (|it| it.groups[1].id = Some(String::new()), &["experiment.groups[1].id"]),
        (
            |it| {
                it.overrides =
                    vec![override_of("a", "control", &["ada"]), override_of("a", "violet", &["ada"])];
            },
            &["experiment.overrides[1].id", "experiment.overrides[1].group"],
        ),
        (
            |it| {
                it.overrides = vec![override_of("a", "control", &["ada"])];
                it.overrides[0].conditions.clear();
            },
            &["experiment.overrides[0].conditions"],
        ),
    ];
    for (change, expected) in cases {
        let mut wrong = halves("new", "red");
        change(&mut wrong);
        let request = CreateExperimentRequest { experiment: Some(wrong) };
        assert_names(server.admin().create_experiment(request).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_started_experiment_rests_on_is_fixed() {
    let server = Server::start().await;
    server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    let (running, _) = server.run_experiment(halves("running", "red")).await;
    let cases: Faults<Experiment> = vec![
        (|it| it.layer = "page".to_owned(), "experiment.layer"),
        (
            |it| it.default_parameters = Some(values(&[("color", text("none"))])),
            "experiment.default_parameters",
        ),
        (|it| it.allocation_salt = Some("other".to_owned()), "experiment.allocation_salt"),
        (|it| it.targeting_first = true, "experiment.targeting_first"),
        (|it| it.draws_missing_units = true, "experiment.draws_missing_units"),
        (|it| it.salt = Some("other".to_owned()), "experiment.salt"),
        (|it| it.unit_type = "company_id".to_owned(), "experiment.unit_type"),
        (|it| it.targeting = vec![crate::documents::passes("open")], "experiment.targeting"),
        (|it| it.groups[0].id = Some("3kQ".to_owned()), "experiment.groups"),
    ];
    server.create_gate(gate("open", 100.0)).await;
    for (change, field) in cases {
        let mut wrong = running.clone();
        change(&mut wrong);
        assert_names(server.update_experiment(wrong).await, &[field]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holdouts() {
    let server = Server::start().await;
    let cases: Faults<Holdout> = vec![
        (|it| it.layers = vec![String::new()], "holdout.layers[0]"),
        (|it| it.rule_id = Some(String::new()), "holdout.rule_id"),
        (|it| it.rule_salt = Some(long(257)), "holdout.rule_salt"),
        (|it| it.link_ids = [("gate:open".to_owned(), String::new())].into(), "holdout.link_ids[gate:open]"),
    ];
    for (change, field) in cases {
        let mut wrong = Holdout { key: "new".to_owned(), ..Holdout::default() };
        change(&mut wrong);
        let request = CreateHoldoutRequest { holdout: Some(wrong) };
        assert_names(server.admin().create_holdout(request).await, &[field]);
    }
}
