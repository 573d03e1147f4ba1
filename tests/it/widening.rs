//! What widens passes the guard: also when it is changed somewhere else than on the gate itself.

use portcullis::transport::grpc::wire::{
    ArchiveHoldoutRequest, ConditionOperator as Operator, Experiment, Gate, GetGateRequest, Holdout, Launch,
    LaunchState, ListLaunchesRequest, Segment, SetRolloutRequest, Target,
};

use crate::documents::{
    condition, gate, gate_for, guardrail, halves, id_list, is_in, override_of, passes, percentage, rule,
    segment,
};
use crate::guard::{assert_refused, harm};
use crate::server::{Server, eventually, experiment_target, gate_target};
use crate::visitors::{Crowd, check_gate, event, groups, heartbeat, ids, log, passing};

async fn launches(server: &Server, target: Target) -> Vec<Launch> {
    let request = ListLaunchesRequest { target: Some(target), ..ListLaunchesRequest::default() };
    server.guard().list_launches(request).await.unwrap().into_inner().launches
}

/// How many launches a gate's rule for everyone has had, and how many epochs its latest.
async fn launches_of(server: &Server, gate: &str) -> (usize, usize) {
    let target = Target { rule_id: "everyone".to_owned(), ..gate_target(gate) };
    let launches = launches(server, target).await;
    (launches.len(), launches.first().map_or(0, |launch| launch.epochs.len()))
}

async fn stored_gate(server: &Server, key: &str) -> Gate {
    let request = GetGateRequest { key: key.to_owned() };
    server.admin().get_gate(request).await.unwrap().into_inner().gate.unwrap()
}

