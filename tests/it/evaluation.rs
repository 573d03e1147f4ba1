//! What callers are served by gates, and why.

use std::collections::BTreeMap;

use portcullis::transport::grpc::wire::{
    CheckGateRequest, CheckGateResponse, ConditionOperator, CreateHoldoutRequest, EvaluateBatchRequest,
    EvaluationReason, Gate, Holdout, UpdateGateRequest, User,
};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::documents::{button_color_v3, condition, gate, percentage, rule};
use crate::server::Server;
use crate::visitors::{assert_share, check_gate, ids, passing, user};

/// The services that callers know.
const SERVICES: [&str; 4] = [
    "portcullis.v1.AdminService",
    "portcullis.v1.EvaluationService",
    "portcullis.v1.EventService",
    "portcullis.v1.GuardService",
];

async fn check(server: &Server, gate: &str, user: User) -> Result<CheckGateResponse, Status> {
    let request = CheckGateRequest { user: Some(user), gate: gate.to_owned(), disable_exposure: false };
    server.evaluation().check_gate(request).await.map(tonic::Response::into_inner)
}

/// Whether the gate lets the user through, and which rule said so.
async fn outcome(server: &Server, gate: &str, user: User) -> (bool, EvaluationReason, String) {
    let answer = check(server, gate, user).await.unwrap();
    (answer.pass, answer.reason(), answer.rule_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_gate_is_lower_for_the_very_next_call_and_keeps_its_visitors() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 80.0)).await;
    let visitors = ids("visitor", 1_000);

    let at_80 = check_gate(&server, "new_checkout", &visitors).await;
    assert_share(passing(&at_80).len(), visitors.len(), 0.8);
    assert_eq!(
        check_gate(&server, "new_checkout", &visitors).await,
        at_80,
        "an answer changed between calls"
    );

    server.set_rollout(percentage("new_checkout", 50.0)).await.unwrap();
    let at_50 = check_gate(&server, "new_checkout", &visitors).await;
    assert_share(passing(&at_50).len(), visitors.len(), 0.5);
    assert!(
        passing(&at_50).iter().all(|visitor| at_80[visitor]),
        "somebody came in when the gate was lowered"
    );
    assert_eq!(
        check_gate(&server, "new_checkout", &visitors).await,
        at_50,
        "an answer changed between calls"
    );

    let left = visitors.iter().find(|visitor| at_80[*visitor] && !at_50[*visitor]).unwrap();
    assert!(!check(&server, "new_checkout", user(left)).await.unwrap().pass);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_rollout_is_seen_by_the_very_next_call() {
    let server = Server::start().await;
    server.create_gate(gate("switch", 0.0)).await;
    let mut revision = 0;
    for round in 0..20 {
        let share = if round % 2 == 0 { 100.0 } else { 0.0 };
        server.set_rollout(percentage("switch", share)).await.unwrap();
        let answer = check(&server, "switch", user("anybody")).await.unwrap();
        assert_eq!(answer.pass, share > 0.0, "round {round}");
        assert!(answer.config_revision > revision, "the revision grows with each change");
        revision = answer.config_revision;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_asked_in_order_and_the_first_that_matches_decides_alone() {
    let server = Server::start().await;
    let country = condition("country", ConditionOperator::Any, &["DE", "AT"]);
    let version = condition("app_version", ConditionOperator::VersionGte, &["2.10"]);
    let rules = vec![
        rule("german", 0.0, vec![country]),
        rule("recent", 100.0, vec![version]),
        rule("tablets", 100.0, vec![condition("device", ConditionOperator::Any, &["tablet"])]),
    ];
    server.create_gate(Gate { key: "rules".to_owned(), rules, ..Gate::default() }).await;
    let at = |country: &str, app_version: &str| User {
        country: country.to_owned(),
        app_version: app_version.to_owned(),
        ..user("visitor")
    };

    let by_rule = |pass, id: &str| (pass, EvaluationReason::Rule, id.to_owned());
    let no_rule = (false, EvaluationReason::NoRule, "default".to_owned());
    let cases = [
        // At 0 % the first rule says no, and the later ones are not asked.
        (at("DE", "3.0"), by_rule(false, "german")),
        (at("at", "1.0"), by_rule(false, "german")),
        (at("FR", "2.10"), by_rule(true, "recent")),
        (at("FR", "2.10.1-beta"), by_rule(true, "recent")),
        (at("", "10.0"), by_rule(true, "recent")),
        (at("FR", "2.9.9"), no_rule.clone()),
        (at("FR", "none"), no_rule.clone()),
        (user("visitor"), no_rule),
    ];
    for (user, expected) in cases {
        let described = format!("{user:?}");
        assert_eq!(outcome(&server, "rules", user).await, expected, "{described}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_gives_no_answer_of_its_own_says_why() {
    let server = Server::start().await;
    let stored = server.create_gate(gate("off", 100.0)).await;
    let request = UpdateGateRequest { gate: Some(Gate { enabled: Some(false), ..stored }) };
    server.admin().update_gate(request).await.unwrap();
    let expected = (false, EvaluationReason::Disabled, "disabled".to_owned());
    assert_eq!(outcome(&server, "off", user("visitor")).await, expected);

    let by_company = Gate { unit_type: "company_id".to_owned(), ..gate("companies", 100.0) };
    server.create_gate(by_company).await;
    let expected = (false, EvaluationReason::MissingUnit, "missing_unit".to_owned());
    assert_eq!(outcome(&server, "companies", user("visitor")).await, expected);
    let custom_ids = BTreeMap::from([("company_id".to_owned(), "acme".to_owned())]);
    assert!(outcome(&server, "companies", User { custom_ids, ..User::default() }).await.0);

    let refused = check(&server, "no_such_gate", user("visitor")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.message(), "there is no gate `no_such_gate`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_keeps_its_slice_out_of_what_it_covers_and_of_nothing_else() {
    let server = Server::start().await;
    server.create_gate(gate("covered", 100.0)).await;
    server.create_gate(gate("other", 100.0)).await;
    server.run_experiment(button_color_v3()).await;
    let holdout = Holdout {
        key: "tenth".to_owned(),
        percentage: 10.0,
        gates: vec!["covered".to_owned()],
        experiments: vec!["button_color_v3".to_owned()],
        ..Holdout::default()
    };
    server.admin().create_holdout(CreateHoldoutRequest { holdout: Some(holdout) }).await.unwrap();

    let visitors = ids("visitor", 1_000);
    let covered = check_gate(&server, "covered", &visitors).await;
    let held: Vec<_> = visitors.iter().filter(|visitor| !covered[*visitor]).collect();
    assert_share(held.len(), visitors.len(), 0.1);
    assert_eq!(passing(&check_gate(&server, "other", &visitors).await).len(), visitors.len());

    for visitor in held.iter().take(20) {
        let (pass, reason, rule_id) = outcome(&server, "covered", user(visitor)).await;
        assert_eq!((pass, reason, rule_id.as_str()), (false, EvaluationReason::HeldOut, "holdout:tenth"));
        let request = EvaluateBatchRequest {
            user: Some(user(visitor)),
            experiments: vec!["button_color_v3".to_owned()],
            ..EvaluateBatchRequest::default()
        };
        let answers = server.evaluation().evaluate_batch(request).await.unwrap().into_inner().experiments;
        let answer = &answers["button_color_v3"];
        assert_eq!((answer.reason(), answer.group.as_str()), (EvaluationReason::HeldOut, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_every_key_from_one_snapshot_and_an_unknown_one_fails_none() {
    let server = Server::start().await;
    server.create_gate(gate("one", 100.0)).await;
    server.create_gate(gate("two", 0.0)).await;
    server.run_experiment(button_color_v3()).await;
    let request = EvaluateBatchRequest {
        user: Some(user("visitor")),
        gates: ["one", "two", "no_such_gate"].map(str::to_owned).to_vec(),
        experiments: ["button_color_v3", "no_such_experiment"].map(str::to_owned).to_vec(),
        ..EvaluateBatchRequest::default()
    };
    let answer = server.evaluation().evaluate_batch(request.clone()).await.unwrap().into_inner();
    let gates: Vec<_> =
        answer.gates.iter().map(|(key, gate)| (key.as_str(), gate.pass, gate.reason())).collect();
    let expected = [
        ("no_such_gate", false, EvaluationReason::UnknownKey),
        ("one", true, EvaluationReason::Rule),
        ("two", false, EvaluationReason::Rule),
    ];
    assert_eq!(gates, expected);
    assert_eq!(answer.experiments["button_color_v3"].reason(), EvaluationReason::Rule);
    assert_eq!(answer.experiments["no_such_experiment"].reason(), EvaluationReason::UnknownKey);

    // While the configuration changes all the time, one answer never mixes two revisions.
    let changes = async {
        for round in 0..40 {
            let share = if round % 2 == 0 { 100.0 } else { 0.0 };
            server.set_rollout(percentage("two", share)).await.unwrap();
        }
    };
    let reads = async {
        for _ in 0..200 {
            let answer = server.evaluation().evaluate_batch(request.clone()).await.unwrap().into_inner();
            let mut revisions: Vec<i64> = answer.gates.values().map(|gate| gate.config_revision).collect();
            revisions.extend(answer.experiments.values().map(|experiment| experiment.config_revision));
            revisions.dedup();
            assert_eq!(revisions.len(), 1, "one answer from several revisions: {revisions:?}");
        }
    };
    tokio::join!(changes, reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_that_it_is_serving_and_which_services_it_has() {
    let server = Server::start().await;
    let mut health = HealthClient::new(server.channel());
    for service in SERVICES.into_iter().chain([""]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }

    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(server.channel());
    let mut answers =
        reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services");
    };
    let listed: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in SERVICES {
        assert!(listed.iter().any(|name| name == service), "{service} is not among {listed:?}");
    }
}
