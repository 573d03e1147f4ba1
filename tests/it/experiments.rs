//! Experiments from draft to decision, as their visitors see them.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::transport::grpc::wire::decide_experiment_request::Decision;
use portcullis::transport::grpc::wire::{
    ConditionOperator, DecideExperimentRequest, DecideExperimentResponse, EvaluationReason, Experiment,
    ExperimentStatus, GetExperimentRequest, GetExperimentResponse, Parameter, ParameterSource,
    StartExperimentRequest, User,
};
use prost_types::{Struct, Value};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::documents::{button_color_v3, condition, guardrail, number, text, values};
use crate::policies::policy;
use crate::server::{Server, experiment_target, fields};
use crate::visitors::{assert_share, get_experiment, groups, ids, user};

async fn get(server: &Server, user: User, defaults: Struct) -> GetExperimentResponse {
    let request = GetExperimentRequest {
        user: Some(user),
        experiment: "button_color_v3".to_owned(),
        defaults: Some(defaults),
        disable_exposure: false,
    };
    server.evaluation().get_experiment(request).await.unwrap().into_inner()
}

/// Each parameter's value with where it came from.
fn parameters(answer: &GetExperimentResponse) -> BTreeMap<&str, (Value, ParameterSource)> {
    let parameter = |parameter: &Parameter| (parameter.value.clone().unwrap(), parameter.source());
    answer.parameters.iter().map(|(name, found)| (name.as_str(), parameter(found))).collect()
}

