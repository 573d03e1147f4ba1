//! Documents: made, read, listed, changed and archived, by callers who may not know of one another.

use portcullis::transport::grpc::wire::{
    ArchiveExperimentRequest, ArchiveGateRequest, ArchiveHoldoutRequest, ArchiveMetricRequest,
    CreateExperimentRequest, CreateGateRequest, CreateHoldoutRequest, CreateMetricRequest, Gate,
    GetExperimentDocumentRequest, GetGateRequest, GetHoldoutRequest, GetMetricRequest, Holdout,
    ListExperimentsRequest, ListGatesRequest, ListHoldoutsRequest, ListMetricsRequest,
    UpdateExperimentRequest, UpdateHoldoutRequest, UpdateMetricRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::documents::{button_color_v3, gate, metric, percentage, rule};
use crate::server::{Server, by, fields};
use crate::visitors::{check_gate, ids};

/// Expects a refusal of a change that was made from an older revision.
fn assert_stale(status: &Status) {
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "REVISION_CONFLICT");
    assert_eq!((info.metadata["given"].as_str(), info.metadata["found"].as_str()), ("1", "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "gate".to_owned());
    let mut admin = server.admin();
    let made = server.create_gate(gate("gate", 30.0)).await;
    assert_eq!((made.revision, made.unit_type.as_str(), made.salt()), (1, "user_id", "gate"));
    assert!(made.enabled() && !made.archived && made.create_time.is_some());
    let read = admin.get_gate(GetGateRequest { key: key.clone() }).await.unwrap().into_inner().gate;
    assert_eq!(read.as_ref(), Some(&made));

    let changed =
        Gate { description: "The new page.".to_owned(), tags: vec!["page".to_owned()], ..made.clone() };
    let changed = server.update_gate(changed).await.unwrap();
    assert_eq!((changed.revision, changed.description.as_str()), (2, "The new page."));
    assert_stale(&server.update_gate(made.clone()).await.unwrap_err());
    assert_stale(
        &admin.archive_gate(ArchiveGateRequest { key: key.clone(), revision: 1 }).await.unwrap_err(),
    );

    let again = CreateGateRequest { gate: Some(gate("gate", 0.0)) };
    assert_eq!(admin.create_gate(again.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    let archived = admin.archive_gate(ArchiveGateRequest { key: key.clone(), revision: 2 }).await.unwrap();
    assert!(archived.into_inner().gate.unwrap().archived);
    assert_eq!(admin.create_gate(again).await.unwrap_err().code(), Code::AlreadyExists);
    let refused = server.update_gate(changed).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(check_gate(&server, "gate", &ids("visitor", 20)).await.values().all(|pass| !pass));

    let listed = admin.list_gates(ListGatesRequest::default()).await.unwrap().into_inner().gates;
    assert!(listed.is_empty(), "an archived gate is listed");
    let all = ListGatesRequest { include_archived: true, ..ListGatesRequest::default() };
    assert_eq!(admin.list_gates(all).await.unwrap().into_inner().gates.len(), 1);
    let missing = admin.get_gate(GetGateRequest { key: "no_such".to_owned() }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(missing.get_details_resource_info().unwrap().resource_name, "no_such");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "button_color_v3".to_owned());
    let mut admin = server.admin();
    let made = server.create_experiment(button_color_v3()).await;
    assert_eq!((made.revision, made.control_group.as_str(), made.allocation()), (1, "Blue", 100.0));
    let request = GetExperimentDocumentRequest { key: key.clone() };
    let read = admin.get_experiment_document(request).await.unwrap().into_inner().experiment;
    assert_eq!(read.as_ref(), Some(&made));

    let mut changed = made.clone();
    changed.groups[0].weight = 20.0;
    changed.groups[1].weight = 30.0;
    let request = UpdateExperimentRequest { experiment: Some(changed) };
    let changed = admin.update_experiment(request).await.unwrap().into_inner().experiment.unwrap();
    assert_eq!((changed.revision, changed.groups[1].weight), (2, 30.0));
    let stale = UpdateExperimentRequest { experiment: Some(made) };
    assert_stale(&admin.update_experiment(stale).await.unwrap_err());
    let stale = ArchiveExperimentRequest { key: key.clone(), revision: 1 };
    assert_stale(&admin.archive_experiment(stale).await.unwrap_err());

    let again = CreateExperimentRequest { experiment: Some(button_color_v3()) };
    assert_eq!(admin.create_experiment(again.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    let archive = ArchiveExperimentRequest { key: key.clone(), revision: 2 };
    assert!(admin.archive_experiment(archive).await.unwrap().into_inner().experiment.unwrap().archived);
    assert_eq!(admin.create_experiment(again).await.unwrap_err().code(), Code::AlreadyExists);

    let listed = admin.list_experiments(ListExperimentsRequest::default()).await.unwrap().into_inner();
    assert!(listed.experiments.is_empty(), "an archived experiment is listed");
    let all = ListExperimentsRequest { include_archived: true, ..ListExperimentsRequest::default() };
    assert_eq!(admin.list_experiments(all).await.unwrap().into_inner().experiments.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_experiment_is_not_archived() {
    let server = Server::start().await;
    let (running, _) = server.run_experiment(button_color_v3()).await;
    let request = ArchiveExperimentRequest { key: running.key, revision: running.revision };
    let refused = server.admin().archive_experiment(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "holdout".to_owned());
    let mut admin = server.admin();
    server.create_gate(gate("gate", 100.0)).await;
    let holdout =
        Holdout { key: key.clone(), percentage: 100.0, gates: vec!["gate".to_owned()], ..Holdout::default() };
    let create = CreateHoldoutRequest { holdout: Some(holdout.clone()) };
    let made = admin.create_holdout(create.clone()).await.unwrap().into_inner().holdout.unwrap();
    let read = admin.get_holdout(GetHoldoutRequest { key: key.clone() }).await.unwrap().into_inner().holdout;
    assert_eq!(read.as_ref(), Some(&made));
    assert!(check_gate(&server, "gate", &ids("visitor", 20)).await.values().all(|pass| !pass));

    let unknown = Holdout { gates: vec!["gate".to_owned(), "no_such".to_owned()], ..made.clone() };
    let refused = admin.update_holdout(UpdateHoldoutRequest { holdout: Some(unknown) }).await.unwrap_err();
    assert_eq!(
        (refused.code(), fields(&refused)),
        (Code::InvalidArgument, vec!["holdout.gates[1]".to_owned()])
    );
    let salted = Holdout { salt: Some("other".to_owned()), ..made.clone() };
    let refused = admin.update_holdout(UpdateHoldoutRequest { holdout: Some(salted) }).await.unwrap_err();
    assert_eq!(fields(&refused), ["holdout.salt"]);

    let described = Holdout { description: "Two weeks.".to_owned(), ..made.clone() };
    admin.update_holdout(UpdateHoldoutRequest { holdout: Some(described) }).await.unwrap();
    assert_stale(&admin.update_holdout(UpdateHoldoutRequest { holdout: Some(made) }).await.unwrap_err());
    let stale = ArchiveHoldoutRequest { key: key.clone(), revision: 1 };
    assert_stale(&admin.archive_holdout(stale).await.unwrap_err());

    assert_eq!(admin.create_holdout(create.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    admin.archive_holdout(ArchiveHoldoutRequest { key, revision: 2 }).await.unwrap();
    assert_eq!(admin.create_holdout(create).await.unwrap_err().code(), Code::AlreadyExists);
    assert!(check_gate(&server, "gate", &ids("visitor", 20)).await.values().all(|pass| *pass));
    let listed = admin.list_holdouts(ListHoldoutsRequest::default()).await.unwrap().into_inner().holdouts;
    assert!(listed.is_empty(), "an archived holdout is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_is_made_read_changed_and_archived() {
    let (server, key) = (Server::start().await, "signup".to_owned());
    let mut admin = server.admin();
    let made = server.create_metric(metric("signup", "visited_signup")).await;
    assert_eq!((made.ship_margin(), made.weight(), made.min_units()), (0.02, 1.0, 100));
    let read = admin.get_metric(GetMetricRequest { key: key.clone() }).await.unwrap().into_inner().metric;
    assert_eq!(read.as_ref(), Some(&made));

    let mut changed = made.clone();
    changed.margin = 0.01;
    let request = UpdateMetricRequest { metric: Some(changed) };
    let changed = admin.update_metric(request).await.unwrap().into_inner().metric.unwrap();
    assert_eq!((changed.revision, changed.margin), (2, 0.01));
    assert_stale(&admin.update_metric(UpdateMetricRequest { metric: Some(made) }).await.unwrap_err());
    let stale = ArchiveMetricRequest { key: key.clone(), revision: 1 };
    assert_stale(&admin.archive_metric(stale).await.unwrap_err());

    let again = CreateMetricRequest { metric: Some(metric("signup", "visited_signup")) };
    assert_eq!(admin.create_metric(again.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    admin.archive_metric(ArchiveMetricRequest { key, revision: 2 }).await.unwrap();
    assert_eq!(admin.create_metric(again).await.unwrap_err().code(), Code::AlreadyExists);
    let listed = admin.list_metrics(ListMetricsRequest::default()).await.unwrap().into_inner().metrics;
    assert!(listed.is_empty(), "an archived metric is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_that_miss_and_repeat_nothing() {
    let server = Server::start().await;
    for number in 0..7 {
        server.create_gate(gate(&format!("gate-{number}"), 0.0)).await;
    }
    let mut request = ListGatesRequest { page_size: 3, ..ListGatesRequest::default() };
    let (mut keys, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = server.admin().list_gates(request.clone()).await.unwrap().into_inner();
        sizes.push(page.gates.len());
        keys.extend(page.gates.into_iter().map(|gate| gate.key));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(keys, (0..7).map(|number| format!("gate-{number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn percentages_are_changed_by_a_rollout_and_not_by_an_update() {
    let server = Server::start().await;
    let made = server.create_gate(gate("gate", 30.0)).await;
    for other in [100.0, 10.0] {
        let mut edited = made.clone();
        edited.rules[0].percentage = other;
        let refused = server.update_gate(edited).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(fields(&refused), ["gate.rules[0].percentage"]);
        assert!(refused.message().contains("SetRollout"), "{}", refused.message());
    }
    let moved = Gate { unit_type: "company_id".to_owned(), salt: Some("other".to_owned()), ..made };
    assert_eq!(fields(&server.update_gate(moved).await.unwrap_err()), ["gate.unit_type", "gate.salt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_updates_from_one_revision_exactly_one_wins() {
    let server = Server::start().await;
    let mut stored = server.create_gate(gate("gate", 30.0)).await;
    for round in 0..10 {
        let described = |who: &str| Gate { description: format!("{who} {round}"), ..stored.clone() };
        let (one, other) =
            tokio::join!(server.update_gate(described("one")), server.update_gate(described("other")));
        let (won, lost) = match (one, other) {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            outcomes => panic!("not exactly one went through: {outcomes:?}"),
        };
        assert_eq!(lost.code(), Code::Aborted);
        let read = server.admin().get_gate(GetGateRequest { key: "gate".to_owned() }).await.unwrap();
        assert_eq!(read.into_inner().gate.as_ref(), Some(&won));
        stored = won;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_from_an_older_revision_is_refused_when_it_names_one() {
    let server = Server::start().await;
    let made = server.create_gate(gate("gate", 30.0)).await;
    server.set_rollout(percentage("gate", 20.0)).await.unwrap();
    let mut stale = percentage("gate", 10.0);
    stale.revision = made.revision;
    assert_stale(&server.set_rollout(stale).await.unwrap_err());
    server.set_rollout(percentage("gate", 10.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_a_document_is_named_at_once() {
    let server = Server::start().await;
    let mut wrong = gate("not a key", 101.0);
    wrong.rules.push(rule("everyone", f64::NAN, Vec::new()));
    wrong.tags = vec![String::new()];
    let refused = server.admin().create_gate(CreateGateRequest { gate: Some(wrong) }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected = [
        "gate.key",
        "gate.tags[0]",
        "gate.rules[0].percentage",
        "gate.rules[1].percentage",
        "gate.rules[1].id",
    ];
    assert_eq!(fields(&refused), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_recorded_under_its_callers_name() {
    let server = Server::start().await;
    let request = by("ada@example.com", CreateGateRequest { gate: Some(gate("gate", 10.0)) });
    server.admin().create_gate(request).await.unwrap();
    server.admin().set_rollout(by("grace", percentage("gate", 5.0))).await.unwrap();
    let actors: Vec<String> = server.decisions("").await.into_iter().map(|decision| decision.actor).collect();
    let people: Vec<&String> = actors.iter().filter(|actor| *actor != "guard").collect();
    assert_eq!(people, ["ada@example.com", "grace"]);

    let nameless = by(" ", percentage("gate", 1.0));
    let refused = server.admin().set_rollout(nameless).await.unwrap_err();
    assert_eq!(fields(&refused), ["portcullis-principal"]);
}
