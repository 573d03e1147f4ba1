//! Layers: experiments that share parameters, and no visitor in two of them.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::transport::grpc::wire::decide_experiment_request::Decision;
use portcullis::transport::grpc::wire::{
    CreateExperimentRequest, DecideExperimentRequest, EvaluateBatchRequest, EvaluateBatchResponse,
    EvaluationReason, Experiment, GetLayerRequest, GetLayerResponse, Layer, Parameter,
    ParameterSource as Source, StartExperimentRequest,
};
use prost_types::Value;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::documents::{halves, layer, number, text, values};
use crate::server::{Server, experiment_target, fields};
use crate::visitors::{assert_share, ids, user};

/// Half of an experiment's visitors get the color, and the experiment a share of the layer `page`.
fn member(key: &str, color: &str, allocation: f64) -> Experiment {
    Experiment { layer: "page".to_owned(), allocation: Some(allocation), ..halves(key, color) }
}

async fn start() -> (Server, Layer) {
    let server = Server::start().await;
    let made =
        server.create_layer(layer("page", values(&[("color", text("blue")), ("size", number(3.0))]))).await;
    (server, made)
}

async fn create(server: &Server, experiment: Experiment) -> Result<Experiment, Status> {
    let request = CreateExperimentRequest { experiment: Some(experiment) };
    Ok(server.admin().create_experiment(request).await?.into_inner().experiment.unwrap())
}

async fn start_experiment(server: &Server, draft: &Experiment) -> Result<Experiment, Status> {
    let request =
        StartExperimentRequest { key: draft.key.clone(), revision: draft.revision, guardrails: None };
    Ok(server.admin().start_experiment(request).await?.into_inner().experiment.unwrap())
}

async fn decide(server: &Server, running: &Experiment, decision: Decision) -> Experiment {
    let (key, revision) = (running.key.clone(), running.revision);
    let request = DecideExperimentRequest { key, revision, decision: Some(decision) };
    server.admin().decide_experiment(request).await.unwrap().into_inner().experiment.unwrap()
}