async fn decide(
    server: &Server,
    experiment: &Experiment,
    decision: Decision,
) -> Result<DecideExperimentResponse, Status> {
    let (key, revision) = (experiment.key.clone(), experiment.revision);
    let request = DecideExperimentRequest { key, revision, decision: Some(decision) };
    server.admin().decide_experiment(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_serves_the_callers_defaults_and_a_started_experiment_its_groups() {
    let server = Server::start().await;
    let draft = server.create_experiment(button_color_v3()).await;
    assert_eq!(draft.status(), ExperimentStatus::Draft);
    let defaults = values(&[("Button Color", text("Grey")), ("Paragraph Text", text("Default"))]);
    let answer = get(&server, user("visitor"), defaults.clone()).await;
    assert_eq!((answer.reason(), answer.group.as_str()), (EvaluationReason::NotRunning, ""));
    let expected = (text("Grey"), ParameterSource::DefaultNoGroup);
    assert_eq!(parameters(&answer)["Button Color"], expected);

    let (started, launch) = server.start_experiment(&draft).await;
    assert_eq!(started.status(), ExperimentStatus::Running);
    let arms: Vec<&str> = launch.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(arms, ["Blue", "Red", "Green", "Orange"]);

    let visitors = ids("visitor", 1_000);
    let by_visitor = groups(&server, "button_color_v3", &visitors).await;
    for group in ["Blue", "Red", "Green", "Orange"] {
        let count = by_visitor.values().filter(|served| *served == group).count();
        assert_share(count, visitors.len(), 0.25);
    }
    assert_eq!(
        groups(&server, "button_color_v3", &visitors).await,
        by_visitor,
        "a group changed between calls"
    );
    for visitor in visitors.iter().take(20) {
        let answer = get(&server, user(visitor), defaults.clone()).await;
        let expected = (text(&by_visitor[visitor]), ParameterSource::Group);
        assert_eq!(parameters(&answer)["Button Color"], expected);
        assert_eq!(parameters(&answer)["Paragraph Text"].0, text(&format!("Data {}", by_visitor[visitor])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_stands_in_where_the_group_has_no_such_value_of_the_callers_type() {
    let server = Server::start().await;
    server.run_experiment(button_color_v3()).await;
    let defaults = values(&[
        ("Button Color", number(3.0)),
        ("Paragraph Text", text("Default")),
        ("Font Size", number(12.0)),
    ]);
    let answer = get(&server, user("visitor"), defaults).await;
    let parameters = parameters(&answer);
    assert_eq!(parameters["Button Color"], (number(3.0), ParameterSource::DefaultTypeMismatch));
    assert_eq!(parameters["Paragraph Text"].1, ParameterSource::Group);
    assert_eq!(parameters["Font Size"], (number(12.0), ParameterSource::DefaultMissing));
}

#[tokio::test(flavor = "multi_thread")]
async fn allocation_and_targeting_leave_visitors_out_and_a_larger_allocation_moves_nobody() {
    let server = Server::start().await;
    let chrome = condition("browser", ConditionOperator::Any, &["Chrome"]);
    let experiment = Experiment { allocation: Some(50.0), targeting: vec![chrome], ..button_color_v3() };
    let (mut running, _) = server.run_experiment(experiment).await;

    let visitors = ids("visitor", 600);
    let groups_of = async |server: &Server| {
        let mut groups = BTreeMap::new();
        for visitor in &visitors {
            let chrome = User { browser: "chrome".to_owned(), ..user(visitor) };
            let answer = get(server, chrome, Struct::default()).await;
            groups.insert(visitor.clone(), (answer.group.clone(), answer.reason()));
        }
        groups
    };
    let before = groups_of(&server).await;
    let allocated = before.values().filter(|(group, _)| !group.is_empty()).count();
    assert_share(allocated, visitors.len(), 0.5);
    let outside: BTreeSet<_> =
        before.values().filter(|(group, _)| group.is_empty()).map(|(_, reason)| *reason as i32).collect();
    assert_eq!(outside, BTreeSet::from([EvaluationReason::NotAllocated as i32]));
    let inside = visitors.iter().find(|visitor| !before[*visitor].0.is_empty()).unwrap();
    let firefox = User { browser: "Firefox".to_owned(), ..user(inside) };
    let answer = get(&server, firefox, Struct::default()).await;
    assert_eq!((answer.reason(), answer.group.as_str()), (EvaluationReason::NotTargeted, ""));

    let shrunk = Experiment { allocation: Some(40.0), ..running.clone() };
    let refused = server.update_experiment(shrunk).await.unwrap_err();
    assert_eq!(
        (refused.code(), fields(&refused)),
        (Code::InvalidArgument, vec!["experiment.allocation".to_owned()])
    );

    server.check_until_allowed(&experiment_target("button_color_v3")).await;
    running.allocation = Some(100.0);
    server.update_experiment(running).await.unwrap();
    let after = groups_of(&server).await;
    assert!(after.values().all(|(group, _)| !group.is_empty()), "at 100 % somebody is left out");
    for (visitor, (group, _)) in before.iter().filter(|(_, (group, _))| !group.is_empty()) {
        assert_eq!(after[visitor].0, *group, "{visitor} changed group");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_experiment_is_started_once_and_keeps_what_defines_its_groups() {
    let server = Server::start().await;
    let (running, _) = server.run_experiment(button_color_v3()).await;
    let again =
        StartExperimentRequest { key: running.key.clone(), revision: running.revision, guardrails: None };
    let refused = server.admin().start_experiment(again).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("was started already"), "{}", refused.message());

    let mut edited = running.clone();
    edited.groups[1].parameters =
        Some(values(&[("Button Color", text("Pink")), ("Paragraph Text", text("Pink"))]));
    let refused = server.update_experiment(edited).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["experiment.groups"]);

    // What only describes it may change.
    let described = Experiment { hypothesis: "Another one.".to_owned(), ..running.clone() };
    let described = server.update_experiment(described).await.unwrap();
    assert_eq!((described.hypothesis.as_str(), described.revision), ("Another one.", running.revision + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_the_control_gives_it_to_everyone() {
    let server = Server::start().await;
    let (running, launch) = server.run_experiment(button_color_v3()).await;
    let decided = decide(&server, &running, Decision::ShipGroup("Blue".to_owned())).await.unwrap();
    let decided = decided.experiment.unwrap();
    assert_eq!((decided.status(), decided.decided_group.as_str()), (ExperimentStatus::Decided, "Blue"));
    let answers = get_experiment(&server, "button_color_v3", &ids("visitor", 100)).await;
    assert!(
        answers.values().all(|answer| answer.group == "Blue" && answer.reason() == EvaluationReason::Decided)
    );
    let last = server.decisions(&launch.id).await.pop().unwrap();
    assert_eq!(last.actor, "anonymous");

    let refused = decide(&server, &decided, Decision::Abandon(true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_experiment_serves_defaults() {
    let server = Server::start().await;
    let (running, _) = server.run_experiment(button_color_v3()).await;
    let decided = decide(&server, &running, Decision::Abandon(true)).await.unwrap();
    assert_eq!(decided.experiment.unwrap().status(), ExperimentStatus::Abandoned);
    let answer = get(&server, user("visitor"), values(&[("Button Color", text("Grey"))])).await;
    assert_eq!(answer.reason(), EvaluationReason::NotRunning);
    assert_eq!(parameters(&answer)["Button Color"], (text("Grey"), ParameterSource::DefaultNoGroup));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_evidence_is_not_shipped_and_the_refusal_gives_the_guards_reasons() {
    let server = Server::start().await;
    server.create_policy(policy()).await.unwrap();
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let (running, _) = server.run_experiment(button_color_v3()).await;
    let refused = decide(&server, &running, Decision::ShipGroup("Red".to_owned())).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    server
        .check_until(&experiment_target("button_color_v3"), "a look without data", |answer| {
            answer.judge_time.is_some()
        })
        .await;
    let refused = decide(&server, &running, Decision::ShipGroup("Red".to_owned())).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    assert_eq!(violations.len(), 1, "reasons of other groups are given: {violations:?}");
    assert_eq!((violations[0].r#type.as_str(), violations[0].subject.as_str()), ("NoData", "signup"));
    assert!(violations[0].description.contains("Red"), "{}", violations[0].description);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "REFUSED_BY_GUARD");

    let unknown = decide(&server, &running, Decision::ShipGroup("Violet".to_owned())).await.unwrap_err();
    assert_eq!((unknown.code(), fields(&unknown)), (Code::InvalidArgument, vec!["ship_group".to_owned()]));
}