/// A gate that lets half of those through who pass `asked` and are not in `barred`, and whose launch was harmful.
async fn harmed() -> (Server, Segment) {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("asked", 100.0)).await;
    let barred = server.create_segment(id_list("barred", &["nobody"])).await;
    server.create_segment(segment("outer", vec![is_in("barred")])).await;
    let mut not_barred = is_in("outer");
    not_barred.operator = Operator::Fails.into();
    server.create_gate(gate_for("new_checkout", 50.0, vec![passes("asked"), not_barred])).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
    (server, barred)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latch_refuses_what_would_let_in_more_by_a_segment_a_gate_or_a_holdout() {
    let (server, barred) = harmed().await;
    let emptied = Segment { ids: Vec::new(), ..barred.clone() };
    assert_refused(server.update_segment(emptied).await, "LatchClosed");
    // What moves nobody goes on.
    let described = Segment { description: "Those who asked for it.".to_owned(), ..barred };
    server.update_segment(described).await.unwrap();

    let asked = stored_gate(&server, "asked").await;
    let mut wider = asked.clone();
    wider.rules.insert(0, rule("more", 0.0, vec![condition("country", Operator::Any, &["DE"])]));
    assert_refused(server.update_gate(wider.clone()).await, "LatchClosed");
    server.set_rollout(percentage("asked", 10.0)).await.unwrap();
    assert_refused(server.set_rollout(percentage("asked", 20.0)).await, "LatchClosed");
    let off = Gate { enabled: Some(false), ..stored_gate(&server, "asked").await };
    let off = server.update_gate(off).await.unwrap();
    assert_refused(server.update_gate(Gate { enabled: Some(true), ..off }).await, "LatchClosed");

    let holdout =
        Holdout { key: "held".to_owned(), percentage: 10.0, covers_all: true, ..Holdout::default() };
    let made = server.create_holdout(holdout).await;
    assert_refused(server.update_holdout(Holdout { percentage: 5.0, ..made.clone() }).await, "LatchClosed");
    let of_asked = Holdout { covers_all: false, gates: vec!["asked".to_owned()], ..made.clone() };
    assert_refused(server.update_holdout(of_asked).await, "LatchClosed");
    let archive = ArchiveHoldoutRequest { key: made.key, revision: made.revision };
    assert_refused(server.admin().archive_holdout(archive).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_begin_an_epoch_when_something_that_they_depend_on_changes() {
    let server = Server::start().await;
    server.create_gate(gate("inner", 50.0)).await;
    let team = server.create_segment(id_list("team", &["ada"])).await;
    server.create_gate(gate_for("middle", 50.0, vec![passes("inner")])).await;
    server.create_gate(gate_for("outer", 50.0, vec![passes("middle"), is_in("team")])).await;
    server.create_gate(gate("apart", 50.0)).await;
    let targeting = vec![passes("middle"), condition("country", Operator::None, &["DE"])];
    server.run_experiment(Experiment { targeting, ..halves("halves", "red") }).await;
    let epochs = async |server: &Server| {
        let experiment = launches(server, experiment_target("halves")).await[0].epochs.len();
        let mut epochs = vec![experiment];
        for gate in ["inner", "middle", "outer", "apart"] {
            epochs.push(launches_of(server, gate).await.1);
        }
        epochs
    };
    assert_eq!(epochs(&server).await, [1, 1, 1, 1, 1]);
    let grown = Segment { ids: vec!["ada".to_owned(), "grace".to_owned()], ..team };
    server.update_segment(grown).await.unwrap();
    assert_eq!(epochs(&server).await, [1, 1, 1, 2, 1]);
    server.set_rollout(percentage("inner", 40.0)).await.unwrap();
    assert_eq!(epochs(&server).await, [2, 2, 2, 3, 1]);
    server.set_rollout(percentage("inner", 40.0)).await.unwrap();
    assert_eq!(epochs(&server).await, [2, 2, 2, 3, 1], "the same share again moves nobody");
    let german = rule("german", 10.0, vec![condition("country", Operator::Any, &["DE"])]);
    let mut inner = stored_gate(&server, "inner").await;
    inner.rules.insert(0, german);
    server.update_gate(inner).await.unwrap();
    assert_eq!(epochs(&server).await, [3, 3, 3, 4, 1]);
    let holdout = Holdout {
        key: "held".to_owned(),
        percentage: 10.0,
        gates: vec!["middle".to_owned()],
        ..Holdout::default()
    };
    let made = server.create_holdout(holdout).await;
    assert_eq!(epochs(&server).await, [4, 3, 4, 5, 1]);
    server.update_holdout(Holdout { precedence: 3, ..made }).await.unwrap();
    assert_eq!(epochs(&server).await, [4, 3, 4, 5, 1], "who is held out stays the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_rolled_back_moves_what_depends_on_it() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    server.create_gate(gate_for("dependent", 50.0, vec![passes("new_checkout")])).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.1, 0.5)).await;
    assert_eq!(launches_of(&server, "dependent").await, (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_environments_salt_and_unit_type_are_its_reach() {
    let server = Server::start().await;
    server.create_gate(gate("limited", 50.0)).await;
    let edit = async |change: &dyn Fn(&mut Gate)| {
        let mut gate = stored_gate(&server, "limited").await;
        change(&mut gate);
        server.update_gate(gate).await.unwrap();
    };
    edit(&|gate| gate.rules[0].environments = vec!["staging".to_owned()]).await;
    assert_eq!(launches_of(&server, "limited").await, (1, 2));
    edit(&|gate| gate.rules[0].salt = Some("other".to_owned())).await;
    assert_eq!(launches_of(&server, "limited").await, (1, 3));
    edit(&|gate| gate.rules[0].name = "Staging".to_owned()).await;
    assert_eq!(launches_of(&server, "limited").await, (1, 3));
    // Companies are other units than their people: nothing of the launch so far is about them.
    edit(&|gate| gate.rules[0].unit_type = "company_id".to_owned()).await;
    let launches = launches(&server, gate_target("limited")).await;
    let found: Vec<_> = launches.iter().map(|launch| (launch.unit_type.as_str(), launch.state())).collect();
    assert_eq!(found, [("company_id", LaunchState::Steady), ("user_id", LaunchState::Cancelled)]);
    let mut gate = stored_gate(&server, "limited").await;
    gate.draws_missing_units = true;
    assert_eq!(
        crate::server::fields(&server.update_gate(gate).await.unwrap_err()),
        ["gate.draws_missing_units"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_put_in_a_group_that_was_stopped() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    let (running, _) = server.run_experiment(halves("halves", "red")).await;
    let visitors = ids("visitor", 2_000);
    let served = groups(&server, "halves", &visitors).await;
    let signups = served.iter().filter(|(_, group)| *group == "control").step_by(2);
    log(&server, signups.map(|(visitor, _)| event(visitor, "visited_signup")).collect()).await;
    eventually("the group is stopped", async || {
        heartbeat(&server).await;
        let request =
            portcullis::transport::grpc::wire::GetExperimentDocumentRequest { key: "halves".to_owned() };
        let stored =
            server.admin().get_experiment_document(request).await.unwrap().into_inner().experiment.unwrap();
        if stored.stopped_groups == ["treatment"] {
            Ok(())
        } else {
            Err(format!("{:?}", stored.stopped_groups))
        }
    })
    .await;
    let request = portcullis::transport::grpc::wire::GetExperimentDocumentRequest { key: running.key };
    let stored =
        server.admin().get_experiment_document(request).await.unwrap().into_inner().experiment.unwrap();
    let overrides = vec![override_of("friends", "treatment", &["ada"])];
    assert_refused(server.update_experiment(Experiment { overrides, ..stored }).await, "LatchClosed");
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_what_a_gate_asks_is_held_while_that_gate_is_held() {
    let server = Server::start().await;
    server.create_gate(gate("asked", 50.0)).await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate_for("new_checkout", 50.0, vec![passes("asked")])).await;
    server
        .check_until(&gate_target("new_checkout"), "a look without data", |answer| {
            answer.judge_time.is_some()
        })
        .await;
    let raise = SetRolloutRequest { ..percentage("asked", 60.0) };
    assert_refused(server.set_rollout(raise).await, "NoData");
    server.set_rollout(percentage("asked", 40.0)).await.unwrap();
    assert!(passing(&check_gate(&server, "asked", &ids("visitor", 50)).await).len() < 50);
}
