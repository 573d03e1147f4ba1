//! Launches of dynamic configs, of shipped groups and of what holdouts let go.

use std::collections::BTreeMap;

use portcullis::transport::grpc::wire::decide_experiment_request::Decision as Outcome;
use portcullis::transport::grpc::wire::{
    CheckLaunchResponse, ConfigRule, DecideExperimentRequest, DecisionKind, DynamicConfig, Experiment,
    GetConfigRequest, GetExperimentRequest, Holdback, Holdout, LaunchState, Metric, Policy, ReasonCode,
    SetRolloutRequest, Target, TargetKind, UpdateConfigRequest, Verdict,
};
use tonic::Status;

use crate::documents::{config_rule, gate, guardrail, halves, number, percentage, text, values};
use crate::guard::assert_refused;
use crate::policies::policy;
use crate::server::{Server, eventually, experiment_target, gate_target, wire_duration};
use crate::visitors::{check_gate, event, groups, heartbeat, ids, log, passing, user};

pub(crate) fn target(kind: TargetKind, key: &str) -> Target {
    Target { kind: kind.into(), key: key.to_owned(), rule_id: String::new() }
}

pub(crate) fn page(share: f64, size: f64) -> DynamicConfig {
    let rule = ConfigRule {
        percentage: share,
        ..config_rule("large", Vec::new(), values(&[("size", number(size))]))
    };
    let default_value = Some(values(&[("size", number(10.0))]));
    DynamicConfig { key: "page".to_owned(), rules: vec![rule], default_value, ..DynamicConfig::default() }
}

pub(crate) fn on_page(share: f64) -> SetRolloutRequest {
    SetRolloutRequest { config: "page".to_owned(), gate: String::new(), ..percentage("", share) }
}

/// Who gets the value of the rule.
pub(crate) async fn large(server: &Server, visitors: &[String]) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    let mut client = server.evaluation();
    for visitor in visitors {
        let request = GetConfigRequest {
            user: Some(user(visitor)),
            config: "page".to_owned(),
            ..GetConfigRequest::default()
        };
        let answer = client.get_config(request).await.unwrap().into_inner();
        found.insert(visitor.clone(), answer.parameters["size"].value != Some(number(10.0)));
    }
    found
}

/// Who gets the group.
pub(crate) async fn red(server: &Server, visitors: &[String]) -> BTreeMap<String, bool> {
    let groups = groups(server, "halves", visitors).await;
    groups.into_iter().map(|(visitor, group)| (visitor, group == "treatment")).collect()
}

