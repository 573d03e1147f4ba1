//! Segments, dynamic configs and layers: made, read, changed and archived. What they can hold comes back as it was given.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::{
    ArchiveConfigRequest, ArchiveLayerRequest, ArchiveSegmentRequest, BucketDraw, Condition,
    ConditionOperator as Operator, ConfigRule, CreateConfigRequest, CreateLayerRequest, CreateSegmentRequest,
    DynamicConfig, EnvironmentField, Experiment, Gate, GateRule, GetConfigDocumentRequest,
    GetLayerDocumentRequest, GetSegmentRequest, Holdout, IpField, Layer, ListConfigsRequest,
    ListLayersRequest, ListSegmentsRequest, Segment, TimeField, UserAgentField,
};
use prost_types::Value;
use prost_types::value::Kind;
use tonic::Code;

use crate::documents::{
    button_color_v3, config_rule, gate, halves, id_list, layer, metric, number, override_of, segment,
    test_of, text, values,
};
use crate::server::{Server, fields};

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "team".to_owned());
    let mut admin = server.admin();
    let made = server.create_segment(id_list("team", &["ada", "grace"])).await;
    assert_eq!((made.revision, made.unit_type.as_str(), made.salt()), (1, "user_id", "team"));
    let read = admin.get_segment(GetSegmentRequest { key: key.clone() }).await.unwrap().into_inner().segment;
    assert_eq!(read.as_ref(), Some(&made));

    let longer = Segment { ids: vec!["ada".to_owned()], ..made.clone() };
    assert_eq!(server.update_segment(longer).await.unwrap().revision, 2);
    assert_eq!(server.update_segment(made.clone()).await.unwrap_err().code(), Code::Aborted);
    let salted = Segment { salt: Some("other".to_owned()), revision: 2, ..made };
    assert_eq!(fields(&server.update_segment(salted).await.unwrap_err()), ["segment.salt"]);
    let stale = ArchiveSegmentRequest { key: key.clone(), revision: 1 };
    assert_eq!(admin.archive_segment(stale).await.unwrap_err().code(), Code::Aborted);
    let archived = admin.archive_segment(ArchiveSegmentRequest { key, revision: 2 }).await.unwrap();
    assert!(archived.into_inner().segment.unwrap().archived);

    let again = CreateSegmentRequest { segment: Some(id_list("team", &[])) };
    assert_eq!(admin.create_segment(again).await.unwrap_err().code(), Code::AlreadyExists);
    let listed = admin.list_segments(ListSegmentsRequest::default()).await.unwrap().into_inner().segments;
    assert!(listed.is_empty(), "an archived segment is listed");
    let all = ListSegmentsRequest { include_archived: true, ..ListSegmentsRequest::default() };
    assert_eq!(admin.list_segments(all).await.unwrap().into_inner().segments.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_config_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "page".to_owned());
    let mut admin = server.admin();
    let made = server.create_config(DynamicConfig { key: key.clone(), ..DynamicConfig::default() }).await;
    assert_eq!((made.revision, made.unit_type.as_str(), made.salt()), (1, "user_id", "page"));
    let request = GetConfigDocumentRequest { key: key.clone() };
    let read = admin.get_config_document(request).await.unwrap().into_inner().config;
    assert_eq!(read.as_ref(), Some(&made));

    let rules = vec![config_rule("all", Vec::new(), values(&[("size", number(3.0))]))];
    let changed = server.update_config(DynamicConfig { rules, ..made.clone() }).await.unwrap();
    assert_eq!(changed.revision, 2);
    assert_eq!(server.update_config(made.clone()).await.unwrap_err().code(), Code::Aborted);
    let moved = DynamicConfig { unit_type: "company_id".to_owned(), revision: 2, ..made };
    assert_eq!(fields(&server.update_config(moved).await.unwrap_err()), ["config.unit_type"]);
    let archived =
        admin.archive_config(ArchiveConfigRequest { key: key.clone(), revision: 2 }).await.unwrap();
    assert!(archived.into_inner().config.unwrap().archived);

    let again = CreateConfigRequest { config: Some(DynamicConfig { key, ..DynamicConfig::default() }) };
    assert_eq!(admin.create_config(again).await.unwrap_err().code(), Code::AlreadyExists);
    let listed = admin.list_configs(ListConfigsRequest::default()).await.unwrap().into_inner().configs;
    assert!(listed.is_empty(), "an archived config is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "page".to_owned());
    let mut admin = server.admin();
    let made = server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    assert_eq!((made.revision, made.unit_type.as_str(), made.salt()), (1, "user_id", "page"));
    let request = GetLayerDocumentRequest { key: key.clone() };
    let read = admin.get_layer_document(request).await.unwrap().into_inner().layer;
    assert_eq!(read.as_ref(), Some(&made));

    let parameters = Some(values(&[("color", text("green")), ("size", number(3.0))]));
    // Nothing rests on a layer without experiments.
    let salt = Some("other".to_owned());
    let changed = server.update_layer(Layer { parameters, salt, ..made.clone() }).await.unwrap();
    assert_eq!((changed.revision, changed.salt()), (2, "other"));
    assert_eq!(server.update_layer(made).await.unwrap_err().code(), Code::Aborted);
    let archived = admin.archive_layer(ArchiveLayerRequest { key, revision: 2 }).await.unwrap();
    assert!(archived.into_inner().layer.unwrap().archived);

    let again = CreateLayerRequest { layer: Some(layer("page", values(&[]))) };
    assert_eq!(admin.create_layer(again).await.unwrap_err().code(), Code::AlreadyExists);
    let listed = admin.list_layers(ListLayersRequest::default()).await.unwrap().into_inner().layers;
    assert!(listed.is_empty(), "an archived layer is listed");
}

