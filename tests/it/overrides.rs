//! Overrides: chosen visitors in a chosen group, who are not measured.

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    DecideExperimentRequest, EvaluationReason, Experiment, ExperimentOverride, GetExperimentRequest,
    GetExperimentResponse, GetLaunchRequest, GetLayerRequest, Holdout, ParameterSource as Source,
};

use crate::documents::{guardrail, halves, id_list, is_in, layer, override_of, text, values};
use crate::server::{Server, experiment_target, fields};
use crate::visitors::{groups, ids, user};

async fn get(server: &Server, visitor: &str) -> GetExperimentResponse {
    let (user, experiment) = (Some(user(visitor)), "halves".to_owned());
    let request = GetExperimentRequest { user, experiment, ..GetExperimentRequest::default() };
    server.evaluation().get_experiment(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_goes_before_everything_else() {
    let server = Server::start().await;
    let overrides = vec![
        override_of("friends", "treatment", &["ada"]),
        override_of("skeptics", "control", &["ada", "grace"]),
    ];
    let draft = Experiment { overrides, allocation: Some(0.1), ..halves("halves", "red") };
    let draft = server.create_experiment(draft).await;
    let served =
        |answer: &GetExperimentResponse| (answer.group.clone(), answer.reason(), answer.rule_id.clone());
    let expected = ("treatment".to_owned(), EvaluationReason::Override, "friends".to_owned());
    assert_eq!(served(&get(&server, "ada").await), expected, "in a draft, for a look at it");
    server.start_experiment(&draft).await;
    server
        .create_holdout(Holdout {
            key: "all".to_owned(),
            percentage: 100.0,
            covers_all: true,
            ..Holdout::default()
        })
        .await;
    assert_eq!(served(&get(&server, "ada").await), expected);
    assert_eq!(get(&server, "grace").await.group, "control");
    assert_eq!(get(&server, "visitor").await.reason(), EvaluationReason::HeldOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn overridden_visitors_are_not_measured() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let overrides = vec![override_of("friends", "treatment", &["visitor-0", "visitor-1", "visitor-2"])];
    server.run_experiment(Experiment { overrides, ..halves("halves", "red") }).await;
    let visitors = ids("visitor", 100);
    groups(&server, "halves", &visitors).await;
    let counted = |moments: Option<portcullis::transport::grpc::wire::Moments>| moments.map_or(0, |it| it.n);
    server
        .check_until(&experiment_target("halves"), "all but the overridden are counted", |answer| {
            let epochs = answer
                .verdicts
                .iter()
                .filter(|verdict| verdict.guardrail)
                .flat_map(|verdict| &verdict.epochs);
            epochs.map(|epoch| counted(epoch.control) + counted(epoch.treatment)).sum::<i64>() == 97
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_of_a_running_experiment_may_change_and_begin_an_epoch() {
    let server = Server::start().await;
    let (running, launch) = server.run_experiment(halves("halves", "red")).await;
    let epochs = async |server: &Server| {
        let request = GetLaunchRequest { id: launch.id.clone() };
        server.guard().get_launch(request).await.unwrap().into_inner().launch.unwrap().epochs.len()
    };
    assert_eq!(epochs(&server).await, 1);
    server.check_until_allowed(&experiment_target("halves")).await;
    let overrides = vec![override_of("friends", "treatment", &["ada"])];
    let overridden = server.update_experiment(Experiment { overrides, ..running }).await.unwrap();
    assert_eq!((get(&server, "ada").await.group.as_str(), epochs(&server).await), ("treatment", 2));
    // The same again is no change, and neither is a description.
    let described = Experiment { hypothesis: "Red is better.".to_owned(), ..overridden };
    let described = server.update_experiment(described).await.unwrap();
    assert_eq!(epochs(&server).await, 2);
    let wrong = Experiment { overrides: vec![override_of("", "violet", &[])], ..described };
    let expected =
        ["id", "group", "conditions[0].values"].map(|field| format!("experiment.overrides[0].{field}"));
    assert_eq!(fields(&server.update_experiment(wrong).await.unwrap_err()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_layer_an_override_hands_the_visitor_over_to_its_experiment() {
    let server = Server::start().await;
    server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    let overrides = vec![override_of("friends", "treatment", &["ada"])];
    let member =
        |key: &str| Experiment { layer: "page".to_owned(), allocation: Some(50.0), ..halves(key, "red") };
    let (_, launch) = server.run_experiment(member("other")).await;
    server.create_experiment(Experiment { overrides, ..member("chosen") }).await;
    let request =
        GetLayerRequest { user: Some(user("ada")), layer: "page".to_owned(), ..GetLayerRequest::default() };
    let answer = server.evaluation().get_layer(request).await.unwrap().into_inner();
    assert_eq!((answer.experiment.as_str(), answer.group.as_str()), ("chosen", "treatment"));
    assert_eq!((answer.reason(), answer.rule_id.as_str()), (EvaluationReason::Override, "friends"));
    assert_eq!(answer.parameters["color"].source(), Source::Group);
    // Who is handed over is not compared by the other experiment any more.
    let request = GetLaunchRequest { id: launch.id };
    let launch = server.guard().get_launch(request).await.unwrap().into_inner().launch.unwrap();
    assert_eq!(launch.epochs.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_no_group_gets_the_default_parameters() {
    let server = Server::start().await;
    let default_parameters = Some(values(&[("color", text("none"))]));
    let experiment = Experiment { default_parameters, allocation: Some(0.0), ..halves("halves", "red") };
    let draft = server.create_experiment(experiment.clone()).await;
    let request = GetExperimentRequest {
        user: Some(user("ada")),
        experiment: "halves".to_owned(),
        defaults: Some(values(&[("color", text("mine")), ("extra", text("mine"))])),
        disable_exposure: false,
    };
    let answer = server.evaluation().get_experiment(request).await.unwrap().into_inner();
    assert_eq!((answer.group.as_str(), answer.reason()), ("", EvaluationReason::NotRunning));
    assert_eq!(answer.rule_id, "prestart");
    let color = &answer.parameters["color"];
    assert_eq!((color.value.clone().unwrap(), color.source()), (text("none"), Source::EntityDefault));
    assert_eq!(answer.parameters["extra"].source(), Source::DefaultNoGroup);
    let wrong = Experiment { default_parameters: Some(values(&[("size", text("none"))])), ..draft };
    assert_eq!(
        fields(&server.update_experiment(wrong).await.unwrap_err()),
        ["experiment.default_parameters"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_put_in_a_group_that_was_stopped_gets_what_the_rest_of_it_gets() {
    let mut scene = crate::harm::Scene::new(experiment_target("halves")).await;
    scene.server.create_metric(guardrail("signup", "visited_signup")).await;
    let page = layer("page", values(&[("color", text("none"))]));
    scene.server.create_layer(page).await;
    let overrides =
        vec![override_of("friends", "treatment", &["ada"]), override_of("us", "control", &["grace"])];
    let member = Experiment { overrides, layer: "page".to_owned(), ..halves("halves", "red") };
    scene.server.run_experiment(member).await;
    assert_eq!(get(&scene.server, "ada").await.group, "treatment");
    scene.come_until_harm_is_seen(200, crate::harm::HARMFUL).await;
    scene.assert_turned_off(&["signup"]).await;
    let stopped = get(&scene.server, "ada").await;
    assert_eq!((stopped.group.as_str(), stopped.reason()), ("", EvaluationReason::GroupStopped));
    assert_eq!(stopped.parameters["color"].value, Some(text("none")));
    assert_eq!(get(&scene.server, "grace").await.group, "control");
    let request =
        GetLayerRequest { user: Some(user("ada")), layer: "page".to_owned(), ..GetLayerRequest::default() };
    let answer = scene.server.evaluation().get_layer(request).await.unwrap().into_inner();
    assert_eq!(answer.parameters["color"].value, Some(text("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_that_lists_no_ids_counts_only_while_the_experiment_runs() {
    let server = Server::start().await;
    server.create_segment(id_list("everyone_we_know", &["ada", "grace"])).await;
    let known = ExperimentOverride {
        id: "known".to_owned(),
        group: "treatment".to_owned(),
        conditions: vec![is_in("everyone_we_know")],
    };
    let overrides = vec![override_of("tester", "treatment", &["linus"]), known];
    let draft = Experiment { overrides, allocation: Some(0.1), ..halves("halves", "red") };
    let draft = server.create_experiment(draft).await;
    let groups = async || [get(&server, "ada").await.group, get(&server, "linus").await.group];
    assert_eq!(groups().await, ["", "treatment"], "in a draft");
    let (running, _) = server.start_experiment(&draft).await;
    assert_eq!(groups().await, ["treatment", "treatment"], "while it runs");
    let abandon = DecideExperimentRequest {
        key: running.key,
        revision: running.revision,
        decision: Some(Outcome::Abandon(true)),
    };
    server.admin().decide_experiment(abandon).await.unwrap();
    assert_eq!(groups().await, ["", "treatment"], "once it was abandoned");
}
