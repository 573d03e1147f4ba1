//! Every SDK gives every user the server's own answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::transport::grpc::wire::evaluation_service_client::EvaluationServiceClient;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, EvaluateBatchRequest, EvaluateBatchResponse, GetConfigRequest, GetExperimentRequest,
    GetLayerRequest, Parameter, User,
};
use prost_types::value::Kind;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::driver::{Driver, Sdk};
use crate::mixture;
use crate::project::{self, Project};
use crate::server::Server;
use crate::users;

/// How many users are compared.
const USERS: usize = 10_000;
/// How many the client SDK is compared for: it asks the server about each.
const CLIENT_USERS: usize = 200;
/// Users of one request to a driver.
const CHUNK: usize = 1_000;
/// One user in so many is asked about gate by gate and experiment by experiment as well.
const ONE_BY_ONE: usize = 100;
/// Tasks that ask the server at the same time.
const TASKS: usize = 8;
/// Differences of an SDK that are shown.
const SHOWN: usize = 10;

type Client = EvaluationServiceClient<Channel>;

#[tokio::test(flavor = "multi_thread")]
async fn every_sdk_answers_as_the_server_does() {
    let server = Server::start().await;
    let project = project::set_up(&server).await;
    let users: Vec<User> = (0..USERS).map(users::user).collect();
    let expected = ask_server(&server, &project, &users).await;
    assert_answers_differ_among_users(&expected);

    let (users, expected) = (Arc::new(users), Arc::new(expected));
    let mut comparisons = JoinSet::new();
    for sdk in Sdk::ALL {
        let key = project::make_key(&server, sdk.key_kind()).await;
        let mut driver = Driver::ready(sdk, server.http_address(), &key);
        let (project, users, expected) = (project.clone(), Arc::clone(&users), Arc::clone(&expected));
        comparisons.spawn_blocking(move || {
            let count = if sdk == Sdk::JsClient { CLIENT_USERS } else { users.len() };
            let found = ask_sdk(&mut driver, &project, &users[..count]);
            driver.shut_down();
            let answers = users.iter().zip(&*expected).zip(&found);
            let different: Vec<String> =
                answers.flat_map(|((user, expected), found)| differing(sdk, user, expected, found)).collect();
            let shown = different.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n  ");
            (different.len(), format!("{sdk:?}: {} differences\n  {shown}", different.len()))
        });
    }
    let outcomes = comparisons.join_all().await;
    let different: Vec<String> =
        outcomes.into_iter().filter(|(count, _)| *count > 0).map(|(_, shown)| shown).collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What the server says over gRPC of each user.
async fn ask_server(server: &Server, project: &Project, users: &[User]) -> Vec<EvaluateBatchResponse> {
    let mut tasks = JoinSet::new();
    for (place, share) in users.chunks(users.len().div_ceil(TASKS)).enumerate() {
        let (share, project, mut client) = (share.to_vec(), project.clone(), server.evaluation());
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for (number, user) in share.into_iter().enumerate() {
                let answer = ask_batch(&mut client, &project, &user).await;
                if number.is_multiple_of(ONE_BY_ONE) {
                    assert_same_one_by_one(&mut client, &answer, &user).await;
                }
                answers.push(answer);
            }
            (place, answers)
        });
    }
    let shares: BTreeMap<usize, _> = tasks.join_all().await.into_iter().collect();
    shares.into_values().flatten().collect()
}

async fn ask_batch(client: &mut Client, project: &Project, user: &User) -> EvaluateBatchResponse {
    let request = EvaluateBatchRequest {
        user: Some(user.clone()),
        gates: project.gates.clone(),
        experiments: project.experiments.clone(),
        configs: project.configs.clone(),
        layers: project.layers.clone(),
        disable_exposure: true,
        ..EvaluateBatchRequest::default()
    };
    client.evaluate_batch(request).await.expect("the answers").into_inner()
}

/// The answers of a batch are those of the calls about one key. The guard's looks may raise the revision in between.
async fn assert_same_one_by_one(client: &mut Client, batch: &EvaluateBatchResponse, user: &User) {
    for (gate, answer) in &batch.gates {
        let (user, gate) = (Some(user.clone()), gate.clone());
        let request = CheckGateRequest { user, gate, disable_exposure: true };
        let mut found = client.check_gate(request).await.expect("an answer").into_inner();
        found.config_revision = answer.config_revision;
        assert_eq!(found, *answer);
    }
    for (experiment, answer) in &batch.experiments {
        let (user, experiment) = (Some(user.clone()), experiment.clone());
        let request = GetExperimentRequest { user, experiment, defaults: None, disable_exposure: true };
        let mut found = client.get_experiment(request).await.expect("an answer").into_inner();
        found.config_revision = answer.config_revision;
        assert_eq!(found, *answer);
    }
    for (config, answer) in &batch.configs {
        let (user, config) = (Some(user.clone()), config.clone());
        let request = GetConfigRequest { user, config, defaults: None, disable_exposure: true };
        let mut found = client.get_config(request).await.expect("an answer").into_inner();
        found.config_revision = answer.config_revision;
        assert_eq!(found, *answer);
    }
    for (layer, answer) in &batch.layers {
        let (user, layer) = (Some(user.clone()), layer.clone());
        let request = GetLayerRequest { user, layer, defaults: None, disable_exposure: true };
        let mut found = client.get_layer(request).await.expect("an answer").into_inner();
        found.config_revision = answer.config_revision;
        assert_eq!(found, *answer);
    }
}

