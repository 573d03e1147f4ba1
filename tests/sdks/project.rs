//! A mixed configuration, and keys for the SDKs that use it.

use portcullis::transport::grpc::wire::condition::Subject;
use portcullis::transport::grpc::wire::decide_experiment_request::Decision;
use portcullis::transport::grpc::wire::key_service_client::KeyServiceClient;
use portcullis::transport::grpc::wire::{
    Condition, ConditionOperator, CreateHoldoutRequest, CreateSdkKeyRequest, DecideExperimentRequest,
    Experiment, ExperimentGroup, Gate, GateRule, Holdout, SdkKey, SdkKeyKind, UserAgentField,
};
use prost_types::Struct;
use prost_types::value::Kind;

use crate::documents::{condition, number, rule, test_of, text, values};
use crate::server::Server;

use ConditionOperator as Is;

/// The environment of the keys.
pub(crate) const ENVIRONMENT: &str = "production";

/// A new key, as it is given to an SDK.
pub(crate) async fn make_key(server: &Server, kind: SdkKeyKind) -> String {
    let key = SdkKey { kind: kind.into(), environment: ENVIRONMENT.to_owned(), ..SdkKey::default() };
    let request = CreateSdkKeyRequest { key: Some(key) };
    let answer = KeyServiceClient::new(server.channel()).create_sdk_key(request).await;
    answer.expect("a key").into_inner().secret
}

/// What the SDKs are asked about.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) gates: Vec<String>,
    pub(crate) experiments: Vec<String>,
}

/// Makes gates, holdouts and experiments of every kind.
pub(crate) async fn set_up(server: &Server) -> Project {
    let (gates, experiments) = (gates(), experiments());
    let project = Project {
        gates: gates.iter().map(|gate| gate.key.clone()).collect(),
        experiments: experiments.iter().map(|experiment| experiment.key.clone()).collect(),
    };
    for gate in gates {
        server.create_gate(gate).await;
    }
    for experiment in experiments {
        let draft = server.create_experiment(experiment).await;
        if draft.key != "draft" {
            let (started, _) = server.start_experiment(&draft).await;
            match started.key.as_str() {
                "decided" => decide(server, started, Decision::ShipGroup("b".to_owned())).await,
                "abandoned" => decide(server, started, Decision::Abandon(true)).await,
                _ => {}
            }
        }
    }
    for holdout in holdouts() {
        let request = CreateHoldoutRequest { holdout: Some(holdout) };
        server.admin().create_holdout(request).await.expect("a holdout");
    }
    project
}

async fn decide(server: &Server, experiment: Experiment, decision: Decision) {
    let Experiment { key, revision, .. } = experiment;
    let request = DecideExperimentRequest { key, revision, decision: Some(decision) };
    server.admin().decide_experiment(request).await.expect("a decision");
}

fn gates() -> Vec<Gate> {
    let of_companies = Gate { unit_type: "companyID".to_owned(), ..gate("of_companies", vec![all(40.0)]) };
    let switched_off = Gate { enabled: Some(false), ..gate("switched_off", vec![all(100.0)]) };
    let salted = Gate { salt: "another".to_owned(), ..gate("salted", vec![all(50.0)]) };
    vec![
        gate("nobody", vec![all(0.0)]),
        gate("everyone", vec![all(100.0)]),
        gate("some", vec![all(33.33)]),
        gate("a_few", vec![all(0.07)]),
        gate("without_rules", Vec::new()),
        of_companies,
        switched_off,
        salted,
        gate(
            "targeted",
            vec![
                rule("near", 50.0, vec![condition("country", Is::Any, &["DE", "at"])]),
                rule("paying", 80.0, vec![condition("plan", Is::AnyCaseSensitive, &["Pro", "team"])]),
                rule("not_old", 100.0, vec![condition("app_version", Is::VersionGte, &["2.3"])]),
                all(5.0),
            ],
        ),
        gate("grown_up", vec![rule("age", 100.0, vec![condition("age", Is::Gte, &["18"])])]),
        gate("low_score", vec![rule("score", 70.0, vec![condition("score", Is::Lt, &["62.5"])])]),
        gate("not_near", vec![rule("rest", 60.0, vec![condition("country", Is::None, &["DE", "AT"])])]),
        gate(
            "mailbox",
            vec![rule("ends", 90.0, vec![condition("email", Is::StrEndsWithAny, &["@example.ORG"])])],
        ),
        gate(
            "pattern",
            vec![rule("digits", 100.0, vec![condition("email", Is::StrMatches, &["^[0-9]{3}@"])])],
        ),
        gate("chrome", vec![rule("browser", 75.0, vec![browser(Is::Any, &["Chrome"])])]),
        gate(
            "early",
            vec![rule("bucket", 100.0, vec![condition("user_id", Is::StrContainsAny, &["77", "13"])])],
        ),
        gate(
            "both",
            vec![rule("both", 50.0, vec![gate_is("targeted", Is::Passes), gate_is("grown_up", Is::Passes)])],
        ),
        gate(
            "neither",
            vec![rule(
                "neither",
                100.0,
                vec![gate_is("both", Is::Fails), gate_is("of_companies", Is::Fails)],
            )],
        ),
        gate("held", vec![all(100.0)]),
    ]
}