/// Visitors come in waves; half of the control signs up, and one in ten of the treatment, until the launch is rolled back.
pub(crate) async fn harm(
    server: &Server,
    target: &Target,
    ask: impl AsyncFn(&Server, &[String]) -> BTreeMap<String, bool>,
) -> CheckLaunchResponse {
    let (mut wave, mut seen) = (0, [0_usize; 2]);
    eventually("the launch is rolled back", async || {
        wave += 1;
        let mut events = Vec::new();
        for (visitor, treated) in ask(server, &ids(&format!("wave-{wave}"), 60)).await {
            let number = &mut seen[usize::from(treated)];
            *number += 1;
            if number.is_multiple_of(if treated { 10 } else { 2 }) {
                events.push(event(&visitor, "visited_signup"));
            }
        }
        log(server, events).await;
        heartbeat(server).await;
        let answer = server.check(target).await;
        let state = answer.launch.as_ref().map(portcullis::transport::grpc::wire::Launch::state);
        if state == Some(LaunchState::RolledBack) { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_a_config_is_a_launch_and_is_rolled_back_on_harm() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let made = server.create_config(page(0.0, 20.0)).await;
    let refused = server.update_config(DynamicConfig { rules: page(50.0, 20.0).rules, ..made.clone() }).await;
    assert_eq!(crate::server::fields(&refused.unwrap_err()), ["config.rules[0].percentage"]);
    let raised = server.set_rollout(on_page(50.0)).await.unwrap();
    assert_eq!(raised.config.unwrap().rules[0].percentage, 50.0);
    let of_page = target(TargetKind::ConfigRule, "page");
    let answer = harm(&server, &of_page, large).await;
    assert_eq!(answer.decision(), DecisionKind::Block);
    assert!(large(&server, &ids("later", 100)).await.values().all(|large| !large));
    assert_refused(server.set_rollout(on_page(1.0)).await, "LatchClosed");
    let request = portcullis::transport::grpc::wire::GetConfigDocumentRequest { key: "page".to_owned() };
    let stored = server.admin().get_config_document(request).await.unwrap().into_inner().config.unwrap();
    // Nor by another rule, another value, or by switching off and on.
    let mut another = stored.clone();
    another.rules.insert(0, ConfigRule { percentage: 1.0, ..config_rule("all", Vec::new(), values(&[])) });
    assert_refused(server.update_config(another).await, "LatchClosed");
    let mut revalued = stored.clone();
    revalued.rules[0].value = Some(values(&[("size", number(30.0))]));
    assert_refused(server.update_config(revalued).await, "LatchClosed");
    let off = server.update_config(DynamicConfig { enabled: Some(false), ..stored }).await.unwrap();
    let on = UpdateConfigRequest { config: Some(DynamicConfig { enabled: Some(true), ..off }) };
    assert_refused(server.admin().update_config(on).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_value_is_another_launch_and_another_default_another_epoch() {
    let server = Server::start().await;
    let made = server.create_config(page(50.0, 20.0)).await;
    let of_page = target(TargetKind::ConfigRule, "page");
    let first = server.check(&of_page).await.launch.unwrap();
    assert_eq!(first.state(), LaunchState::Steady);
    let default_value = Some(values(&[("size", number(11.0))]));
    let changed = server.update_config(DynamicConfig { default_value, ..made }).await.unwrap();
    let second = server.check(&of_page).await.launch.unwrap();
    assert_eq!((second.id == first.id, second.epochs.len()), (true, 2));
    let rules = page(50.0, 30.0).rules;
    server.update_config(DynamicConfig { rules, ..changed }).await.unwrap();
    let third = server.check(&of_page).await.launch.unwrap();
    assert_eq!((third.id == first.id, third.epochs.len()), (false, 1));
}

/// An experiment with two groups of which the other than the control is shown safe.
pub(crate) async fn run_safe(server: &Server) -> Experiment {
    let wide = Metric { ship_margin: Some(0.5), ..guardrail("signup", "visited_signup") };
    server.create_metric(wide).await;
    let (running, _) = server.run_experiment(halves("halves", "red")).await;
    running
}

pub(crate) async fn until_safe(server: &Server) {
    let visitors = ids("visitor", 600);
    let mut seen = [0_usize; 2];
    let mut events = Vec::new();
    for (visitor, treated) in red(server, &visitors).await {
        let number = &mut seen[usize::from(treated)];
        *number += 1;
        if number.is_multiple_of(2) {
            events.push(event(&visitor, "visited_signup"));
        }
    }
    log(server, events).await;
    let safe = |answer: &CheckLaunchResponse| {
        answer.verdicts.iter().any(|verdict| verdict.verdict() == Verdict::Safe)
    };
    server.check_until(&experiment_target("halves"), "the group is shown safe", safe).await;
}

pub(crate) async fn ship(server: &Server, experiment: &Experiment) -> Result<Experiment, Status> {
    let request = DecideExperimentRequest {
        key: experiment.key.clone(),
        revision: experiment.revision,
        decision: Some(Outcome::ShipGroup("treatment".to_owned())),
    };
    Ok(server.admin().decide_experiment(request).await?.into_inner().experiment.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_group_is_watched_against_the_holdback_and_taken_back_on_harm() {
    let server = Server::start().await;
    let holdback = Holdback { percentage: 50.0, duration: Some(wire_duration(3_600_000)) };
    server.create_policy(Policy { holdback: Some(holdback), ..policy() }).await.unwrap();
    let running = run_safe(&server).await;
    assert!(ship(&server, &running).await.is_err(), "nothing is known yet");
    until_safe(&server).await;
    ship(&server, &running).await.unwrap();
    let shipment = target(TargetKind::Shipment, "halves");
    let begun = server.check(&shipment).await.launch.unwrap();
    assert_eq!((begun.state(), begun.epochs[0].percentage), (LaunchState::Ramping, 50.0));
    assert!(red(&server, &ids("new", 200)).await.values().any(|red| *red));
    harm(&server, &shipment, red).await;
    let request = GetExperimentRequest {
        user: Some(user("new-1")),
        experiment: "halves".to_owned(),
        ..GetExperimentRequest::default()
    };
    let answer = server.evaluation().get_experiment(request).await.unwrap().into_inner();
    assert_eq!(answer.parameters["color"].value, Some(text("grey")));
    assert!(red(&server, &ids("after", 200)).await.values().all(|red| !red));
    let request = portcullis::transport::grpc::wire::GetExperimentDocumentRequest { key: running.key };
    let decided = server.admin().get_experiment_document(request).await.unwrap();
    assert_eq!(decided.into_inner().experiment.unwrap().decided_group, "treatment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shipped_without_evidence_only_by_an_override() {
    let server = Server::start().await;
    let running = run_safe(&server).await;
    let of_experiment = experiment_target("halves");
    server.check_until(&of_experiment, "the guard has looked", |answer| answer.judge_time.is_some()).await;
    assert_refused(ship(&server, &running).await, "NoData");
    let launch = server.check(&of_experiment).await.launch.unwrap();
    let expires_at = portcullis::clock::Clock::system().now().0 + 3_600_000;
    crate::overriding::override_launch(&server, &launch.id, expires_at).await.unwrap();
    ship(&server, &running).await.unwrap();
    assert!(red(&server, &ids("after", 100)).await.values().all(|red| *red));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_holdout_lets_go_is_watched_against_what_it_still_holds_and_held_again_on_harm() {
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", 100.0)).await;
    let target_gate = gate_target("new_checkout");
    let completed = |answer: &CheckLaunchResponse| {
        answer.launch.as_ref().is_some_and(|launch| launch.state() == LaunchState::Completed)
    };
    server.check_until(&target_gate, "everyone passes", completed).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let made = server
        .create_holdout(Holdout {
            key: "most".to_owned(),
            percentage: 80.0,
            gates: vec!["new_checkout".to_owned()],
            ..Holdout::default()
        })
        .await;
    let visitors = ids("probe", 300);
    let held = passing(&check_gate(&server, "new_checkout", &visitors).await);
    let released = server.update_holdout(Holdout { percentage: 40.0, ..made }).await.unwrap();
    let release = target(TargetKind::Holdout, "most");
    let begun = server.check(&release).await.launch.unwrap();
    assert_eq!(
        (begun.state(), begun.epochs[0].percentage, begun.rollback_percentage),
        (LaunchState::Steady, 50.0, 80.0)
    );
    // A further release waits for the numbers of this one.
    server.check_until(&release, "the guard has looked", |answer| answer.judge_time.is_some()).await;
    assert_refused(server.update_holdout(Holdout { percentage: 20.0, ..released.clone() }).await, "NoData");
    assert_refused(
        server
            .admin()
            .archive_holdout(portcullis::transport::grpc::wire::ArchiveHoldoutRequest {
                key: released.key.clone(),
                revision: released.revision,
            })
            .await,
        "NoData",
    );
    let answer = harm(&server, &release, async |server: &Server, visitors: &[String]| {
        check_gate(server, "new_checkout", visitors).await
    })
    .await;
    assert_eq!(answer.reasons[0].code(), ReasonCode::LatchClosed);
    assert_eq!(
        passing(&check_gate(&server, "new_checkout", &visitors).await),
        held,
        "as many are held out as before"
    );
    let request = portcullis::transport::grpc::wire::GetHoldoutRequest { key: "most".to_owned() };
    let stored = server.admin().get_holdout(request).await.unwrap().into_inner().holdout.unwrap();
    assert_eq!(stored.percentage, 80.0);
    assert_refused(server.update_holdout(Holdout { percentage: 79.0, ..stored }).await, "LatchClosed");
}