fn assert_names<T: std::fmt::Debug>(outcome: Result<T, Status>, expected: &[&str]) -> String {
    let status = outcome.expect_err("it is refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(fields(&status), expected, "{status:?}");
    status.message().to_owned()
}

/// The layer `page` and experiments, for every visitor.
async fn answers(
    server: &Server,
    visitors: &[String],
    experiments: &[&str],
) -> BTreeMap<String, EvaluateBatchResponse> {
    let mut tasks = JoinSet::new();
    for share in visitors.chunks(visitors.len().div_ceil(8)) {
        let (share, mut client) = (share.to_vec(), server.evaluation());
        let experiments: Vec<String> = experiments.iter().map(|key| (*key).to_owned()).collect();
        tasks.spawn(async move {
            let mut answers = BTreeMap::new();
            for visitor in share {
                let request = EvaluateBatchRequest {
                    user: Some(user(&visitor)),
                    experiments: experiments.clone(),
                    layers: vec!["page".to_owned()],
                    ..EvaluateBatchRequest::default()
                };
                answers.insert(visitor, client.evaluate_batch(request).await.unwrap().into_inner());
            }
            answers
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn given(answer: &GetLayerResponse) -> BTreeMap<&str, (Value, Source)> {
    let one = |parameter: &Parameter| (parameter.value.clone().unwrap(), parameter.source());
    answer.parameters.iter().map(|(name, parameter)| (name.as_str(), one(parameter))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_visitors_nobody_is_in_two_experiments_and_all_are_in_one() {
    let (server, _) = start().await;
    let keys = ["first", "second", "third"];
    for (key, share) in keys.into_iter().zip([30.0, 50.0, 20.0]) {
        server.run_experiment(member(key, key, share)).await;
    }
    let visitors = ids("visitor", 10_000);
    let answers = answers(&server, &visitors, &keys).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (visitor, answer) in &answers {
        let served: Vec<&str> = answer
            .experiments
            .iter()
            .filter(|(_, it)| !it.group.is_empty())
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(served.len(), 1, "{visitor} is in {served:?}");
        let layer = &answer.layers["page"];
        assert_eq!(layer.experiment, served[0]);
        assert_eq!(layer.group, answer.experiments[served[0]].group);
        let color = if layer.group == "control" { "grey" } else { served[0] };
        assert_eq!(given(layer)["color"], (text(color), Source::Group));
        assert_eq!(given(layer)["size"], (number(3.0), Source::EntityDefault));
        *counts.entry(served[0]).or_default() += 1;
    }
    for (key, share) in keys.into_iter().zip([0.3, 0.5, 0.2]) {
        assert_share(counts[key], visitors.len(), share);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_no_experiment_gets_the_layers_values_and_the_callers_for_the_rest() {
    let (server, _) = start().await;
    server.run_experiment(member("tenth", "red", 10.0)).await;
    let defaults = values(&[("color", text("mine")), ("size", text("mine")), ("extra", text("mine"))]);
    let mut outside = 0;
    for visitor in ids("visitor", 300) {
        let request = GetLayerRequest {
            user: Some(user(&visitor)),
            layer: "page".to_owned(),
            defaults: Some(defaults.clone()),
            disable_exposure: false,
        };
        let answer = server.evaluation().get_layer(request).await.unwrap().into_inner();
        assert_eq!(given(&answer)["size"], (text("mine"), Source::DefaultTypeMismatch));
        if answer.experiment.is_empty() {
            outside += 1;
            assert_eq!(
                (answer.reason(), answer.rule_id.as_str()),
                (EvaluationReason::NotAllocated, "default")
            );
            assert_eq!(given(&answer)["color"], (text("blue"), Source::EntityDefault));
            assert_eq!(given(&answer)["extra"], (text("mine"), Source::DefaultNoGroup));
        } else {
            assert_eq!(given(&answer)["color"].1, Source::Group);
            assert_eq!(given(&answer)["extra"], (text("mine"), Source::DefaultMissing));
        }
    }
    assert_share(outside, 300, 0.9);
    let request =
        GetLayerRequest { user: Some(user("ada")), layer: "tenth".to_owned(), ..Default::default() };
    let status = server.evaluation().get_layer(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no layer `tenth`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_taken_at_the_start_kept_on_growth_and_given_back_in_the_end() {
    let (server, _) = start().await;
    let first = create(&server, member("first", "red", 30.0)).await.unwrap();
    let second = create(&server, member("second", "green", 60.0)).await.unwrap();
    assert_eq!((&first.buckets, &second.buckets), (&None, &None), "a draft holds no buckets");
    let first = start_experiment(&server, &first).await.unwrap();
    let second = start_experiment(&server, &second).await.unwrap();
    assert_eq!((first.buckets(), second.buckets()), ("0-299", "300-899"));

    let third = create(&server, member("third", "pink", 20.0)).await.unwrap();
    let message = assert_names(start_experiment(&server, &third).await, &["experiment.allocation"]);
    assert!(message.contains("wants 200 more buckets, and 100 are free"), "{message}");
    let third = server.update_experiment(Experiment { allocation: Some(5.0), ..third }).await.unwrap();
    let third = start_experiment(&server, &third).await.unwrap();
    assert_eq!(third.buckets(), "900-949");

    server.check_until_allowed(&experiment_target("first")).await;
    let visitors = ids("visitor", 1_000);
    let before = answers(&server, &visitors, &["first"]).await;
    let grown =
        server.update_experiment(Experiment { allocation: Some(33.0), ..first.clone() }).await.unwrap();
    assert_eq!(grown.buckets(), "0-299,950-979");
    for (visitor, after) in answers(&server, &visitors, &["first"]).await {
        let group = &before[&visitor].experiments["first"].group;
        assert!(group.is_empty() || *group == after.experiments["first"].group, "{visitor} moved");
    }
    let too_many = Experiment { allocation: Some(40.0), ..grown.clone() };
    let message = assert_names(server.update_experiment(too_many).await, &["experiment.allocation"]);
    assert!(message.contains("wants 70 more buckets, and 20 are free"), "{message}");
    // Buckets named by the caller may be added, and none taken away.
    let moved = Experiment { buckets: Some("0-298,950-980".to_owned()), ..grown.clone() };
    assert_names(server.update_experiment(moved).await, &["experiment.buckets"]);
    let of_others =
        Experiment { allocation: Some(33.1), buckets: Some("0-300,950-979".to_owned()), ..grown.clone() };
    assert_names(server.update_experiment(of_others).await, &["experiment.buckets"]);
    server.check_until_allowed(&experiment_target("first")).await;
    let chosen =
        Experiment { allocation: Some(33.1), buckets: Some("0-299,950-979,999".to_owned()), ..grown };
    let grown = server.update_experiment(chosen).await.unwrap();
    assert_eq!(grown.buckets(), "0-299,950-979,999");

    // An abandoned experiment's buckets are free, a decided one's are not.
    decide(&server, &second, Decision::Abandon(true)).await;
    decide(&server, &third, Decision::ShipGroup("control".to_owned())).await;
    let fourth = create(&server, member("fourth", "black", 61.0)).await.unwrap();
    let fourth = start_experiment(&server, &fourth).await.unwrap();
    assert_eq!(fourth.buckets(), "300-899,980-989");
    let keys = ["first", "second", "third", "fourth"];
    let by_layer: BTreeSet<String> = answers(&server, &visitors, &keys)
        .await
        .into_values()
        .map(|answer| answer.layers["page"].experiment.clone())
        .collect();
    assert_eq!(by_layer, BTreeSet::from(["", "first", "third", "fourth"].map(str::to_owned)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_may_name_its_buckets_where_they_are_free() {
    let (server, _) = start().await;
    let named = |key: &str, buckets: &str, allocation: f64| Experiment {
        buckets: Some(buckets.to_owned()),
        ..member(key, "red", allocation)
    };
    let first = create(&server, named("first", "5-14", 1.0)).await.unwrap();
    let other = create(&server, named("other", "14-23", 1.0)).await.unwrap();
    assert_eq!(start_experiment(&server, &first).await.unwrap().buckets(), "5-14");
    let message = assert_names(create(&server, named("second", "0-9", 1.0)).await, &["experiment.buckets"]);
    assert!(message.contains("others have 5-9"), "{message}");
    // The draft was there before the buckets were taken.
    assert_names(start_experiment(&server, &other).await, &["experiment.buckets"]);
    assert_names(create(&server, named("second", "0-1000", 100.0)).await, &["experiment.buckets"]);
    assert_names(create(&server, named("second", "20-29", 2.0)).await, &["experiment.buckets"]);
    create(&server, named("second", "20-29", 1.0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_fits_its_layer() {
    let (server, _) = start().await;
    let wrong = Experiment { layer: "no_such".to_owned(), ..member("new", "red", 10.0) };
    assert_names(create(&server, wrong).await, &["experiment.layer"]);
    let wrong = Experiment { unit_type: "company_id".to_owned(), ..member("new", "red", 10.0) };
    assert_names(create(&server, wrong).await, &["experiment.unit_type"]);
    let wrong = Experiment { allocation_salt: Some("dice".to_owned()), ..member("new", "red", 10.0) };
    assert_names(create(&server, wrong).await, &["experiment.allocation_salt"]);
    let mut wrong = member("new", "red", 10.0);
    for group in &mut wrong.groups {
        group.parameters = Some(values(&[("size", text("large")), ("depth", number(1.0))]));
    }
    let paths = [0, 1]
        .map(|group| ["depth", "size"].map(|name| format!("experiment.groups[{group}].parameters[{name}]")));
    let paths: Vec<&str> = paths.iter().flatten().map(String::as_str).collect();
    assert_names(create(&server, wrong).await, &paths);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_running_experiments_rest_on_stays() {
    let (server, made) = start().await;
    let draft = create(&server, member("member", "red", 10.0)).await.unwrap();
    let change = |parameters, made: &Layer| Layer { parameters: Some(parameters), ..made.clone() };
    // A draft asks only for what it would set.
    let typed = change(values(&[("color", number(1.0)), ("size", number(3.0))]), &made);
    assert_names(server.update_layer(typed).await, &["layer.parameters[color]"]);
    let by_company = Layer { unit_type: "company_id".to_owned(), ..made.clone() };
    assert_names(server.update_layer(by_company).await, &["layer.unit_type"]);
    let salted = Layer { salt: Some("other".to_owned()), ..made };
    let made = server.update_layer(salted).await.unwrap();
    let made = server
        .update_layer(change(values(&[("color", text("green")), ("size", text("s"))]), &made))
        .await
        .unwrap();

    let running = start_experiment(&server, &draft).await.unwrap();
    let other = change(values(&[("color", text("blue")), ("size", text("s"))]), &made);
    assert_names(server.update_layer(other).await, &["layer.parameters[color]"]);
    let less = change(values(&[("color", text("green"))]), &made);
    assert_names(server.update_layer(less).await, &["layer.parameters[size]"]);
    let redealt = Layer { salt: Some("third".to_owned()), draws_missing_units: true, ..made.clone() };
    assert_names(server.update_layer(redealt).await, &["layer.salt", "layer.draws_missing_units"]);
    let more = change(values(&[("color", text("green")), ("size", text("s")), ("new", number(1.0))]), &made);
    let made = server.update_layer(more).await.unwrap();

    decide(&server, &running, Decision::ShipGroup("control".to_owned())).await;
    let salted = Layer { salt: Some("third".to_owned()), ..made.clone() };
    assert_names(server.update_layer(salted).await, &["layer.salt"]);
    server.update_layer(change(values(&[("color", text("black"))]), &made)).await.unwrap();
}
