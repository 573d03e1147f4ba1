//! What callers are given by dynamic configs, and where each value comes from.

use std::collections::BTreeMap;

use portcullis::transport::grpc::wire::{
    ConditionOperator as Operator, ConfigRule, DynamicConfig, EvaluateBatchRequest, EvaluationReason,
    GetConfigRequest, GetConfigResponse, GetExperimentRequest, Parameter, ParameterSource as Source, User,
};
use prost_types::{Struct, Value};
use tonic::{Code, Status};

use crate::documents::{condition, config_rule, halves, number, text, values};
use crate::server::Server;
use crate::visitors::{assert_share, ids, user};

/// Large pages for Germans, in a group; larger ones for a half of the rest.
async fn start() -> (Server, DynamicConfig) {
    let server = Server::start().await;
    let german = condition("country", Operator::Any, &["DE"]);
    let rules = vec![
        ConfigRule {
            group: Some("large".to_owned()),
            ..config_rule("german", vec![german], values(&[("size", number(20.0)), ("note", text("gross"))]))
        },
        ConfigRule { percentage: 50.0, ..config_rule("half", Vec::new(), values(&[("size", number(50.0))])) },
    ];
    let default_value = Some(values(&[("size", number(10.0)), ("color", text("blue"))]));
    let key = "page".to_owned();
    let config =
        server.create_config(DynamicConfig { key, rules, default_value, ..DynamicConfig::default() }).await;
    (server, config)
}

async fn get(server: &Server, user: User, defaults: Struct) -> Result<GetConfigResponse, Status> {
    let request = GetConfigRequest {
        user: Some(user),
        config: "page".to_owned(),
        defaults: Some(defaults),
        disable_exposure: false,
    };
    server.evaluation().get_config(request).await.map(tonic::Response::into_inner)
}

fn given(parameters: &BTreeMap<String, Parameter>) -> BTreeMap<&str, (Value, Source)> {
    let one = |parameter: &Parameter| (parameter.value.clone().unwrap(), parameter.source());
    parameters.iter().map(|(name, parameter)| (name.as_str(), one(parameter))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_says_whether_a_rule_the_config_or_the_caller_gave_it() {
    let (server, _) = start().await;
    let defaults = || values(&[("size", number(1.0)), ("color", number(1.0)), ("extra", text("mine"))]);
    let german = User { country: "de".to_owned(), ..user("ada") };
    let answer = get(&server, german, defaults()).await.unwrap();
    assert_eq!((answer.reason(), answer.rule_id.as_str()), (EvaluationReason::Rule, "german"));
    assert_eq!(answer.group, "large");
    let expected = BTreeMap::from([
        ("size", (number(20.0), Source::Rule)),
        ("note", (text("gross"), Source::Rule)),
        ("color", (number(1.0), Source::DefaultMissing)),
        ("extra", (text("mine"), Source::DefaultMissing)),
    ]);
    assert_eq!(given(&answer.parameters), expected);

    let visitors = ids("visitor", 400);
    let mut passed = 0;
    for visitor in &visitors {
        let answer = get(&server, user(visitor), defaults()).await.unwrap();
        assert_eq!((answer.reason(), answer.rule_id.as_str()), (EvaluationReason::Rule, "half"));
        let parameters = given(&answer.parameters);
        if parameters["size"].1 == Source::Rule {
            passed += 1;
            assert_eq!(parameters["size"].0, number(50.0));
            continue;
        }
        assert_eq!(parameters["size"], (number(10.0), Source::EntityDefault));
        assert_eq!(parameters["color"], (number(1.0), Source::DefaultTypeMismatch));
        assert_eq!(parameters["extra"], (text("mine"), Source::DefaultNoGroup));
        assert_eq!(answer.group, "");
    }
    assert_share(passed, visitors.len(), 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_config_is_seen_by_the_very_next_call() {
    let (server, config) = start().await;
    let off = server.update_config(DynamicConfig { enabled: Some(false), ..config }).await.unwrap();
    let answer = get(&server, user("ada"), Struct::default()).await.unwrap();
    assert_eq!((answer.reason(), answer.rule_id.as_str()), (EvaluationReason::Disabled, "disabled"));
    assert_eq!(given(&answer.parameters)["size"], (number(10.0), Source::EntityDefault));
    let default_value = Some(values(&[("size", number(11.0))]));
    server
        .update_config(DynamicConfig { enabled: Some(true), rules: Vec::new(), default_value, ..off })
        .await
        .unwrap();
    let answer = get(&server, user("ada"), Struct::default()).await.unwrap();
    assert_eq!((answer.reason(), answer.rule_id.as_str()), (EvaluationReason::NoRule, "default"));
    assert_eq!(given(&answer.parameters)["size"], (number(11.0), Source::EntityDefault));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_no_experiment_and_an_experiment_no_config() {
    let (server, _) = start().await;
    server.run_experiment(halves("halves", "red")).await;
    let request =
        GetExperimentRequest { user: Some(user("ada")), experiment: "page".to_owned(), ..Default::default() };
    let status = server.evaluation().get_experiment(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no experiment `page`"));
    let request =
        GetConfigRequest { user: Some(user("ada")), config: "halves".to_owned(), ..Default::default() };
    let status = server.evaluation().get_config(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no config `halves`"));

    let request = EvaluateBatchRequest {
        user: Some(user("ada")),
        experiments: vec!["page".to_owned(), "halves".to_owned()],
        configs: vec!["page".to_owned(), "halves".to_owned()],
        defaults: [("page".to_owned(), values(&[("size", number(1.0)), ("extra", text("mine"))]))].into(),
        ..EvaluateBatchRequest::default()
    };
    let answer = server.evaluation().evaluate_batch(request).await.unwrap().into_inner();
    assert_eq!(answer.experiments["page"].reason(), EvaluationReason::UnknownKey);
    assert_eq!(answer.experiments["halves"].reason(), EvaluationReason::Rule);
    assert_eq!(answer.configs["halves"].reason(), EvaluationReason::UnknownKey);
    let page = given(&answer.configs["page"].parameters);
    assert_eq!(answer.configs["page"].rule_id, "half");
    assert!(matches!(page["size"].1, Source::Rule | Source::EntityDefault));
    assert_eq!(page["extra"].0, text("mine"));
}
