//! How an answer comes about, rule by rule and condition by condition.

use portcullis::transport::grpc::wire::{
    ConditionOperator as Operator, EntityKind, EvaluationReason, Experiment, ExplainRequest, ExplainResponse,
    Gate, User,
};
use tonic::{Code, Status};

use crate::documents::{condition, gate, halves, id_list, is_in, layer, passes, rule, text, values};
use crate::server::{Server, fields};
use crate::visitors::user;

async fn explain(
    server: &Server,
    kind: EntityKind,
    key: &str,
    user: User,
) -> Result<ExplainResponse, Status> {
    let request = ExplainRequest { user: Some(user), kind: kind.into(), key: key.to_owned() };
    server.evaluation().explain(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_and_each_condition_is_accounted_for() {
    let server = Server::start().await;
    server.create_gate(gate("open", 100.0)).await;
    server.create_segment(id_list("team", &["ada"])).await;
    let german = condition("country", Operator::Any, &["DE"]);
    let rules = vec![
        rule("team", 100.0, vec![passes("open"), is_in("team")]),
        rule("german", 0.0, vec![german]),
        rule("rest", 50.0, Vec::new()),
    ];
    server.create_gate(Gate { key: "rules".to_owned(), rules, ..Gate::default() }).await;
    let visitor = User { country: "de".to_owned(), ..user("grace") };
    let answer = explain(&server, EntityKind::Gate, "rules", visitor).await.unwrap();
    assert_eq!(
        (answer.pass, answer.reason(), answer.rule_id.as_str()),
        (false, EvaluationReason::Rule, "german")
    );
    assert_eq!(answer.unit_id, "grace");
    let rules: Vec<_> =
        answer.rules.iter().map(|rule| (rule.id.as_str(), rule.matches, rule.decides)).collect();
    assert_eq!(rules, [("team", false, false), ("german", true, true), ("rest", true, false)]);
    let holds: Vec<bool> = answer.rules[0].conditions.iter().map(|condition| condition.holds).collect();
    assert_eq!(holds, [true, false]);
    let german = &answer.rules[1].conditions[0];
    assert_eq!((german.holds, german.found.as_deref()), (true, Some("de")));
    assert!((0..10_000).contains(&answer.rules[2].part));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_and_its_layer_are_explained() {
    let server = Server::start().await;
    server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    server.run_experiment(Experiment { layer: "page".to_owned(), ..halves("member", "red") }).await;
    let of_layer = explain(&server, EntityKind::Layer, "page", user("ada")).await.unwrap();
    assert_eq!(of_layer.experiment, "member");
    let of_experiment = explain(&server, EntityKind::Experiment, "member", user("ada")).await.unwrap();
    assert_eq!(
        (of_experiment.group.as_str(), of_experiment.reason()),
        (of_layer.group.as_str(), EvaluationReason::Rule)
    );
    assert_eq!(of_experiment.value, of_layer.value);
    let deciding = of_experiment.rules.iter().find(|rule| rule.decides).unwrap();
    assert_eq!((deciding.id.as_str(), deciding.conditions.len()), (of_experiment.group.as_str(), 1));
    let bucket: i32 = deciding.conditions[0].found.as_deref().unwrap().parse().unwrap();
    assert!((0..1_000).contains(&bucket));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_explained() {
    let server = Server::start().await;
    server.create_experiment(halves("halves", "red")).await;
    for kind in [EntityKind::Gate, EntityKind::Config, EntityKind::Layer] {
        let status = explain(&server, kind, "halves", user("ada")).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{kind:?}");
    }
    let status = explain(&server, EntityKind::Unspecified, "halves", user("ada")).await.unwrap_err();
    assert_eq!(fields(&status), ["kind"]);
    let status = explain(&server, EntityKind::Experiment, "halves", user("")).await.unwrap_err();
    assert_eq!(fields(&status), ["user.user_id"]);
}