/// A comparison would show nothing if everyone got the same.
fn assert_answers_differ_among_users(answers: &[EvaluateBatchResponse]) {
    let mut outcomes = BTreeSet::new();
    for answer in answers {
        outcomes
            .extend(answer.gates.iter().map(|(key, found)| (key, &found.rule_id, found.pass.to_string())));
        outcomes
            .extend(answer.experiments.iter().map(|(key, found)| (key, &found.rule_id, found.group.clone())));
        outcomes.extend(answer.configs.iter().map(|(key, found)| (key, &found.rule_id, found.group.clone())));
        outcomes
            .extend(answer.layers.iter().map(|(key, found)| (key, &found.rule_id, found.experiment.clone())));
    }
    assert!(outcomes.len() > 120, "{} outcomes: {outcomes:#?}", outcomes.len());
}

/// What the SDK says of each user.
fn ask_sdk(driver: &mut Driver, project: &Project, users: &[User]) -> Vec<Value> {
    let parameters: Vec<String> = mixture::parameters("", 0).fields.into_keys().collect();
    let layers = project.layers.iter().map(|layer| json!({"layer": layer, "parameters": parameters}));
    let layers: Vec<Value> = layers.collect();
    users
        .chunks(CHUNK)
        .flat_map(|chunk| {
            let users: Vec<Value> = chunk.iter().map(users::statsig).collect();
            let mut answer = driver.ask(&json!({
                "do": "evaluate",
                "users": users,
                "gates": project.gates,
                "configs": project.configs,
                "experiments": project.experiments,
                "layers": layers,
            }));
            serde_json::from_value::<Vec<Value>>(answer["answers"].take()).expect("an answer for each user")
        })
        .collect()
}

/// Where an SDK says something else than the server.
fn differing(sdk: Sdk, user: &User, expected: &EvaluateBatchResponse, found: &Value) -> Vec<String> {
    let gates = expected.gates.iter().map(|(key, answer)| {
        let expected = json!({"value": answer.pass, "rule_id": answer.rule_id});
        ("gates", key, expected)
    });
    let experiments = expected.experiments.iter().map(|(key, answer)| {
        let (value, group) = (values_json(&answer.parameters), named(&answer.group));
        ("experiments", key, json!({"value": value, "rule_id": answer.rule_id, "group": group}))
    });
    let configs = expected.configs.iter().map(|(key, answer)| {
        ("configs", key, json!({"value": values_json(&answer.parameters), "rule_id": answer.rule_id}))
    });
    let layers = expected.layers.iter().map(|(key, answer)| {
        let (value, group) = (values_json(&answer.parameters), named(&answer.group));
        let mut layer = json!({"value": value, "rule_id": answer.rule_id, "group": group});
        if sdk != Sdk::JsClient {
            layer["allocated_experiment"] = json!(named(&answer.experiment));
        }
        ("layers", key, layer)
    });
    gates
        .chain(experiments)
        .chain(configs)
        .chain(layers)
        .map(|(kind, key, expected)| (key, expected, &found[kind][key]))
        .filter(|(_, expected, found)| {
            let expected = expected.as_object().expect("an object");
            expected.iter().any(|(name, value)| !same(value, &found[name]))
        })
        .map(|(key, expected, found)| {
            format!("{key}: {found}, the server {expected}, for {}", users::statsig(user))
        })
        .collect()
}

/// An empty name stands for none.
fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

fn values_json(parameters: &BTreeMap<String, Parameter>) -> Map<String, Value> {
    parameters.iter().map(|(name, parameter)| (name.clone(), value_json(parameter.value.as_ref()))).collect()
}

/// Equal as JSON; JavaScript and protobuf know but one kind of number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn value_json(value: Option<&prost_types::Value>) -> Value {
    match value.and_then(|value| value.kind.as_ref()).expect("a value") {
        Kind::StringValue(text) => json!(text),
        Kind::NumberValue(number) => json!(number),
        Kind::BoolValue(flag) => json!(flag),
        other => panic!("no parameter of the tests is {other:?}"),
    }
}