/// A condition with each subject, and one with each operator.
fn all_conditions() -> Vec<Condition> {
    let of = |operator: Operator, values: &[&str]| {
        test_of(Subject::Attribute("email".to_owned()), operator, values)
    };
    let draw = BucketDraw { salt: "dice".to_owned(), unit_type: "user_id".to_owned() };
    let bucket = |operator: Operator, values: &[i32]| Condition {
        subject: Some(Subject::Bucket(draw.clone())),
        operator: operator.into(),
        values: values.iter().map(|value| number(f64::from(*value))).collect(),
    };
    let time = |operator: Operator| Condition {
        subject: Some(Subject::Time(TimeField::Now.into())),
        operator: operator.into(),
        values: vec![number(1_700_000_000_000.0)],
    };
    let scalar = |kind: Kind| Condition {
        subject: Some(Subject::Attribute("plan".to_owned())),
        operator: Operator::Eq.into(),
        values: vec![Value { kind: Some(kind) }],
    };
    vec![
        of(Operator::Any, &["a", "b"]),
        of(Operator::None, &["a"]),
        of(Operator::AnyCaseSensitive, &["a"]),
        of(Operator::NoneCaseSensitive, &["a"]),
        of(Operator::StrStartsWithAny, &["a"]),
        of(Operator::StrEndsWithAny, &["a"]),
        of(Operator::StrContainsAny, &["a"]),
        of(Operator::StrContainsNone, &["a"]),
        of(Operator::StrMatches, &["^a+$"]),
        of(Operator::Neq, &["a"]),
        of(Operator::Gt, &["1"]),
        of(Operator::Gte, &["1"]),
        of(Operator::Lt, &["1"]),
        of(Operator::Lte, &["1"]),
        of(Operator::VersionGt, &["1.2"]),
        of(Operator::VersionGte, &["1.2"]),
        of(Operator::VersionLt, &["1.2"]),
        of(Operator::VersionLte, &["1.2"]),
        of(Operator::VersionEq, &["1.2"]),
        of(Operator::VersionNeq, &["1.2"]),
        of(Operator::InSegmentList, &["team"]),
        of(Operator::NotInSegmentList, &["team"]),
        of(Operator::ArrayContainsAny, &["a"]),
        of(Operator::ArrayContainsNone, &["a"]),
        of(Operator::ArrayContainsAll, &["a"]),
        of(Operator::NotArrayContainsAll, &["a"]),
        time(Operator::Before),
        time(Operator::After),
        time(Operator::On),
        test_of(Subject::Gate("other".to_owned()), Operator::Passes, &[]),
        test_of(Subject::Gate("other".to_owned()), Operator::Fails, &[]),
        test_of(Subject::Segment("team".to_owned()), Operator::Fails, &[]),
        test_of(Subject::Unit("company_id".to_owned()), Operator::Any, &["acme"]),
        test_of(Subject::Environment(EnvironmentField::Tier.into()), Operator::Any, &["production"]),
        test_of(Subject::UserAgent(UserAgentField::BrowserName.into()), Operator::Any, &["Chrome"]),
        test_of(Subject::UserAgent(UserAgentField::BrowserVersion.into()), Operator::VersionGte, &["114"]),
        test_of(Subject::UserAgent(UserAgentField::OsName.into()), Operator::Any, &["iOS"]),
        test_of(Subject::UserAgent(UserAgentField::OsVersion.into()), Operator::VersionGte, &["17"]),
        test_of(Subject::Ip(IpField::Country.into()), Operator::Any, &["DE"]),
        bucket(Operator::Any, &[0, 7, 999, -1]),
        bucket(Operator::Lt, &[250]),
        scalar(Kind::NumberValue(1.5)),
        scalar(Kind::NumberValue(12.0)),
        scalar(Kind::BoolValue(true)),
        scalar(Kind::StringValue("pro".to_owned())),
        scalar(Kind::NullValue(0)),
    ]
}