fn experiments() -> Vec<Experiment> {
    let of_companies =
        Experiment { unit_type: "companyID".to_owned(), ..experiment("companies", &[50.0, 50.0]) };
    let targeting = vec![condition("country", Is::Any, &["DE", "US", "FR"]), gate_is("grown_up", Is::Passes)];
    vec![
        experiment("colors", &[25.0, 25.0, 25.0, 25.0]),
        Experiment { allocation: Some(50.0), targeting, ..experiment("targeted_half", &[33.3, 33.3, 33.4]) },
        Experiment { allocation: Some(12.5), salt: "salt".to_owned(), ..experiment("eighth", &[50.0, 50.0]) },
        of_companies,
        experiment("held_too", &[90.0, 10.0]),
        experiment("draft", &[50.0, 50.0]),
        experiment("decided", &[50.0, 50.0]),
        experiment("abandoned", &[50.0, 50.0]),
    ]
}

fn holdouts() -> Vec<Holdout> {
    let tenth = Holdout {
        key: "tenth".to_owned(),
        percentage: 10.0,
        gates: vec!["held".to_owned()],
        experiments: vec!["held_too".to_owned()],
        ..Holdout::default()
    };
    let companies = Holdout {
        key: "fifth_of_companies".to_owned(),
        unit_type: "companyID".to_owned(),
        percentage: 20.0,
        gates: vec!["held".to_owned()],
        ..Holdout::default()
    };
    vec![tenth, companies]
}

fn gate(key: &str, rules: Vec<GateRule>) -> Gate {
    Gate { key: key.to_owned(), rules, ..Gate::default() }
}

/// A rule for all that no rule before it takes.
fn all(percentage: f64) -> GateRule {
    rule("rest", percentage, Vec::new())
}

fn browser(operator: Is, names: &[&str]) -> Condition {
    test_of(Subject::UserAgent(UserAgentField::BrowserName.into()), operator, names)
}

fn gate_is(key: &str, operator: Is) -> Condition {
    test_of(Subject::Gate(key.to_owned()), operator, &[])
}

/// Groups `a`, `b` and so on of these weights, with one parameter of each type.
fn experiment(key: &str, weights: &[f64]) -> Experiment {
    let group = |(place, weight): (usize, &f64)| {
        let name = ["a", "b", "c", "d"][place];
        ExperimentGroup { name: name.to_owned(), weight: *weight, parameters: Some(parameters(name, place)) }
    };
    let groups = weights.iter().enumerate().map(group).collect();
    Experiment { key: key.to_owned(), groups, ..Experiment::default() }
}

fn parameters(name: &str, place: usize) -> Struct {
    let flag = prost_types::Value { kind: Some(Kind::BoolValue(place > 0)) };
    values(&[("color", text(name)), ("size", number(1.5 * place as f64)), ("bold", flag)])
}