/// A rule with everything that a rule can have.
fn full_rule() -> GateRule {
    GateRule {
        id: "3kQ:50.00:1".to_owned(),
        name: "Everything".to_owned(),
        conditions: all_conditions(),
        percentage: 0.05,
        environments: vec!["production".to_owned(), "staging".to_owned()],
        salt: Some(String::new()),
        unit_type: "company_id".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_gate_or_a_segment_can_hold_comes_back_as_it_was_given() {
    let server = Server::start().await;
    server.create_gate(gate("other", 0.0)).await;
    server.create_segment(id_list("team", &["ada"])).await;
    let given = Gate {
        rules: vec![full_rule()],
        target_apps: vec!["web".to_owned()],
        draws_missing_units: true,
        salt: Some(String::new()),
        ..gate("full", 0.0)
    };
    let made = server.create_gate(given.clone()).await;
    assert_eq!(made.rules, given.rules);
    assert_eq!((&made.target_apps, made.draws_missing_units, made.salt()), (&given.target_apps, true, ""));
    // What was read can be written back.
    let again = server.update_gate(made.clone()).await.unwrap();
    assert_eq!((&again.rules, again.revision), (&made.rules, 2));

    let given = Segment { rules: vec![full_rule()], ..segment("full", Vec::new()) };
    let made = server.create_segment(given.clone()).await;
    assert_eq!((&made.rules, made.is_id_list), (&given.rules, false));
    let empty = server.create_segment(id_list("empty", &[])).await;
    assert!(empty.is_id_list && empty.ids.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_config_an_experiment_or_a_holdout_can_hold_comes_back_as_it_was_given() {
    let server = Server::start().await;
    server.create_gate(gate("other", 0.0)).await;
    server.create_segment(id_list("team", &["ada"])).await;
    server.create_metric(metric("signup", "visited_signup")).await;
    server.create_metric(metric("views", "page_viewed")).await;
    let value = values(&[("size", number(3.0)), ("ratio", number(0.5)), ("name", text("x"))]);
    let plain = full_rule();
    let rule = ConfigRule {
        id: plain.id,
        name: plain.name,
        conditions: plain.conditions,
        percentage: plain.percentage,
        environments: plain.environments,
        salt: plain.salt,
        unit_type: plain.unit_type,
        value: Some(value.clone()),
        group: Some("large".to_owned()),
    };
    let given = DynamicConfig {
        key: "full".to_owned(),
        default_value: Some(value.clone()),
        rules: vec![rule],
        target_apps: vec!["web".to_owned()],
        draws_missing_units: true,
        ..DynamicConfig::default()
    };
    let made = server.create_config(given.clone()).await;
    assert_eq!((&made.default_value, &made.rules), (&given.default_value, &given.rules));
    assert_eq!((&made.target_apps, made.draws_missing_units), (&given.target_apps, true));

    let mut given = Experiment {
        allocation: Some(0.3),
        buckets: Some("0,7-8".to_owned()),
        allocation_salt: Some(String::new()),
        targeting: all_conditions(),
        targeting_first: true,
        overrides: vec![override_of("friends", "treatment", &["ada"])],
        default_parameters: Some(values(&[("color", text("none"))])),
        primary_metrics: vec!["signup".to_owned()],
        secondary_metrics: vec!["views".to_owned()],
        target_apps: vec!["web".to_owned()],
        draws_missing_units: true,
        ..halves("full_experiment", "red")
    };
    given.groups[1].id = Some("3kQ".to_owned());
    let made = server.create_experiment(given.clone()).await;
    let given = Experiment {
        revision: made.revision,
        unit_type: made.unit_type.clone(),
        salt: made.salt.clone(),
        control_group: made.control_group.clone(),
        status: made.status,
        create_time: made.create_time,
        update_time: made.update_time,
        ..given
    };
    assert_eq!(made, given);

    server.create_layer(layer("page", values(&[]))).await;
    let given = Holdout {
        key: "full_holdout".to_owned(),
        percentage: 1.0,
        gates: vec!["other".to_owned()],
        experiments: vec!["full_experiment".to_owned()],
        layers: vec!["page".to_owned()],
        precedence: 7,
        rule_id: Some("3kQ:1.00:1".to_owned()),
        rule_salt: Some("3kQ".to_owned()),
        link_ids: [("gate:other".to_owned(), "3kR".to_owned())].into(),
        ..Holdout::default()
    };
    let made = server.create_holdout(given.clone()).await;
    let given = Holdout {
        revision: made.revision,
        unit_type: made.unit_type.clone(),
        salt: made.salt.clone(),
        create_time: made.create_time,
        update_time: made.update_time,
        ..given
    };
    assert_eq!(made, given);
    for (redrawn, field) in [
        (Holdout { rule_id: None, ..made.clone() }, "holdout.rule_id"),
        (Holdout { rule_salt: None, ..made.clone() }, "holdout.rule_salt"),
    ] {
        assert_eq!(fields(&server.update_holdout(redrawn).await.unwrap_err()), [field]);
    }
    server.create_experiment(button_color_v3()).await;
}
